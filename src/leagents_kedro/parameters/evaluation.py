"""Parameters of the evaluation stage."""

from typing import Annotated, Literal

from pydantic import Field

from leagents_kedro.records import Record


class EvaluationParams(Record):
    """How episodes are run, of checkpoints and experts alike; what comes of them depends on device and threads.

    In each of ``workers`` processes, ``slots`` episodes share batched policy calls. ``episode_timeout_s`` ends a
    process that hangs, so that with a limit even one worker is a process of its own. Without ``shortcuts`` a simulator
    steps as it came, which takes longer and gives the same numbers; a comparison does not mix the two all the same.
    """

    slots: Annotated[int, Field(ge=1)]
    workers: Annotated[int, Field(ge=1)] | Literal["auto"]
    episode_timeout_s: Annotated[float, Field(gt=0)] | None
    device: Literal["auto", "cpu", "cuda", "mps"]
    torch_threads: Annotated[int, Field(ge=1)]
    shortcuts: bool
