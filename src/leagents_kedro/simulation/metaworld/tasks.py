"""LeRobot's table of MetaWorld's tasks, and the sizes of what is seen and done in them."""

import json
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any, cast

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.spelling import no_such

ACTION_DIM = 4
AGENT_DIM = 4
METAWORLD_DIM = 39
STATE_DIM = METAWORLD_DIM + 50  # a one-hot code of the task


def metaworld_tasks() -> dict[str, str]:
    """Return the names of MetaWorld's tasks, and the sentences that LeRobot has for them."""
    return cast(dict[str, str], _table()["TASK_DESCRIPTIONS"])


def tasks_named(names: Iterable[str], environment: str) -> list[str]:
    """Return the tasks that names of tasks or groups (easy, medium, hard, very_hard) stand for, each once.

    Raises:
        ParameterError: A task or a group is unknown.
    """
    groups, known = cast(dict[str, list[str]], _table()["DIFFICULTY_TO_TASKS"]), metaworld_tasks()
    tasks = dict.fromkeys(task for name in names for task in groups.get(name, [name]))
    for task in tasks:
        if task not in known:
            raise ParameterError(no_such(f"{environment} task or group", task, [*groups, *known]))
    return list(tasks)


@cache
def _table() -> dict[str, Any]:
    """Return the table from its file: LeRobot's module imports the simulator."""
    return cast(dict[str, Any], json.loads((files("lerobot.envs") / "metaworld_config.json").read_text("utf-8")))
