"""Past decisions, recomputed from their recorded outcomes: the same ones, or those that other rules would have made."""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter
from rich import box
from rich.table import Table

from leagents_kedro.errors import EvidenceError, ParameterError
from leagents_kedro.gate import verdict as gate
from leagents_kedro.gate.rules import GateRules
from leagents_kedro.history.answers import answered
from leagents_kedro.history.history import Answer, Closed, History, Opened
from leagents_kedro.parameters.validation import validated
from leagents_kedro.records import CycleRecord, Decision, Outcomes, Record, Verdict


class Replayed(Record):
    """A past decision beside its recomputation.

    ``recomputed`` is null where there is none, and ``differences`` say why: fields of the decision that are not the
    same, with both values, or what is missing.
    """

    cycle: int
    run_id: str
    recorded: Verdict
    recomputed: Verdict | None
    differences: tuple[str, ...]


def replay(
    history: History,
    outcomes_of: Callable[[str], Outcomes | None],
    changes: Mapping[str, Any] | None = None,
    last: int | None = None,
) -> list[Replayed]:
    """Recompute every decision of the past, or the ``last`` ones, each on the history that was recorded before it.

    Args:
        history: What the ledger says.
        outcomes_of: Gives the outcomes of a Kedro run; None where they are gone.
        changes: Rules of the gate that take the place of those of the cycle.
        last: How many decisions; None for all.

    Raises:
        ParameterError: A change is of no rule of the gate, or out of range.
    """
    for name in sorted((changes or {}).keys() - GateRules.model_fields.keys()):
        raise ParameterError(
            f"There is no rule gating.{name} of the gate; there are {', '.join(GateRules.model_fields)}."
        )
    pairs = [(cycle.opened, cycle.closed, cycle.answer) for run in history.runs for cycle in run.cycles if cycle.closed]
    before = history.cycles
    numbers = [record.plan.cycle for record in before]
    return [
        _replay(
            opened,
            closed,
            answer,
            before[bisect_left(numbers, history.blessed_since(opened.cycle)) : number],
            outcomes_of(opened.run_id),
            changes or {},
        )
        for number, (opened, closed, answer) in [*enumerate(pairs)][-last if last else None :]
        if closed
    ]


def as_json(decisions: Sequence[Replayed]) -> str:
    """Return a JSON list of objects with the fields of `Replayed`."""
    return TypeAdapter(Sequence[Replayed]).dump_json(decisions, indent=2).decode()


def render(decisions: Sequence[Replayed]) -> Table:
    """Return a table with a row a decision."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("cycle", "recorded", "recomputed", "differences"):
        table.add_column(title, justify="right" if title == "cycle" else "left")
    for decision in decisions:
        table.add_row(
            str(decision.cycle),
            decision.recorded,
            decision.recomputed or "-",
            "\n".join(decision.differences) or "none",
        )
    return table


def _replay(
    opened: Opened,
    closed: Closed,
    answer: Answer | None,
    before: Sequence[CycleRecord],
    outcomes: Outcomes | None,
    changes: Mapping[str, Any],
) -> Replayed:
    recorded = closed.record.decision
    recomputed: Decision | None = None
    differences: tuple[str, ...] = (f"the outcomes of {opened.run_id} are gone",)
    if outcomes is not None:
        try:
            recomputed = _decide(opened, closed.record, answer, before, outcomes, changes)
            differences = tuple(_differences(recorded, recomputed))
        except EvidenceError as error:
            differences = (str(error),)
    return Replayed(
        cycle=opened.cycle,
        run_id=opened.run_id,
        recorded=recorded.verdict,
        recomputed=recomputed.verdict if recomputed else None,
        differences=differences,
    )


def _decide(
    opened: Opened,
    record: CycleRecord,
    answer: Answer | None,
    before: Sequence[CycleRecord],
    outcomes: Outcomes,
    changes: Mapping[str, Any],
) -> Decision:
    given = {name: rule for name, rule in opened.params["gating"].items() if name in GateRules.model_fields}
    rules = validated(GateRules, "gating", {**given, **changes})
    last_rung = record.plan.rung == len(opened.params["training"]["ladder"]) - 1
    tasks = list(record.decision.evidence.task_scores)  # in the order of the suite
    verdict = gate.decide(outcomes, tasks, before, rules, last_rung=last_rung, rung=record.plan.rung)
    return answered(verdict, answer) if answer and verdict.blesses else verdict


def _differences(recorded: Decision, recomputed: Decision) -> Iterator[str]:
    for name in ("verdict", "reason"):
        old, new = getattr(recorded, name), getattr(recomputed, name)
        if old != new:
            yield f"{name}: recorded {old!r}, recomputed {new!r}"
    for name in type(recorded.evidence).model_fields:
        if getattr(recorded.evidence, name) != getattr(recomputed.evidence, name):
            yield f"evidence.{name}"
