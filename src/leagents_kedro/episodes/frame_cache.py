"""Decoded frames in files that every run shares: a video or a column of images is decoded once."""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

from leagents_kedro.episodes.places import digest
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.files import lock, remove, staged, write_atomically
from leagents_kedro.foundation.progress import progress_bar

if TYPE_CHECKING:
    from PIL.Image import Image

_PIXELS, _DESCRIPTION, _SOURCES = "pixels.u8", "frames.json", "sources.json"
_BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class FrameFile:
    """A video, or a parquet file with a ``column`` of images; ``frames`` of ``frame_bytes`` each when decoded."""

    path: Path
    column: str | None
    frames: int
    frame_bytes: int


@dataclass(frozen=True)
class DecodedFrames:
    """All frames of a file.

    ``pixels`` are (frames, channels, height, width) uint8, mapped read-only from the disk; ``places`` (frames,)
    float64 say where each is: its second in a video, its row in a parquet file.
    """

    pixels: np.ndarray
    places: np.ndarray

    def positions(self, places: np.ndarray, source: Path, tolerance: float) -> np.ndarray:
        """Return which frame of ``source`` is nearest to each of ``places``.

        Raises:
            EpisodesError: There is none within ``tolerance``.
        """
        nearest = nearest_of(self.places, places)
        beyond = places[np.abs(self.places[nearest] - places) > tolerance]
        if len(beyond):
            raise EpisodesError(
                f"{source}: should have frames at {beyond[:5].tolist()} s, where data/ and meta/episodes place them; "
                "the dataset is damaged, write it anew"
            )
        return nearest


class FrameCache:
    """A folder of decoded frames, found again by the content of the file that they come from.

    It holds at most ``limit_gb`` (10^9 bytes): what was not used for the longest time makes room, what a process has
    open stays. It can be deleted at any time between two runs, and several processes may share it.
    """

    def __init__(self, folder: Path, limit_gb: float):
        self._folder = folder
        self._limit = limit_gb * _BYTES_PER_GB

    def open(self, files: Sequence[FrameFile]) -> list[DecodedFrames | None]:
        """Return the frames of each file, decoded now where no run did it before; None for what does not fit.

        Raises:
            EpisodesError: A file cannot be decoded into 8-bit frames of one size.
        """
        with self._locked():
            self._make_room(0)
            names = self._names(files)
            opened = [self._open(name) for name in names]
            missing = [number for number, frames in enumerate(opened) if frames is None]
            with progress_bar("decode", sum(files[number].frames for number in missing), "frame") as show:
                done = 0
                for number in missing:
                    file, name = files[number], names[number]
                    if not (self._folder / name).exists() and self._fits(file):
                        self._make_room(file.frames * file.frame_bytes)
                        self._decode(file, name, done, show)
                    opened[number] = self._open(name)
                    done += file.frames
        return opened

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one process at a time look for entries, make, and delete them; what a crash left is removed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / ".lock").open("w") as file:
            lock(file, fcntl.LOCK_EX)
            for staging in self._folder.glob(".staging-*"):
                remove(staging)
            yield

    def _names(self, files: Sequence[FrameFile]) -> list[str]:
        """Return the entry of each file; a file is read for it once, as hard links keep inode, size, and time."""
        memory = self._folder / _SOURCES
        try:
            known = json.loads(memory.read_text())
        except (FileNotFoundError, ValueError):
            known = {}
        names, before = [], len(known)
        for file in files:
            status = file.path.stat()
            source = f"{status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
            if source not in known:
                known[source] = digest(file.path).hex()
            content = f"{known[source]} {file.column} {_decoder()}"
            names.append(hashlib.sha256(content.encode()).hexdigest())
        if len(known) > before:
            write_atomically(memory, json.dumps(known).encode())
        return names

    def _open(self, name: str) -> DecodedFrames | None:
        """Map an entry into memory; one that is damaged is deleted."""
        entry = self._folder / name
        try:
            described = json.loads((entry / _DESCRIPTION).read_text())
            shape = tuple(described["shape"])
            with (entry / _PIXELS).open("rb") as file:
                if os.fstat(file.fileno()).st_size != math.prod(shape):
                    raise ValueError("truncated")
                # The mapping keeps the open file and so its lock, which tells other processes of the use.
                lock(file, fcntl.LOCK_SH)
                pixels = np.memmap(file, np.uint8, "r", shape=shape)
        except (FileNotFoundError, KeyError, ValueError):
            remove(entry)
            return None
        now = time.time_ns()  # finer than the clock of the file system
        os.utime(entry, ns=(now, now))
        return DecodedFrames(np.asarray(pixels), np.array(described["places"]))

    def _decode(self, file: FrameFile, name: str, done: int, show: Callable[[int, str], None]) -> None:
        places: list[float] = []
        shapes: set[tuple[int, ...]] = set()
        with staged(self._folder / name) as staging:
            staging.mkdir()
            with (staging / _PIXELS).open("wb") as pixels:
                for place, frame in _frames_of(file):
                    pixels.write(np.ascontiguousarray(frame))
                    places.append(place)
                    shapes.add(frame.shape)
                    show(done + len(places), "")
            if len(shapes) != 1:
                raise EpisodesError(f"{file.path}: frames should have one size, got {sorted(shapes) or 'no frames'}")
            (shape,) = shapes
            description = {"shape": [len(places), *shape], "places": places}
            (staging / _DESCRIPTION).write_text(json.dumps(description))

    def _fits(self, file: FrameFile) -> bool:
        used = sum(_size(entry) for entry in self._entries() if _in_use(entry))
        return used + file.frames * file.frame_bytes <= self._limit

    def _make_room(self, size: int) -> None:
        """Delete entries that nobody uses, the least recently used first, until ``size`` more bytes fit."""
        entries = sorted(self._entries(), key=lambda entry: entry.stat().st_mtime_ns)
        excess = sum(map(_size, entries)) + size - self._limit
        for entry in entries:
            if excess > 0 and not _in_use(entry):
                excess -= _size(entry)
                remove(entry)

    def _entries(self) -> list[Path]:
        return list(self._folder.glob("*/"))


