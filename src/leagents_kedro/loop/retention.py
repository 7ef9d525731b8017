"""What becomes of old versions: between cycles, what nothing needs any more is deleted.

Only checkpoints and data sets are: records, pages, and the ledger are small, and decisions are replayed from them.
"""

import fcntl
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractDataset, CatalogProtocol

from leagents_kedro.datasets.checkpoint import CheckpointDataset
from leagents_kedro.datasets.lerobot_shards import LeRobotShards
from leagents_kedro.datasets.published import PublishedDataset
from leagents_kedro.datasets.versions import inherited
from leagents_kedro.datasets.workspace import WorkspaceDataset
from leagents_kedro.foundation.files import ensure_folder, lock
from leagents_kedro.history.history import History
from leagents_kedro.loop.events import log
from leagents_kedro.parameters.retention import RetentionParams
from leagents_kedro.parameters.validation import validated

logger = logging.getLogger(__name__)

type _Version = tuple[PurePosixPath, str]
"""The place of a catalog entry, which entries such as ``mix`` and ``next_mix`` share, and a version in it."""


class RetentionHooks:
    """Tidies up between cycles.

    Every run with the same ledger holds a shared lock as long as it lives. Where another one is active, nothing is
    deleted that it could be reading, or that only looks as if a killed run had left it.
    """

    def __init__(self) -> None:
        self._lock: IO[str] | None = None

    @hook_impl(trylast=True)  # after the command was checked
    def after_context_created(self, context: KedroContext) -> None:
        """Check the parameters.

        Raises:
            ParameterError: A key is unknown or missing, or its value out of range.
        """
        _params(context.config_loader["parameters"])

    @hook_impl
    def before_pipeline_run(self, catalog: CatalogProtocol) -> None:
        """Announce this run."""
        self._release()
        place = _lock_file(catalog)
        ensure_folder(place.parent)
        self._lock = place.open("a", encoding="utf-8")
        lock(self._lock, fcntl.LOCK_SH)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Say that it is over."""
        self._release()

    @hook_impl
    def on_pipeline_error(self) -> None:
        """Say that it is over."""
        self._release()

    @hook_impl
    def between_cycles(self, history: History, catalog: CatalogProtocol, closed_here: int) -> None:
        """Delete what abandoned cycles published, scratch, what killed runs left, and what retention lets go."""
        discard_abandoned(history, catalog)
        datasets = _datasets(catalog)
        with self._alone(catalog) as alone:
            for workspace in _workspaces(datasets):
                for folder in workspace.folders():
                    if alone or folder.name in history.run_ids:
                        workspace.discard(folder.name)
            if alone and not closed_here:
                closed = {cycle.opened.run_id for run in history.runs for cycle in run.cycles if cycle.closed}
                for dataset in datasets.values():
                    if isinstance(dataset, PublishedDataset):
                        dataset.discard_strays(closed)
            if alone and (params := _params(catalog.load("parameters"))):
                _retire(params, history, catalog, datasets)

    @contextmanager
    def _alone(self, catalog: CatalogProtocol) -> Iterator[bool]:
        """Keep other runs from starting; whether none is active."""
        self._release()
        with _lock_file(catalog).open("a", encoding="utf-8") as file:
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _release(self) -> None:
        if self._lock:
            fcntl.flock(self._lock, fcntl.LOCK_UN)  # closing is not enough: workers share the open file
            self._lock.close()
            self._lock = None


def _lock_file(catalog: CatalogProtocol) -> Path:
    return Path(catalog["ledger"].folder, ".running.lock")


def discard_abandoned(history: History, catalog: CatalogProtocol) -> None:
    """Delete what abandoned cycles published: no later cycle starts from it. Safe to repeat."""
    for run in history.runs:
        for cycle in run.cycles:
            if cycle.abandoned:
                for name, version in cycle.opened.pins.items():
                    dataset = catalog.get(name)
                    if version == cycle.opened.run_id and isinstance(dataset, PublishedDataset):
                        dataset.retire(version, f"{cycle.abandoned.by} abandoned cycle {cycle.opened.cycle}")


def scratch(run_id: str, catalog: CatalogProtocol) -> list[Path]:
    """Return the folders that the nodes of a cycle have worked in."""
    return [
        path for workspace in _workspaces(_datasets(catalog)) for path in workspace.folders() if path.name == run_id
    ]


def _workspaces(datasets: dict[str, AbstractDataset | None]) -> list[WorkspaceDataset]:
    return [dataset for dataset in datasets.values() if isinstance(dataset, WorkspaceDataset)]


def _params(parameters: dict[str, Any]) -> RetentionParams | None:
    return validated(RetentionParams, "retention", parameters["retention"]) if "retention" in parameters else None


def _datasets(catalog: CatalogProtocol) -> dict[str, AbstractDataset | None]:
    return {name: catalog.get(name) for name in sorted(pipelines["cycle"].datasets())}


def _retire(
    params: RetentionParams, history: History, catalog: CatalogProtocol, datasets: dict[str, AbstractDataset | None]
) -> None:
    """Delete the versions that are not to be kept, and say which."""
    if params.keep_last is None:
        return
    large = {name: each for name, each in datasets.items() if isinstance(each, CheckpointDataset | LeRobotShards)}
    places = {dataset._filepath: dataset for dataset in large.values()}
    versions = {place: dataset.list_versions(full_path=False) for place, dataset in places.items()}
    kept = {
        (place, version)
        for place, present in versions.items()
        for of_the_loop in (True, False)  # what runs by hand wrote takes no place of what the ledger names
        for version in [each for each in present if (each in history.versions) is of_the_loop][: params.keep_last]
    }
    named = [*_cited(params, history), *inherited(catalog, history).items()]
    kept |= {(large[name]._filepath, version) for name, version in named if name in large}
    kept = _with_named(kept, versions, json.dumps(catalog.load("parameters"), default=str))
    gone: dict[str, list[str]] = defaultdict(list)
    for place, dataset in places.items():
        for version in versions[place]:
            if (place, version) not in kept:
                dataset.retire(version, f"retention.keep_last={params.keep_last} let it go")
                gone[version].append(place.name)
    for version, names in sorted(gone.items()):
        logger.info("Retention deleted version %s of %s", version, ", ".join(names))
        log(catalog, version, {"event": "retired", "entries": names})


def _cited(params: RetentionParams, history: History) -> Iterator[tuple[str, str]]:
    """Yield entries and versions that decisions rest on, and what the first cycle started from."""
    cycles = [cycle for run in history.runs for cycle in run.cycles]
    for opened in (cycle.opened for cycle in cycles[:1]):
        yield from ((name, version) for name, version in opened.pins.items() if version != opened.run_id)
    for cycle in cycles:
        if cycle.closed and cycle.closed.record.decision.verdict in params.keep_cited_by:
            yield from cycle.opened.pins.items()


def _with_named(kept: set[_Version], versions: dict[PurePosixPath, list[str]], text: str) -> set[_Version]:
    """Return ``kept`` with all whose version stands in ``text``, or in a checkpoint that is kept: an adapter's base."""
    new = kept
    while new:
        for place, version in new:
            folder = Path(place, version, place.name, "pretrained_model")
            text += "".join(
                file.read_text(encoding="utf-8")
                for file in folder.glob("*config.json")
                if file.name != "train_config.json"
            )
        new = {(place, version) for place, known in versions.items() for version in known if version in text} - kept
        kept = kept | new
    return kept
