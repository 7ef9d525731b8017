"""Parameters of the selection stage."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.records import Record


class SelectionParams(Record):
    """How many episodes of each task are trained on.

    ``per_task`` takes the newest so many (null: all); no task gets more than ``max_imbalance`` times the episodes of
    the task that has fewest.
    """

    per_task: Annotated[int, Field(ge=1)] | None
    max_imbalance: Annotated[float, Field(ge=1)]
