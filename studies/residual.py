"""What a residual gains: ``python -m studies.residual TASK CHECKPOINT MIX``, for a task of MetaWorld that stays low.

A small actor adds a bounded offset to the actions of a frozen policy, the same to each of the few actions that the
policy is asked for at a time. It learns off-policy from success alone (residual policy learning: Silver et al. 2018,
arXiv:1812.06298; with demonstrations in its replay: Ball et al. 2023, arXiv:2302.02948), in this process, on one
thread. Critics tell the log-odds of discounted success; their targets are returns of some decisions, between 0 and 1.
It trains on seeds of its own, keeps the actor of the best check, and is compared with the policy alone on fresh seeds.
The loop does not use it: docs/demonstrations.md has the figures.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.foundation.seeds import Purpose, derive_seed
from leagents_kedro.policies.actor import Actor
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import EpisodeRun, next_actions

STATE = 39  # numbers of MetaWorld's state
PAIRS = ((0, 4), (0, 11), (4, 11), (0, 36), (4, 36), (11, 36))  # where hand, objects, and goal begin in it
SLOTS = 8
ROWS = 30_000  # of each replay
ACTION_DIM = 4


@dataclass(frozen=True)
class Settings:
    """``n``, ``gamma``, and ``updates`` count decisions, ``warm``, ``fade``, and ``steps`` steps of the environment."""

    hold: int = 5  # actions of a decision
    scale: float = 0.3  # greatest offset, of the actions' range [-1, 1]
    gamma: float = 0.97
    n: int = 3  # decisions of a return
    updates: float = 2.0  # of the critics, a decision
    batch: int = 256
    demonstrations: float = 0.25  # share of a batch
    critics: int = 2
    hidden: int = 128
    lr: float = 5e-4
    tau: float = 0.01  # of the critics' targets, an update
    l2: float = 0.1  # of the offset, in log-odds
    noise: float = 0.5  # standard deviation of exploration, in units of ``scale``
    warm: int = 15_000  # before the actor acts
    fade: int = 30_000  # until it acts in every episode
    least: int = 50_000  # before a check without a failure ends it
    steps: int = 100_000
    processor_s: float = 600.0
    check_every: int = 15_000
    checked: int = 40  # episodes of a check
    fresh: int = 100  # episodes of the comparison
    seed: int = 0


@dataclass(frozen=True)
class Exploration:
    """How an episode is explored: a constant offset, and noise of each decision, in units of the scale."""

    offset: np.ndarray
    noise: float = 0.0
    acts: bool = True


@dataclass(frozen=True)
class Rolled:
    """What was seen (decisions, dim) and added (decisions, action_dim) in an episode."""

    success: bool
    seen: list[torch.Tensor]
    added: list[np.ndarray]


GREEDY = Exploration(np.zeros(ACTION_DIM))


class Ensemble(torch.nn.Module):
    """MLPs with layer norm: (batch, inputs) to (members, batch, outputs)."""

    def __init__(self, members: int, inputs: int, hidden: int, outputs: int, last: float = 1.0):
        super().__init__()
        sizes = [(inputs, hidden, 1.0), (hidden, hidden, 1.0), (hidden, outputs, last)]
        self.weights = torch.nn.ParameterList([torch.randn(members, a, b) * gain / a**0.5 for a, b, gain in sizes])
        self.biases = torch.nn.ParameterList([torch.zeros(members, 1, b) for _, b, _ in sizes])

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what each member says."""
        hidden = inputs.expand(len(self.weights[0]), *inputs.shape)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = torch.baddbmm(bias, hidden, weight)
            hidden = F.relu(F.layer_norm(hidden, hidden.shape[-1:]))
        return torch.baddbmm(self.biases[-1], hidden, self.weights[-1])


