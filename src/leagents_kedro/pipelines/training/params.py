"""Parameters of the training stage."""

from typing import Annotated

from pydantic import Field

from leagents_kedro.errors import ParameterError
from leagents_kedro.policies.training import Rung, TrainingSettings


class TrainingParams(TrainingSettings):
    """How candidates are trained, and the ladder of policies, the cheapest first."""

    ladder: Annotated[tuple[Rung, ...], Field(min_length=1)]

    def rung(self, number: int) -> Rung:
        """Return a rung, counted from 0.

        Raises:
            ParameterError: The ladder ends below it.
        """
        if number >= len(self.ladder):
            raise ParameterError(
                f"training.ladder has {len(self.ladder)} rungs, but the loop is on rung {number} (counted from 0): "
                "append a rung, or restore those that were taken away"
            )
        return self.ladder[number]
