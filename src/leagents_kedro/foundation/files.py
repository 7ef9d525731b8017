"""Files that are there completely or not at all, also after a power cut, and that versions share."""

import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from leagents_kedro.errors import StorageError

_WITHOUT_LINKS = {
    *(errno.EXDEV, errno.EPERM, errno.EMLINK),
    *(errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES, errno.EINVAL),
}
_WITHOUT_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP}
_WITHOUT_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}


@dataclass(frozen=True)
class FileState:
    """A file as it is: equal to itself, and to its hard links, until it is written again; the key of a cache."""

    path: Path = field(compare=False)
    identity: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """Look at the file, or at the link where it leads nowhere: whoever reads it says so better."""
        try:
            status = path.stat()
        except OSError:
            status = path.lstat()
        return cls(path, (status.st_dev, status.st_ino, status.st_mtime_ns), status.st_size)


def check_reachable(path: Path) -> None:
    """Refuse a path through a link that leads nowhere, or through a file: nobody can tell what is missing behind it.

    Raises:
        StorageError: There is such a link or file.
    """
    for part in (path, *path.parents):
        if part.is_symlink() and not part.exists():
            raise StorageError(
                f"{part}: this link leads to {part.readlink()}, which is not there. Mount the disk or make the folder "
                "that it should lead to, or delete the link to start without what was there."
            )
    for part in path.parents:
        if part.is_file():
            raise StorageError(f"{part}: expected a folder, got a file. Move it away, or name another folder.")


def ensure_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are missing.

    Raises:
        StorageError: A link on the way leads nowhere, or there is a file.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        check_reachable(path / "inside")
        raise


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, where they are missing, and bring their names to the disk.

    Raises:
        StorageError: A link on the way leads nowhere.
    """
    if not path.is_dir():
        check_reachable(path)
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


@contextmanager
def staged(place: Path) -> Iterator[Path]:
    """Give a path beside ``place`` where a file or folder is made; then bring it to the disk, and rename it into place.

    What an earlier attempt left there is removed first. Where the making fails, ``place`` stays as it was. Others may
    read what they may read of any new file here, whatever wrote it: safetensors leaves its files to their owner alone.
    """
    staging = place.with_name(f".staging-{place.name}")
    remove(staging)
    yield staging
    _open_to_others(staging)
    sync_tree(staging)
    staging.rename(place)
    sync(place.parent)


def _open_to_others(path: Path) -> None:
    allowed = 0o666 & ~_umask()
    inside = (Path(folder, name) for folder, _, names in os.walk(path) for name in names)
    for file in inside if path.is_dir() else [path]:
        mode = stat.S_IMODE(file.lstat().st_mode)
        if mode | allowed != mode and not file.is_symlink():
            with suppress(OSError):  # another owner's file, or a file system without modes
                file.chmod(mode | allowed)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file that is there with all of ``content`` or not at all."""
    with staged(path) as staging:
        staging.write_bytes(content)


def link_file(source: Path, target: Path) -> None:
    """Make ``target`` the same file as ``source``, or a copy where the file system cannot link them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno not in _WITHOUT_LINKS:
            raise
        shutil.copy2(source, target)


def link_tree(source: Path, target: Path, *, leave_out: tuple[str, ...] = ()) -> None:
    """Make ``target`` a folder with the files of ``source``; names in ``leave_out`` are skipped at every depth."""
    shutil.copytree(
        source,
        target,
        copy_function=lambda file, link: link_file(Path(file), Path(link)),
        ignore=shutil.ignore_patterns(*leave_out),
    )


def lock(file: IO, operation: int) -> None:
    """Lock an open file as ``fcntl.flock`` does.

    Raises:
        BlockingIOError: Another process holds the lock, and ``operation`` says not to wait for it.
        StorageError: The file system has no locks.
    """
    try:
        fcntl.flock(file, operation)
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        raise StorageError(
            f"{file.name}: its file system has no locks ({error.strerror}), without which two commands would write at "
            "once. Put the folder on one that has: a local disk, or NFS with its lock service."
        ) from error


def remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def statuses(folder: Path) -> Iterator[os.stat_result]:
    """Yield the status of every file below ``folder``, that of a link itself, but for what is deleted meanwhile."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                yield Path(parent, name).lstat()


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, from the page cache to the disk, where its file system can do so."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _WITHOUT_SYNC:
            raise
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """Bring a file, or a folder with all that is in it, from the page cache to the disk."""
    if path.is_dir():
        for folder, _, files in os.walk(path):
            for name in files:
                sync(Path(folder, name))
            sync(Path(folder))
    else:
        sync(path)
