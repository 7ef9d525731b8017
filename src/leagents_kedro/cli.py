"""Commands that the project adds to ``kedro``."""

import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from copy import copy
from datetime import UTC, datetime
from functools import wraps
from typing import Any, cast

import click
from kedro.framework.cli.project import run as kedro_run
from kedro.framework.cli.utils import _split_params, env_option
from kedro.framework.project import settings
from kedro.io import CatalogProtocol, DataCatalog, Version
from rich.console import Console

from leagents_kedro.approval import awaiting_constitution, awaiting_cycle
from leagents_kedro.errors import LeAgentsError, ParameterError
from leagents_kedro.history import Answer, History
from leagents_kedro.parameters import validated
from leagents_kedro.records import Outcomes
from leagents_kedro.replay import Replayed
from leagents_kedro.replay import as_json as replayed_as_json
from leagents_kedro.replay import render as replayed_as_table
from leagents_kedro.replay import replay as recompute
from leagents_kedro.simulation.suites import resolve_suite
from leagents_kedro.status import as_json, render, summarise


def _tells_errors[**P, R](command: Callable[P, R]) -> Callable[P, R]:
    """End with code 1 and one plain message where the loop can name the fault; other faults keep their traceback."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except LeAgentsError as error:
            raise click.ClickException(str(error)) from error

    return told


@click.group()
def cli() -> None:
    """Commands of the project."""


def _run_command() -> click.Command:
    command = copy(kedro_run)
    assert command.callback, "a command that was made by a decorator has its function"
    command.callback = _tells_errors(command.callback)
    return command


cli.add_command(_run_command())


@cli.group()
def loop() -> None:
    """The loop that ``kedro run`` drives."""


@loop.command()
@env_option
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@_tells_errors
def status(env: str | None, json_wanted: bool) -> None:
    """Show runs, cycles, decisions, scores with their intervals, and the blessed checkpoint.

    With --json, print a list of runs, oldest first, each

    \b
        {"run": int, "state": "open" | "closed", "cycles": [CYCLE, ...]}

    where a run is closed by a decision to stop or to escalate, and CYCLE is

    \b
        {"number": int, "run_id": str, "state": "open" | "awaiting approval" | "closed", "rung": int,
         "decision": "promote" | "iterate" | "escalate" | "rollback" | "stop",
         "reason": str, "candidate": SCORE, "blessed": SCORE | null, "seconds": float}

    with null for all that an open cycle does not know yet, and SCORE is

    \b
        {"rate": float, "low": float, "high": float, "episodes": int}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    catalog = _catalog(env)
    history = History.of(catalog["ledger"].load())
    runs = summarise(history, awaiting_cycle(history, catalog))
    if json_wanted:
        click.echo(as_json(runs))
    elif runs:
        Console().print(render(runs, catalog["blessed"].load()))
    else:
        click.echo("The loop has not run yet: there is no cycle in the ledger.")


@loop.command()
@env_option
@click.argument("what", metavar="CYCLE|constitution")
@click.option("--by", required=True, help="Who says so; the ledger keeps it.")
@click.option("--note", help="Why; the ledger keeps it.")
@_tells_errors
def approve(env: str | None, what: str, by: str, note: str | None) -> None:
    """Approve the promotion of a cycle that waits for it, or a changed constitution."""
    _append_answer(env, "approved", what, by, note)


@loop.command()
@env_option
@click.argument("cycle", metavar="CYCLE")
@click.option("--by", required=True, help="Who says so; the ledger keeps it.")
@click.option("--note", help="Why; the ledger and the decision keep it.")
@_tells_errors
def reject(env: str | None, cycle: str, by: str, note: str | None) -> None:
    """Reject the promotion of a cycle that waits for approval: its decision becomes iterate."""
    if cycle == "constitution":
        raise ParameterError("A constitution cannot be rejected: change the file back.")
    _append_answer(env, "rejected", cycle, by, note)


