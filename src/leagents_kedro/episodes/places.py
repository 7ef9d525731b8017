"""Where the files of a dataset lie, and files of one as files of another: hard links under numbers of their own."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from leagents_kedro.foundation.files import link_file


def link_files(source: Path, target: Path, pattern: str) -> None:
    """Link what ``pattern`` finds below ``source`` to the same places below ``target``."""
    for file in source.glob(pattern):
        if file.is_file():
            link_file(file, target / file.relative_to(source))


def copy_files(source: Path, target: Path, pattern: str) -> None:
    """Copy what ``pattern`` finds below ``source`` to the same places below ``target``, with the modes of new files."""
    for file in source.glob(pattern):
        if file.is_file():
            place = target / file.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)


def next_place(files: Iterable[Path], chunks_size: int) -> tuple[int, int]:
    """Return chunk and file number for one more file beside ``files``, after the last."""
    places = map(place_of, files)
    return divmod(max((chunk * chunks_size + number for chunk, number in places), default=-1) + 1, chunks_size)


def place_of(file: Path) -> tuple[int, int]:
    """Return chunk and file number of a ``chunk-000/file-000.*``."""
    chunk, number = re.findall(r"\d+", f"{file.parent.name}/{file.stem}")
    return int(chunk), int(number)


def digest(file: Path) -> bytes:
    """Return the SHA-256 of the file's content."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()


def file_at(template: str, place: tuple[int, int], video_key: str = "") -> str:
    """Return the path that ``template``, of ``meta/info.json``, gives the file with this chunk and file number."""
    return template.format(chunk_index=place[0], file_index=place[1], video_key=video_key)
