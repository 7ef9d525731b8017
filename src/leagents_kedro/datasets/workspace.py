"""Scratch folders that outlive a crash."""

import shutil
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, NoReturn

from kedro.io.core import AbstractVersionedDataset, Version

from leagents_kedro.datasets.places import local_path
from leagents_kedro.foundation.clock import is_version
from leagents_kedro.foundation.files import ensure_folder


class WorkspaceDataset(AbstractVersionedDataset[NoReturn, Path]):
    """A folder that belongs to one run: ``<filepath>/<run id>/``, the same again when the run is resumed.

    A node that takes hours keeps its progress there. It loads as a path and is made at need; nothing
    saves it. Retention deletes it before the next cycle is opened.
    """

    versioned: ClassVar[bool] = True

    def __init__(self, filepath: str, version: Version | None = None, metadata: dict[str, Any] | None = None):
        super().__init__(PurePosixPath(local_path(filepath)), version)
        self.metadata = metadata

    def load(self) -> Path:
        """Return the folder of this run."""
        folder = Path(self._get_load_path())
        ensure_folder(folder)
        return folder

    def save(self, data: NoReturn) -> None:
        """Refuse: a workspace is written by the node that loads it."""
        raise NotImplementedError("a workspace is an input of a node, which writes into the folder itself")

    def discard(self, run_id: str) -> None:
        """Delete the folder of a run, if there is one."""
        shutil.rmtree(self._get_versioned_path(run_id), ignore_errors=True)

    def folders(self) -> list[Path]:
        """Return those that are there, each named after its run."""
        folder = Path(self._filepath)
        return sorted(path for path in folder.iterdir() if is_version(path.name)) if folder.is_dir() else []

    def resolve_load_version(self) -> str | None:
        """Return the id of the run, whatever was there before it."""
        return self.resolve_save_version()

    def _get_versioned_path(self, version: str) -> PurePosixPath:
        return super()._get_versioned_path(version).parent

    def _exists(self) -> bool:
        return Path(self._get_load_path()).is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}
