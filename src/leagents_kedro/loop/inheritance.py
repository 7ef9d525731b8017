"""What runs outside of the loop may do: anything but a whole cycle; and no cycle inherits what they wrote."""

import logging
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.datasets.versions import inherited_places, place_of
from leagents_kedro.errors import LedgerError, ParameterError
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import History
from leagents_kedro.loop.request import SLICES

logger = logging.getLogger(__name__)


class InheritanceHooks:
    """Refuse a whole cycle that the ledger does not know of, in every kind of session, and tell what is inherited."""

    @hook_impl(tryfirst=True)
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Check the run before any of it.

        Raises:
            LedgerError: It is a whole cycle, and the ledger did not open it.
            ParameterError: Two of its outputs are one place.
        """
        names, part = set(run_params.get("pipeline_names") or ["cycle"]), any(map(run_params.get, SLICES))
        if names & {"cycle", "__default__"} and not part and not _is_told(run_params, catalog):
            raise LedgerError(
                f"A whole cycle runs in the loop only, by itself and on the versions that the ledger says: "
                f"{typed('run')}, or CycleSession.run(). Name a part of it to run that once: "
                f"{typed('run --pipelines=training')}"
            )
        places = defaultdict(list)
        for name, dataset in _published(pipeline, catalog).items():
            places[place_of(dataset)].append(name)
        for place, shared in places.items():
            if len(shared) > 1:
                raise ParameterError(
                    f"{' and '.join(shared)} are both written by this run, and are one place ({place}): run the "
                    "pipelines one after the other"
                )

    @hook_impl
    def after_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: CatalogProtocol) -> None:
        """Say of what a run by hand wrote that no cycle starts from it."""
        written = _published(pipeline, catalog)
        if written and not _is_told(run_params, catalog):
            places = inherited_places(catalog)
            if names := [name for name, dataset in written.items() if place_of(dataset) in places]:
                logger.info(
                    "No cycle starts from what this run wrote (%s). To have the next one do so: %s",
                    ", ".join(names),
                    typed(f"loop adopt {run_params['run_id']} --by NAME"),
                )


def _is_told(run_params: Mapping[str, Any], catalog: CatalogProtocol) -> bool:
    """Whether the ledger tells of this run: the driver wrote a row before it."""
    if "ledger" not in catalog:
        return False
    history: History = catalog["ledger"].load()
    told = {history.open_cycle.run_id if history.open_cycle else None, history.seed.run_id if history.seed else None}
    return run_params.get("run_id") in told


def _published(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, PublishedDataset]:
    written = sorted(pipeline.all_outputs())
    datasets = {name: catalog.get(name) for name in written if name in catalog}
    return {name: dataset for name, dataset in datasets.items() if isinstance(dataset, PublishedDataset)}
