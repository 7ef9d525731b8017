"""Parameters of the training stage."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.policies.training import Rung, TrainingSettings


class TrainingParams(TrainingSettings):
    """How candidates are trained, and the ladder of policies, the cheapest first."""

    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]
