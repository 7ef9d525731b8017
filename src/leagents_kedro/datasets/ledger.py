"""The append-only history of the loop."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kedro.io.core import AbstractDataset

from leagents_kedro.datasets.places import local_path
from leagents_kedro.datasets.published import NamedErrors
from leagents_kedro.errors import LedgerError
from leagents_kedro.foundation.files import check_reachable, ensure_folder, lock, sync

_BLOCK_BYTES = 1 << 12


class LedgerDataset(NamedErrors, AbstractDataset[dict[str, Any], list[dict[str, Any]]]):
    """A file of JSON lines, one event a line: ``save`` appends a row, ``load`` gives all of them.

    A row is on the disk when ``save`` returns; one that is not ``durable`` survives the process, but perhaps no power
    cut. A line that a crash cut short was never acknowledged: it is no row, and the next append takes its place.
    """

    def __init__(self, filepath: str, durable: bool = True, metadata: dict[str, Any] | None = None):
        self._filepath = Path(local_path(filepath))
        self._durable = durable
        self.metadata = metadata

    def load(self) -> list[dict[str, Any]]:
        """Return the rows in the order they were appended; none where there is no file.

        Raises:
            LedgerError: A line other than an unfinished last one is no JSON object.
            StorageError: A link on the way to the file leads nowhere.
        """
        check_reachable(self._filepath)
        content = self._filepath.read_bytes() if self._filepath.exists() else b""
        *lines, _ = content.split(b"\n")
        return [self._parse(line, number) for number, line in enumerate(lines, start=1)]

    def save(self, data: dict[str, Any]) -> None:
        """Append a row, and wait until the disk has it if it is to be durable."""
        ensure_folder(self._filepath.parent)
        with self._filepath.open("ab+") as file:
            file.truncate(_end_of_rows(file))
            file.write(json.dumps(data).encode() + b"\n")
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
        if self._durable:
            sync(self._filepath.parent)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other driver of the loop out while the context is open.

        Raises:
            LedgerError: Another process holds the lock.
        """
        ensure_folder(self._filepath.parent)
        with self._filepath.with_name(f".{self._filepath.name}.lock").open("a+", encoding="utf-8") as file:
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise LedgerError(
                    f"{self._filepath}: another driver of the loop holds the ledger ({file.read()}). "
                    "Wait for it, or stop it: two drivers cannot write one history."
                ) from None
            # A worker that outlives a killed driver must not hold the lock in its place.
            os.register_at_fork(after_in_child=file.close)
            file.truncate(0)
            file.write(f"pid {os.getpid()} on {socket.gethostname()}")
            file.flush()
            yield

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise LedgerError(
                f"{self._filepath}, line {number}: expected a JSON object, got {line[:80]!r}. The file was damaged "
                "or edited; restore it from a copy, or remove this line and all below it."
            )
        return row

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


def _end_of_rows(file: BinaryIO) -> int:
    """Return where the last whole line ends; nothing before that line is read, however long the file is."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - _BLOCK_BYTES)
        file.seek(start)
        if newline := file.read(end - start).rfind(b"\n") + 1:
            return start + newline
        end = start
    return 0
