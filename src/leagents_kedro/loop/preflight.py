"""What is checked before a cycle is opened: its parameters stay with it, also those that it cannot run with."""

from typing import cast

from kedro.framework.hooks import hook_impl
from kedro.io import AbstractVersionedDataset, CatalogProtocol

from leagents_kedro.constitution.commands import review, training_command
from leagents_kedro.doctor.checkpoints import examine_checkpoint
from leagents_kedro.doctor.datasets import examine_dataset
from leagents_kedro.errors import CheckpointError, EpisodesError
from leagents_kedro.foundation.findings import stop_at_errors
from leagents_kedro.history.history import History
from leagents_kedro.pipelines.selection.nodes import propose_plan, review_plan, select_episodes
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
            ConstitutionError: The training of a rung, or an episode that the cycle may run, would break a limit.
        """
        if "params:suite" not in catalog:
            return
        history, blessed = catalog.load("ledger"), catalog.load("blessed")
        constitution, training = catalog.load("constitution"), catalog.load("params:training")
        review(constitution, [training_command(rung, training) for rung in training.ladder])
        suite = resolve_suite(catalog.load("params:suite"), catalog.load("params:evaluation"), constitution)
        plan = propose_plan(
            history,
            blessed,
            suite,
            training,
            catalog.load("params:gating"),
            catalog.load("params:harvest"),
            catalog.load("params:demonstrations"),
        )
        review_plan(plan, constitution, suite, training)
        if catalog["mix"].exists():
            mix = catalog.load("mix")
            select_episodes(mix, suite, catalog.load("params:selection"))
            if not _is_of_a_cycle(catalog, history):
                stop_at_errors(examine_dataset(mix.root, suite), EpisodesError)
        for checkpoint in (catalog.load("head") if "head" in catalog else None, blessed):
            if checkpoint:
                stop_at_errors(examine_checkpoint(checkpoint.path, suite, content=False), CheckpointError)


def _is_of_a_cycle(catalog: CatalogProtocol, history: History) -> bool:
    """Whether a cycle wrote the latest mix; what a seed or a person put there is read in full before it is pinned."""
    version = cast(AbstractVersionedDataset, catalog["mix"]).resolve_load_version()
    return version in history.run_ids