def _append_answer(env: str | None, event: str, what: str, by: str, note: str | None) -> None:
    """Append a person's answer to the ledger.

    Raises:
        ParameterError: Nothing waits for this answer.
        LedgerError: The loop is running.
    """
    catalog = _catalog(env)
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    with catalog["ledger"].lock():
        history = History.of(catalog["ledger"].load())
        question = _question(what, history, catalog)
        answer = validated(Answer, "answer", question | {"event": event, "by": by, "note": note, "at": at})
        catalog["ledger"].save(answer.model_dump(mode="json", exclude={"cycle", "constitution"} - question.keys()))
    click.echo(f"{event}: {what}. `kedro run` goes on.")


def _question(what: str, history: History, catalog: CatalogProtocol) -> dict[str, Any]:
    if what == "constitution":
        if digest := awaiting_constitution(history, catalog):
            return {"constitution": digest}
        raise ParameterError("The constitution is that of the last cycle, or approved: there is nothing to approve.")
    awaiting = awaiting_cycle(history, catalog)
    if awaiting and str(awaiting.cycle) == what:
        return {"cycle": awaiting.cycle}
    waiting = f"cycle {awaiting.cycle} is" if awaiting else "no cycle is"
    raise ParameterError(f"Cycle {what} is not awaiting approval; {waiting}.")


def _catalog(env: str | None) -> CatalogProtocol:
    with redirect_stdout(sys.stderr):  # Kedro logs there, and programs read the rest
        return settings.SESSION_CLASS.create(env=env).load_context().catalog


@loop.command()
@env_option
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@_tells_errors
def replay(env: str | None, json_wanted: bool) -> None:
    """Recompute every decision of the ledger from its recorded outcomes; end with 1 where one is not the same.

    With --json, print a list, oldest first, of

    \b
        {"cycle": int, "run_id": str, "recorded": VERDICT, "recomputed": VERDICT | null, "differences": [str, ...]}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    decisions = _replayed(_catalog(env), {})
    _show(decisions, json_wanted)
    if any(decision.differences for decision in decisions):
        raise click.ClickException("The ledger does not follow from the recorded outcomes.")


@loop.command()
@env_option
@click.option("--params", default="", callback=_split_params, help="Rules of the gate: gating.alpha_promote=0.1,...")
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
@_tells_errors
def whatif(env: str | None, params: dict[str, Any], json_wanted: bool) -> None:
    """Show which past decisions other rules of the gate would have changed, each on its recorded past.

    A decision that needs more episodes than were measured has no recomputation. With --json, print the list that
    `kedro loop replay --json` prints.
    """
    if stages := sorted(params.keys() - {"gating"}):
        raise ParameterError(f"Only rules of the gate can be tried on recorded outcomes: gating.*, got {stages[0]!r}.")
    decisions = _replayed(_catalog(env), params.get("gating", {}))
    _show(decisions, json_wanted)
    if decisions and not json_wanted:
        changed = sum(decision.recomputed not in {None, decision.recorded} for decision in decisions)
        click.echo(f"{changed} of {len(decisions)} decisions would change.")


def _replayed(catalog: CatalogProtocol, changes: dict[str, Any]) -> list[Replayed]:
    def outcomes_of(run_id: str) -> Outcomes | None:
        dataset = cast(DataCatalog, catalog).get("outcomes", version=Version(run_id, None))
        return dataset.load() if dataset and dataset.exists() else None

    def tasks_of(params: dict[str, Any]) -> list[str]:
        return [task.name for task in resolve_suite(params["suite"]["environment"], params["suite"]["tasks"])]

    return recompute(History.of(catalog["ledger"].load()), outcomes_of, tasks_of, changes)


def _show(decisions: list[Replayed], json_wanted: bool) -> None:
    if json_wanted:
        click.echo(replayed_as_json(decisions))
    elif decisions:
        Console().print(replayed_as_table(decisions))
    else:
        click.echo("There is no decision in the ledger yet.")
