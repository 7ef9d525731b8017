"""Parameters of the harvest stage."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.records import Count, Record


class HarvestParams(Record):
    """After a promotion, ``attempts_per_task`` rollouts, of which at most ``keep_per_task`` successes are kept.

    Each cycle whose number ``compact_every_cycles`` divides joins the files of the mix (null: none does).
    """

    attempts_per_task: Count
    keep_per_task: Annotated[int, Field(ge=1)]
    compact_every_cycles: Annotated[int, Field(ge=1)] | None
