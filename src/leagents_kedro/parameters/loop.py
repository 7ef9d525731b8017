"""Parameters of the loop itself."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field

from leagents_kedro.parameters.validation import validated
from leagents_kedro.records import Record


class LoopParams(Record):
    """When the loop ends; ``null`` budgets are unlimited, and budgets count within a run."""

    run_seed: int
    max_cycles: Annotated[int, Field(ge=1)] | None
    max_wall_hours: Annotated[float, Field(gt=0)] | None
    max_gpu_hours: Annotated[float, Field(gt=0)] | None
    max_environment_episodes: Annotated[int, Field(ge=1)] | None
    max_disk_gb: Annotated[float, Field(gt=0)] | None
    on_escalate: Literal["handover", "climb"]
    after_stop: Literal["halt", "continue"]
    stop_file: str

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> Self:
        """Return the loop's part of the project's parameters.

        Raises:
            ParameterError: A key is unknown or missing, or its value out of range.
        """
        return validated(cls, "loop", parameters.get("loop", {}))
