"""``make clean``: forget every run of the project in the working directory, once no command is at it."""

import fcntl
import os
from contextlib import ExitStack, suppress
from pathlib import Path

from leagents_kedro.errors import StorageError
from leagents_kedro.foundation.clock import is_version
from leagents_kedro.foundation.files import lock

_LOCKS = ".*.lock"
_VERSION_LENGTH = len("2026-01-31T08.00.00.000Z")


def clear(project: Path) -> None:
    """Delete all below ``data`` but its README, and the pages that runs wrote; people's notes beside the pages stay.

    It waits until no run of the project is active, and keeps the lock files: one that is deleted locks nobody out.

    Raises:
        StorageError: The file system has no locks.
    """
    data = (project / "data").resolve()
    with ExitStack() as held:
        for path in sorted(data.rglob(_LOCKS)):
            file = held.enter_context(path.open("a+", encoding="utf-8"))
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "a run of one stage"
                print(f"Waiting for a run that is active: it holds {path} ({holder}).", flush=True)
                lock(file, fcntl.LOCK_EX)
        _empty(data)
        for page in (project / "knowledge").glob("**/experiments/*"):
            if is_version(page.name.lstrip(".")[:_VERSION_LENGTH]):
                page.unlink()


def _empty(data: Path) -> None:
    for parent, folders, files in os.walk(data, topdown=False):
        for name in folders:
            folder = Path(parent, name)
            if folder.is_symlink():
                folder.unlink()
            else:
                with suppress(OSError):  # a lock is in it
                    folder.rmdir()
        for path in (Path(parent, name) for name in files):
            if not path.match(_LOCKS) and path != data / "README.md":
                path.unlink()


if __name__ == "__main__":
    try:
        clear(Path.cwd())
    except (KeyboardInterrupt, StorageError) as end:
        raise SystemExit(f"Nothing was deleted. {end}") from None
