"""What attempts at a cycle cost: the time that they use the device, as the ledger keeps it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from leagents_kedro.foundation.files import remove, statuses, write_atomically
from leagents_kedro.history.history import Cycle
from leagents_kedro.loop.retention import scratch
from leagents_kedro.loop.specs import DEVICE

_BEAT_S = 60.0
_UNSEEN = "nodes that no hook of this process has seen"


class DeviceMeter:
    """Measures one attempt: the time of its nodes that are tagged `DEVICE`, on whatever device they run.

    A runner may run nodes in other processes, as Kedro's `ParallelRunner` does. They call no hook here, so that all
    the time of such an attempt is counted: rather too much than nothing.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin another attempt."""
        self._ended = 0.0
        self._running: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """The device time so far, that of nodes which are running, or were interrupted, included."""
        now = time.monotonic()
        return round(self._ended + sum(now - start for start in list(self._running.values())), 3)

    @contextmanager
    def kept_in(self, file: Path, every_s: float = _BEAT_S) -> Iterator[None]:
        """Keep the seconds so far in ``file``, for whoever finds this attempt killed; it is gone where it was not."""
        remove(file)
        ended = Event()
        keeper = Thread(target=self._keep, args=(file, every_s, ended), daemon=True)
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()
            remove(file)

    def _keep(self, file: Path, every_s: float, ended: Event) -> None:
        while not ended.wait(every_s):
            with suppress(OSError):  # the disk is full: whoever needs it will say so
                write_atomically(file, str(self.seconds).encode())

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Count everything, until a node is seen."""
        self._running[_UNSEEN] = time.monotonic()

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Count what was not seen."""
        self._end(_UNSEEN)

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Count what was not seen, although it failed."""
        self._end(_UNSEEN)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Begin to count."""
        self._running.pop(_UNSEEN, None)
        if DEVICE in node.tags:
            self._running[node.name] = time.monotonic()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Count what the node took."""
        self._end(node.name)

    @hook_impl
    def on_node_error(self, node: Node) -> None:
        """Count what the node took, although it failed."""
        self._end(node.name)

    def _end(self, name: str) -> None:
        if name in self._running:
            self._ended += time.monotonic() - self._running.pop(name)


def kept_seconds(catalog: CatalogProtocol) -> Path:
    """Return where an attempt keeps what it has used so far."""
    return Path(catalog["ledger"].folder, ".device_seconds")


def uncharged_seconds(cycle: Cycle, catalog: CatalogProtocol) -> float:
    """Return what the last attempt at an unfinished cycle cost, where it was killed before it could say so.

    It is charged from its beginning until it last wrote into a workspace, by the clock of the machine, which people and
    networks set: but not with less than the attempt had measured, nor with more than it could have used since.
    """
    if cycle.is_charged:
        return 0.0
    folders = scratch(cycle.opened.run_id, catalog)
    began = datetime.fromisoformat(cycle.began_at).timestamp()
    wrote = max((status.st_mtime for folder in folders for status in statuses(folder)), default=began)
    measured = _measured(kept_seconds(catalog))
    return round(min(max(wrote - began, measured), measured + _BEAT_S), 3)


def _measured(file: Path) -> float:
    try:
        return float(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # it was killed before the first time
        return 0.0
