"""Findings as a table for people, and as JSON for programs."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import TypeAdapter
from rich import box
from rich.table import Table
from rich.text import Text

from leagents_kedro.foundation.findings import Finding


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON list of objects with the fields of `Finding`."""
    return TypeAdapter(Sequence[Finding]).dump_json(findings, indent=2).decode()


def render(findings: Sequence[Finding]) -> Table:
    """Return a table with a row a finding."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("severity", "finding", "fix"):
        table.add_column(title, overflow="fold")
    for finding in findings:
        table.add_row(finding.severity, Text(f"{_short(finding.where)}: {finding.what}"), Text(finding.fix))
    return table


def _short(where: str) -> str:
    return str(Path(where).relative_to(Path.cwd())) if Path(where).is_relative_to(Path.cwd()) else where
