"""Folders that all runs share."""

from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset

from leagents_kedro.datasets.places import local_path
from leagents_kedro.foundation.files import ensure_folder


class FolderDataset(AbstractDataset[NoReturn, Path]):
    """A folder without versions, whose content any run can make again: it can be deleted between two runs."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None):
        self._filepath = Path(local_path(filepath))
        self.metadata = metadata

    def load(self) -> Path:
        """Return the folder, made at need."""
        ensure_folder(self._filepath)
        return self._filepath

    def save(self, data: NoReturn) -> None:
        """Refuse: a folder is written by the node that loads it."""
        raise NotImplementedError("a folder is an input of a node, which writes into it itself")

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
