"""Evaluation: rollouts beside MetaWorld's steps alone, LeRobot's own evaluation, and two processes beside one."""

import io
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from benchmarks.small_act import parameters
from benchmarks.table import Row, alternated
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.policies.actor import Actor, PolicyFile
from leagents_kedro.policies.training import train
from leagents_kedro.simulation.collection import successful_episodes
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import roll_out
from leagents_kedro.simulation.simulator import Simulator

ENVIRONMENT, OPTIONS = "metaworld_state", {"episode_length": 200}
# A step costs about 0.25 ms where nothing lies loose, and more than twice as much where the hand pushes what does.
EASY, CONTACT_RICH = ("reach-v3", "door-open-v3"), ("push-v3", "pick-place-v3", "coffee-pull-v3")
SLOTS = 8
LEROBOT_ENVIRONMENTS = 10


@dataclass(frozen=True)
class _Bench:
    checkpoint: Path
    actor: Actor
    pool: EnvironmentPool
    episodes: int
    repeats: int

    def trials(self, task: str) -> list[Trial]:
        return [Trial(task, seed) for seed in range(self.episodes)]


def rows(quick: bool) -> list[Row]:
    """Measure with a small ACT that has seen a few demonstrations of each task, so that it succeeds and fails."""
    each = 1 if quick else None
    tasks = [*EASY[:each], *CONTACT_RICH[:each]]
    with tempfile.TemporaryDirectory() as folder, EnvironmentPool(ENVIRONMENT, OPTIONS) as pool:
        checkpoint = _trained(Path(folder), tasks, pool, steps=100 if quick else 600)
        episodes, repeats = (2 * SLOTS, 1) if quick else (25, 3)
        bench = _Bench(checkpoint, Actor.load(checkpoint), pool, episodes, repeats)
        return [
            *(_stepping_row(bench, task, 1.5 if task in EASY else 1.1) for task in tasks),
            *(_lerobot_row(bench, task) for task in (EASY[:1] if quick else [EASY[0], CONTACT_RICH[0]])),
            _processes_row(bench, tasks),
        ]


def _stepping_row(bench: _Bench, task: str, limit: float) -> Row:
    """Compare with the same resets and actions in one environment, whose steps are MetaWorld's own."""
    trials = bench.trials(task)
    kept = roll_out(bench.actor, trials, bench.pool, slots=SLOTS, keep_episodes=True)
    actions = [episode.columns["action"] for _, episode in kept if episode]
    env = MetaWorldStateEnv(task, **OPTIONS)

    def stepping() -> None:
        for trial, applied in zip(trials, actions, strict=True):
            env.reset(seed=trial.seed)
            for action in applied:
                env.step(action)

    ours, alone = alternated([lambda: roll_out(bench.actor, trials, bench.pool, slots=SLOTS), stepping], bench.repeats)
    env.close()
    measured = f"{task}, {len(trials)} episodes: MetaWorld's steps alone"
    return Row("evaluation", measured, _s(ours), _s(alone), ours / alone, "<=", limit)


def _lerobot_row(bench: _Bench, task: str) -> Row:
    """Compare with ``eval_policy``, which is given its environments, policy, and processors ready-made."""
    import torch
    from lerobot.configs import PreTrainedConfig
    from lerobot.envs.factory import make_env, make_env_pre_post_processors
    from lerobot.policies.factory import make_policy, make_pre_post_processors
    from lerobot.scripts.lerobot_eval import eval_policy

    folder = bench.checkpoint / "pretrained_model"
    config, policy_config = bench.pool.config(task), PreTrainedConfig.from_pretrained(folder)
    policy_config.pretrained_path, policy_config.device = folder, "cpu"
    ((env,),) = (vectors.values() for vectors in make_env(config, n_envs=LEROBOT_ENVIRONMENTS).values())
    with redirect_stdout(None):
        policy = make_policy(policy_config, env_cfg=config).eval()
    processors = (
        *make_env_pre_post_processors(config, policy_config),
        *make_pre_post_processors(policy_config, str(folder)),
    )
    successes: list[list[bool]] = [[], []]

    def ours() -> None:
        rolled = roll_out(bench.actor, bench.trials(task), bench.pool, slots=SLOTS)
        successes[0] = [outcome.success for outcome, _ in rolled]

    def theirs() -> None:
        with torch.no_grad(), redirect_stderr(io.StringIO()):
            info = eval_policy(env, policy, *processors, n_episodes=bench.episodes, start_seed=0)
        successes[1] = [episode["success"] for episode in info["per_episode"]]

    mine, seconds = alternated([ours, theirs], min(bench.repeats, 2))
    env.close()
    equal = sum(one == other for one, other in zip(*successes, strict=True))
    measured = f"{task}, {bench.episodes} episodes, {equal} with equal success: LeRobot's eval_policy"
    return Row("evaluation", measured, _s(mine), _s(seconds), seconds / mine, ">=")


def _processes_row(bench: _Bench, tasks: Sequence[str]) -> Row:
    """Compare two processes with this one, once both have their environments."""
    trials = [Trial(task, seed) for seed in range(8) for task in tasks]
    policy = PolicyFile(bench.checkpoint, "benchmark", "cpu", 1)
    one, two = (Simulator(ENVIRONMENT, OPTIONS, processes, None) for processes in (1, 2))
    assert two.roll_out(policy, trials, slots=SLOTS) == one.roll_out(policy, trials, slots=SLOTS)
    ways = [lambda: two.roll_out(policy, trials, slots=SLOTS), lambda: one.roll_out(policy, trials, slots=SLOTS)]
    ours, other = alternated(ways, bench.repeats)
    measured = f"{len(tasks)} tasks, {len(trials)} episodes, 2 processes: one"
    return Row("evaluation", measured, _s(ours), _s(other), other / ours, ">=")


def _trained(folder: Path, tasks: Sequence[str], pool: EnvironmentPool, steps: int) -> Path:
    training = parameters(steps)
    episodes = successful_episodes(
        dict.fromkeys(tasks, 3),
        lambda trials: [demonstrate(trial, pool, 0.1) for trial in trials],
        seed_names=("benchmark",),
        max_attempts_factor=4,
    )
    suite = Simulator(ENVIRONMENT, OPTIONS, 1, None).describe(tasks)
    write_episodes(folder / "mix", episodes, suite.features, suite.fps, ENVIRONMENT)
    mix, chosen, [rung] = Shards(folder / "mix"), range(len(episodes)), training.ladder
    return train(mix, chosen, rung, training, None, folder / "run", folder / "frames", lambda *_: None)


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"
