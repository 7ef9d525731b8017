"""The event log: every node, verdict of the constitution, look, and decision, as it happened. It only observes."""

import logging
import time
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline.node import Node

from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.errors import AwaitingApproval, ConstitutionError
from leagents_kedro.foundation.clock import now
from leagents_kedro.foundation.redaction import redacted_row
from leagents_kedro.loop.specs import DEVICE, short_name
from leagents_kedro.records import Decision

logger = logging.getLogger(__name__)


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
    """Appends rows to the catalog entry ``events``; without one it does nothing."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    @hook_impl
    @_observing
    def before_node_run(self, node: Node, catalog: CatalogProtocol, run_id: str) -> None:
        """Log that a node starts."""
        self._started[node.name] = time.monotonic()
        _append(catalog, run_id, _row("started", node))

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
        """Log that a node ended, that the constitution let it pass, and what it decided."""
        for constitution in inputs.values():
            if isinstance(constitution, Constitution):
                _append(catalog, run_id, _row("allowed", node) | {"constitution": constitution.digest})
        _append(catalog, run_id, _row("finished", node) | {"seconds": self._seconds(node)})
        for name, output in outputs.items():
            if isinstance(output, Decision):
                for row in _decision_rows(name, output):
                    _append(catalog, run_id, row)

    @hook_impl
    @_observing
    def on_node_error(self, error: Exception, node: Node, catalog: CatalogProtocol, run_id: str) -> None:
        """Log why a node failed, or what it waits for."""
        events = {ConstitutionError: "denied", AwaitingApproval: "awaiting"}
        event = next((event for kind, event in events.items() if isinstance(error, kind)), "failed")
        _append(catalog, run_id, _row(event, node) | {"seconds": self._seconds(node), "error": str(error)})

    def _seconds(self, node: Node) -> float:
        return round(time.monotonic() - self._started[node.name], 3)


@_observing
def log(catalog: CatalogProtocol, run_id: str, row: dict[str, Any]) -> None:
    """Append a row of any other event."""
    _append(catalog, run_id, row)


def _append(catalog: CatalogProtocol, run_id: str, row: dict[str, Any]) -> None:
    if "events" in catalog:
        row = {"at": now(), "run_id": run_id} | row
        catalog["events"].save(redacted_row(row))


def _row(event: str, node: Node) -> dict[str, Any]:
    return {"event": event, "node": short_name(node), "device": DEVICE in node.tags}


def _decision_rows(name: str, decision: Decision) -> Iterator[dict[str, Any]]:
    """The gate's ``verdict`` comes with its looks, the ``decision`` that follows from it without."""
    comparison = decision.evidence.comparison
    for look in comparison.looks if comparison and name == "verdict" else ():
        yield {"event": "look"} | look.model_dump()
    yield {"event": name, "verdict": decision.verdict, "reason": decision.reason}
