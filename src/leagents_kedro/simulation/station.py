"""What one process needs to run episodes, and what it can be asked to run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.errors import ParameterError, SimulationError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.policies.actor import Actor, PolicyFile
from leagents_kedro.records import Outcome, Suite, Task
from leagents_kedro.simulation.demonstrations import demonstrate
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.observations import episode_features
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.rollouts import EpisodeRun, roll_out
from leagents_kedro.simulation.sources import Frames

type Rollout = tuple[Outcome, Episode | None]
type Scene = tuple[Outcome, Frames]
type Progress = Callable[[int, int], None]

_KEPT_ACTORS = 2  # a candidate and a blessed checkpoint


class Station:
    """Keeps the environments of one suite, and the policies that acted last, from request to request."""

    def __init__(self) -> None:
        self._pool: EnvironmentPool | None = None
        self._actors: dict[tuple[str, str, int], Actor] = {}

    def pool(self, environment: str, options: dict[str, Any], shortcuts: bool) -> EnvironmentPool:
        """Return the environments of a suite; those of the suite before are closed."""
        wanted, pool = (environment, options, shortcuts), self._pool
        if pool is None or (pool.environment.name, pool.options, pool.shortcuts) != wanted:
            if pool:
                pool.close()
            self._pool = pool = EnvironmentPool(*wanted)
        return pool

    def actor(self, policy: PolicyFile) -> Actor:
        """Return the opened policy; a folder of the same digest is not read again.

        Raises:
            CheckpointError: The folder is no LeRobot checkpoint.
        """
        key = policy.digest, policy.device, policy.torch_threads
        actor = self._actors.pop(key, None) or policy.opened()
        self._actors[key] = actor
        for oldest in list(self._actors)[:-_KEPT_ACTORS]:
            del self._actors[oldest]
        return actor


@dataclass(frozen=True)
class _Request:
    """What every request names: the environments that it is for."""

    environment: str
    options: dict[str, Any]
    shortcuts: bool
    sentences: dict[str, str]

    def pool(self, station: Station) -> EnvironmentPool:
        """Return those environments."""
        pool = station.pool(self.environment, self.options, self.shortcuts)
        pool.given_sentences = self.sentences
        return pool


@dataclass(frozen=True)
class PolicyRequest(_Request):
    """Rollouts of a policy, as `roll_out` runs them; of failures only the outcome is returned."""

    trials: tuple[Trial, ...]
    policy: PolicyFile
    slots: int
    keep_episodes: bool

    def run(self, station: Station, progress: Progress | None = None) -> list[Rollout]:
        """Return one rollout a trial."""
        rolled = roll_out(
            station.actor(self.policy),
            self.trials,
            self.pool(station),
            slots=self.slots,
            keep_episodes=self.keep_episodes,
            progress=progress,
        )
        return [(outcome, episode if outcome.success else None) for outcome, episode in rolled]


@dataclass(frozen=True)
class ExpertRequest(_Request):
    """Demonstrations by experts and replays, corrected ones among them; of failures only the outcome is returned."""

    trials: tuple[Trial, ...]
    action_noise: float
    keep_episodes: bool = True

    def run(self, station: Station, progress: Progress | None = None) -> list[Rollout]:
        """Return one rollout a trial."""
        pool = self.pool(station)
        rolled: list[Rollout] = []
        for trial in self.trials:
            rolled.append(demonstrate(trial, pool, self.action_noise, self.keep_episodes, station.actor))
            if progress:
                progress(len(rolled), sum(outcome.success for outcome, _ in rolled))
        return rolled


@dataclass(frozen=True)
class FramesRequest(_Request):
    """A look at how scenes begin: where an amplifier finds what demonstrations are moved with."""

    trials: tuple[Trial, ...]

    def run(self, station: Station, progress: Progress | None = None) -> list[Scene]:
        """Return the frames of each trial's first observation, with the outcome of an episode without steps."""
        pool = self.pool(station)
        scenes: list[Scene] = []
        for trial in self.trials:
            run = EpisodeRun(trial, pool, keep_episode=False)
            pool.release(trial.task, run.env)
            scenes.append((run.result()[0], pool.environment.frames(run.observation)))
        return scenes


@dataclass(frozen=True)
class SuiteRequest(_Request):
    """A look at an environment: its tasks, and the first observation of an episode."""

    names: tuple[str, ...]

    def run(self, station: Station) -> Suite:
        """Return the suite of the tasks that ``names`` stand for."""
        pool = self.pool(station)
        tasks = self._told(pool.environment.tasks(self.names, pool))
        first = tasks[0].name
        env, config = pool.acquire(first), pool.config(first)
        try:
            observation = pool.environment.begin(env, Trial(first, seed=0))
            features = episode_features(observation, env, config)
        except Exception as error:
            pool.discard(env)
            raise SimulationError(f"task {first}: the environment cannot begin an episode: {error!r}") from error
        pool.release(first, env)
        return Suite(environment=self.environment, options=self.options, tasks=tasks, features=features, fps=config.fps)

    def _told(self, tasks: tuple[Task, ...]) -> tuple[Task, ...]:
        """Return the tasks with the sentences that were given for them."""
        names = [task.name for task in tasks]
        for name in self.sentences:
            if name not in names:
                raise ParameterError(f"suite.sentences: {no_such('task of the suite', name, names)}")
        return tuple(Task(name=task.name, sentence=self.sentences.get(task.name, task.sentence)) for task in tasks)
