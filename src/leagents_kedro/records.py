"""Frozen records that nodes exchange and the ledger keeps.

Counts are integers and units are in names, so that a record means the same wherever it is read.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Verdict = Literal["promote", "iterate", "escalate", "rollback", "stop"]
Initial = Literal["scratch", "head", "blessed"]
Count = Annotated[int, Field(ge=0)]


class Record(BaseModel):
    """A value: equal by content, never changed, with no field beyond those named."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _with_tuple_shape(feature: dict[str, Any]) -> dict[str, Any]:
    return feature | {"shape": tuple(feature["shape"])}


class Task(Record):
    """One task of a suite: the simulator's name for it, and the sentence a policy is told."""

    name: str
    sentence: str


class Suite(Record):
    """Tasks of one LeRobot environment type, and what episodes of them hold.

    ``options`` are fields of the environment's LeRobot configuration, ``features`` LeRobotDataset's descriptions of
    what a policy sees, does, and gets there; ``fps`` is frames, and environment steps, a second.
    """

    environment: str
    options: dict[str, Any]
    tasks: Annotated[tuple[Task, ...], Field(min_length=1)]
    features: dict[str, Annotated[dict[str, Any], AfterValidator(_with_tuple_shape)]]
    fps: Annotated[int, Field(ge=1)]

    @property
    def names(self) -> tuple[str, ...]:
        """The simulator's names of the tasks."""
        return tuple(task.name for task in self.tasks)

    @property
    def sentences(self) -> tuple[str, ...]:
        """What a policy is told in each task."""
        return tuple(task.sentence for task in self.tasks)


class Plan(Record):
    """What a cycle is going to do, at most, and why.

    ``evaluation_episodes`` are those of each checkpoint, ``harvest_attempts`` the rollouts after a promotion,
    ``demonstration_attempts`` those of experts.
    """

    cycle: Annotated[int, Field(ge=1)]
    run: Annotated[int, Field(ge=1)]
    rung: Count
    initial: Initial
    training_steps: Annotated[int, Field(ge=1)]
    evaluation_episodes: Count = 0
    harvest_attempts: Count = 0
    demonstration_attempts: Count = 0
    reason: str


class AmplificationPlan(Record):
    """How a source episode is replayed in another scene: `simulation.replays`.

    ``frames`` names what each segment is moved with. The move is blended in over the share ``blend`` of a segment's
    path; a segment begins ``early`` steps before its contact. The hand is waited for where it is more than
    ``tolerance`` metres from its path, and drawn back by ``gain`` units of the action a metre.
    """

    frames: Annotated[tuple[str, ...], Field(min_length=1)]
    blend: Annotated[float, Field(gt=0)] = 0.7
    tolerance: Annotated[float, Field(gt=0)] = 0.02
    gain: Annotated[float, Field(gt=0)] = 20.0
    early: Count = 0


class Recipe(Record):
    """How the demonstrations of a task are made: the number of the source, the plan, and the share that succeeded.

    ``rate`` was found in scenes that only the search uses, for which it ran ``trials`` replays.
    """

    task: str
    source: Count
    plan: AmplificationPlan
    rate: Annotated[float, Field(ge=0, le=1)]
    trials: Count


class Selection(Record):
    """The episodes of the mix that a candidate is trained on, by task sentence."""

    episodes: dict[str, tuple[int, ...]]

    @property
    def indices(self) -> list[int]:
        """All selected episode indices, ascending."""
        return sorted(index for indices in self.episodes.values() for index in indices)


class Checkpoint(Record):
    """A LeRobot checkpoint on disk: ``path`` holds ``pretrained_model/``.

    ``device`` is the one that its training ended on; of an older checkpoint it is not known.
    """

    path: Path
    policy_type: str
    rung: Count
    step: Count
    digest: str
    device: str | None = None

    @property
    def pretrained_model(self) -> Path:
        """The folder that LeRobot's ``--policy.path`` takes."""
        return self.path / "pretrained_model"


class Outcome(Record):
    """One evaluated episode. ``sum_reward`` is its return, ``length`` its environment steps."""

    task: str
    seed: Count
    success: bool
    sum_reward: float
    length: Count


class Outcomes(Record):
    """What evaluation measured: the candidate, and the blessed checkpoint on the same seeds.

    ``protocol`` is a digest of ``conditions``, all that outcomes depend on beside checkpoints and seeds; only those
    under the same one may be compared. ``blessed`` may be longer than ``candidate``: it keeps every episode that was
    measured for that checkpoint since its promotion, so that a later challenger need not measure it again. ``measured``
    counts the episodes of both that this evaluation ran.
    """

    environment: str
    protocol: str
    conditions: dict[str, str] = {}
    candidate_digest: str
    blessed_digest: str | None
    candidate: tuple[Outcome, ...]
    blessed: tuple[Outcome, ...]
    measured: Count = 0


class Pair(Record):
    """Both policies on one task and seed."""

    task: str
    seed: Count
    candidate: bool
    blessed: bool


class Score(Record):
    """A success rate with its exact (Clopper-Pearson) interval; rates are between 0 and 1."""

    successes: Count
    episodes: Count
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Observed success rate; 0 where nothing was measured."""
        return self.successes / self.episodes if self.episodes else 0.0


class Look(Record):
    """The comparison as it stood after ``pairs`` pairs, with the counts that would have ended it."""

    pairs: Count
    wins: Count
    losses: Count
    wins_needed: Count
    losses_needed: Count


class Comparison(Record):
    """Where the sequential comparison of a candidate with the blessed checkpoint stands.

    ``signs`` holds the pairs up to the last look, in order: ``+`` a win, ``-`` a loss, ``=`` no difference.
    """

    state: Literal["unfinished", "better", "worse", "futile", "exhausted"]
    looks: tuple[Look, ...]
    p_better: float
    p_worse: float
    vetoed_tasks: tuple[str, ...]
    signs: Annotated[str, Field(pattern="^[-+=]*$")] = ""


class Evidence(Record):
    """What a decision rests on."""

    candidate: Score
    blessed: Score | None
    comparison: Comparison | None
    minimum_detectable_effect: float | None
    task_scores: dict[str, tuple[Score, Score | None]]


class Decision(Record):
    """The gate's verdict on a candidate, in words a person can check against the evidence."""

    verdict: Verdict
    reason: str
    evidence: Evidence

    @property
    def blesses(self) -> bool:
        """Whether the candidate becomes the blessed checkpoint: by a promotion, or as the first one, at the target."""
        return self.verdict == "promote" or (self.verdict == "stop" and self.evidence.blessed is None)


class CycleRecord(Record):
    """What the ledger keeps of a closed cycle: enough to go on without reading anything else.

    Devices are those that were used, whatever ``auto`` stands for; of older cycles they are not known.
    ``harvested_attempts`` are rollouts of a promoted policy, kept or not; of the experts' demonstrations only
    the successes are known.
    """

    plan: Plan
    decision: Decision
    candidate_digest: str
    blessed_digest: str | None
    mix_episodes: Count
    selected_episodes: Count
    evaluated_episodes: Count
    new_episodes: Count
    harvested_attempts: Count = 0
    demonstrated_episodes: Count = 0
    training_device: str | None = None
    evaluation_device: str | None = None

    @property
    def environment_episodes(self) -> int:
        """Simulated episodes of the cycle, as far as they are recorded."""
        return self.evaluated_episodes + self.harvested_attempts + self.demonstrated_episodes


class Lessons(Record):
    """What a cycle taught, as sentences."""

    cycle: Annotated[int, Field(ge=1)]
    statements: tuple[str, ...]
