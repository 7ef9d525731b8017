"""Which version of every catalog entry a cycle reads, and under which id it writes."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import cast

from kedro.io import CatalogProtocol, DataCatalog
from kedro.io.core import (
    VERSION_FORMAT,
    AbstractVersionedDataset,
    Version,
    VersionNotFoundError,
    generate_timestamp,
)
from kedro.pipeline import Pipeline

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.datasets.workspace import WorkspaceDataset
from leagents_kedro.errors import LedgerError

NO_VERSION = "none"


def versioned_datasets(pipeline: Pipeline, catalog: CatalogProtocol) -> dict[str, AbstractVersionedDataset]:
    """Return the datasets of ``pipeline`` that keep versions, by their names in the catalog.

    Workspaces are not among them: they belong to the run, whatever was there before it.
    """
    datasets = {name: catalog.get(name) for name in sorted(pipeline.datasets())}
    return {
        name: dataset
        for name, dataset in datasets.items()
        if isinstance(dataset, AbstractVersionedDataset)
        and not isinstance(dataset, WorkspaceDataset)
        and dataset.resolve_save_version()
    }


def version_of(catalog: CatalogProtocol, name: str, version: str) -> PublishedDataset | None:
    """Return the catalog entry ``name`` at one version of it; None where there is no such entry, or it has none."""
    if name not in catalog:
        return None
    dataset = cast(DataCatalog, catalog).get(name, version=Version(version, None))
    return dataset if isinstance(dataset, PublishedDataset) else None


def pin(pipeline: Pipeline, datasets: Mapping[str, AbstractVersionedDataset], run_id: str) -> dict[str, str]:
    """Return the version of every dataset for a run: inputs as they are now, outputs as the run will save them.

    An input that has no version yet is pinned to `NO_VERSION`, which never exists: a resumed run must not read
    what it wrote itself.
    """
    inputs = pipeline.inputs()
    return {name: _latest(dataset) if name in inputs else run_id for name, dataset in datasets.items()}


def next_run_id(datasets: Iterable[AbstractVersionedDataset], run_ids: Iterable[str]) -> str:
    """Return an id that sorts after every version and run id so far, as "latest" means the greatest.

    It is Kedro's timestamp, or the millisecond after the greatest id where the clock was set back.

    Raises:
        LedgerError: A version sorts after the present, and is no timestamp.
    """
    now = generate_timestamp()
    greatest = max({_latest(dataset) for dataset in datasets} - {NO_VERSION} | set(run_ids), default="")
    if greatest < now:
        return now
    try:
        after = datetime.strptime(greatest, VERSION_FORMAT) + timedelta(milliseconds=1)
    except ValueError:
        raise LedgerError(
            f"The version {greatest!r} of a catalog entry is no timestamp and sorts after every one, so nothing could "
            "become the latest version after it. Rename its folder to a timestamp such as 2026-01-31T08.00.00.000Z."
        ) from None
    return f"{after.strftime(VERSION_FORMAT)[:-4]}Z"


def _latest(dataset: AbstractVersionedDataset) -> str:
    try:
        return dataset.resolve_load_version() or NO_VERSION
    except VersionNotFoundError:
        return NO_VERSION
