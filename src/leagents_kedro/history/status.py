"""The loop at a glance, for people (a table) and programs (JSON)."""

from typing import Literal

from pydantic import TypeAdapter
from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import Abandoned, Cycle, History, Opened
from leagents_kedro.records import Checkpoint, Record, Score, Verdict

SHOWN = 20
"""How many cycles a table shows where not all are asked for."""

State = Literal["open", "closed"]
CycleState = Literal["open", "awaiting approval", "closed", "abandoned"]


class ScoreStatus(Record):
    """A success rate with the ends of its interval, and the number of episodes behind it."""

    rate: float
    low: float
    high: float
    episodes: int


class CycleStatus(Record):
    """A cycle; what is not known before it is closed is null until then, and for good where it was abandoned."""

    number: int
    run_id: str
    state: CycleState
    rung: int | None
    decision: Verdict | None
    reason: str | None
    candidate: ScoreStatus | None
    blessed: ScoreStatus | None
    seconds: float | None


class RunStatus(Record):
    """A run of the loop: closed by a decision to stop or to escalate, open until then."""

    run: int
    state: State
    cycles: tuple[CycleStatus, ...]


def summarise(history: History, awaiting: Opened | None = None) -> list[RunStatus]:
    """Return what there is to tell of each run; ``awaiting`` is the cycle whose promotion waits for a person."""
    return [
        RunStatus(
            run=run.number,
            state="closed" if run.ended else "open",
            cycles=tuple(_cycle(cycle, awaiting) for cycle in run.cycles),
        )
        for run in history.runs
    ]


def as_json(runs: list[RunStatus]) -> str:
    """Return the runs as a JSON list of objects with the fields of `RunStatus`."""
    return TypeAdapter(list[RunStatus]).dump_json(runs, indent=2).decode()


def render(runs: list[RunStatus], blessed: Checkpoint | None, last: int | None = None) -> Group:
    """Return a table a run, a row a cycle, with the last decision's reason and the blessed checkpoint below.

    Where only the ``last`` cycles are shown, a line says so.
    """
    cycles = sum(len(run.cycles) for run in runs)
    if last is not None and cycles > last:
        runs = _last_cycles(runs, last)
        note = [f"the last {last} of {cycles} cycles; `{typed('loop status --all')}` shows all"]
    else:
        note = []
    reasons = [f"cycle {cycle.number}: {cycle.reason}" for run in runs for cycle in run.cycles if cycle.reason]
    standing = f"blessed: {blessed.digest[:12]} in {blessed.path}" if blessed else "blessed: none yet"
    return Group(*map(_table, runs), *map(Text, (*note, *reasons[-1:], standing)))


def _last_cycles(runs: list[RunStatus], last: int) -> list[RunStatus]:
    shown: list[RunStatus] = []
    for run in reversed(runs):
        if last > 0:
            shown.insert(0, run.model_copy(update={"cycles": run.cycles[-last:]}))
        last -= len(run.cycles)
    return shown


def _table(run: RunStatus) -> Table:
    table = Table(title=f"run {run.run}, {run.state}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("cycle", "state", "rung", "decision", "candidate", "blessed", "min"):
        table.add_column(title, justify="right" if title in {"cycle", "rung", "min"} else "left")
    for cycle in run.cycles:
        table.add_row(
            str(cycle.number),
            cycle.state,
            "" if cycle.rung is None else str(cycle.rung),
            cycle.decision,
            Text(score_text(cycle.candidate)),
            Text(score_text(cycle.blessed)),
            "" if cycle.seconds is None else f"{cycle.seconds / 60:.1f}",
        )
    return table


def _cycle(cycle: Cycle, awaiting: Opened | None) -> CycleStatus:
    closed = cycle.closed
    record = closed.record if closed else None
    evidence = record.decision.evidence if record else None
    return CycleStatus(
        number=cycle.opened.cycle,
        run_id=cycle.opened.run_id,
        state=cycle.end.event if cycle.end else "awaiting approval" if cycle.opened == awaiting else "open",
        rung=record.plan.rung if record else None,
        decision=record.decision.verdict if record else None,
        reason=record.decision.reason if record else _gave_up(cycle.abandoned),
        candidate=_score(evidence.candidate) if evidence else None,
        blessed=_score(evidence.blessed) if evidence and evidence.blessed else None,
        seconds=closed.seconds if closed else None,
    )


def _gave_up(abandoned: Abandoned | None) -> str | None:
    if abandoned is None:
        return None
    return f"abandoned by {abandoned.by}" + (f": {abandoned.note}" if abandoned.note else "")


def _score(score: Score) -> ScoreStatus:
    return ScoreStatus(rate=score.rate, low=score.low, high=score.high, episodes=score.episodes)


def score_text(score: Score | ScoreStatus | None) -> str:
    """Write a score as ``62% [48, 74] n=50``: rate, interval, episodes."""
    if score is None:
        return ""
    return f"{score.rate:.0%} [{100 * score.low:.0f}, {100 * score.high:.0f}] n={score.episodes}"
