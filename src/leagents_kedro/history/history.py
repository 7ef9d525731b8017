"""What the ledger says: runs of the loop, and the cycles in them.

The ledger holds a pair of rows a cycle, ``opened`` and ``closed`` (or ``abandoned``), between them what interrupted
attempts cost, ``charged`` and ``resumed``, and people's answers, ``approved`` and ``rejected``. Between cycles stand
``seed``, and what people had the next cycle start from: ``adopted`` and ``rebased``. Everything else is derived
here, so that the driver, the hooks, the pipelines, and the command line see the same past.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
    model_validator,
)

from leagents_kedro.errors import LedgerError
from leagents_kedro.parameters.validation import faults
from leagents_kedro.records import CycleRecord, Record, Verdict

NO_VERSION = "none"
"""The version of a catalog entry that has none yet."""

ENDS_RUN: frozenset[Verdict] = frozenset({"stop", "escalate"})


class _CycleRow(Record):
    """A row of one cycle, whose id ``run_id`` is also that of its Kedro run; ``at`` is the time (ISO 8601, UTC)."""

    event: str
    cycle: Annotated[int, Field(ge=1)]
    run_id: str
    at: str


class Opened(_CycleRow):
    """A cycle is about to run; written before anything of it.

    ``pins`` are the versions of the catalog entries that it reads and writes, ``params`` the parameters that its
    nodes get, ``constitution`` the digest of the limits, ``code`` the git commit (``-dirty`` where tracked files
    differ from it; null outside of git).
    """

    event: Literal["opened"] = "opened"
    pins: dict[str, str]
    params: dict[str, Any]
    constitution: str | None = None
    code: str | None


class Charged(_CycleRow):
    """An attempt at the open cycle ended without closing it, and had used the device for ``device_seconds``."""

    event: Literal["charged"] = "charged"
    device_seconds: Annotated[float, Field(ge=0)]


class Resumed(_CycleRow):
    """Another attempt at the open cycle begins.

    ``device_seconds`` is what the one before is charged with, where it was killed and could not say so itself.
    """

    event: Literal["resumed"] = "resumed"
    device_seconds: Annotated[float, Field(ge=0)]


class Closed(_CycleRow):
    """A cycle is done. ``seconds`` and ``device_seconds`` are those of the attempt that closed it."""

    event: Literal["closed"] = "closed"
    seconds: Annotated[float, Field(ge=0)]
    device_seconds: Annotated[float, Field(ge=0)] = 0.0
    record: CycleRecord


class Abandoned(_CycleRow):
    """A person gave the open cycle up: it counts for no decision, and what it had published is deleted."""

    event: Literal["abandoned"] = "abandoned"
    by: Annotated[str, Field(min_length=1)]
    note: str | None = None


class Seed(Record):
    """The next cycle starts from demonstrations of this version; the row is written before they are.

    ``pins`` are the catalog entries that are written under it. With a ``base``, a version of the mix, they are those of
    tasks that were added, and are appended to it.
    """

    event: Literal["seed"] = "seed"
    run_id: str
    pins: dict[str, str]
    base: str | None = None
    at: str


class Choice(Record):
    """A person chose the versions of catalog entries from which the next cycle starts.

    They ``adopted`` what one run wrote, or ``rebased`` the loop to what is there: all that a cycle inherits.
    """

    event: Literal["adopted", "rebased"]
    pins: dict[str, str]
    by: Annotated[str, Field(min_length=1)]
    note: str | None = None
    at: str


class Answer(Record):
    """What a person said: to the promotion of the open ``cycle``, or to the ``constitution`` with this digest."""

    event: Literal["approved", "rejected"]
    cycle: Annotated[int, Field(ge=1)] | None = None
    constitution: str | None = None
    by: Annotated[str, Field(min_length=1)]
    note: str | None = None
    at: str

    @model_validator(mode="after")
    def _answers_one_question(self) -> "Answer":
        if (self.cycle is None) == (self.constitution is None):
            raise ValueError("an answer is to a cycle or to a constitution")
        return self

    @model_serializer(mode="wrap")
    def _without_the_other_question(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        other = "constitution" if self.constitution is None else "cycle"
        return {name: value for name, value in serialize(self).items() if name != other}


@dataclass(frozen=True)
class Cycle:
    """One cycle, open until ``end`` tells how it ended.

    ``answer`` is a person's to its promotion, if one was asked; ``attempts`` tell of those that did not end it.
    """

    opened: Opened
    end: Closed | Abandoned | None = None
    answer: Answer | None = None
    attempts: tuple[Charged | Resumed, ...] = ()

    @cached_property
    def closed(self) -> Closed | None:
        """How it ended, unless it is open or was abandoned."""
        return self.end if isinstance(self.end, Closed) else None

    @cached_property
    def abandoned(self) -> Abandoned | None:
        """Who gave it up, if it was."""
        return self.end if isinstance(self.end, Abandoned) else None

    @cached_property
    def device_seconds(self) -> float:
        """The time that all its attempts used the device, as far as they have ended."""
        ended = self.closed.device_seconds if self.closed else 0.0
        return ended + sum(attempt.device_seconds for attempt in self.attempts)

    @property
    def began_at(self) -> str:
        """When its last attempt began."""
        starts = [row.at for row in self.attempts if isinstance(row, Resumed)]
        return starts[-1] if starts else self.opened.at

    @property
    def is_charged(self) -> bool:
        """Whether its last attempt has said what it cost."""
        return bool(self.attempts) and isinstance(self.attempts[-1], Charged)


@dataclass(frozen=True)
class Run:
    """Cycles between two decisions that end a run, numbered from 1 over the life of the ledger."""

    number: int
    cycles: tuple[Cycle, ...]

    @cached_property
    def closed(self) -> tuple[Closed, ...]:
        """Its closed cycles, in order."""
        return tuple(cycle.closed for cycle in self.cycles if cycle.closed)

    @property
    def ended(self) -> bool:
        """Whether its last decision was to stop or to escalate."""
        last = next((cycle.closed for cycle in reversed(self.cycles) if cycle.closed), None)
        return last is not None and _ends_run(last)

    @property
    def device_seconds(self) -> float:
        """The time that its cycles used the device, that of failed, killed, and abandoned attempts included."""
        return sum(cycle.device_seconds for cycle in self.cycles)


@dataclass(frozen=True)
class History:
    """The whole past of the loop. Runs without a cycle are not in ``runs``."""

    runs: tuple[Run, ...] = ()
    approved_constitutions: frozenset[str] = frozenset()
    inherited: Mapping[str, str] = field(default_factory=dict)
    """The version that each catalog entry was left with, in the order in which they were last told."""
    choice: Choice | None = None
    """What a person had the open or next cycle start from; of several choices, all that they chose."""
    blessed_by_choice: tuple[int, ...] = ()
    """Numbers of the cycles that started from a blessed checkpoint that a person chose."""
    seed: Seed | None = None
    """The demonstrations that the next cycle starts from, if it is the first to do so; perhaps not written yet."""
    versions: frozenset[str] = frozenset()
    """All versions that a row names."""
    rows: int = 0
    """How many rows tell it."""

    @classmethod
    def of(cls, rows: Iterable[dict[str, Any]]) -> "History":
        """Return the history that the rows of a ledger tell.

        Raises:
            LedgerError: A row is malformed, or out of order: cycles open and end in turn, numbered from 1, and are
                answered once between.
        """
        return cls().after(rows)

    def after(self, rows: Iterable[dict[str, Any]]) -> "History":
        """Return the history with more rows below those that tell this one, which are not looked at again.

        Raises:
            LedgerError: See `of`.
        """
        parsed = [_row(row, number) for number, row in enumerate(rows, start=self.rows + 1)]
        runs, cycles = list(self.runs[: self.current_run.number - 1]), list(self.current_run.cycles)
        inherited, choice, seed = dict(self.inherited), self.choice, self.seed
        blessed_by_choice = self.blessed_by_choice
        for number, row in enumerate(parsed, start=self.rows + 1):
            last = cycles[-1] if cycles else runs[-1].cycles[-1] if runs else None
            told = _told(row, last, number)
            if told and told is not last:
                cycles[len(cycles) if isinstance(row, Opened) else -1 :] = [told]
            if isinstance(row, Closed) and _ends_run(row):
                runs.append(Run(len(runs) + 1, tuple(cycles)))
                cycles = []
            for name, version in _left(row, last).items():
                inherited.pop(name, None)
                inherited[name] = version
            if isinstance(row, Choice):
                choice = row.model_copy(update={"pins": (choice.pins if choice else {}) | row.pins})
                if "blessed" in row.pins:
                    blessed_by_choice = (*blessed_by_choice, last.opened.cycle + 1 if last else 1)
            elif isinstance(row, Closed):
                choice = None
            seed = row if isinstance(row, Seed) else None if isinstance(row, Opened | Choice) else seed
        if cycles:
            runs.append(Run(len(runs) + 1, tuple(cycles)))
        return History(
            tuple(runs),
            self.approved_constitutions | _approved(parsed),
            inherited,
            choice,
            blessed_by_choice,
            seed,
            self.versions | _versions(parsed),
            self.rows + len(parsed),
        )

    @cached_property
    def cycles(self) -> tuple[CycleRecord, ...]:
        """Records of all closed cycles, oldest first."""
        return tuple(closed.record for run in self.runs for closed in run.closed)

    def before(self, cycle: int) -> tuple[CycleRecord, ...]:
        """Records of the cycles closed before this one, also where it is closed itself and looked at again."""
        return tuple(closed.record for run in self.runs for closed in run.closed if closed.cycle < cycle)

    def blessed_since(self, cycle: int) -> int:
        """Return the cycle before which a person last chose the blessed checkpoint that this one started from, or 1."""
        return max((number for number in self.blessed_by_choice if number <= cycle), default=1)

    def challenges_before(self, cycle: int) -> tuple[CycleRecord, ...]:
        """Return of the records `before` this cycle those that speak of what it is compared with."""
        since = self.blessed_since(cycle)
        return tuple(record for record in self.before(cycle) if record.plan.cycle >= since)

    @property
    def unfinished(self) -> Cycle | None:
        """The cycle that was opened and has not ended, if there is one."""
        return self._last if self._last and self._last.end is None else None

    @property
    def open_cycle(self) -> Opened | None:
        """How that cycle was opened."""
        return self.unfinished.opened if self.unfinished else None

    @property
    def run_ids(self) -> tuple[str, ...]:
        """Ids of all cycles' Kedro runs, oldest first."""
        return tuple(cycle.opened.run_id for run in self.runs for cycle in run.cycles)

    def answer_to(self, number: int) -> Answer | None:
        """Return what a person said to the promotion of a cycle."""
        cycles = (cycle for run in reversed(self.runs) for cycle in reversed(run.cycles))
        return next((cycle.answer for cycle in cycles if cycle.opened.cycle == number), None)

    @property
    def current_run(self) -> Run:
        """The run that the open or next cycle belongs to; it has no cycle yet where the last one ended."""
        if self.runs and not self.runs[-1].ended:
            return self.runs[-1]
        return Run(len(self.runs) + 1, ())

    @property
    def next_cycle(self) -> int:
        """Number of the open or next cycle; numbers go on across runs, and that of an abandoned cycle is used up."""
        last = self._last
        return 1 if last is None else last.opened.cycle + (last.end is not None)

    @property
    def next_run(self) -> int:
        """Number of the run that the open or next cycle belongs to."""
        return self.current_run.number

    @property
    def _last(self) -> Cycle | None:
        return self.runs[-1].cycles[-1] if self.runs else None


