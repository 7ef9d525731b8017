"""``make clean``: forget every run of the project in the working directory, once no command is at it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

from leagents_kedro.datasets.places import local_path
from leagents_kedro.errors import LeAgentsError
from leagents_kedro.foundation.clock import is_version
from leagents_kedro.foundation.files import lock, remove
from leagents_kedro.loop.interruption import clean_exit

_LOCKS = ".*.lock"
_VERSION_LENGTH = len("2026-01-31T08.00.00.000Z")
_PAGES = "experiments"


def clear(project: Path) -> None:
    """Delete all below ``data`` but its README, and the pages that runs wrote; people's notes beside the pages stay.

    Of places that ``globals.yml`` names elsewhere what entries of the catalog hold is deleted, and nothing else there.
    It waits until no run of the project is active, and keeps the lock files: one that is deleted locks nobody out.

    Raises:
        ParameterError: The configuration, which names the places, is damaged.
        StorageError: The file system has no locks.
    """
    data = (project / "data").resolve()
    elsewhere = sorted(set(_elsewhere(project)))
    with ExitStack() as held:
        beside = (found for path in elsewhere for found in (*path.parent.glob(_LOCKS), *path.rglob(_LOCKS)))
        for path in sorted({*data.rglob(_LOCKS), *beside}):
            file = held.enter_context(path.open("a+", encoding="utf-8"))
            try:
                lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read() or "a run of one stage"
                print(f"Waiting for a run that is active: it holds {path} ({holder}).", flush=True)
                lock(file, fcntl.LOCK_EX)
        _empty(data)
        for path in elsewhere:
            if path.name != _PAGES:
                remove(path)
        folders = [*(project / "knowledge").glob(f"**/{_PAGES}"), *(path for path in elsewhere if path.name == _PAGES)]
        for page in (page for folder in folders for page in folder.glob("*")):
            if is_version(page.name.lstrip(".")[:_VERSION_LENGTH]):
                page.unlink()


def _elsewhere(project: Path) -> Iterator[Path]:
    """Yield where entries of the catalog lie outside of ``data`` and ``knowledge``, in any environment."""
    if not (project / "pyproject.toml").is_file():
        return
    from kedro.framework.project import settings  # which logs where there is no project
    from kedro.framework.startup import bootstrap_project

    bootstrap_project(project)
    conf = project / settings.CONF_SOURCE
    for env in (None, *sorted(folder.name for folder in conf.glob("*/"))):
        for entry in settings.CONFIG_LOADER_CLASS(conf, env=env, **settings.CONFIG_LOADER_ARGS)["catalog"].values():
            path = project / local_path(entry.get("filepath", "data"))
            if not any(path.is_relative_to(project / known) for known in ("data", "knowledge", settings.CONF_SOURCE)):
                yield path


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
        with clean_exit():
            clear(Path.cwd())
    except LeAgentsError as fault:
        raise SystemExit(f"Error: {fault}") from None
