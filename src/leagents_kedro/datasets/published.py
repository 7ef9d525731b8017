"""Versions that are there completely or not at all."""

import os
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from kedro.io.core import AbstractDataset, AbstractVersionedDataset, Version, VersionNotFoundError
from kedro.io.core import DatasetError as KedroDatasetError

from leagents_kedro.datasets.places import local_path
from leagents_kedro.errors import LeAgentsError
from leagents_kedro.foundation.clock import is_version
from leagents_kedro.foundation.files import make_folder, remove, staged, sync, write_atomically

_EMPTY = "EMPTY"


def is_empty(version: Path) -> bool:
    """Whether a folder is a version that says: there is nothing yet."""
    return (version / _EMPTY).exists()


def make_empty(version: Path) -> None:
    """Make such a folder."""
    version.mkdir()
    (version / _EMPTY).touch()


class NamedErrors:
    """Mixin for datasets: errors of `leagents_kedro.errors` keep their names, and ``None`` can be saved.

    Kedro wraps ``load`` and ``save`` of every dataset class; these wrappers take the place of its own.
    """

    @classmethod
    def _load_wrapper(cls, load_func: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(load_func)
        def load(self: AbstractDataset) -> Any:
            with _named(self, "loading data from"):
                return load_func(self)

        load.__loadwrapped__ = True  # type: ignore[attr-defined]
        return load

    @classmethod
    def _save_wrapper(cls, save_func: Callable[..., None]) -> Callable[..., None]:
        @wraps(save_func)
        def save(self: AbstractDataset, data: Any) -> None:
            with _named(self, "saving data to"):
                save_func(self, data)

        save.__savewrapped__ = True  # type: ignore[attr-defined]
        return save


class PublishedDataset[In, Out](NamedErrors, AbstractVersionedDataset[In, Out | None]):
    """Writes a version beside its place, then renames it into place.

    A rename within a file system is atomic and everything is synced to the disk around it, so
    whatever ``exists()`` reports, ``load()`` can read: a crash or a power cut in the middle of a save
    leaves at most a stray ``.staging-*``, which the next save of that version removes.

    Subclasses implement `_write` and `_read` for a path, file or folder.
    """

    versioned: ClassVar[bool] = True
    suffix: ClassVar[str] = ""
    """What stands behind the version in the name of its file or folder below ``filepath``."""

    def __init__(
        self,
        filepath: str,
        version: Version | None = None,
        optional: bool = False,
        metadata: dict[str, Any] | None = None,
    ):
        """Place the dataset in ``filepath``, a local folder that holds one entry a version.

        Args:
            filepath: Where the versions are: ``<filepath>/<version>/<last part of filepath>``.
            version: Which version to load and to save; Kedro fills it in.
            optional: Whether loading a version that does not exist gives ``None``.
            metadata: Kept for plugins such as Kedro-Viz.

        Raises:
            kedro.io.DatasetError: ``filepath`` is not on this machine.
        """
        super().__init__(PurePosixPath(local_path(filepath)), version, glob_function=self._places)
        self.optional = optional
        self.metadata = metadata

    def load(self) -> Out | None:
        """Read the version.

        Returns:
            What `_read` makes of it; ``None`` where it does not exist and the dataset is optional.

        Raises:
            kedro.io.DatasetError: If it was retired, or does not exist and the dataset is not optional.
        """
        if self.exists():
            return self._read(Path(self._get_load_path()))
        wanted = self._version.load if self._version else None
        if wanted and self.retired(wanted):
            reason = (self._notices / wanted).read_text("utf-8")
            raise KedroDatasetError(f"Version {wanted} of {self._filepath} is gone: {reason}.")
        if self.optional:
            return None
        raise KedroDatasetError(
            f"No version in {self._filepath} (wanted: {wanted or 'any'}). Run the pipeline that writes it first, "
            "or set `optional: true` in the catalog if its absence is fine."
        )

    def save(self, data: In) -> None:
        """Write the version, all of it or nothing.

        Raises:
            kedro.io.DatasetError: If the version exists; a version is never changed.
        """
        self._clear_version_cache()
        target = Path(self._get_save_path())
        make_folder(target.parent)
        with staged(target) as staging:
            self._write(data, staging)
        for folder in {Path(self._filepath), Path(self._filepath.parent)} - {target.parent}:
            sync(folder)

    def retire(self, version: str, reason: str) -> None:
        """Delete a version, if it is there, and leave a notice that tells whoever loads it the ``reason``.

        It leaves its place by a rename, so it is there completely or not at all.
        """
        place, trash = Path(self._get_versioned_path(version)), Path(self._filepath, ".trash")
        if place.exists():
            make_folder(self._notices)
            write_atomically(self._notices / version, reason.encode())
            trash.mkdir(exist_ok=True)
            place.rename(trash / version)
            remove(trash)
            _remove_empty(place.parent)
            self.release()

    def discard_strays(self, closed: Collection[str]) -> None:
        """Delete what is left of versions whose saving or retiring was killed; nobody may be at either meanwhile.

        ``closed`` are the ids of runs that saved all that they had to: unless retired, theirs are not looked at.
        """
        folder = Path(self._filepath)
        for stray in (folder / ".trash", *folder.glob(".staging-*"), *self._notices.glob(".staging-*")):
            remove(stray)
        doubtful = set(_names(folder)) - (set(closed) - set(_names(self._notices)))
        for version in (folder / name for name in doubtful if is_version(name)):
            for stray in version.glob(".staging-*"):
                remove(stray)
            _remove_empty(version)

    def retired(self, version: str) -> bool:
        """Whether `retire` deleted this version."""
        return (self._notices / version).exists()

    def versions(self, but: Collection[str] = ()) -> list[str]:
        """Return the versions that are there, without those of ``but``, which are not looked at."""
        return [name for name in self._named() if name not in but and self._is_there(name)]

    def placed(self) -> set[str]:
        """Return the versions that have a place here, or a notice of why they are gone; none is looked into."""
        return {*self._named(), *_names(self._notices)}

    @property
    def _notices(self) -> Path:
        """The folder that says why versions were retired: those that are there can be listed without them."""
        return Path(self._filepath, ".retired")

    def _fetch_latest_load_version(self) -> str:
        """Return the newest version that is there; Kedro would look for all of them first."""
        if self._cached_load_version is None:
            newest_first = sorted(_names(Path(self._filepath)), reverse=True)
            there = (version for version in self._versions_of(newest_first) if self._is_there(version))
            self._cached_load_version = next(there, None)
        if self._cached_load_version is None:
            raise VersionNotFoundError(f"Did not find any versions for {self}")
        return self._cached_load_version

    def _places(self, pattern: str) -> list[str]:
        """Return where versions are; Kedro's ``pattern`` would also find what people put beside them."""
        return [str(self._get_versioned_path(version)) for version in self._named()]

    def _named(self) -> list[str]:
        """Return the versions that have a place here, whether or not they are there."""
        return [*self._versions_of(_names(Path(self._filepath)))]

    def _versions_of(self, names: Iterable[str]) -> Iterator[str]:
        return filter(is_version, (name.removesuffix(self.suffix) for name in names))

    def _is_there(self, version: str) -> bool:
        return Path(self._get_versioned_path(version)).exists()

    def __init_subclass__(cls, **kwargs: Any):
        """Give a class without a constructor the plain one, as Kedro wraps it once more to note its arguments."""
        cls.__init__ = getattr(cls.__init__, "__wrapped__", cls.__init__)  # type: ignore[method-assign]
        super().__init_subclass__(**kwargs)

    @abstractmethod
    def _read(self, path: Path) -> Out:
        """Return what the complete version at ``path`` holds."""

    @abstractmethod
    def _write(self, data: In, path: Path) -> None:
        """Create ``path``, a file or a folder."""

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}


def _names(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - a path for each would cost the most


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is a file, or something is in it
        folder.rmdir()


@contextmanager
def _named(dataset: AbstractDataset, action: str) -> Iterator[None]:
    """Name the dataset in errors that are not named already."""
    try:
        yield
    except (LeAgentsError, KedroDatasetError):
        raise
    except Exception as error:
        raise KedroDatasetError(f"Failed while {action} dataset {dataset!s}.\n{error}") from error
