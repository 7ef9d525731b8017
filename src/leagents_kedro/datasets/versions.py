"""Which version of every catalog entry a cycle reads, and under which id it writes.

What a cycle inherits is what the ledger says, whatever lies beside it: see `inherited`.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from kedro.framework.project import pipelines
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
from leagents_kedro.history.history import NO_VERSION, History


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


def content_of(catalog: CatalogProtocol, name: str, version: str) -> Any:
    """Return what one version of the catalog entry ``name`` holds; None where it, or the entry, is not there."""
    dataset = version_of(catalog, name, version)
    return dataset.load() if dataset and dataset.exists() else None


def cycle_datasets(catalog: CatalogProtocol) -> dict[str, AbstractVersionedDataset]:
    """Return the datasets of a cycle that keep versions, by their names in the catalog."""
    return versioned_datasets(pipelines["cycle"], catalog)


def inherited(catalog: CatalogProtocol, history: History) -> dict[str, str]:
    """Return the version of everything that the next cycle reads, as the ledger tells it.

    A cycle reads what the last closed one wrote to the same place (``mix`` is ``next_mix``, ``head`` the candidate).
    What the ledger knows of no place has `NO_VERSION`, which never exists: a resumed run must not read what it wrote
    itself.
    """
    datasets = cycle_datasets(catalog)
    left = {place_of(datasets[name]): version for name, version in history.inherited.items() if name in datasets}
    return {name: left.get(place_of(dataset), NO_VERSION) for name, dataset in _inputs(datasets).items()}


def latest(catalog: CatalogProtocol) -> dict[str, str]:
    """Return the greatest version that is there of everything that the next cycle reads, whatever the ledger says."""
    return {name: _latest(dataset) for name, dataset in _inputs(cycle_datasets(catalog)).items()}


def pin(catalog: CatalogProtocol, history: History, run_id: str) -> dict[str, str]:
    """Return the version of every dataset of the next cycle: inputs as inherited, outputs as it will save them."""
    return dict.fromkeys(cycle_datasets(catalog), run_id) | inherited(catalog, history)


def inherited_places(catalog: CatalogProtocol) -> set[str]:
    """Return where versions are kept that a cycle inherits."""
    pipelines.set_requested(None)
    return set(map(place_of, _inputs(cycle_datasets(catalog)).values()))


def place_of(dataset: AbstractVersionedDataset) -> str:
    """Return where a dataset keeps its versions, which entries may share."""
    return str(dataset._filepath)


def stray_versions(catalog: CatalogProtocol, history: History) -> dict[str, list[str]]:
    """Return versions that no row of the ledger names, with the entries that hold them."""
    found: dict[str, list[str]] = {}
    for name, dataset in cycle_datasets(catalog).items():
        for version in _versions(dataset, history.versions):
            found.setdefault(version, []).append(name)
    return found


def lost_cycles(catalog: CatalogProtocol, history: History) -> list[str]:
    """Return the versions later than any in the ledger that whole cycles wrote: it has lost their rows."""
    datasets = cycle_datasets(catalog)
    outputs = [datasets[name] for name in datasets.keys() - _inputs(datasets).keys()]
    last = max(history.versions, default="")
    if not outputs or any(_latest(dataset) == NO_VERSION or _latest(dataset) <= last for dataset in outputs):
        return []
    return sorted(set.intersection(*({each for each in _versions(dataset) if each > last} for dataset in outputs)))


def next_run_id(datasets: Iterable[AbstractVersionedDataset], run_ids: Iterable[str]) -> str:
    """Return an id that sorts after every version and run id so far, as "latest" means the greatest.

    It is Kedro's timestamp, or the millisecond after the greatest id where the clock was set back.

    Raises:
        LedgerError: A version sorts after the present, and is no timestamp.
    """
    now = generate_timestamp()
    places = {place_of(dataset): dataset for dataset in datasets}
    greatest = max({*map(_latest, places.values()), *run_ids} - {NO_VERSION}, default="")
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


def _inputs(datasets: Mapping[str, AbstractVersionedDataset]) -> dict[str, AbstractVersionedDataset]:
    """Return those of a cycle's ``datasets`` that it reads and does not write."""
    inputs = pipelines["cycle"].inputs()
    return {name: dataset for name, dataset in datasets.items() if name in inputs}


def _latest(dataset: AbstractVersionedDataset) -> str:
    try:
        return dataset.resolve_load_version() or NO_VERSION
    except VersionNotFoundError:
        return NO_VERSION


def _versions(dataset: AbstractVersionedDataset, but: Collection[str] = ()) -> list[str]:
    if isinstance(dataset, PublishedDataset):
        return dataset.versions(but)
    try:
        return [version for version in dataset.list_versions(full_path=False) if version not in but]
    except VersionNotFoundError:
        return []
