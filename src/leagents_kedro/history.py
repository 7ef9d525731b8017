"""What the ledger says: runs of the loop, and the cycles in them.

The ledger holds two kinds of rows, ``opened`` and ``closed``, a pair a cycle. Everything else is derived here, so
that the session, the hooks, the pipelines, and the command line see the same past.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from leagents_kedro.errors import LedgerError
from leagents_kedro.records import CycleRecord, Record, Verdict

ENDS_RUN: frozenset[Verdict] = frozenset({"stop", "escalate"})


class Opened(Record):
    """A cycle is about to run; written before anything of it.

    ``pins`` are the versions of the catalog entries that it reads and writes, ``params`` the parameters that its
    nodes get, ``code`` the git commit (``-dirty`` where tracked files differ from it; null outside of git), ``at``
    the time (ISO 8601, UTC).
    """

    event: Literal["opened"] = "opened"
    cycle: Annotated[int, Field(ge=1)]
    run_id: str
    pins: dict[str, str]
    params: dict[str, Any]
    code: str | None
    at: str


class Closed(Record):
    """A cycle is done. ``seconds`` is what its last attempt took; attempts that were killed are not in it."""

    event: Literal["closed"] = "closed"
    cycle: Annotated[int, Field(ge=1)]
    run_id: str
    seconds: Annotated[float, Field(ge=0)]
    at: str
    record: CycleRecord


@dataclass(frozen=True)
class Cycle:
    """One cycle, open while ``closed`` is ``None``."""

    opened: Opened
    closed: Closed | None


@dataclass(frozen=True)
class Run:
    """Cycles between two decisions that end a run, numbered from 1 over the life of the ledger."""

    number: int
    cycles: tuple[Cycle, ...]

    @property
    def closed(self) -> tuple[Closed, ...]:
        """Its closed cycles, in order."""
        return tuple(cycle.closed for cycle in self.cycles if cycle.closed)

    @property
    def ended(self) -> bool:
        """Whether its last decision was to stop or to escalate."""
        return bool(self.closed) and self.closed[-1].record.decision.verdict in ENDS_RUN


@dataclass(frozen=True)
class History:
    """The whole past of the loop. Runs without a cycle are not in ``runs``."""

    runs: tuple[Run, ...]

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> "History":
        """Return the history that the rows of a ledger tell.

        Raises:
            LedgerError: A row is malformed, or out of order: cycles open and close in turn, numbered from 1.
        """
        runs: list[Run] = []
        for cycle in _cycles([_row(row, number) for number, row in enumerate(rows, start=1)]):
            if not runs or runs[-1].ended:
                runs.append(Run(len(runs) + 1, ()))
            runs[-1] = Run(runs[-1].number, (*runs[-1].cycles, cycle))
        return cls(tuple(runs))

    @property
    def cycles(self) -> tuple[CycleRecord, ...]:
        """Records of all closed cycles, oldest first."""
        return tuple(closed.record for run in self.runs for closed in run.closed)

    @property
    def open_cycle(self) -> Opened | None:
        """The cycle that was opened and not closed, if there is one."""
        last = self.runs[-1].cycles[-1] if self.runs else None
        return last.opened if last and last.closed is None else None

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of all cycles' Kedro runs, oldest first."""
        return tuple(cycle.opened.run_id for run in self.runs for cycle in run.cycles)

    @property
    def current_run(self) -> Run:
        """The run that the open or next cycle belongs to; it has no cycle yet where the last one ended."""
        if self.runs and not self.runs[-1].ended:
            return self.runs[-1]
        return Run(len(self.runs) + 1, ())

    @property
    def next_cycle(self) -> int:
        """Number of the open or next cycle; numbers go on across runs."""
        return len(self.cycles) + 1

    @property
    def next_run(self) -> int:
        """Number of the run that the open or next cycle belongs to."""
        return self.current_run.number


_ROW: TypeAdapter[Opened | Closed] = TypeAdapter(Annotated[Opened | Closed, Field(discriminator="event")])


def _row(row: dict[str, Any], number: int) -> Opened | Closed:
    try:
        return _ROW.validate_python(row)
    except ValidationError as error:
        raise LedgerError(f"Row {number} of the ledger is malformed: {error}") from error


def _cycles(rows: Sequence[Opened | Closed]) -> list[Cycle]:
    cycles: list[Cycle] = []
    for number, row in enumerate(rows, start=1):
        last = cycles[-1] if cycles else None
        if last is None or last.closed:
            expected: tuple[str, int, str] = ("opened", len(cycles) + 1, row.run_id)
        else:
            expected = ("closed", last.opened.cycle, last.opened.run_id)
        if (row.event, row.cycle, row.run_id) != expected:
            raise LedgerError(
                f"Row {number} of the ledger says {row.event!r} of cycle {row.cycle} ({row.run_id}); expected "
                f"{expected[0]!r} of cycle {expected[1]} ({expected[2]}). The file was edited or mixed with another."
            )
        if isinstance(row, Opened):
            cycles.append(Cycle(row, None))
        elif last:
            cycles[-1] = Cycle(last.opened, row)
    return cycles
