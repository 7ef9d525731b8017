"""The checks of what the next cycle starts from: the ledger says what it is, and it is there."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.datasets.versions import NO_VERSION, inherited, lost_cycles, stray_versions, version_of
from leagents_kedro.foundation.findings import Finding, error, warning
from leagents_kedro.foundation.typed import typed
from leagents_kedro.history.history import History

if TYPE_CHECKING:
    from kedro.io import CatalogProtocol

type _Inherited = dict[str, tuple[PublishedDataset, str]]
"""What the next cycle reads, each at its version."""


def examine_inheritance(catalog: "CatalogProtocol", history: History) -> list[Finding]:
    """Return why the next cycle cannot start from what the ledger says."""
    versions = {
        name: (dataset, version)
        for name, version in inherited(catalog, history).items()
        if (dataset := version_of(catalog, name, version))
    }
    return [*_missing(versions, history), *_lost(catalog, versions, history)]


def examine_strays(catalog: "CatalogProtocol", history: History) -> list[Finding]:
    """Return the versions that no row of the ledger names; no cycle inherits them."""
    return [
        warning(
            ", ".join(names),
            f"version {version} is in no row of the ledger: a run by hand wrote it, or a cycle whose rows are lost; no "
            "cycle inherits it",
            f"to have the next cycle start from it: {typed(f'loop adopt {version} --by NAME')}",
        )
        for version, names in sorted(stray_versions(catalog, history).items())
    ]


def _missing(versions: "_Inherited", history: History) -> Iterator[Finding]:
    pending = history.seed.run_id if history.seed else None
    for name, (dataset, version) in versions.items():
        if version in {NO_VERSION, pending} or dataset.exists():
            continue
        yield error(
            name,
            f"version {version}, from which the ledger has the next cycle start, is not in {dataset._filepath}",
            f"restore it from a copy, or choose another: {typed('loop adopt RUN_ID --by NAME')}; {_rebase()}",
        )


def _lost(catalog: "CatalogProtocol", versions: "_Inherited", history: History) -> Iterator[Finding]:
    if lost := lost_cycles(catalog, history):
        yield error(
            "ledger",
            f"cycles that it does not know wrote the versions {', '.join(lost)}: it is older than they are",
            f"restore the ledger from a newer copy; {_rebase()}",
        )
        return
    for name, (dataset, version) in versions.items():
        if version != NO_VERSION or dataset.optional or history.choice:
            continue
        if unknown := [each for each, names in stray_versions(catalog, history).items() if name in names]:
            yield error(
                name,
                f"the ledger knows of none, and there is version {max(unknown)}",
                f"to start from it: {typed(f'loop adopt {max(unknown)} --by NAME')}; to seed anew: "
                f"{typed('run --pipelines=seed')}",
            )


def _rebase() -> str:
    return f"to go on with the versions that are there: {typed('loop rebase --by NAME')}"
