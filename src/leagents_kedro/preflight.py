"""What is checked before a cycle is opened: its parameters stay with it, also those that it cannot run with."""

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol

from leagents_kedro.gate import schedule
from leagents_kedro.jobs import review, simulation_job, training_job
from leagents_kedro.policies.training import policy_config
from leagents_kedro.simulation.suites import resolve_suite


class PreflightHooks:
    """Stop the loop where the next cycle could not run; a project without a suite has nothing to check."""

    @hook_impl
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Check tasks, looks, and every rung of the ladder, also those that are not trained yet.

        Raises:
            ParameterError: A task, policy, or option is unknown, or the looks do not fit the number of tasks.
            ConstitutionError: The training of a rung, or the evaluation, would break a limit.
        """
        if "params:suite" not in catalog:
            return
        suite, training = catalog.load("params:suite"), catalog.load("params:training")
        tasks = resolve_suite(suite.environment, suite.tasks)
        looks = schedule(catalog.load("params:gating"), len(tasks))
        for rung in training.ladder:
            policy_config(rung, training.device)
        jobs = [simulation_job(suite, looks[-1]), *(training_job(rung, training) for rung in training.ladder)]
        review(catalog.load("constitution"), jobs)
