"""Few large files in place of the many small ones that appending leaves."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from leagents_kedro.episodes.columns import read_table, stored
from leagents_kedro.episodes.digests import episode_digests, write_digests
from leagents_kedro.episodes.format import BYTES_PER_MB, EPISODES_PATH
from leagents_kedro.episodes.places import file_at, place_of
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.episodes.writing import write_frames, write_statistics, write_table
from leagents_kedro.foundation.files import link_file, remove


def compact_dataset(root: Path) -> None:
    """Join the small files of the dataset in ``root`` into files of the size that its ``meta/info.json`` asks for.

    No reader sees another frame: indices, episodes, and videos stay. Statistics of numbers become exact again. Files
    are replaced and never written into, so those that other versions share stay as they are; one that is large
    enough already remains linked. A crash on the way leaves ``root`` damaged: it must not be published yet.
    """
    shards = Shards(root)
    digests = episode_digests(shards)
    moved = _join_frames(shards, root / "compact")
    _join_episodes(shards, moved, root / "compact")
    for folder in ("data", "meta/episodes", "meta/leagents"):
        remove(root / folder)
    for folder in ("data", "meta/episodes"):
        (root / "compact" / folder).rename(root / folder)
    remove(root / "compact")
    write_digests(root, digests)
    write_statistics(root)


def _join_frames(shards: Shards, target: Path) -> dict[tuple[int, int], tuple[int, int]]:
    """Write the frames below ``target``; return the chunk and file number that follow each former one."""
    moved: dict[tuple[int, int], tuple[int, int]] = {}
    for number, files in enumerate(_groups(shards.data_files, shards.info["data_files_size_in_mb"])):
        place = divmod(number, shards.info["chunks_size"])
        path = target / file_at(shards.info["data_path"], place)
        if len(files) == 1:
            link_file(files[0], path)
        else:
            write_frames(pa.concat_tables([stored(read_table([file]), shards.features) for file in files]), path)
        moved |= dict.fromkeys(map(place_of, files), place)
    return moved


def _join_episodes(shards: Shards, moved: dict[tuple[int, int], tuple[int, int]], target: Path) -> None:
    for number, files in enumerate(_groups(shards.episode_files, shards.info["data_files_size_in_mb"])):
        place = divmod(number, shards.info["chunks_size"])
        table = read_table(files)
        places = zip(*(table[f"data/{part}_index"].to_pylist() for part in ("chunk", "file")), strict=True)
        data = np.array([moved[each] for each in places])
        for column, values in {
            "data/chunk_index": data[:, 0],
            "data/file_index": data[:, 1],
            "meta/episodes/chunk_index": np.full(len(table), place[0]),
            "meta/episodes/file_index": np.full(len(table), place[1]),
        }.items():
            field = table.schema.field(column)
            table = table.set_column(table.schema.get_field_index(column), field, pa.array(values, field.type))
        write_table(table, target / file_at(EPISODES_PATH, place))


def _groups(files: Sequence[Path], size_in_mb: int) -> Iterator[list[Path]]:
    """Give consecutive ``files`` that fit into one of ``size_in_mb`` together."""
    group: list[Path] = []
    size = 0
    for file in files:
        size += file.stat().st_size
        if group and size > size_in_mb * BYTES_PER_MB:
            yield group
            group, size = [], file.stat().st_size
        group.append(file)
    yield group
