"""What people tell the loop: approvals, rejections, and that an open cycle is given up."""

from typing import Any, Literal

from kedro.io import CatalogProtocol

from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.clock import now
from leagents_kedro.history.history import Abandoned, Answer, Charged, History
from leagents_kedro.loop.accounting import uncharged_seconds
from leagents_kedro.loop.approval import awaiting_constitution, awaiting_cycle
from leagents_kedro.loop.retention import discard_abandoned
from leagents_kedro.parameters.validation import validated


def answer(
    catalog: CatalogProtocol, what: str, event: Literal["approved", "rejected"], by: str, note: str | None = None
) -> None:
    """Append a person's answer to the ledger.

    Args:
        catalog: That of the project.
        what: The number of the cycle whose promotion waits, or ``constitution``.
        event: What the person says.
        by: Who says so.
        note: Why.

    Raises:
        ParameterError: Nothing waits for this answer.
        LedgerError: The loop is running.
    """
    with catalog["ledger"].lock():
        question = _question(what, event, catalog["ledger"].load(), catalog)
        values = question | {"event": event, "by": by, "note": note, "at": now()}
        catalog["ledger"].save(validated(Answer, "answer", values))


def abandon(catalog: CatalogProtocol, cycle: str, by: str, note: str | None = None) -> None:
    """Give the open cycle up: what it had published is deleted.

    Raises:
        ParameterError: This cycle is not open.
        LedgerError: The loop is running.
    """
    ledger = catalog["ledger"]
    with ledger.lock():
        unfinished = ledger.load().unfinished
        if unfinished is None or str(unfinished.opened.cycle) != cycle:
            is_open = f"cycle {unfinished.opened.cycle}" if unfinished else "no cycle"
            raise ParameterError(f"Cycle {cycle} is not open; {is_open} is.")
        row = {"cycle": unfinished.opened.cycle, "run_id": unfinished.opened.run_id, "at": now()}
        abandoned = validated(Abandoned, "abandoned", row | {"by": by, "note": note})
        if not unfinished.is_charged:
            ledger.save(Charged(**row, device_seconds=uncharged_seconds(unfinished, catalog)))
        ledger.save(abandoned)
        discard_abandoned(ledger.load(), catalog)


def _question(what: str, event: str, history: History, catalog: CatalogProtocol) -> dict[str, Any]:
    if what == "constitution":
        if event == "rejected":
            raise ParameterError("A constitution cannot be rejected: change the file back.")
        if digest := awaiting_constitution(history, catalog):
            return {"constitution": digest}
        raise ParameterError("The constitution is that of the last cycle, or approved: there is nothing to approve.")
    awaiting = awaiting_cycle(history, catalog)
    if awaiting and str(awaiting.cycle) == what:
        return {"cycle": awaiting.cycle}
    waiting = f"cycle {awaiting.cycle} is" if awaiting else "no cycle is"
    raise ParameterError(f"Cycle {what} is not awaiting approval; {waiting}.")
