"""What the gate demands, and when a comparison is looked at."""

from functools import cache
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from leagents_kedro.errors import ParameterError
from leagents_kedro.records import Record

Level = Annotated[FiniteFloat, Field(gt=0, lt=0.5)]
Fraction = Annotated[FiniteFloat, Field(gt=0, lt=1)]

WORSE_FUTILITY_FACTOR = 3


class GateRules(Record):
    """What the gate demands; rates and effects are fractions, so 0.05 is five points."""

    alpha_promote: Level
    alpha_rollback: Level
    max_pairs: Annotated[int, Field(ge=1)]
    look_every: Annotated[int, Field(ge=1)]
    rho: Annotated[FiniteFloat, Field(gt=0)]
    design_effect: Fraction
    futility_power: Annotated[FiniteFloat, Field(ge=0, lt=1 / WORSE_FUTILITY_FACTOR)]
    min_effect: Fraction
    plateau_cycles: Annotated[int, Field(ge=1)]
    plateau_alpha: Level
    floor: Annotated[FiniteFloat, Field(ge=0, lt=1)]
    task_veto_alpha: Level
    target: Fraction | None
    first_blessing_may_stop: bool = False  # rows of older ledgers lack it
    lineage: Literal["head", "blessed"]

    @model_validator(mode="after")
    def _check_consistent(self) -> "GateRules":
        if self.look_every > self.max_pairs:
            raise ValueError(f"look_every should be at most max_pairs ({self.max_pairs}), got {self.look_every}")
        if self.target is not None and self.target <= self.floor:
            raise ValueError(f"target should be above the floor ({self.floor}), got {self.target}")
        return self


def schedule(rules: GateRules, tasks_count: int) -> tuple[int, ...]:
    """Return the number of pairs at each look; the last is ``max_pairs``.

    Raises:
        ParameterError: If a look would not hold the same number of pairs of every task.
    """
    for name, pairs in (("look_every", rules.look_every), ("max_pairs", rules.max_pairs)):
        if pairs % tasks_count:
            raise ParameterError(
                f"{name} should be a multiple of the number of tasks, so that every look weighs the tasks alike: "
                f"got {pairs} pairs for {tasks_count} tasks; {pairs - pairs % tasks_count + tasks_count} would do."
            )
    return look_sizes(rules)


@cache
def look_sizes(rules: GateRules) -> tuple[int, ...]:
    """Return the number of pairs at each look, whatever the number of tasks."""
    return *range(rules.look_every, rules.max_pairs, rules.look_every), rules.max_pairs