type Row = Opened | Charged | Resumed | Closed | Abandoned | Answer | Seed | Choice
_ROW: TypeAdapter[Row] = TypeAdapter(
    Annotated[Opened | Charged | Resumed | Closed | Abandoned | Answer | Seed | Choice, Field(discriminator="event")]
)


def _ends_run(closed: Closed) -> bool:
    return closed.record.decision.verdict in ENDS_RUN


def _row(row: dict[str, Any], number: int) -> Row:
    try:
        return _ROW.validate_python(row)
    except ValidationError as error:
        schema = _ROW.json_schema()
        if row.get("event") in (events := schema["discriminator"]["mapping"]):
            what = faults(error, "row", schema)
        else:
            what = f"row.event: expected one of {', '.join(events)}, got {row.get('event', 'none')!r}"
        raise LedgerError(
            f"Row {number} of the ledger is malformed: {what}. It was edited, or "
            "written by another version of the project; restore the file from a copy, or remove this row and all below."
        ) from error


def _told(row: Row, last: Cycle | None, number: int) -> Cycle | None:
    """Return the cycle that a row opens, or the last one as the row changes it; None where there is none yet."""
    if isinstance(row, Answer):
        return _with_answer(last, row, number) if row.cycle is not None else last
    if isinstance(row, Seed | Choice):
        _check_between_cycles(row, last, number)
        return last
    _check_turn(row, last, number)
    if isinstance(row, Opened):
        return Cycle(row)
    assert last, "it was checked that a cycle is open"
    if isinstance(row, Charged | Resumed):
        return replace(last, attempts=(*last.attempts, row))
    return replace(last, end=row)


