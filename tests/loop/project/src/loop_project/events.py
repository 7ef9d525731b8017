"""Points at which a test can have the process killed: every hook call, and every step of a save."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

_KILL_AT = int(os.environ.get("KILL_AT", "0"))
_HOOKS = (
    "after_context_created",
    "after_catalog_created",
    "before_pipeline_run",
    "after_pipeline_run",
    "before_node_run",
    "after_node_run",
    "before_dataset_loaded",
    "after_dataset_loaded",
    "before_dataset_saved",
    "after_dataset_saved",
    "repeat_run",
)
_count = 0


def event() -> None:
    global _count
    _count += 1
    if "COUNT_IN" in os.environ:
        Path(os.environ["COUNT_IN"]).write_text(str(_count))
    if _count == _KILL_AT:
        os.kill(os.getpid(), signal.SIGKILL)


def _counted(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        event()
        return function(*args, **kwargs)

    return call


def _hook() -> Callable[..., None]:
    @hook_impl
    def implementation(self: object) -> None:
        event()

    return implementation


EventHooks = type("EventHooks", (), {name: _hook() for name in _HOOKS})
os.fsync = _counted(os.fsync)
Path.rename = _counted(Path.rename)
Path.unlink = _counted(Path.unlink)