class Residual:
    """The actor, its critics, and two replays: of demonstrations, and of its own episodes."""

    def __init__(self, states: np.ndarray, settings: Settings):
        self.settings = settings
        self.rng = np.random.default_rng(settings.seed)
        self._mean, self._std = states.mean(0), np.maximum(states.std(0), 0.01)
        inputs = STATE + 3 * len(PAIRS) + ACTION_DIM * settings.hold
        self.actor = Ensemble(1, inputs, settings.hidden, ACTION_DIM, last=0.01)
        self._critics, self._targets = (
            Ensemble(settings.critics, inputs + ACTION_DIM, settings.hidden, 1) for _ in range(2)
        )
        self._targets.load_state_dict(self._critics.state_dict())
        self._optimizers = [torch.optim.Adam(net.parameters(), settings.lr) for net in (self.actor, self._critics)]
        # seen, added, return, discount of what follows, seen then
        self._replay = [torch.zeros(2 * ROWS, width) for width in (inputs, ACTION_DIM, 1, 1, inputs)]
        self._counts, self._updates = [0, 0], 0

    def features(self, states: np.ndarray, chunks: np.ndarray) -> torch.Tensor:
        """Return float32 (n, dim): normalized states, differences of positions in decimetres, the policy's chunks."""
        pairs = [10 * (states[:, i : i + 3] - states[:, j : j + 3]) for i, j in PAIRS]
        normalized = ((states[:, :STATE] - self._mean) / self._std).clip(-5, 5)
        return torch.from_numpy(
            np.concatenate([normalized, *pairs, chunks.reshape(len(chunks), -1)], 1).astype(np.float32)
        )

    def act(self, seen: torch.Tensor) -> np.ndarray:
        """Return offsets (n, action_dim) in [-1, 1], in units of the scale."""
        with torch.no_grad():
            return torch.tanh(self.actor(seen)[0]).numpy()

    def add(self, own: bool, episode: Rolled) -> None:
        """Add an episode's decisions; the last one of a failure has no successor and is left out."""
        gamma, n, last = self.settings.gamma, self.settings.n, len(episode.seen) - 1
        for step in range(len(episode.seen) - (not episode.success)):
            won = episode.success and step + n > last
            after = last if won else min(step + n, last)
            gained, discount = (gamma ** (last - step), 0.0) if won else (0.0, gamma ** (after - step))
            row = own * ROWS + self._counts[own] % ROWS
            values = (episode.seen[step], episode.added[step], gained, discount, episode.seen[after])
            for column, value in zip(self._replay, values, strict=True):
                column[row] = torch.as_tensor(value)
            self._counts[own] += 1

    def update(self, acting: bool) -> None:
        """Update the critics, and every second time the actor, once it acts."""
        settings, of_demonstrations = self.settings, int(self.settings.batch * self.settings.demonstrations)
        self._updates += 1
        filled = [min(max(count, 1), ROWS) for count in self._counts]
        shown = self.rng.integers(0, filled[0], of_demonstrations)
        own = ROWS + self.rng.integers(0, filled[1], settings.batch - of_demonstrations)
        seen, added, gained, discount, then = (
            column[torch.from_numpy(np.concatenate([shown, own]))] for column in self._replay
        )
        with torch.no_grad():
            follows = torch.tanh(self.actor(then)[0]) if acting else torch.zeros_like(added)
            follows = (follows + 0.1 * torch.randn_like(follows)).clamp(-1, 1)
            success = torch.sigmoid(self._targets(torch.cat([then, follows], 1))).amin(0)
            wanted = (gained + discount * success).expand(settings.critics, -1, 1)
        told = self._critics(torch.cat([seen, added], 1))
        self._step(1, F.binary_cross_entropy_with_logits(told, wanted) * settings.critics)
        torch._foreach_lerp_(
            [weight.data for weight in self._targets.parameters()], [*self._critics.parameters()], settings.tau
        )
        if acting and self._updates % 2:
            offset = torch.tanh(self.actor(seen)[0])
            odds = self._critics(torch.cat([seen, offset], 1)).mean(0)
            self._step(0, (settings.l2 * offset.square().mean(1, keepdim=True) - odds).mean())

    def _step(self, which: int, loss: torch.Tensor) -> None:
        self._optimizers[which].zero_grad()
        loss.backward()
        self._optimizers[which].step()


@dataclass(frozen=True)
class Bench:
    """A frozen policy in one task."""

    actor: Actor
    pool: EnvironmentPool
    task: str

    def roll(
        self,
        seeds: Sequence[int],
        residual: Residual,
        scale: float,
        explore: Callable[[], Exploration] = lambda: GREEDY,
        on_progress: Callable[[int, list[Rolled]], bool] = lambda steps, ended: False,
    ) -> np.ndarray:
        """Run an episode a seed, and return their successes in the order of ``seeds``.

        ``on_progress`` is told the new steps and the episodes that ended, and ends it where it returns True.
        """
        waiting = enumerate(seeds)
        running: list[tuple[int, EpisodeRun, Exploration, Rolled]] = []
        won: dict[int, bool] = {}
        while True:
            while len(running) < SLOTS and (given := next(waiting, None)):
                run = EpisodeRun(Trial(self.task, given[1]), self.pool, False)
                running.append((given[0], run, explore(), Rolled(False, [], [])))
            if not running:
                break
            runs = [run for _, run, _, _ in running]
            chunks = next_actions(self.actor, runs)[:, : residual.settings.hold].clip(-1, 1)
            seen = residual.features(np.stack([run.observation["environment_state"] for run in runs]), chunks)
            greedy, before = residual.act(seen), sum(run.length for run in runs)
            for row, (_, run, exploration, rolled) in enumerate(running):
                noise = exploration.noise * residual.rng.standard_normal(ACTION_DIM)
                offset = (exploration.acts * greedy[row] + exploration.offset + noise).clip(-1, 1).astype(np.float32)
                rolled.seen.append(seen[row])
                rolled.added.append(offset)
                run.apply((chunks[row] + scale * offset).clip(-1, 1))
            steps = sum(run.length for run in runs) - before
            ended = [entry for entry in running if entry[1].ended]
            running = [entry for entry in running if not entry[1].ended]
            for number, run, _, _ in ended:
                run.leave()
                won[number] = run.success
            if on_progress(steps, [Rolled(run.success, rolled.seen, rolled.added) for _, run, _, rolled in ended]):
                break
        for _, run, _, _ in running:
            run.leave()
        return np.array([won[number] for number in sorted(won)])

    def seeds(self, purpose: Purpose, name: str, number: int) -> list[int]:
        """Return seeds of this task that go by a name."""
        return [derive_seed(purpose, name, self.task, index=index) for index in range(number)]


