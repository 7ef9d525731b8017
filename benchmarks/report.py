"""What came of a run of the benchmarks: a table for people, Markdown, JSON, and one line."""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from rich.table import Table

from benchmarks.table import Row

_BEGIN, _END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
_COLUMNS = ("step", "measured", "ours", "other", "ratio", "limit", "")


@dataclass(frozen=True)
class Report:
    """Rows by section; ``failures`` are the errors of sections that have none."""

    quick: bool
    sections: dict[str, list[Row]]
    failures: dict[str, str]

    @property
    def rows(self) -> list[Row]:
        """Rows of all sections."""
        return [row for rows in self.sections.values() for row in rows]

    @property
    def missed(self) -> list[str]:
        """Names of what missed its limit, or was not measured."""
        missed = dict.fromkeys(row.step for row in self.rows if not row.holds)
        return [*missed, *(f"{name} (failed)" for name in self.failures)]

    @property
    def summary(self) -> str:
        """One line."""
        limited = [row for row in self.rows if row.limit is not None]
        kept = sum(row.holds for row in limited)
        summary = f"{kept} of {len(limited)} limits are kept"
        return f"{summary}; missed: {', '.join(self.missed)}" if self.missed else summary

    def table(self) -> Table:
        """Return the rows as a table for a terminal."""
        table = Table(*_COLUMNS, title="Ratios, each measured side by side in this run")
        for row in self.rows:
            table.add_row(*_cells(row), style=None if row.holds else "red")
        return table

    def markdown(self) -> str:
        """Return the rows, and the machine, in Markdown."""
        facts = ", ".join(f"{name} {value}" for name, value in machine().items())
        command = "make bench-quick" if self.quick else "make bench"
        lines = [
            f"Written by `{command}`, {_today()}. {facts}.",
            "",
            "| " + " | ".join(_COLUMNS) + " |",
            "|---" * len(_COLUMNS) + "|",
            *(f"| {' | '.join(_cells(row))} |" for row in self.rows),
            "",
            *(f"Not measured: {name}." for name in self.failures),
            f"{self.summary}.",
        ]
        return "\n".join(lines)

    def json(self) -> str:
        """Return everything, for programs."""
        rows = [
            {"section": section} | asdict(row) | {"ratio": _or_none(row.ratio), "holds": row.holds}
            for section, rows in self.sections.items()
            for row in rows
        ]
        content = {"date": _today(), "quick": self.quick, "machine": machine(), "rows": rows}
        return json.dumps(content | {"failures": self.failures, "summary": self.summary}, indent=2)


def machine() -> dict[str, str]:
    """Return what the seconds depend on, and nothing that names the machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "memory": f"{memory / 1e9:.0f} GB",
        "Python": platform.python_version(),
        "torch": version("torch"),
        "lerobot": version("lerobot"),
    }


def with_table(document: str, table: str) -> str:
    """Return ``document`` with ``table`` between its marks, or the table alone where there are none."""
    head, begin, rest = document.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    return f"{head}{begin}\n{table}\n{end}{tail}" if end else f"{table}\n"


def _cells(row: Row) -> tuple[str, ...]:
    limit = "" if row.limit is None else f"{row.sense} {row.limit:g}"
    mark = "" if row.limit is None else "kept" if row.holds else "missed"
    return row.step, row.measured, row.ours, row.other, f"{row.ratio:.3g}", limit, mark


def _or_none(ratio: float) -> float | None:
    return ratio if math.isfinite(ratio) else None


def _today() -> str:
    return datetime.now(UTC).date().isoformat()
