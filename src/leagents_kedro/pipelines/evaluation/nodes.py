"""Paired outcomes of the candidate and the blessed checkpoint, look by look."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from leagents_kedro.constitution.commands import simulation_command
from leagents_kedro.constitution.limits import Constitution, require
from leagents_kedro.foundation.seeds import derive_seed
from leagents_kedro.gate.evidence import pair_outcomes
from leagents_kedro.gate.rules import schedule
from leagents_kedro.gate.sequential import compare
from leagents_kedro.parameters.evaluation import EvaluationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.pipelines.evaluation.measurement import Measurement
from leagents_kedro.records import Checkpoint, Outcome, Outcomes, Plan, Suite
from leagents_kedro.simulation.environments import Trial
from leagents_kedro.simulation.protocol import difference, protocol_digest, protocol_of
from leagents_kedro.simulation.simulator import simulator

logger = logging.getLogger(__name__)


def evaluate_candidate(
    candidate: Checkpoint,
    blessed: Checkpoint | None,
    previous: Outcomes | None,
    plan: Plan,
    workspace: Path,
    suite: Suite,
    evaluation: EvaluationParams,
    gating: GatingParams,
    run_seed: int,
    constitution: Constitution,
) -> Outcomes:
    """Measure both checkpoints on the same seeds until the comparison has its verdict.

    Outcomes of the blessed checkpoint that an earlier cycle measured since its promotion, under the same conditions,
    are used again.

    Raises:
        ParameterError: ``evaluation.device`` is not there.
        ConstitutionError: The episodes of one checkpoint, or the environment, are beyond the limits.
    """
    require(constitution, simulation_command(suite, plan.evaluation_episodes))
    looks = schedule(gating, len(suite.tasks))
    trials = paired_trials(suite.names, plan.evaluation_episodes, run_seed, blessed)
    conditions = protocol_of(suite, evaluation, run_seed)
    protocol = protocol_digest(conditions)
    known = _known_outcomes(previous, blessed, conditions)
    outcomes = Outcomes(
        environment=suite.environment,
        protocol=protocol,
        conditions=conditions,
        candidate_digest=candidate.digest,
        blessed_digest=blessed.digest if blessed else None,
        candidate=(),
        blessed=known,
    )
    environments = simulator(suite, evaluation)
    challenger = Measurement(candidate, environments, workspace, evaluation, protocol)
    champion = Measurement(blessed, environments, workspace, evaluation, protocol) if blessed else None
    for number, pairs in enumerate(looks, start=1):
        outcomes = _extended(outcomes, challenger, champion, trials[:pairs], f"look {number} of at most {len(looks)}")
        if champion and compare(pair_outcomes(outcomes, suite.names), gating).state != "unfinished":
            break
    return outcomes.model_copy(update={"measured": len(outcomes.candidate) + len(outcomes.blessed) - len(known)})


def paired_trials(tasks: Sequence[str], pairs: int, run_seed: int, blessed: Checkpoint | None) -> list[Trial]:
    """Return the fixed order of episodes, round-robin over tasks, on seeds fresh for each blessed checkpoint."""
    era = blessed.digest if blessed else "none"
    return [
        Trial(task, derive_seed("evaluation", run_seed, era, task, index=index))
        for index in range(-(-pairs // len(tasks)))
        for task in tasks
    ][:pairs]


def _known_outcomes(
    previous: Outcomes | None, blessed: Checkpoint | None, conditions: Mapping[str, str]
) -> tuple[Outcome, ...]:
    """Return what was measured of the blessed checkpoint under these conditions; under others it is measured anew."""
    if previous is None or blessed is None or previous.blessed_digest != blessed.digest:
        return ()
    if previous.protocol == protocol_digest(conditions):
        return previous.blessed
    changed = difference(previous.conditions, conditions) if previous.conditions else "they were not recorded then"
    logger.warning("Both checkpoints are measured anew, since the conditions of an episode changed: %s", changed)
    return ()


def _extended(
    outcomes: Outcomes, challenger: Measurement, champion: Measurement | None, trials: list[Trial], look: str
) -> Outcomes:
    """Return ``outcomes`` with those of ``trials`` that are missing."""
    missing = challenger.outcomes(trials[len(outcomes.candidate) :], f"{look}: candidate")
    update = {"candidate": outcomes.candidate + missing}
    if champion:
        new = champion.outcomes(trials[len(outcomes.blessed) :], f"{look}: blessed")
        update["blessed"] = outcomes.blessed + new
    return outcomes.model_copy(update=update)
