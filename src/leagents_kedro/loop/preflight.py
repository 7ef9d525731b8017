"""What is checked before a cycle is opened: its parameters stay with it, also those that it cannot run with."""

from pathlib import Path
from typing import cast

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import ValidationError

from leagents_kedro.constitution.commands import review, simulation_command, training_command
from leagents_kedro.constitution.limits import require
from leagents_kedro.doctor.checkpoints import examine_checkpoint
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.errors import CheckpointError, EpisodesError
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.history.history import History
from leagents_kedro.parameters.demonstrations import DemonstrationParams
from leagents_kedro.parameters.suite import SuiteParams
from leagents_kedro.parameters.training import TrainingParams
from leagents_kedro.pipelines.selection.nodes import propose_plan, review_plan, select_episodes
from leagents_kedro.policies.checkpoints import resolve_device
from leagents_kedro.policies.training import check_policy, try_training
from leagents_kedro.records import Checkpoint, Plan, Suite
from leagents_kedro.simulation.environments import environment_of
from leagents_kedro.simulation.suites import resolve_suite

_SUITE = "params:suite"


class PreflightHooks:
    """Stop the loop where the next cycle could not run; a project without a suite has nothing to check."""

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Check the options of the environment, where a node is going to look at it.

        Raises:
            ParameterError: The environment type or an option is unknown.
            ConstitutionError: The environment, or an option, is beyond the limits.
        """
        if {_SUITE, "constitution"} <= pipeline.inputs():
            suite: SuiteParams = catalog.load(_SUITE)
            require(catalog.load("constitution"), simulation_command(suite, episodes=1))
            environment_of(suite.environment).config(None, suite.options)

    @hook_impl
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Check tasks, looks, every rung of the ladder, and that the mix covers the suite and fits the environment.

        Each rung's policy is built before there is a mix; the rung that the cycle trains computes a loss on the mix,
        unless the last cycle has trained it for the same suite.

        Raises:
            ParameterError: A task, policy, or option is unknown, a device, package, or expert is missing, LeRobot
                refuses a rung, or the looks do not fit the number of tasks.
            EpisodesError: The mix has a fault, lacks a task of the suite, or is of another environment.
            CheckpointError: The blessed checkpoint, or what training goes on from, changed, is of another environment,
                or does not fit the rung.
            ConstitutionError: The training of a rung, or an episode that the cycle may run, would break a limit.
        """
        if _SUITE not in catalog:
            return
        history, blessed = catalog.load("ledger"), catalog.load("blessed")
        head = catalog.load("head") if "head" in catalog else None
        constitution, training = catalog.load("constitution"), catalog.load("params:training")
        review(constitution, [training_command(rung, training) for rung in training.ladder])
        evaluation = catalog.load("params:evaluation")
        resolve_device(evaluation.device, "evaluation.device")
        suite = resolve_suite(catalog.load(_SUITE), evaluation, constitution)
        demonstrations = catalog.load("params:demonstrations")
        if demonstrations.source == "experts":
            environment_of(suite.environment).check_experts()
        if demonstrations.amplification:
            environment_of(suite.environment).check_frames()
        plan = propose_plan(
            history,
            head,
            blessed,
            suite,
            training,
            catalog.load("params:gating"),
            catalog.load("params:harvest"),
            demonstrations,
        )
        review_plan(plan, constitution, suite, training)
        initial = {"scratch": None, "head": head, "blessed": blessed}[plan.initial]
        for checkpoint in dict.fromkeys((initial, blessed)):
            if checkpoint:
                stop_at_errors(examine_checkpoint(checkpoint.path, suite, content=False), CheckpointError)
        if catalog["mix"].exists():
            _check_mix(catalog, history, suite, training, plan, initial)
        else:
            require(constitution, simulation_command(suite, _first_attempts(demonstrations, suite)))
            for rung in training.ladder:
                check_policy(rung, training.device, suite.features)


def _first_attempts(demonstrations: DemonstrationParams, suite: Suite) -> int:
    """Return how many attempts the first demonstrations may take."""
    attempts = demonstrations.initial_per_task * demonstrations.max_attempts_factor
    return len(suite.tasks) * attempts if demonstrations.grows else 0


def _check_mix(
    catalog: CatalogProtocol,
    history: History,
    suite: Suite,
    training: TrainingParams,
    plan: Plan,
    initial: Checkpoint | None,
) -> None:
    """Check that the mix covers the suite, and that the plan's rung can be trained on it."""
    mix = catalog.load("mix")
    selection = select_episodes(mix, suite, catalog.load("params:selection"))
    if not _is_of_a_cycle(catalog, history):
        stop_at_errors(examine_dataset(mix.root, suite), EpisodesError)
    if not _is_tried(plan, training, catalog.load(_SUITE), history):
        weights = initial.pretrained_model if initial else None
        frame_cache = catalog.load("frame_cache") if "frame_cache" in catalog else Path("nowhere")
        try_training(mix, selection.indices, training.rung(plan.rung), training, weights, frame_cache)


def _is_tried(plan: Plan, training: TrainingParams, suite: SuiteParams, history: History) -> bool:
    """Whether the last closed cycle trained the same rung for the same suite: this one can do so too."""
    closed = [cycle for run in history.runs[-1:] for cycle in run.cycles if cycle.closed]
    if not closed or history.cycles[-1].plan.rung != plan.rung:
        return False
    given = closed[-1].opened.params
    try:
        ladder = TrainingParams.model_validate(given.get("training")).ladder
        known_suite = SuiteParams.model_validate(given.get("suite"))
    except ValidationError:  # of another version of the project
        return False
    return known_suite == suite and ladder[plan.rung : plan.rung + 1] == (training.rung(plan.rung),)


def _is_of_a_cycle(catalog: CatalogProtocol, history: History) -> bool:
    """Whether a cycle wrote the inherited mix; a seed's, or an adopted one, is read in full before it is pinned."""
    version = cast(AbstractVersionedDataset, catalog["mix"]).resolve_load_version()
    return version in history.run_ids
