"""Parameters of the training stage."""

from typing import Annotated, Any, Literal

from pydantic import Field

from leagents_kedro.errors import ParameterError
from leagents_kedro.records import Record


class Rung(Record):
    """One policy of the ladder.

    ``options`` are fields of the policy type's LeRobot configuration. ``pretrained_path`` (a folder or a Hub id) is
    where training from scratch starts on this rung; a Hub id needs a ``pretrained_revision``. With
    ``scheduler: cosine`` the learning rate rises over the first twentieth of ``steps`` and decays to zero at the last;
    None leaves it to the policy type, of which many, as ACT, keep it constant.
    """

    policy_type: str
    options: dict[str, Any] = {}
    steps: Annotated[int, Field(ge=1)]
    pretrained_path: str | None = None
    pretrained_revision: str | None = None
    scheduler: Literal["cosine"] | None = None

    @property
    def schedule(self) -> dict[str, Any] | None:
        """LeRobot's schedule that stands in the place of the policy type's own; None keeps that."""
        if self.scheduler is None:
            return None
        return {"type": "cosine_annealing_with_warmup", "num_warmup_steps": self.steps // 20}


class TrainingSettings(Record):
    """How a candidate is trained, whatever its policy.

    With ``normalization: keep`` a continued training keeps the statistics that its weights were trained with;
    ``refresh`` takes those of the grown mix, which rescales inputs and outputs under the weights. Decoded images and
    videos beyond ``frame_cache_gb`` (10^9 bytes) are decoded again for every batch. Without ``shortcuts`` a step is
    computed as torch and LeRobot compute it: to the same distribution, with other random numbers and rounding.
    """

    batch_size: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    torch_threads: Annotated[int, Field(ge=1)]
    precision: Literal["float32", "bfloat16"]
    normalization: Literal["keep", "refresh"]
    save_every_steps: Annotated[int, Field(ge=1)]
    frame_cache_gb: Annotated[float, Field(ge=0)]
    shortcuts: bool


class TrainingParams(TrainingSettings):
    """How candidates are trained, and the ladder of policies, the cheapest first.

    Where a rung was changed so that the weights to go on from no longer fit it, ``on_misfit`` says whether the loop
    stops before the cycle is opened, or starts the rung from scratch.
    """

    on_misfit: Literal["stop", "scratch"]
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
