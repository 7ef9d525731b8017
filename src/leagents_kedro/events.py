"""The event log: every job, look, and decision, as it happened, with durations. It only observes."""

import os
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from leagents_kedro.errors import ConstitutionError
from leagents_kedro.records import Decision

DEVICE = "device"  # tag of the nodes whose time counts as device time

_SECRET_NAMES = re.compile(r"TOKEN|SECRET|PASSWORD|API_KEY", re.IGNORECASE)
_SECRETS = re.compile(r"\b(hf_|sk-|ghp_)[A-Za-z0-9_-]{8,}")


class EventHooks:
    """Appends rows to the catalog entry ``events``.

    A job that was killed has no row of its end; the row ``killed`` is written when it is run again, with the time
    until it last wrote into its workspace, so that what it cost is known.
    """

    def __init__(self) -> None:
        self._started: dict[str, datetime] = {}

    @hook_impl
    def before_node_run(self, node: Node, catalog: CatalogProtocol, inputs: dict[str, Any], run_id: str) -> None:
        """Log that a job starts, and first what an earlier attempt at it cost."""
        killed = _unfinished(catalog["events"].load(), node.name, run_id)
        if killed is not None:
            seconds = _last_written(inputs.values(), killed) - killed.timestamp()
            self._log(catalog, "killed", node, run_id, seconds=round(max(seconds, 0.0), 3))
        self._started[node.name] = _now()
        self._log(catalog, "started", node, run_id)

    @hook_impl
    def after_node_run(self, node: Node, catalog: CatalogProtocol, outputs: dict[str, Any], run_id: str) -> None:
        """Log that a job ended, and what it decided."""
        self._log(catalog, "finished", node, run_id, seconds=self._seconds(node))
        for output in outputs.values():
            if isinstance(output, Decision):
                for row in _decision_rows(output):
                    catalog["events"].save({"at": _now().isoformat(), "run_id": run_id} | row)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node, catalog: CatalogProtocol, run_id: str) -> None:
        """Log why a job failed, without secrets."""
        event = "denied" if isinstance(error, ConstitutionError) else "failed"
        self._log(catalog, event, node, run_id, seconds=self._seconds(node), error=redacted(str(error)))

    def _log(self, catalog: CatalogProtocol, event: str, node: Node, run_id: str, **more: Any) -> None:
        row = {"at": _now().isoformat(), "run_id": run_id, "event": event, "job": node.name}
        catalog["events"].save(row | {"device": DEVICE in node.tags} | more)

    def _seconds(self, node: Node) -> float:
        return round((_now() - self._started[node.name]).total_seconds(), 3)


def device_seconds(rows: Iterable[dict[str, Any]], run_ids: Iterable[str]) -> float:
    """Return the device time of these Kedro runs, that of failed and killed attempts included."""
    wanted = set(run_ids)
    return sum(row.get("seconds", 0.0) for row in rows if row.get("device") and row["run_id"] in wanted)


def redacted(text: str) -> str:
    """Return ``text`` without tokens, and without the values of environment variables that are named like secrets."""
    for name, value in os.environ.items():
        if _SECRET_NAMES.search(name) and len(value) >= 8:
            text = text.replace(value, "[redacted]")
    return _SECRETS.sub("[redacted]", text)


def _decision_rows(decision: Decision) -> Iterator[dict[str, Any]]:
    comparison = decision.evidence.comparison
    for look in comparison.looks if comparison else ():
        yield {"event": "look"} | look.model_dump()
    yield {"event": "decision", "verdict": decision.verdict, "reason": decision.reason}


def _unfinished(rows: list[dict[str, Any]], job: str, run_id: str) -> datetime | None:
    """Return when an attempt at the job started that has no end in the log."""
    mine = [row for row in rows if row.get("job") == job and row["run_id"] == run_id]
    return datetime.fromisoformat(mine[-1]["at"]) if mine and mine[-1]["event"] == "started" else None


def _last_written(inputs: Iterable[Any], default: datetime) -> float:
    workspaces = [value for value in inputs if isinstance(value, Path)]
    times = [path.stat().st_mtime for workspace in workspaces for path in workspace.rglob("*")]
    return max(times, default=default.timestamp())


def _now() -> datetime:
    return datetime.now(UTC)
