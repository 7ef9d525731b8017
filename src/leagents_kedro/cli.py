"""Commands that the project adds to ``kedro``."""

import sys
from contextlib import redirect_stdout

import click
from kedro.framework.cli.utils import env_option
from kedro.framework.project import settings
from rich.console import Console

from leagents_kedro.history import History
from leagents_kedro.status import as_json, render, summarise


@click.group()
def cli() -> None:
    """Commands of the project."""


@cli.group()
def loop() -> None:
    """The loop that ``kedro run`` drives."""


@loop.command()
@env_option
@click.option("--json", "json_wanted", is_flag=True, help="Print JSON for programs instead of a table.")
def status(env: str | None, json_wanted: bool) -> None:
    """Show runs, cycles, decisions, scores with their intervals, and the blessed checkpoint.

    With --json, print a list of runs, oldest first, each

    \b
        {"run": int, "state": "open" | "closed", "cycles": [CYCLE, ...]}

    where a run is closed by a decision to stop or to escalate, and CYCLE is

    \b
        {"number": int, "run_id": str, "state": "open" | "closed", "rung": int,
         "decision": "promote" | "iterate" | "escalate" | "rollback" | "stop",
         "reason": str, "candidate": SCORE, "blessed": SCORE | null, "seconds": float}

    with null for all that an open cycle does not know yet, and SCORE is

    \b
        {"rate": float, "low": float, "high": float, "episodes": int}
    """  # noqa: D301 - click takes a backspace for "do not wrap"
    with redirect_stdout(sys.stderr):  # Kedro logs there, and programs read the rest
        catalog = settings.SESSION_CLASS.create(env=env).load_context().catalog
    runs = summarise(History.of(catalog["ledger"].load()))
    if json_wanted:
        click.echo(as_json(runs))
    elif runs:
        Console().print(render(runs, catalog["blessed"].load()))
    else:
        click.echo("The loop has not run yet: there is no cycle in the ledger.")
