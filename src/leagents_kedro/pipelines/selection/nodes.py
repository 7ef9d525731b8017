"""What the cycle does, and which episodes it trains on."""

from typing import Any

from leagents_kedro.constitution.commands import review, simulation_command, training_command
from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.episodes import selection as episodes
from leagents_kedro.episodes.checks import check_dataset, check_fit
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import ParameterError
from leagents_kedro.history.history import History
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.harvest import HarvestParams
from leagents_kedro.parameters.selection import SelectionParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.training import policy_config
from leagents_kedro.records import Checkpoint, CycleRecord, Initial, Plan, Selection
from leagents_kedro.simulation.pool import EnvironmentPool
from leagents_kedro.simulation.suites import resolve_suite


def propose_plan(
    ledger: list[dict[str, Any]], blessed: Checkpoint | None, training: TrainingParams, gating: GatingParams
) -> Plan:
    """Decide from the past alone which rung is trained, and from which weights."""
    history = History.of(ledger)
    rung, initial, reason = _next_step(history.cycles, blessed, gating.lineage)
    for candidate in training.ladder:
        policy_config(candidate, training.device)
    return Plan(
        cycle=history.next_cycle,
        run=history.next_run,
        rung=rung,
        initial=initial,
        training_steps=training.rung(rung).steps,
        reason=reason,
    )


def review_plan(
    proposal: Plan,
    constitution: Constitution,
    suite: SuiteParams,
    demonstrations: DemonstrationParams,
    training: TrainingParams,
    gating: GatingParams,
    harvest: HarvestParams,
) -> Plan:
    """Let the plan pass where every command that it leads to is within the limits.

    Raises:
        ConstitutionError: A command would break a limit; the message names all of them.
    """
    tasks = len(resolve_suite(suite.environment, suite.tasks))
    collected = demonstrations.growth_per_task * demonstrations.failing_factor * demonstrations.max_attempts_factor
    collects = demonstrations.source == "experts"
    episodes = (gating.max_pairs, tasks * harvest.attempts_per_task, tasks * collected * collects)
    commands = [training_command(training.rung(proposal.rung), training), simulation_command(suite, max(episodes))]
    review(constitution, commands)
    return proposal


def select_episodes(mix: Shards, suite: SuiteParams, selection: SelectionParams) -> Selection:
    """Choose the episodes of the suite's tasks, balanced over tasks.

    Raises:
        ParameterError: Two tasks of the suite have the same sentence.
        CoverageError: Tasks of the suite have no episode in the mix.
        EpisodesError: The mix is damaged, or its features or fps are not those of the environment.
    """
    tasks = resolve_suite(suite.environment, suite.tasks)
    sentences = [task.sentence for task in tasks]
    if shared := sorted({sentence for sentence in sentences if sentences.count(sentence) > 1}):
        raise ParameterError(
            f"suite.tasks: several tasks have the sentence {', '.join(map(repr, shared))}, which is all that tells "
            "their episodes apart in a LeRobotDataset; keep one of them"
        )
    mix = check_dataset(mix.root)  # which has read its index
    with EnvironmentPool(suite.environment, suite.options) as pool:
        check_fit(mix, pool.features, pool.fps)
    everything = episodes.select_episodes(mix.index, mix.tasks, sentences, selection.per_task)
    counts = [len(indices) for indices in everything.values()]
    most = min(int(min(counts) * selection.max_imbalance), max(counts))
    return Selection(episodes=episodes.select_episodes(mix.index, mix.tasks, sentences, most))


def _next_step(cycles: tuple[CycleRecord, ...], blessed: Checkpoint | None, lineage: str) -> tuple[int, Initial, str]:
    if not cycles:
        return 0, "scratch", "the first cycle starts the first rung from scratch"
    last = cycles[-1]
    rung, verdict = last.plan.rung, last.decision.verdict
    if verdict == "escalate":
        return rung + 1, "scratch", f"cycle {last.plan.cycle} escalated: the next rung starts from scratch"
    returns = verdict == "rollback" or (verdict == "iterate" and lineage == "blessed")
    if returns and blessed is not None and blessed.rung == rung:
        return rung, "blessed", f"cycle {last.plan.cycle} said {verdict}: back to the blessed checkpoint"
    return rung, "head", f"cycle {last.plan.cycle} said {verdict}: training goes on from its candidate"
