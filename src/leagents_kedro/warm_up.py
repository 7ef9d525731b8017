"""What takes long to import is imported before the loop needs it: here, and on another core for what simulates."""

import gc
from importlib import import_module

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

_EVALUATION = "params:evaluation"  # input of every node that simulates
_TRAINING = ("leagents_kedro.simulation.metaworld_state", "lerobot.policies.factory")


class WarmUpHooks:
    """Start the server of worker processes as soon as it is known that some will be needed."""

    @hook_impl(tryfirst=True)
    def before_cycle_opened(self, catalog: CatalogProtocol) -> None:
        """Begin before anything heavy is imported here."""
        if _warm_up(catalog):
            _import()

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Begin where a single stage or a resumed cycle is run."""
        if _EVALUATION in pipeline.inputs() and _warm_up(catalog):
            _import()


def _warm_up(catalog: CatalogProtocol) -> bool:
    """Start the server if there will be workers; whether anything is simulated."""
    evaluation = catalog.load(_EVALUATION) if _EVALUATION in catalog else None
    if evaluation and (evaluation.workers != 1 or evaluation.episode_timeout_s):
        from leagents_kedro.simulation.workers import warm_up

        warm_up()
    return evaluation is not None


def _import() -> None:
    """Import without collecting garbage, a tenth of the time: a million objects, and next to none of them garbage.

    Later collections leave them out, too.
    """
    gc.disable()
    try:
        for name in _TRAINING:
            import_module(name)
        gc.freeze()
    finally:
        gc.enable()