def _check_turn(row: Opened | Charged | Resumed | Closed | Abandoned, last: Cycle | None, number: int) -> None:
    if last is None or last.end:
        expected: tuple[str, int, str] = ("opened", last.opened.cycle + 1 if last else 1, row.run_id)
    else:
        expected = ("closed", last.opened.cycle, last.opened.run_id)
    event = row.event if isinstance(row, Opened) else "closed"
    if (event, row.cycle, row.run_id) != expected:
        raise LedgerError(
            f"Row {number} of the ledger says {row.event!r} of cycle {row.cycle} ({row.run_id}); expected "
            f"{expected[0]!r} of cycle {expected[1]} ({expected[2]}). The file was edited or mixed with another; "
            "restore it from a copy, or remove this row and all below it."
        )


def _left(row: Row, last: Cycle | None) -> Mapping[str, str]:
    """Return what a row leaves: a cycle confirms what it reads, and leaves what it writes once it is closed."""
    if isinstance(row, Opened):
        return {name: version for name, version in row.pins.items() if version != row.run_id}
    if isinstance(row, Closed) and last:
        return {name: version for name, version in last.opened.pins.items() if version == row.run_id}
    return row.pins if isinstance(row, Seed | Choice) else {}


def _approved(rows: Sequence[Row]) -> frozenset[str]:
    approvals = (row for row in rows if isinstance(row, Answer) and row.event == "approved")
    return frozenset(row.constitution for row in approvals if row.constitution)


def _versions(rows: Sequence[Row]) -> frozenset[str]:
    pins = (row.pins.values() for row in rows if isinstance(row, Opened | Seed | Choice))
    return frozenset(version for versions in pins for version in versions) - {NO_VERSION}


def _check_between_cycles(row: Seed | Choice, last: Cycle | None, number: int) -> None:
    if last and last.end is None:
        raise LedgerError(
            f"Row {number} of the ledger says {row.event!r} while cycle {last.opened.cycle} is open. The file was "
            "edited or mixed with another; restore it from a copy, or remove this row."
        )


def _with_answer(cycle: Cycle | None, answer: Answer, number: int) -> Cycle:
    if cycle is None or cycle.end or cycle.answer or cycle.opened.cycle != answer.cycle:
        raise LedgerError(
            f"Row {number} of the ledger says {answer.event!r} of cycle {answer.cycle}, which is not open or was "
            "answered before. The file was edited or mixed with another; restore it from a copy, or remove this row."
        )
    return replace(cycle, answer=answer)
