"""Environments of a suite, made when they are needed and used again."""

from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from leagents_kedro.errors import ParameterError
from leagents_kedro.simulation.environments import environment_of

if TYPE_CHECKING:
    import gymnasium as gym
    from lerobot.envs.configs import EnvConfig

_IDLE_ENVIRONMENTS = 64  # of tens of MB where they share nothing; the longest idle is closed first


class EnvironmentPool:
    """Environments of one LeRobot type and ``options``; used as a context manager that closes them all.

    With ``shortcuts`` they take those of their type.
    """

    def __init__(self, environment: str, options: dict[str, Any], shortcuts: bool = True):
        self.environment = environment_of(environment)
        self.options = options
        self.shortcuts = shortcuts
        self.given_sentences: dict[str, str] = {}
        self._configs: dict[str, EnvConfig] = {}
        self._sentences: dict[str, str] = {}
        self._open: set[gym.Env] = set()
        self._idle: list[tuple[str, gym.Env]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def config(self, task: str) -> "EnvConfig":
        """Return LeRobot's configuration of the environments of ``task``."""
        if task not in self._configs:
            self._configs[task] = self.environment.config(task, self.options)
        return self._configs[task]

    def sentence(self, task: str) -> str:
        """Return what a policy is told to do: what was given, else the environment's description, else the name."""
        if task in self.given_sentences:
            return self.given_sentences[task]
        if task not in self._sentences:
            env = self.acquire(task)
            described = env.has_wrapper_attr("task_description")
            self._sentences[task] = env.get_wrapper_attr("task_description") if described else task
            self.release(task, env)
        return self._sentences[task]

    def acquire(self, task: str) -> "gym.Env":
        """Return an environment of ``task`` that nobody else uses until it is released.

        Raises:
            ParameterError: The task is unknown, stands for several, or needs a package that is not installed.
        """
        for position in reversed(range(len(self._idle))):
            if self._idle[position][0] == task:
                return self._idle.pop(position)[1]
        env = self._create(task)
        if self.shortcuts:
            self.environment.speed_up(env)
        self._open.add(env)
        return env

    def release(self, task: str, env: "gym.Env") -> None:
        """Take back an environment of ``task``, whatever state its episode is in."""
        self._idle.append((task, env))
        if len(self._idle) > _IDLE_ENVIRONMENTS:
            _, longest_idle = self._idle.pop(0)
            self._open.remove(longest_idle)
            longest_idle.close()

    def discard(self, env: "gym.Env") -> None:
        """Close an environment that failed, or whose episode was cut short by a failure elsewhere."""
        self._open.remove(env)
        with suppress(Exception):  # the failure that led here is the one to tell
            env.close()

    def close(self) -> None:
        """Close every environment, also those that were not released."""
        self._idle.clear()
        while self._open:
            self._open.pop().close()

    def _create(self, task: str) -> "gym.Env":
        import gymnasium as gym

        try:
            groups = self.config(task).create_envs(n_envs=1, use_async_envs=False)
        except (ImportError, gym.error.Error) as error:
            raise ParameterError(f"environment {self.environment.name} cannot make task {task!r}: {error}") from error
        vectors = [vector for group in groups.values() for vector in group.values()]
        if len(vectors) != 1:
            raise ParameterError(
                f"{task!r} of environment {self.environment.name} stands for {len(vectors)} tasks, not one"
            )
        return vectors[0].envs[0]
