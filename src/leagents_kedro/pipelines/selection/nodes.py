"""What the cycle does, and which episodes it trains on."""

from leagents_kedro.constitution.commands import planned_commands, review
from leagents_kedro.constitution.limits import Constitution
from leagents_kedro.episodes import selection as episodes
from leagents_kedro.episodes.checks import check_dataset, check_fit
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import CheckpointError
from leagents_kedro.gate.rules import schedule
from leagents_kedro.history.continuation import next_step
from leagents_kedro.history.history import History
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.gating import GatingParams
from leagents_kedro.parameters.harvest import HarvestParams
from leagents_kedro.parameters.selection import SelectionParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.policies.fit import misfit_of_step
from leagents_kedro.policies.training import check_rung
from leagents_kedro.records import Checkpoint, Plan, Selection, Suite


def propose_plan(
    history: History,
    head: Checkpoint | None,
    blessed: Checkpoint | None,
    suite: Suite,
    training: TrainingParams,
    gating: GatingParams,
    harvest: HarvestParams,
    demonstrations: DemonstrationParams,
) -> Plan:
    """Decide from the past alone which rung is trained, and from which weights; count what the cycle may spend.

    Raises:
        ParameterError: A rung is unknown to LeRobot, or the looks do not fit the number of tasks.
        CheckpointError: The weights that the rung would go on from do not fit it, or those that it starts from.
    """
    for candidate in training.ladder:
        check_rung(candidate, training.device)
    rung, initial, reason = next_step(history, head, blessed, gating.lineage)
    if misfit := misfit_of_step(training, rung, initial, {"head": head, "blessed": blessed}):
        if training.on_misfit == "stop":
            raise CheckpointError(
                f"{misfit}. Change it back, append it to the ladder as a rung of its own, or start the rung from "
                "scratch: --params=training.on_misfit=scratch"
            )
        initial, reason = "scratch", f"{misfit}; so it starts from scratch"
    tasks = len(suite.tasks)
    demonstrated = demonstrations.growth_per_task * demonstrations.max_attempts_factor
    return Plan(
        cycle=history.next_cycle,
        run=history.next_run,
        rung=rung,
        initial=initial,
        training_steps=training.rung(rung).steps,
        evaluation_episodes=schedule(gating, tasks)[-1],
        harvest_attempts=tasks * harvest.attempts_per_task,
        demonstration_attempts=tasks * demonstrated if demonstrations.grows else 0,
        reason=reason,
    )


def review_plan(proposal: Plan, constitution: Constitution, suite: Suite, training: TrainingParams) -> Plan:
    """Let the plan pass where every command that it leads to is within the limits.

    Raises:
        ConstitutionError: A command would break a limit; the message names all of them.
    """
    review(constitution, planned_commands(proposal, suite, training))
    return proposal


def select_episodes(mix: Shards, suite: Suite, selection: SelectionParams) -> Selection:
    """Choose the episodes of the suite's tasks, balanced over tasks.

    Raises:
        CoverageError: Tasks of the suite have no episode in the mix.
        EpisodesError: The mix is damaged, or its features or fps are not those of the environment.
    """
    sentences = suite.sentences
    mix = check_dataset(mix.root)  # which has read its index
    check_fit(mix, suite.features, suite.fps)
    everything = episodes.select_episodes(mix.index, mix.tasks, sentences, selection.per_task)
    counts = [len(indices) for indices in everything.values()]
    most = min(int(min(counts) * selection.max_imbalance), max(counts))
    return Selection(episodes=episodes.select_episodes(mix.index, mix.tasks, sentences, most))
