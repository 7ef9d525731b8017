"""The ledger, read as the history that it tells and written row by row."""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from kedro.io.core import AbstractDataset

from leagents_kedro.datasets.ledger import LedgerDataset
from leagents_kedro.datasets.published import NamedErrors
from leagents_kedro.foundation.files import FileState
from leagents_kedro.history.history import History, Row

_PAST: dict[FileState, History] = {}
"""The ledger as this process last saw it, and what it told."""


class HistoryDataset(NamedErrors, AbstractDataset[Row, History]):
    """The loop's memory: a `LedgerDataset` whose rows are those of ``leagents_kedro.history``."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None):
        self._rows = LedgerDataset(filepath)
        self.metadata = metadata

    @property
    def folder(self) -> Path:
        """Where the ledger lies: the folder of all that the loop writes, but for its pages."""
        return self._rows._filepath.parent

    def load(self) -> History:
        """Return the past; an empty one where there is no file.

        A file that is as this process last read or wrote it is not read again.

        Raises:
            LedgerError: The file is damaged, or a row is malformed or out of order.
            StorageError: A link on the way to the file leads nowhere.
        """
        if not self._rows.exists():
            return History.of(self._rows.load())
        state = self._state()
        return _PAST.get(state) or _remembered(state, History.of(self._rows.load()))

    def save(self, data: Row) -> None:
        """Append a row, and wait until the disk has it.

        Raises:
            LedgerError: The row does not follow from those above it.
        """
        row = data.model_dump(mode="json")
        past = _PAST.get(self._state()) if self._rows.exists() else History()
        history = past.after([row]) if past else None
        self._rows.save(row)
        if history:
            _remembered(self._state(), history)

    def _state(self) -> FileState:
        return FileState.of(self._rows._filepath)

    def lock(self) -> AbstractContextManager[None]:
        """Keep every other driver of the loop out while the context is open.

        Raises:
            LedgerError: Another process holds the lock.
        """
        return self._rows.lock()

    def _exists(self) -> bool:
        return self._rows.exists()

    def _describe(self) -> dict[str, Any]:
        return self._rows._describe()


def _remembered(state: FileState, history: History) -> History:
    _PAST.clear()
    _PAST[state] = history
    return history