def nearest_of(own: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the position in ``own``, ascending, of what is nearest to each of ``wanted``; of two the first."""
    after = own.searchsorted(wanted).clip(max=len(own) - 1)
    before = (after - 1).clip(min=0)
    return np.where(wanted - own[before] <= own[after] - wanted, before, after)


def image_pixels(image: "Image", source: Path) -> np.ndarray:
    """Return an image as (channels, height, width) uint8, before LeRobot scales it to [0, 1].

    Raises:
        EpisodesError: It has not 8 bits a channel.
    """
    pixels = np.array(image)
    if pixels.dtype != np.uint8:
        raise EpisodesError(f"{source}: images should have 8 bits a channel, got {pixels.dtype} (mode {image.mode})")
    return pixels.reshape(*pixels.shape[:2], -1).transpose(2, 0, 1)


def _frames_of(file: FrameFile) -> Iterator[tuple[float, np.ndarray]]:
    """Yield place and pixels (channels, height, width) of each frame, decoded as LeRobot does with pyav and Pillow."""
    import av

    try:
        yield from _video_frames(file.path) if file.column is None else _column_frames(file.path, file.column)
    except (av.FFmpegError, OSError) as error:
        raise EpisodesError(f"{file.path}: cannot be decoded, copy or record the dataset anew. {error}") from error


def _video_frames(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    import av

    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        for frame in container.decode(stream):
            if frame.pts is not None and stream.time_base is not None:
                yield float(frame.pts * stream.time_base), frame.to_ndarray(format="rgb24").transpose(2, 0, 1)


def stored_images(path: Path, column: str) -> Iterator[dict[str, Any] | None]:
    """Yield the images in ``column`` of a file as they are stored: ``bytes``, of a PNG or the like, and a ``path``."""
    batches = pq.ParquetFile(path).iter_batches(batch_size=64, columns=[column])
    return (image for batch in batches for image in batch.column(0).to_pylist())


def _column_frames(path: Path, column: str) -> Iterator[tuple[float, np.ndarray]]:
    from datasets import Image

    for row, image in enumerate(stored_images(path, column)):
        yield row, image_pixels(Image().decode_example(image), path)


def _decoder() -> str:
    """Return what else the decoded frames depend on."""
    import av
    import PIL

    return f"av {av.library_versions} pillow {PIL.__version__}"


def _size(entry: Path) -> int:
    return (entry / _PIXELS).stat().st_size if (entry / _PIXELS).exists() else 0


def _in_use(entry: Path) -> bool:
    try:
        with (entry / _PIXELS).open("rb") as file:
            lock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False
