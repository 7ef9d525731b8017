"""Parameters of demonstrations: where they come from, and how many."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from leagents_kedro.records import Count, Record


class Amplification(Record):
    """How demonstrations are made of few: the best of ``sources_per_task`` is replayed in other scenes.

    They are those ``of`` one source; demonstrations of another stay as they are. A task in which no plan succeeds in a
    share of ``min_rate`` is refused.
    """

    of: Literal["experts", "folder", "hub"]
    sources_per_task: Annotated[int, Field(ge=1)]
    min_rate: Annotated[float, Field(ge=0, le=1)]


class Corrections(Record):
    """How the candidate takes turns with its teacher: in a ``share`` of the blocks of ``block_steps`` it acts."""

    share: Annotated[float, Field(ge=0, le=1)]
    block_steps: Annotated[int, Field(ge=1)]


class DemonstrationParams(Record):
    """Source and schedule of demonstrations.

    The first mix holds ``initial_per_task`` of each task. Every cycle collects ``growth_per_task`` times the number of
    tasks: the same of each (``uniform``), or as the ``evidence`` asks for, none of a task whose success rate is surely
    above ``solved_above``; until the mix holds ``cap_per_task`` of a task. With ``corrections`` they are of scenes in
    which the candidate takes turns. A ``folder`` or a ``hub`` dataset is imported whole, once; it grows only if
    its episodes are amplified. ``action_noise`` is that of experts, or of what is amplified.
    """

    source: Literal["experts", "folder", "hub"]
    folder: str | None
    repo_id: str | None
    revision: str | None
    amplify: Amplification | None
    initial_per_task: Annotated[int, Field(ge=1)]
    growth_per_task: Count
    cap_per_task: Annotated[int, Field(ge=1)]
    allocation: Literal["evidence", "uniform"]
    solved_above: Annotated[float, Field(ge=0, le=1)] | None
    corrections: Corrections | None
    action_noise: Annotated[float, Field(ge=0)]
    max_attempts_factor: Annotated[int, Field(ge=1)]

    @property
    def grows(self) -> bool:
        """Whether there can be ever more of them."""
        return self.source == "experts" or self.amplification is not None

    @property
    def amplification(self) -> Amplification | None:
        """How the demonstrations of this source are amplified, if they are."""
        return self.amplify if self.amplify and self.amplify.of == self.source else None

    @model_validator(mode="after")
    def _names_its_source(self) -> "DemonstrationParams":
        if self.source == "folder" and not self.folder:
            raise ValueError("demonstrations.source is 'folder', so demonstrations.folder must name one")
        if self.source == "hub" and not (self.repo_id and self.revision):
            raise ValueError(
                "demonstrations.source is 'hub', so demonstrations.repo_id and demonstrations.revision (a commit or "
                "tag: a run could not be repeated without) must be given"
            )
        return self
