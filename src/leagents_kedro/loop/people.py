"""What people tell the loop: approvals, rejections, that an open cycle is given up, what the next one starts from."""

from collections.abc import Callable
from typing import Any, Literal

from kedro.io import CatalogProtocol

from leagents_kedro.datasets.versions import inherited, latest, stray_versions, version_of
from leagents_kedro.errors import ParameterError
from leagents_kedro.foundation.clock import now
from leagents_kedro.foundation.spelling import no_such
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import Abandoned, Answer, Charged, Choice, History
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


def adopt(catalog: CatalogProtocol, run_id: str, by: str, note: str | None = None) -> dict[str, str]:
    """Have the next cycle start from what one run wrote, by hand or in a cycle; all else is inherited as before.

    Returns:
        The catalog entries that the next cycle reads from it, with their version.

    Raises:
        ParameterError: That run wrote nothing that a cycle inherits, or a cycle is open.
        LedgerError: The loop is running.
    """

    def chosen(history: History) -> dict[str, str]:
        names = [name for name in inherited(catalog, history) if _exists(catalog, name, run_id)]
        if not names:
            known = (set(stray_versions(catalog, history)) | history.versions) - {run_id}
            raise ParameterError(no_such("version that a cycle could start from", run_id, known))
        return dict.fromkeys(names, run_id)

    return _choose(catalog, "adopted", chosen, by, note)


def rebase(catalog: CatalogProtocol, by: str, note: str | None = None) -> dict[str, str]:
    """Have the next cycle start from the latest versions that are there, whatever the ledger says.

    Returns:
        The version of every catalog entry that the next cycle reads.

    Raises:
        ParameterError: A cycle is open.
        LedgerError: The loop is running.
    """
    return _choose(catalog, "rebased", lambda history: latest(catalog), by, note)


def _choose(
    catalog: CatalogProtocol,
    event: Literal["adopted", "rebased"],
    chosen: Callable[[History], dict[str, str]],
    by: str,
    note: str | None,
) -> dict[str, str]:
    ledger = catalog["ledger"]
    with ledger.lock():
        history: History = ledger.load()
        if opened := history.open_cycle:
            raise ParameterError(
                f"Cycle {opened.cycle} is open, and keeps what it started from. Let it end ({typed('run')}), "
                f"or give it up: {typed(f'loop abandon {opened.cycle} --by NAME')}"
            )
        pins = chosen(history)
        ledger.save(validated(Choice, event, {"event": event, "pins": pins, "by": by, "note": note, "at": now()}))
        return pins


def _exists(catalog: CatalogProtocol, name: str, version: str) -> bool:
    dataset = version_of(catalog, name, version)
    return dataset is not None and dataset.exists()


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
