"""The rollout engine: many episodes at a time, one batched policy call for all of them.

Every episode applies the actions that it has, and an ended one makes room for the next, before the policy is called
again: its calls are full for as long as there are episodes to run.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.records import Outcome
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.observations import policy_columns
from leagents_kedro.simulation.pool import EnvironmentPool

if TYPE_CHECKING:
    import gymnasium as gym
    from lerobot.envs.configs import EnvConfig

    from leagents_kedro.policies.actor import Actor

_CONVERTED_FRAMES = 64  # at once: images are four times as large while they are float32
_STEP_BITS = 20  # below an episode's seed, for the seeds of its policy calls


def roll_out(
    actor: "Actor",
    trials: Sequence[Trial],
    pool: EnvironmentPool,
    *,
    slots: int,
    keep_episodes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Outcome, Episode | None]]:
    """Run ``trials`` and return what came of each, in their order, with its episode if ``keep_episodes``.

    An actor that is not ``chunked`` remembers its episode and runs one at a time, whatever ``slots`` says. What comes
    of a trial depends on the actor and the trial alone, not on ``slots`` or the other trials. ``progress`` is told the
    number of episodes done and of successes among them after each episode.

    Raises:
        ParameterError: ``slots`` is not positive, or a task is unknown.
        SimulationError: The actor or an environment failed or broke its contract; names task, seed, and step.
    """
    if slots < 1:
        raise ParameterError(f"slots should be at least 1, got {slots}")
    results: dict[int, tuple[Outcome, Episode | None]] = {}
    waiting = deque(enumerate(trials))
    running: dict[int, EpisodeRun] = {}
    successes = 0
    if trials:
        actor.bind(pool.config(trials[0].task))
    try:
        while len(results) < len(trials):
            while waiting and len(running) < (slots if actor.chunked else 1):
                position, trial = waiting.popleft()
                running[position] = EpisodeRun(trial, pool, keep_episodes)
                if not actor.chunked:
                    actor.reset()
            for run, actions in zip(running.values(), next_actions(actor, [*running.values()]), strict=True):
                run.apply(actions)
            for position, run in [(position, run) for position, run in running.items() if run.ended]:
                del running[position]
                run.leave()
                results[position] = run.result()
                successes += run.success
                if progress:
                    progress(len(results), successes)
    finally:
        for run in running.values():
            run.leave()
    return [results[position] for position in range(len(trials))]


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
        blocks = [policy_columns(list(block), env, config) for block in batched(self.observations, _CONVERTED_FRAMES)]
        columns = {key: np.concatenate([block[key] for block in blocks]) for key in blocks[0]}
        columns["action"] = np.array(self.actions, np.float32)
        columns["next.reward"] = np.array(self.rewards, np.float32)[:, None]
        columns["next.success"] = np.array(self.successes, bool)[:, None]
        columns["next.done"] = np.arange(1, frames + 1)[:, None] == frames
        return Episode(sentence, columns)


class EpisodeRun:
    """One episode in progress, in an environment that nobody else uses until it is left.

    Raises:
        SimulationError: The environment failed or broke its contract; names task, seed, and step.
    """

    def __init__(self, trial: Trial, pool: EnvironmentPool, keep_episode: bool):
        self.trial, self._pool = trial, pool
        self.sentence = pool.sentence(trial.task)
        self.env = pool.acquire(trial.task)
        self.length, self.sum_reward, self.success, self.ended = 0, 0.0, False, False
        self._limit = _episode_limit(self.env, trial)
        self._recording = Recording() if keep_episode else None
        try:
            self.observation = pool.environment.begin(self.env, trial)
        except Exception as error:
            self.leave()
            raise self.failure(f"the environment raised {error!r}") from error

    def apply(self, actions: Iterable[np.ndarray], label: np.ndarray | None = None) -> None:
        """Apply one action after the other until the episode ends; recorded is the ``label``, if there is one."""
        for action in actions:
            if self.ended:
                break
            self._step(action, action if label is None else label)

    def leave(self) -> None:
        """Give the environment back, or close it where the episode was cut short."""
        if self.ended:
            self._pool.release(self.trial.task, self.env)
        else:
            self._pool.discard(self.env)

    def failure(self, what: str) -> SimulationError:
        """Return the error that says where ``what`` happened."""
        return SimulationError(f"task {self.trial.task}, seed {self.trial.seed}, step {self.length}: {what}")

    def _step(self, action: np.ndarray, label: np.ndarray) -> None:
        try:
            observation, reward, terminated, truncated, info = self.env.step(action)
        except Exception as error:
            raise self.failure(f"the environment raised {error!r}") from error
        if "is_success" not in info:
            raise self.failure("the environment's info has no 'is_success', so success cannot be known")
        success = bool(info["is_success"])
        if self._recording:
            self._recording.add(self.observation, label, float(reward), success)
        self.observation = observation
        self.length += 1
        self.sum_reward += float(reward)
        self.success |= success
        self.ended = terminated or truncated or self.length >= self._limit

    def result(self) -> tuple[Outcome, Episode | None]:
        """Return what came of the episode, and the episode if it was to be kept."""
        outcome = Outcome(
            task=self.trial.task,
            seed=self.trial.seed,
            success=self.success,
            sum_reward=self.sum_reward,
            length=self.length,
        )
        if not self._recording:
            return outcome, None
        return outcome, self._recording.episode(self.sentence, self.env, self._pool.config(self.trial.task))


def next_actions(actor: "Actor", runs: list[EpisodeRun]) -> np.ndarray:
    """Return checked actions (runs, steps, action_dim)."""
    first = runs[0]
    try:
        actions = actor.predict(
            [run.observation for run in runs],
            [run.sentence for run in runs],
            [run.trial.seed << _STEP_BITS | run.length for run in runs],
        )
    except Exception as error:
        raise first.failure(f"the policy raised {error!r}; does it fit the environment?") from error
    expected = first.env.action_space.shape
    if actions.ndim != 3 or len(actions) != len(runs) or not actions.shape[1] or actions.shape[2:] != expected:
        raise first.failure(
            f"the policy's actions should have shape ({len(runs)}, steps, {expected[0]}), got {actions.shape}"
        )
    for run, chunk in zip(runs, actions, strict=True):
        if not np.isfinite(chunk).all():
            raise run.failure("the policy's actions are not finite; did its training diverge?")
    return actions


def _episode_limit(env: "gym.Env", trial: Trial) -> int:
    if not env.has_wrapper_attr("_max_episode_steps"):
        raise SimulationError(
            f"task {trial.task}: the environment has no '_max_episode_steps', LeRobot's name for an episode's limit"
        )
    return env.get_wrapper_attr("_max_episode_steps")
