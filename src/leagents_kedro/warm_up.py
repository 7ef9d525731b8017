"""What simulates later imports its libraries now, on another core, while this process imports and trains."""

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

_EVALUATION = "params:evaluation"  # input of every node that simulates


class WarmUpHooks:
    """Start the server of worker processes as soon as it is known that some will be needed."""

    @hook_impl(tryfirst=True)
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Begin before anything heavy is imported here."""
        _warm_up(catalog)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin where a single stage or a resumed cycle is run."""
        if _EVALUATION in pipeline.inputs():
            _warm_up(catalog)


def _warm_up(catalog: CatalogProtocol) -> None:
    evaluation = catalog.load(_EVALUATION) if _EVALUATION in catalog else None
    if evaluation and (evaluation.workers != 1 or evaluation.episode_timeout_s):
        from leagents_kedro.simulation.workers import warm_up

        warm_up()
