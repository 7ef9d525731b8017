"""Which tasks a suite has, and the LeRobot environment that runs one of them."""

import json
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.records import Task

if TYPE_CHECKING:
    from lerobot.envs.configs import EnvConfig


def resolve_suite(environment: str, tasks: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks that ``tasks``, names of tasks or groups, stand for; in that order, each once.

    Raises:
        ParameterError: The environment type, a task, or a group is unknown.
    """
    if environment not in ("metaworld", "metaworld_state"):
        return _tasks_of_environment(environment, tuple(dict.fromkeys(tasks)))
    groups, sentences = _metaworld()["DIFFICULTY_TO_TASKS"], metaworld_tasks()
    names = dict.fromkeys(name for task in tasks for name in groups.get(task, [task]))
    for name in names:
        if name not in sentences:
            raise ParameterError(no_such(f"{environment} task or group", name, [*groups, *sentences]))
    return tuple(Task(name=name, sentence=sentences[name]) for name in names)


def metaworld_tasks() -> dict[str, str]:
    """Return the names of MetaWorld's tasks, and the sentences that LeRobot has for them."""
    return cast(dict[str, str], _metaworld()["TASK_DESCRIPTIONS"])


@cache
def _metaworld() -> dict[str, Any]:
    """Return LeRobot's table of MetaWorld's tasks, from its file: LeRobot's module imports the simulator."""
    return cast(dict[str, Any], json.loads((files("lerobot.envs") / "metaworld_config.json").read_text("utf-8")))


def environment_config(environment: str, task: str | None, options: dict[str, Any]) -> "EnvConfig":
    """Return LeRobot's configuration of ``task`` (None: the type's default) in an environment of a registered type.

    Raises:
        ParameterError: The type or an option is unknown, or LeRobot refuses an option's value.
    """
    from lerobot.envs.configs import EnvConfig
    from lerobot.utils.import_utils import register_third_party_plugins

    import leagents_kedro.simulation.metaworld_state  # noqa: F401  (registers its type)

    if environment not in EnvConfig.get_known_choices():
        register_third_party_plugins()
    choices = EnvConfig.get_known_choices()
    if environment not in choices:
        raise ParameterError(no_such("environment type", environment, choices))
    config_class = choices[environment]
    known = [field.name for field in fields(config_class) if field.name != "task"]
    for option in options:
        if option not in known:
            raise ParameterError(no_such(f"option of environment {environment}", option, known))
    try:
        return config_class(**options) if task is None else config_class(task=task, **options)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"environment {environment} refuses options {options}: {error}") from error


@cache
def _tasks_of_environment(environment: str, names: tuple[str, ...]) -> tuple[Task, ...]:
    from leagents_kedro.simulation.pool import EnvironmentPool

    with EnvironmentPool(environment, {}) as pool:
        return tuple(Task(name=name, sentence=pool.sentence(name)) for name in names)
