"""What simulation needs takes long to import: it is imported on another core, before the loop needs it."""

from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

_EVALUATION = "params:evaluation"  # input of every node that simulates
_SUITE = "params:suite"


class WarmUpHooks:
    """Start the server of worker processes as soon as it is known that some will be needed."""

    @hook_impl
    def before_loop(self, parameters: dict[str, Any]) -> None:
        """Begin before anything heavy is imported here."""
        if "suite" in parameters:
            _start_server(parameters["suite"]["environment"], parameters["evaluation"])

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin where a single stage or a resumed cycle is run."""
        if _EVALUATION in pipeline.inputs():
            _start_server(catalog.load(_SUITE).environment, catalog.load(_EVALUATION).model_dump())


def _start_server(environment: str, evaluation: dict[str, Any]) -> None:
    if evaluation["workers"] != 1 or evaluation["episode_timeout_s"]:
        from leagents_kedro.simulation.workers import warm_up

        warm_up(environment)
