"""What is checked before a cycle is opened: its parameters stay with it, also those that it cannot run with."""

from typing import Any, cast

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol

from leagents_kedro.constitution.commands import review, simulation_command, training_command
from leagents_kedro.doctor.checkpoints import examine_checkpoint
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.doctor.needs import Needs
from leagents_kedro.errors import CheckpointError, EpisodesError
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.gate.rules import schedule
from leagents_kedro.history.history import History
from leagents_kedro.pipelines.selection.nodes import propose_plan, select_episodes
from leagents_kedro.simulation.suites import resolve_suite


class PreflightHooks:
    """Stop the loop where the next cycle could not run; a project without a suite has nothing to check."""

    @hook_impl
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Check tasks, looks, every rung of the ladder, and that the mix covers the suite and fits the environment.

        Raises:
            ParameterError: A task, policy, or option is unknown, or the looks do not fit the number of tasks.
            EpisodesError: The mix has a fault, lacks a task of the suite, or is of another environment.
            CheckpointError: The blessed checkpoint, or the last candidate, changed, or is of another environment.
            ConstitutionError: The training of a rung, or the evaluation, would break a limit.
        """
        if "params:suite" not in catalog:
            return
        suite, training = catalog.load("params:suite"), catalog.load("params:training")
        tasks = resolve_suite(suite.environment, suite.tasks)
        looks = schedule(catalog.load("params:gating"), len(tasks))
        commands = [
            simulation_command(suite, looks[-1]),
            *(training_command(rung, training) for rung in training.ladder),
        ]
        review(catalog.load("constitution"), commands)
        ledger, blessed = catalog.load("ledger"), catalog.load("blessed")
        propose_plan(ledger, blessed, training, catalog.load("params:gating"))
        if catalog["mix"].exists():
            mix = catalog.load("mix")
            select_episodes(mix, suite, catalog.load("params:selection"))
            if not _is_of_a_cycle(catalog, ledger):
                stop_at_errors(examine_dataset(mix.root, Needs.of(suite)), EpisodesError)
        for checkpoint in (catalog.load("head") if "head" in catalog else None, blessed):
            if checkpoint:
                stop_at_errors(examine_checkpoint(checkpoint.path, Needs.of(suite), content=False), CheckpointError)


def _is_of_a_cycle(catalog: CatalogProtocol, ledger: list[dict[str, Any]]) -> bool:
    """Whether a cycle wrote the latest mix; what a seed or a person put there is read in full before it is pinned."""
    version = cast(AbstractVersionedDataset, catalog["mix"]).resolve_load_version()
    return version in History.of(ledger).run_ids
