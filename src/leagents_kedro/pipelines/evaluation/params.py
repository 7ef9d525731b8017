"""Parameters of the evaluation stage."""

from typing import Annotated, Literal

from pydantic import Field

from leagents_kedro.records import Record


class EvaluationParams(Record):
    """How checkpoints act: ``slots`` episodes run side by side and share batched policy calls, on ``device``."""

    slots: Annotated[int, Field(ge=1)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    torch_threads: Annotated[int, Field(ge=1)]
