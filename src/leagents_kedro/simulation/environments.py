"""What the loop has to know of an environment: one small class for each of LeRobot's environment types.

`Environment` serves any type of LeRobot, and of an installed ``lerobot_env_*`` package. A type with more to tell has a
folder here, whose ``environment.py`` registers a class of its own: ``docs/extend.md`` says how.
"""

import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.records import Task

if TYPE_CHECKING:
    import gymnasium as gym
    from lerobot.envs.configs import EnvConfig

    from leagents_kedro.simulation.pool import EnvironmentPool

type Expert = Callable[[dict[str, Any]], np.ndarray]
"""A scripted policy: from an observation of the environment to the action (action_dim,) that it would take."""

_types: dict[str, type["Environment"]] = {}

_NOT_CHOSEN = {"disable_env_checker", "features", "features_map", "max_parallel_tasks"}  # fields that nobody looks for


@dataclass(frozen=True)
class Trial:
    """One episode to run."""

    task: str
    seed: int

    @property
    def provenance(self) -> str:
        """What is kept with its episode of how that was made, in JSON; empty where nothing is."""
        return ""


class Environment:
    """The environments of one LeRobot type."""

    config_module: ClassVar[str | None] = None
    """The module that registers this type with LeRobot, where neither LeRobot nor a package does."""

    preloaded: ClassVar[tuple[str, ...]] = ()
    """Modules that the server of worker processes imports before it forks them; then it calls `prepare`."""

    extra: ClassVar[str | None] = None
    """LeRobot's extra that installs the simulator, where it has another name than the type."""

    hand_step: ClassVar[float] = 0
    """Metres that the hand moves in a step under an action of 1, whose first three numbers are x, y, and z."""

    def __init__(self, name: str):
        self.name = name

    def prepare(self) -> None:
        """Do once, in the server of worker processes, what every worker would do again."""

    def tasks(self, names: Sequence[str], pool: "EnvironmentPool") -> tuple[Task, ...]:
        """Return the tasks that ``names`` stand for, in that order, each once.

        Raises:
            ParameterError: A name is unknown.
        """
        return tuple(Task(name=name, sentence=pool.sentence(name)) for name in dict.fromkeys(names))

    def config(self, task: str | None, options: dict[str, Any]) -> "EnvConfig":
        """Return LeRobot's configuration of ``task`` (None: the type's default).

        Raises:
            ParameterError: The type or an option is unknown, or LeRobot refuses an option's value.
        """
        config_class = _config_class(self.name)
        known = [field.name for field in fields(config_class) if field.name != "task"]
        for option in options:
            if option not in known:
                named = set(known) - _NOT_CHOSEN
                raise ParameterError(f"suite.options: {no_such(f'option of environment {self.name}', option, named)}")
        try:
            return config_class(**options) if task is None else config_class(task=task, **options)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"environment {self.name} refuses options {options}: {error}") from error

    def size_options(self, options: dict[str, Any], height: int, width: int) -> dict[str, int]:
        """Return the options by which images would be ``height`` x ``width`` pixels; none where the size is fixed."""
        sizes = {"observation_height": height, "observation_width": width}
        arguments = self.config(None, options).gym_kwargs
        return {name: size for name, size in sizes.items() if name in arguments and arguments[name] != size}

    def begin(self, env: "gym.Env", trial: Trial) -> dict[str, Any]:
        """Reset ``env`` to the one episode that ``trial`` stands for, and return the first observation."""
        observation, _ = env.reset(seed=trial.seed)
        return observation

    def speed_up(self, env: "gym.Env") -> None:
        """Let ``env``, before its first reset, take the shortcuts that there are: to the same numbers, in less time."""

    def expert(self, task: str) -> Expert:
        """Return the scripted policy of ``task``.

        Raises:
            ParameterError: This environment has none.
        """
        raise ParameterError(self._without_experts())

    def hand(self, observation: dict[str, Any]) -> np.ndarray:
        """Return where the hand is (3,), in metres.

        Raises:
            ParameterError: This environment does not tell.
        """
        raise ParameterError(self._without_frames())

    def frames(self, observation: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return the poses (4, 4) of what is placed anew in each episode, by name; ``goal`` is where a task is to end.

        Raises:
            ParameterError: This environment does not tell.
        """
        raise ParameterError(self._without_frames())

    def check_frames(self) -> None:
        """Check that observations tell of hand and frames.

        Raises:
            ParameterError: They do not.
        """
        if not self.has_frames():
            raise ParameterError(self._without_frames())

    @classmethod
    def has_frames(cls) -> bool:
        """Whether demonstrations can be amplified."""
        return cls.frames is not Environment.frames

    def _without_frames(self) -> str:
        having = sorted(name for name, kind in _known().items() if kind.has_frames())
        return (
            f"environment {self.name!r} does not tell where its hand and objects are, so demonstrations cannot be "
            f"amplified; only {', '.join(having)} does: set demonstrations.amplify to null"
        )

    def check_experts(self) -> None:
        """Check that there are scripted policies.

        Raises:
            ParameterError: This environment has none.
        """
        if not self.has_experts():
            raise ParameterError(self._without_experts())

    def _without_experts(self) -> str:
        having = sorted(name for name, kind in _known().items() if kind.has_experts())
        return (
            f"environment {self.name!r} has no scripted experts (those that have: {', '.join(having)}): import "
            "demonstrations (demonstrations.source: folder)"
        )

    @classmethod
    def has_experts(cls) -> bool:
        """Whether `expert` gives a policy for every task."""
        return cls.expert is not Environment.expert


def register[Kind: type[Environment]](name: str) -> Callable[[Kind], Kind]:
    """Let a subclass of `Environment` stand for LeRobot's environment type ``name``."""

    def registered(kind: Kind) -> Kind:
        _types[name] = kind
        return kind

    return registered


def register_types() -> None:
    """Let LeRobot know the types that are ours."""
    for kind in _known().values():
        if kind.config_module:
            import_module(kind.config_module)


def environment_of(name: str) -> Environment:
    """Return what the loop knows of LeRobot's environment type ``name``."""
    return _known().get(name, Environment)(name)


@cache
def _known() -> dict[str, type[Environment]]:
    """Return the types that have a folder here, by name."""
    package = import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__, f"{__package__}."):
        if module.ispkg:
            import_module(f"{module.name}.environment")
    return _types


def _config_class(name: str) -> type["EnvConfig"]:
    from lerobot.envs.configs import EnvConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    register_types()
    if name not in EnvConfig.get_known_choices():
        register_third_party_plugins()
    choices: dict[str, type[EnvConfig]] = EnvConfig.get_known_choices()
    if name not in choices:
        raise ParameterError(no_such("environment type", name, choices))
    return choices[name]