def train(bench: Bench, mix: Shards, settings: Settings) -> Residual:
    """Return the residual with the actor of its best check."""
    began = time.process_time()
    number = mix.tasks.index(bench.pool.sentence(bench.task))
    demonstrations = [mix.episode(int(episode)) for episode in mix.index.episode_index[mix.index.task == number]]
    states = [episode.columns["observation.environment_state"] for episode in demonstrations]
    residual = Residual(np.concatenate(states)[:, :STATE], settings)
    for episode, seen in zip(demonstrations, states, strict=True):
        _show(bench, residual, seen, episode.columns["action"])
    steps, owed, next_check, best, kept = 0, 0.0, settings.check_every, -1.0, residual.actor.state_dict()

    def explore() -> Exploration:
        faded_in = (steps - settings.warm) / settings.fade
        acts = steps > settings.warm and residual.rng.random() < faded_in
        if (kind := residual.rng.random()) < 0.35:
            return Exploration(settings.noise * residual.rng.standard_normal(ACTION_DIM), 0.0, acts)
        return Exploration(np.zeros(ACTION_DIM), settings.noise if kind < 0.7 else 0.1 * acts, acts)

    def on_progress(new_steps: int, ended: list[Rolled]) -> bool:
        nonlocal steps, owed, next_check, best, kept
        steps += new_steps
        for episode in ended:
            residual.add(True, episode)
        owed += settings.updates * new_steps / settings.hold * (steps > 4000)
        for _ in range(int(owed)):
            residual.update(acting=steps >= settings.warm / 2)
        owed %= 1
        over = steps >= settings.steps or time.process_time() - began > settings.processor_s
        if over or steps >= next_check:
            next_check += settings.check_every
            rate = bench.roll(bench.seeds("training", "check", settings.checked), residual, settings.scale).mean()
            if rate >= best:
                best, kept = rate, {key: value.clone() for key, value in residual.actor.state_dict().items()}
            print(f"{bench.task}: {steps} steps, check {rate:.3f}, {time.process_time() - began:.0f} CPU s", flush=True)
        return over or (best >= 1.0 and steps >= settings.least)

    own = bench.seeds("training", f"residual-{settings.seed}", settings.steps // 10)
    bench.roll(own, residual, settings.scale, explore, on_progress)
    residual.actor.load_state_dict(kept)
    return residual


def _show(bench: Bench, residual: Residual, states: np.ndarray, actions: np.ndarray) -> None:
    """Add a demonstration: the offset of each decision is what its actions have beyond the policy's, on average."""
    hold, scale = residual.settings.hold, residual.settings.scale
    observations = [{"agent_pos": state[:4], "environment_state": state} for state in states]
    sentence = bench.pool.sentence(bench.task)
    chunks = bench.actor.predict(observations, [sentence] * len(states), [0] * len(states))[:, :hold].clip(-1, 1)
    seen = residual.features(states, chunks)
    beyond = [actions[step : step + hold] - chunks[step][: len(actions) - step] for step in range(len(states))]
    added = [(each.mean(0) / scale).clip(-1, 1).astype(np.float32) for each in beyond]
    for phase in range(hold):
        residual.add(False, Rolled(True, [*seen[phase::hold]], added[phase::hold]))


def main() -> None:
    """Train a residual, and compare the policy with it and without on the same fresh seeds."""
    parser = argparse.ArgumentParser(prog="python -m studies.residual", description=__doc__)
    parser.add_argument("task", help="a task of MetaWorld")
    parser.add_argument("checkpoint", type=Path, help="folder with pretrained_model/ of a policy for metaworld_state")
    parser.add_argument("mix", type=Path, help="dataset with demonstrations of the task")
    parser.add_argument("--steps", type=int, default=Settings.steps, help="of the environment")
    parser.add_argument("--seed", type=int, default=Settings.seed)
    options = parser.parse_args()
    settings = Settings(steps=options.steps, seed=options.seed)
    torch.manual_seed(settings.seed)
    torch.set_num_threads(1)
    with EnvironmentPool("metaworld_state", {"episode_length": 200}) as pool:
        actor = Actor.load(options.checkpoint)
        actor.bind(pool.config(options.task))
        bench = Bench(actor, pool, options.task)
        residual = train(bench, Shards(options.mix), settings)
        fresh = bench.seeds("evaluation", "fresh", settings.fresh)
        without, with_it = (bench.roll(fresh, residual, scale) for scale in (0.0, settings.scale))
    wins, losses = int((with_it & ~without).sum()), int((without & ~with_it).sum())
    print(f"{options.task}: {without.mean():.2f} to {with_it.mean():.2f}, {wins} wins, {losses} losses")


if __name__ == "__main__":
    main()
