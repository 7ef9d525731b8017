"""The rollout engine: many episodes at a time, one batched policy call for those that need an action.

A slot is refilled as soon as its episode ends, so no episode waits for a longer one.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.pool import EnvironmentPool

if TYPE_CHECKING:
    import gymnasium as gym
    from lerobot.envs.configs import EnvConfig

    from leagents_kedro.policies.actor import Actor

_CONVERTED_FRAMES = 64  # at once: images are four times as large while they are float32


@dataclass(frozen=True)
class Job:
    """One episode to run."""

    task: str
    seed: int


def roll_out(
    actor: "Actor",
    jobs: Sequence[Job],
    pool: EnvironmentPool,
    *,
    slots: int,
    keep_episodes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Outcome, Episode | None]]:
    """Run ``jobs`` and return what came of each, in their order, with its episode if ``keep_episodes``.

    An actor that is not ``chunked`` remembers its episode and runs one at a time, whatever ``slots`` says. The same
    jobs in as many slots are the same episodes, also for a policy that samples its actions with torch. ``progress`` is
    told the number of episodes done and of successes among them after each episode.

    Raises:
        ParameterError: ``slots`` is not positive, or a task is unknown.
        SimulationError: The actor or an environment broke its contract; names task, seed, and step.
    """
    import torch

    if slots < 1:
        raise ParameterError(f"slots should be at least 1, got {slots}")
    results: dict[int, tuple[Outcome, Episode | None]] = {}
    waiting = deque(enumerate(jobs))
    running: list[_Slot] = []
    successes = 0
    if jobs:
        actor.bind(pool.config(jobs[0].task))
        torch.manual_seed(jobs[0].seed)
    try:
        while len(results) < len(jobs):
            while waiting and len(running) < (slots if actor.chunked else 1):
                position, job = waiting.popleft()
                running.append(_Slot(position, job, pool, keep_episodes))
                if not actor.chunked:
                    actor.reset()
            _refill_queues(actor, [slot for slot in running if not slot.queue])
            for slot in [slot for slot in running if slot.step()]:
                running.remove(slot)
                slot.release()
                results[slot.position] = slot.result()
                successes += slot.success
                if progress:
                    progress(len(results), successes)
    finally:
        for slot in running:
            slot.release()
    return [results[position] for position in range(len(jobs))]


def begin_episode(env: "gym.Env", seed: int) -> dict[str, Any]:
    """Reset ``env`` to the one episode that ``seed`` stands for and return the first observation.

    LIBERO's initial states follow a counter of resets, not the seed; it is set so that they follow the seed.
    """
    if hasattr(env.unwrapped, "init_state_id"):
        env.unwrapped.init_state_id = seed
    observation, _ = env.reset(seed=seed)
    return observation


@dataclass
class Recording:
    """The frames of one episode in progress, as the environment gave them."""

    observations: list[dict[str, Any]] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)
    rewards: list[float] = field(default_factory=list)
    successes: list[bool] = field(default_factory=list)

    def add(self, observation: dict[str, Any], action: np.ndarray, reward: float, success: bool) -> None:
        """Add what was seen, the action applied there, and what followed."""
        self.observations.append(deepcopy(observation))
        self.actions.append(action)
        self.rewards.append(reward)
        self.successes.append(success)

    def episode(self, sentence: str, env: "gym.Env", config: "EnvConfig") -> Episode:
        """Return the episode under LeRobot's names, its observations as a policy sees them.

        Columns are (frames, dim) float32, (frames, height, width, 3) uint8 for images, and (frames, 1) for the
        ``next.*`` of reward (float32), success, and done (bool).
        """
        frames = len(self.actions)
        blocks = [_columns(list(block), env, config) for block in batched(self.observations, _CONVERTED_FRAMES)]
        columns = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
        columns["action"] = np.array(self.actions, np.float32)
        columns["next.reward"] = np.array(self.rewards, np.float32)[:, None]
        columns["next.success"] = np.array(self.successes, bool)[:, None]
        columns["next.done"] = np.arange(1, frames + 1)[:, None] == frames
        return Episode(sentence, columns)


class _Slot:
    """One episode in progress; ``queue`` holds the actions of the last policy call that are still to be applied."""

    def __init__(self, position: int, job: Job, pool: EnvironmentPool, keep_episode: bool):
        self.position, self.job, self._pool = position, job, pool
        self.sentence = pool.sentence(job.task)
        self.env = pool.acquire(job.task)
        self._limit = _episode_limit(self.env, job)
        self.observation = begin_episode(self.env, job.seed)
        self.queue: deque[np.ndarray] = deque()
        self.length, self.sum_reward, self.success = 0, 0.0, False
        self._recording = Recording() if keep_episode else None

    def step(self) -> bool:
        """Apply the next action; return whether the episode has ended."""
        action = self.queue.popleft()
        observation, reward, terminated, truncated, info = self.env.step(action)
        if "is_success" not in info:
            raise SimulationError(f"{self}: the environment's info has no 'is_success', so success cannot be known")
        success = bool(info["is_success"])
        if self._recording:
            self._recording.add(self.observation, action, float(reward), success)
        self.observation = observation
        self.length += 1
        self.sum_reward += float(reward)
        self.success |= success
        return terminated or truncated or self.length >= self._limit

    def release(self) -> None:
        self._pool.release(self.job.task, self.env)

    def result(self) -> tuple[Outcome, Episode | None]:
        outcome = Outcome(
            task=self.job.task,
            seed=self.job.seed,
            success=self.success,
            sum_reward=self.sum_reward,
            length=self.length,
        )
        if not self._recording:
            return outcome, None
        return outcome, self._recording.episode(self.sentence, self.env, self._pool.config(self.job.task))

    def __str__(self) -> str:
        return f"task {self.job.task}, seed {self.job.seed}, step {self.length}"


def _refill_queues(actor: "Actor", dry: list[_Slot]) -> None:
    if not dry:
        return
    actions = actor.predict([slot.observation for slot in dry], [slot.sentence for slot in dry])
    expected = dry[0].env.action_space.shape
    if actions.ndim != 3 or len(actions) != len(dry) or not actions.shape[1] or actions.shape[2:] != expected:
        raise SimulationError(
            f"{dry[0]}: the policy's actions should have shape ({len(dry)}, steps, {expected[0]}), got {actions.shape}"
        )
    for slot, chunk in zip(dry, actions, strict=True):
        if not np.isfinite(chunk).all():
            raise SimulationError(f"{slot}: the policy's actions are not finite; did its training diverge?")
        slot.queue.extend(chunk)


def _episode_limit(env: "gym.Env", job: Job) -> int:
    if not env.has_wrapper_attr("_max_episode_steps"):
        raise SimulationError(
            f"task {job.task}: the environment has no '_max_episode_steps', LeRobot's name for an episode's limit"
        )
    return env.get_wrapper_attr("_max_episode_steps")


def _columns(observations: list[dict[str, Any]], env: "gym.Env", config: "EnvConfig") -> dict[str, np.ndarray]:
    """Return observations as the columns that LeRobot's own conversions make of them."""
    from gymnasium.vector.utils import concatenate, create_empty_array
    from lerobot.envs.utils import preprocess_observation

    space = env.observation_space
    stacked = concatenate(space, observations, create_empty_array(space, len(observations)))
    preprocess, _ = config.get_env_processors()
    batch = preprocess(preprocess_observation(stacked))
    return dict(_arrays(batch))


def _arrays(batch: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    import torch

    for key, value in batch.items():
        if key.startswith("observation.image"):
            yield key, (value * 255).round().to(torch.uint8).movedim(-3, -1).numpy()
        elif key.startswith("observation."):
            yield key, value.to(torch.float32).numpy()
