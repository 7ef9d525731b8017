"""The event log: every job, verdict of the constitution, look, and decision, as it happened. It only observes."""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.errors import AwaitingApproval, ConstitutionError
from leagents_kedro.foundation.redaction import redacted_row
from leagents_kedro.records import Decision

logger = logging.getLogger(__name__)

DEVICE = "device"  # tag of the nodes whose time counts as device time


def _observing[**P](observe: Callable[P, None]) -> Callable[P, None]:
    """Warn where nothing could be logged: the loop goes on."""

    @wraps(observe)
    def observed(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            observe(*args, **kwargs)
        except Exception as error:
            logger.warning("The event log misses a row: %s", error)

    return observed


class EventHooks:
    """Appends rows to the catalog entry ``events``; without one it does nothing.

    A job that was killed has no row of its end; the row ``killed`` is written when it is run again, with the time
    until it last wrote into its workspace, so that what it cost is known.
    """

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}
        self._killed: dict[str, dict[str, Any]] = {}

    @hook_impl
    @_observing
    def before_pipeline_run(self, run_params: dict[str, Any], catalog: CatalogProtocol) -> None:
        """Remember which jobs of an earlier attempt at this run have no end."""
        self._killed = unfinished(catalog["events"].load(), run_params["run_id"]) if "events" in catalog else {}

    @hook_impl
    @_observing
    def before_node_run(self, node: Node, catalog: CatalogProtocol, inputs: dict[str, Any], run_id: str) -> None:
        """Log that a job starts, and first what an earlier attempt at it cost."""
        self._started[node.name] = _now()
        killed = self._killed.pop(node.name, None)
        if killed is not None:
            _append(catalog, run_id, _end(killed, (value for value in inputs.values() if isinstance(value, Path))))
        _append(catalog, run_id, _job("started", node))

    @hook_impl
    @_observing
    def after_node_run(
        self,
        node: Node,
        catalog: CatalogProtocol,
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        run_id: str,
    ) -> None:
        """Log that a job ended, that the constitution let it pass, and what it decided."""
        for constitution in inputs.values():
            if isinstance(constitution, Constitution):
                _append(catalog, run_id, _job("allowed", node) | {"constitution": constitution.digest})
        _append(catalog, run_id, _job("finished", node) | {"seconds": self._seconds(node)})
        for name, output in outputs.items():
            if isinstance(output, Decision):
                for row in _decision_rows(name, output):
                    _append(catalog, run_id, row)

    @hook_impl
    @_observing
    def on_node_error(self, error: Exception, node: Node, catalog: CatalogProtocol, run_id: str) -> None:
        """Log why a job failed, or what it waits for."""
        events = {ConstitutionError: "denied", AwaitingApproval: "awaiting"}
        event = next((event for kind, event in events.items() if isinstance(error, kind)), "failed")
        _append(catalog, run_id, _job(event, node) | {"seconds": self._seconds(node), "error": str(error)})

    def _seconds(self, node: Node) -> float:
        return max(0.0, round((_now() - self._started[node.name]).total_seconds(), 3))  # clocks can be set back


def device_seconds(rows: Iterable[dict[str, Any]], run_ids: Iterable[str]) -> float:
    """Return the device time of these Kedro runs, that of failed and killed attempts included."""
    wanted = set(run_ids)
    return sum(row.get("seconds", 0.0) for row in rows if row.get("device") and row["run_id"] in wanted)


def unfinished(rows: Iterable[dict[str, Any]], run_id: str) -> dict[str, dict[str, Any]]:
    """Return the ``started`` rows of a Kedro run's jobs whose last attempt has no end in the log."""
    last = {row["job"]: row for row in rows if row["run_id"] == run_id and row["event"] in _ATTEMPT}
    return {job: row for job, row in last.items() if row["event"] == "started"}


@_observing
def charge_killed(catalog: CatalogProtocol, run_id: str, workspaces: Iterable[Path]) -> None:
    """Log what the killed jobs of a run that nobody resumes cost, before its ``workspaces`` are deleted."""
    folders = list(workspaces)
    for row in unfinished(catalog["events"].load(), run_id).values() if "events" in catalog else ():
        _append(catalog, run_id, _end(row, folders))


@_observing
def log(catalog: CatalogProtocol, run_id: str, row: dict[str, Any]) -> None:
    """Append a row of any other event."""
    _append(catalog, run_id, row)


_ATTEMPT = {"started", "finished", "failed", "denied", "awaiting", "killed"}


def _append(catalog: CatalogProtocol, run_id: str, row: dict[str, Any]) -> None:
    if "events" in catalog:
        row = {"at": _now().isoformat(timespec="milliseconds"), "run_id": run_id} | row
        catalog["events"].save(redacted_row(row))


def _job(event: str, node: Node) -> dict[str, Any]:
    return {"event": event, "job": node.name, "device": DEVICE in node.tags}


def _decision_rows(name: str, decision: Decision) -> Iterator[dict[str, Any]]:
    """The gate's ``verdict`` comes with its looks, the ``decision`` that follows from it without."""
    comparison = decision.evidence.comparison
    for look in comparison.looks if comparison and name == "verdict" else ():
        yield {"event": "look"} | look.model_dump()
    yield {"event": name, "verdict": decision.verdict, "reason": decision.reason}


def _end(started: dict[str, Any], workspaces: Iterable[Path]) -> dict[str, Any]:
    """Return the row of a killed job: it took until it last wrote into its workspace."""
    start = datetime.fromisoformat(started["at"]).timestamp()
    times = [path.stat().st_mtime for workspace in workspaces for path in workspace.rglob("*")]
    seconds = round(max(times, default=start) - start, 3)
    return {"event": "killed", "job": started["job"], "device": started["device"], "seconds": max(seconds, 0.0)}


def _now() -> datetime:
    return datetime.now(UTC)
