"""LeRobot's table of MetaWorld's tasks."""

import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    pass


def metaworld_tasks() -> dict[str, str]:
    """Return the names of MetaWorld's tasks, and the sentences that LeRobot has for them."""
    return cast(dict[str, str], _metaworld()["TASK_DESCRIPTIONS"])


@cache
def _metaworld() -> dict[str, Any]:
    """Return LeRobot's table of MetaWorld's tasks, from its file: LeRobot's module imports the simulator."""
    return cast(dict[str, Any], json.loads((files("lerobot.envs") / "metaworld_config.json").read_text("utf-8")))
