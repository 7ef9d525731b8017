"""Parameters of the harvest stage."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.records import Count, Record


class HarvestParams(Record):
    """After a promotion, ``attempts_per_task`` rollouts, of which at most ``keep_per_task`` successes are kept."""

    attempts_per_task: Count
    keep_per_task: Annotated[int, Field(ge=1)]
