"""What tells episodes apart: a digest of each one's content, whatever its indices and wherever it lies."""

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from leagents_kedro.episodes.columns import (
    numeric_features,
    read_columns,
    read_table,
    recorded_features,
    visual_features,
)
from leagents_kedro.episodes.format import VIDEO_PATH
from leagents_kedro.episodes.places import digest, file_at, link_files, next_place
from leagents_kedro.episodes.shards import Shards

_FILES = "meta/leagents/digests/*/*.parquet"
_PATH = "meta/leagents/digests/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_DIGEST = pa.binary(16)


def episode_digests(shards: Shards) -> pa.ChunkedArray:
    """Return a digest of each episode's recorded features and first sentence, in the order of the dataset.

    Videos count by the digest of their file and the episode's place in it: an episode whose video was encoded anew, or
    joined with others, is another one. What `write_digests` kept is read, whatever the number of frames; where another
    writer made or lengthened the dataset, all frames are.
    """
    kept = kept_digests(shards)
    return computed_digests(shards) if kept is None else kept


def new_episodes(digests: pa.ChunkedArray, known: pa.ChunkedArray) -> np.ndarray:
    """Return the positions of ``digests`` that are not ``known``; of several equal ones, the first."""
    _, first = np.unique(digests.to_numpy().astype("S16"), return_index=True)
    return np.sort(first[~pc.is_in(digests, value_set=known).to_numpy()[first]])


def write_digests(root: Path, digests: pa.ChunkedArray) -> None:
    """Keep ``digests`` of the newest episodes in ``root`` in one more file, at which LeRobot does not look."""
    file = root / file_at(_PATH, next_place(root.glob(_FILES), chunks_size=1000))
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"digest": digests}), file, write_page_checksum=True)


def inherit_digests(base: Shards, digests: pa.ChunkedArray, target: Path) -> None:
    """Give ``target`` the ``digests`` of ``base``, by links to the files that keep them, if there are any."""
    if kept_digests(base) is None:
        write_digests(target, digests)
    else:
        link_files(base.root, target, _FILES)


def kept_digests(shards: Shards) -> pa.ChunkedArray | None:
    """Return what `write_digests` kept; None where it did not, or not of as many episodes."""
    files = sorted(shards.root.glob(_FILES))
    digests = read_table(files)["digest"] if files else ()
    return digests if len(digests) == shards.total_episodes else None


def computed_digests(shards: Shards) -> pa.ChunkedArray:
    """Return the digests of the episodes as they are now."""
    recorded = recorded_features(shards.features)
    numbers = numeric_features(recorded)
    others = [key for key in recorded if key not in numbers and recorded[key]["dtype"] != "video"]
    films = _films(shards)
    digests = []
    for file in shards.data_files:
        columns = read_columns([file], numbers | {"episode_index": shards.features["episode_index"]})
        table = read_table([file], others)
        number = columns.pop("episode_index")
        begins = np.flatnonzero(np.diff(number, prepend=-1))
        for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), len(number)], strict=True):
            episode = number[begin]
            sentence = shards.tasks[shards.index.task[episode]]
            content = hashlib.blake2b(repr((sentence, end - begin, films[episode])).encode(), digest_size=16)
            for key in sorted(recorded):
                content.update(key.encode())
                if key in columns:
                    content.update(columns[key][begin:end].tobytes())
                elif key in others:
                    content.update(repr(table[key].slice(begin, end - begin).to_pylist()).encode())
            digests.append(content.digest())
    return pa.chunked_array([pa.array(digests, _DIGEST)])


def _films(shards: Shards) -> list[tuple]:
    """Return, for each episode, the digest of each video's file and the seconds in it at which the episode lies."""
    digest_of = cache(digest)
    films: list[tuple] = [()] * shards.total_episodes
    for key, feature in sorted(visual_features(shards.features).items()):
        if feature["dtype"] == "video":
            columns = ["chunk_index", "file_index", "from_timestamp", "to_timestamp"]
            table = shards.episode_table([f"videos/{key}/{name}" for name in columns])
            for episode, (chunk, file, *seconds) in enumerate(zip(*table.to_pydict().values(), strict=True)):
                path = shards.root / file_at(VIDEO_PATH, (chunk, file), key)
                films[episode] += (key, digest_of(path), *seconds)
    return films
