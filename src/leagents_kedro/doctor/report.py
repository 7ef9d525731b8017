"""Findings as a table for people, and as JSON for programs."""

from collections.abc import Sequence
from pathlib import Path

import click
from pydantic import TypeAdapter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from leagents_kedro.foundation.findings import Finding, grouped


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON list of objects with the fields of `Finding`."""
    return TypeAdapter(Sequence[Finding]).dump_json(findings, indent=2).decode()


def show(findings: Sequence[Finding]) -> None:
    """Print a table with a row for findings that are equal but for their place, and below it each command in a line.

    A command that is folded into a column could not be copied.
    """
    rows = grouped(findings)
    commands = list(dict.fromkeys(finding.command for finding in rows if finding.command))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("severity", "finding", "fix"):
        table.add_column(title, overflow="fold")
    for finding in rows:
        number = f" (command {commands.index(finding.command) + 1})" if finding.command else ""
        table.add_row(finding.severity, Text(f"{_short(finding.where)}: {finding.what}"), Text(finding.fix + number))
    Console().print(table)
    for place, command in enumerate(commands, 1):
        click.echo(f"Command {place}:\n{command}\n")


def _short(where: str) -> str:
    return str(Path(where).relative_to(Path.cwd())) if Path(where).is_relative_to(Path.cwd()) else where
