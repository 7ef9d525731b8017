"""Writing LeRobotDataset v3 folders: from episodes in memory, by appending to a dataset, by import.

What a new version shares with an old one is hard-linked, so it costs neither time nor space. LeRobot's own functions
write the small files of ``meta/``.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leagents_kedro.episodes.checks import check_dataset
from leagents_kedro.episodes.columns import (
    Features,
    numeric_features,
    read_columns,
    read_table,
    recorded_features,
    same_values,
    stored,
    to_table,
    visual_features,
)
from leagents_kedro.episodes.digests import episode_digests, inherit_digests, new_episodes, write_digests
from leagents_kedro.episodes.format import EPISODES_PATH, VIDEO_PATH
from leagents_kedro.episodes.places import copy_files, file_at, link_files, next_place
from leagents_kedro.episodes.shards import Episode, EpisodeIndex, Shards
from leagents_kedro.episodes.statistics import (
    describe,
    describe_episodes,
    merge,
    read_summaries,
    statistics,
    summarize,
    write_summaries,
)
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.files import link_file, remove

if TYPE_CHECKING:
    from lerobot.datasets.utils import DatasetInfo

PROVENANCE = "provenance"
"""The column of ``meta/episodes`` that says in JSON how an episode was made, or nothing; LeRobot does not mind it."""

_NAMED = 10
_log = logging.getLogger(__name__)


def write_episodes(
    root: Path, episodes: Sequence[Episode], features: Features, fps: int, robot_type: str | None
) -> None:
    """Write a complete LeRobotDataset v3 of ``episodes``; images and videos go through LeRobot's own writer.

    Args:
        root: Folder to make.
        episodes: At least one; their columns are the features, without those that LeRobot adds by itself.
        features: LeRobot's description of each column.
        fps: Frames a second.
        robot_type: The robot, or the environment.

    Raises:
        EpisodesError: There are no episodes, ``root`` exists, or an episode does not fit the features.
    """
    if not episodes:
        raise EpisodesError(f"{root}: a LeRobotDataset needs at least one episode")
    _check_new(root)
    features = recorded_features(features)
    if text := sorted(features.keys() - numeric_features(features).keys() - visual_features(features).keys()):
        raise EpisodesError(f"{root}: features should be numbers, images, or videos, but {', '.join(text)} are not")
    fitted = [_fitted(episode, number, features) for number, episode in enumerate(episodes)]
    write = _record if visual_features(features) else _write_columns
    write(root, fitted, features, fps, robot_type)
    _add_provenance(Shards(root), [episode.provenance for episode in episodes])
    write_statistics(root)
    write_digests(root, episode_digests(Shards(root)))


def append_datasets(base: Shards, additions: Sequence[Shards], target: Path) -> None:
    """Make ``target`` the dataset of ``base``'s episodes followed by those of ``additions`` that are not in it yet.

    Time and space do not depend on the frames of ``base``: its files are linked as they are. All new frames go into
    one file and their episodes into another; their videos are linked under new numbers. Statistics of numbers are
    merged (`statistics.Summary`), those of images by LeRobot from the summaries of whole additions. A base that
    another writer made is read once.

    Episodes whose content ``base`` or an earlier addition has already are left out with a warning, so that a step that
    is repeated does not count them twice in training. Where nothing is new, ``target`` holds the same as ``base``.

    Raises:
        EpisodesError: ``target`` exists, or features, fps, or robot type differ.
    """
    from lerobot.datasets.aggregate import merge_video_feature_info_for_aggregate
    from lerobot.datasets.io_utils import load_info

    _check_new(target)
    _check_appendable(base, additions)
    known = episode_digests(base)
    new = _new_episodes(base, known, additions)
    if not new:
        import_dataset(base.root, target)
        return
    for pattern in ("data/*/*", "videos/*/*/*", "meta/episodes/*/*"):
        link_files(base.root, target, pattern)
    inherit_digests(base, known, target)
    info = load_info(base.root)
    tasks = tuple(dict.fromkeys(sentence for shards in (base, *new) for sentence in shards.tasks))
    data_place = next_place(base.data_files, info.chunks_size)
    episodes_place = next_place(base.episode_files, info.chunks_size)
    frames, episodes, digests = [], [], []
    for addition, chosen in new.items():
        index = _moved_index(addition.index, chosen, info)
        moved = _moved_frames(addition, chosen, index, base.features, tasks)
        columns = {
            **_moved_episodes(index, data_place, episodes_place),
            **_moved_statistics(moved, index),
            **_link_videos(addition, chosen, target, info),
        }
        frames.append(moved)
        episodes.append(_conformed(addition.episode_table().take(chosen), columns, base))
        digests += episode_digests(addition).take(chosen).chunks
        info.total_frames += len(moved)
        info.total_episodes += len(chosen)
    data_file = target / file_at(info.data_path, data_place)
    write_frames(pa.concat_tables(frames), data_file)
    write_table(pa.concat_tables(episodes), target / file_at(EPISODES_PATH, episodes_place))
    write_digests(target, pa.chunked_array(digests))
    info.features = merge_video_feature_info_for_aggregate([base, *new])
    _write_info(target, info, tasks)
    _write_merged_statistics(target, base, list(new), data_file)


def import_dataset(source: Path, target: Path, features: Features | None = None, *, shares_files: bool = True) -> None:
    """Make ``target`` a dataset with the content of ``source``: ``meta/`` copied, frames and videos linked or copied.

    Only where nobody edits ``source`` in place may they share files, and is what ``meta/leagents`` says taken over.
    Where other ``features`` are given, columns that they do not name are left out, and numbers become theirs.

    Raises:
        EpisodesError: ``source`` is no complete LeRobotDataset v3, or ``target`` exists.
    """
    _check_new(target)
    check_dataset(source)
    for pattern in ("data/*/*", "videos/*/*/*"):
        link_files(source, target, pattern) if shares_files else copy_files(source, target, pattern)
    copy_files(source, target, "meta/**/*")
    if not shares_files:
        remove(target / "meta" / "leagents")
    if features is not None:
        _convert(Shards(target), features)


def _convert(shards: Shards, features: Features) -> None:
    """Give the dataset, which shares no file with another, other ``features``, and what LeRobot's own info has."""
    from lerobot.datasets.io_utils import load_info, load_tasks, write_info

    before, info = shards.features, load_info(shards.root)
    info.features, info.fps, info.total_tasks = features, shards.fps, len(shards.tasks)
    info.video_path = VIDEO_PATH if visual_features(features) else info.video_path
    write_info(info, shards.root)
    if load_tasks(shards.root).index.tolist() != list(shards.tasks):
        _write_tasks(shards.root, shards.tasks)
    _list_tasks(shards)
    _add_provenance(shards, [""] * shards.total_episodes)
    if any(key not in features or features[key]["dtype"] != feature["dtype"] for key, feature in before.items()):
        for file in shards.data_files:
            write_frames(stored(read_table([file]), features), file)
        write_statistics(shards.root)


def _list_tasks(shards: Shards) -> None:
    """List the sentence of each episode where another writer did not: LeRobot's tools look for it there."""
    for file in shards.episode_files:
        table = read_table([file])
        if "tasks" in table.column_names:
            if pa.types.is_nested(table.schema.field("tasks").type):
                continue
            table = table.drop_columns("tasks")
        episodes = table["episode_index"].to_pylist()
        sentences = [[shards.tasks[shards.index.task[episode]]] for episode in episodes]
        write_table(table.append_column("tasks", pa.array(sentences)), file)


def _add_provenance(shards: Shards, provenance: Sequence[str]) -> None:
    """Add a column to ``meta/episodes``, empty text where unknown: LeRobot's tools lose a type without values."""
    for file in shards.episode_files:
        table = read_table([file])
        if PROVENANCE not in table.column_names:
            told = [provenance[episode] for episode in table["episode_index"].to_pylist()]
            write_table(table.append_column(PROVENANCE, pa.array(told, pa.string())), file)


def write_frames(table: pa.Table, file: Path) -> None:
    """Write frames as LeRobot does, one row group an episode, with checksums: a page that rotted does not load."""
    number = table["episode_index"].to_numpy()
    begins = np.flatnonzero(np.diff(number, prepend=-1)).tolist()
    file.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(file, table.schema, write_page_checksum=True) as writer:
        for begin, end in pairwise([*begins, len(number)]):
            writer.write_table(table.slice(begin, end - begin))


def write_table(table: pa.Table, file: Path) -> None:
    """Write a table, with checksums, into a folder that may not be there yet."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file, write_page_checksum=True)


def write_statistics(root: Path) -> None:
    """Write the statistics of numbers from all frames in ``root``; those of images stay as they are there."""
    from lerobot.datasets.io_utils import load_stats, write_stats

    shards = Shards(root)
    described, summaries = {}, {}
    for key, values in _numbers(shards):
        described[key], summaries[key] = describe(values), summarize(values)
    if visual := visual_features(shards.features):
        kept = load_stats(root) or {}
        described |= {key: kept[key] for key in visual if key in kept}
    write_stats(described, root)
    write_summaries(root, summaries)


def _check_new(target: Path) -> None:
    if target.exists():
        raise EpisodesError(f"{target}: exists; a dataset is written once, into a folder of its own")


def _fitted(episode: Episode, number: int, features: Features) -> Episode:
    """Return the episode with its columns in the order and dtypes of the features."""
    name = f"episode {number} ({episode.sentence!r})"
    if episode.columns.keys() != features.keys():
        raise EpisodesError(f"{name}: columns should be {', '.join(features)}, got {', '.join(episode.columns)}")
    lengths = {len(column) for column in episode.columns.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise EpisodesError(f"{name}: columns should have one number of frames, at least 1, got {sorted(lengths)}")
    columns = {key: episode.columns[key] for key in features}
    for key, feature in numeric_features(features).items():
        values, dtype, shape = columns[key], feature["dtype"], tuple(feature["shape"])
        if values.shape[1:] != shape or not np.can_cast(values.dtype, dtype, "same_kind"):
            raise EpisodesError(
                f"{name}: '{key}' should have shape (frames, {', '.join(map(str, shape))}) and dtype {dtype}, "
                f"got {values.shape} and {values.dtype}"
            )
        if not np.isfinite(values).all():
            raise EpisodesError(f"{name}: '{key}' has values that are not finite")
        columns[key] = values.astype(dtype, copy=False)
    return replace(episode, columns=columns)


def _record(root: Path, episodes: Sequence[Episode], features: Features, fps: int, robot_type: str | None) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset
    from lerobot.utils.utils import SuppressProgressBars

    dataset = LeRobotDataset.create("local/shards", fps, features, root=root, robot_type=robot_type)
    try:
        with SuppressProgressBars():
            for episode in episodes:
                for frame in zip(*episode.columns.values(), strict=True):
                    dataset.add_frame(dict(zip(episode.columns, frame, strict=True)) | {"task": episode.sentence})
                # Encoders in processes of their own would inherit a simulator's state.
                dataset.save_episode(parallel_encoding=False)
    finally:
        dataset.finalize()


def _write_columns(
    root: Path, episodes: Sequence[Episode], features: Features, fps: int, robot_type: str | None
) -> None:
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata

    meta = LeRobotDatasetMetadata.create("local/shards", fps, features, root=root, robot_type=robot_type)
    tasks = tuple(dict.fromkeys(episode.sentence for episode in episodes))
    task = [tasks.index(episode.sentence) for episode in episodes]
    length = np.array([len(next(iter(episode.columns.values()))) for episode in episodes])
    end = length.cumsum()
    begin = end - length
    number, place = np.arange(len(episodes)), np.zeros(len(episodes), np.int64)
    index = np.arange(end[-1])
    columns = {key: np.concatenate([episode.columns[key] for episode in episodes]) for key in features}
    columns["frame_index"] = index - np.repeat(begin, length)
    columns["timestamp"] = (columns["frame_index"] / fps).astype(np.float32)
    columns["episode_index"] = np.repeat(number, length)
    columns["index"] = index
    columns["task_index"] = np.repeat(task, length)
    described = {
        "episode_index": number,
        "tasks": [[episode.sentence] for episode in episodes],
        "length": length,
        "data/chunk_index": place,
        "data/file_index": place,
        "dataset_from_index": begin,
        "dataset_to_index": end,
        **describe_episodes({key: columns[key] for key in meta.features}, length),
        "meta/episodes/chunk_index": place,
        "meta/episodes/file_index": place,
    }
    write_frames(to_table(columns, meta.features), root / file_at(meta.info.data_path, (0, 0)))
    write_table(pa.table(described), root / file_at(EPISODES_PATH, (0, 0)))
    meta.info.total_frames, meta.info.total_episodes = len(index), len(episodes)
    _write_info(root, meta.info, tasks)


def _check_appendable(base: Shards, additions: Sequence[Shards]) -> None:
    for addition in additions:
        if differences := _differences(base, addition):
            raise EpisodesError(f"{addition.root} cannot be appended to {base.root}: {'; '.join(differences)}")


def _new_episodes(base: Shards, known: pa.ChunkedArray, additions: Sequence[Shards]) -> dict[Shards, np.ndarray]:
    """Return which episodes of each addition are new, ascending; only of those additions that have some."""
    new = {}
    for addition in additions:
        digests = episode_digests(addition)
        chosen = new_episodes(digests, known)
        if repeated := np.setdiff1d(np.arange(len(digests)), chosen).tolist():
            _log.warning(
                "%s: %d of %d episodes are in %s already and were not appended again: %s",
                *(addition.root, len(repeated), len(digests), base.root),
                ", ".join(map(str, repeated[:_NAMED])) + (", ..." if len(repeated) > _NAMED else ""),
            )
        if len(chosen):
            new[addition] = chosen
            known = pa.chunked_array(known.chunks + digests.take(chosen).chunks)
    return new


def _differences(base: Shards, addition: Shards) -> list[str]:
    """Return why the episodes cannot follow those of ``base``, which has the say in all but what numbers mean."""
    differences = [
        f"{name} should be {getattr(base, name)}, got {getattr(addition, name)}"
        for name in ("fps", "robot_type")
        if getattr(base, name) != getattr(addition, name)
    ]
    for key in base.features | addition.features:
        expected, given = base.features.get(key), addition.features.get(key)
        if expected is None or given is None or not same_values(expected, given):
            differences.append(f"feature '{key}' should be {expected}, got {given}")
    return differences


def _moved_index(index: EpisodeIndex, chosen: np.ndarray, info: "DatasetInfo") -> EpisodeIndex:
    """Return where the ``chosen`` episodes of an addition lie behind those that ``info`` counts."""
    length = index.length[chosen]
    end = info.total_frames + length.cumsum()
    return EpisodeIndex(info.total_episodes + np.arange(len(chosen)), length, end - length, end, index.task[chosen])


def _moved_frames(
    addition: Shards, chosen: np.ndarray, index: EpisodeIndex, features: Features, tasks: Sequence[str]
) -> pa.Table:
    """Return the frames of the ``chosen`` episodes with the indices that they get in the new dataset."""
    table = pa.concat_tables([stored(read_table([file]), features) for file in addition.data_files])
    if len(chosen) < addition.total_episodes:
        table = table.filter(pa.array(np.isin(table["episode_index"].to_numpy(), chosen)))
    number = np.searchsorted(chosen, table["episode_index"].to_numpy())
    task = np.array([tasks.index(sentence) for sentence in addition.tasks])
    moved = {
        "index": table["index"].to_numpy() + (index.from_index - addition.index.from_index[chosen])[number],
        "episode_index": index.episode_index[number],
        "task_index": task[table["task_index"].to_numpy()],
    }
    for key, values in moved.items():
        table = table.set_column(table.schema.get_field_index(key), table.schema.field(key), pa.array(values))
    return table


def _moved_episodes(
    index: EpisodeIndex, data_place: tuple[int, int], episodes_place: tuple[int, int]
) -> dict[str, np.ndarray]:
    """Return the columns of ``meta/episodes`` that say where the frames of an addition lie in the new dataset."""
    return {
        "episode_index": index.episode_index,
        "dataset_from_index": index.from_index,
        "dataset_to_index": index.to_index,
        "data/chunk_index": np.full_like(index.length, data_place[0]),
        "data/file_index": np.full_like(index.length, data_place[1]),
        "meta/episodes/chunk_index": np.full_like(index.length, episodes_place[0]),
        "meta/episodes/file_index": np.full_like(index.length, episodes_place[1]),
    }


def _moved_statistics(moved: pa.Table, index: EpisodeIndex) -> dict[str, pa.Array]:
    """Return the statistics of each episode that its new indices change."""
    columns = {key: moved[key].to_numpy() for key in ("episode_index", "index", "task_index")}
    return describe_episodes(columns, index.length)


def _link_videos(addition: Shards, chosen: np.ndarray, target: Path, info: "DatasetInfo") -> dict[str, np.ndarray]:
    """Link the videos of ``chosen`` episodes behind those of ``target``; return the columns that say where they are."""
    columns: dict[str, np.ndarray] = {}
    for key, feature in visual_features(addition.features).items():
        if feature["dtype"] != "video":
            continue
        names = [f"videos/{key}/chunk_index", f"videos/{key}/file_index"]
        places = np.stack([column.to_numpy() for column in addition.episode_table(names).take(chosen).columns])
        used, position = np.unique(places, axis=1, return_inverse=True)
        moved = []
        for place in used.T.tolist():
            moved.append(next_place(target.glob(f"videos/{key}/*/*.mp4"), info.chunks_size))
            source = addition.root / file_at(VIDEO_PATH, place, key)
            link_file(source, target / file_at(VIDEO_PATH, moved[-1], key))
        columns |= dict(zip(names, np.array(moved).T[:, position.ravel()], strict=True))
    return columns


def _conformed(table: pa.Table, columns: Mapping[str, Any], base: Shards) -> pa.Table:
    """Return ``table`` with ``columns`` in place of its own, in the schema in which ``base`` describes episodes.

    LeRobot reads all files of ``meta/episodes`` with one schema. Statistics and remarks that one writer keeps and
    another does not are left empty: they have no reader beside the summary in ``meta/stats.json``, which is complete.
    """
    given = pa.table(dict(zip(table.column_names, table.columns, strict=True)) | dict(columns))
    schema = pq.read_schema(base.episode_files[0]).remove_metadata()
    for name in schema.names:
        if name not in given.column_names:
            kind = schema.field(name).type
            empty = pa.array([""] * len(given)) if name == PROVENANCE else pa.nulls(len(given), kind)
            given = given.append_column(name, empty)
    return given.select(schema.names).cast(schema)


def _write_info(root: Path, info: "DatasetInfo", tasks: Sequence[str]) -> None:
    from lerobot.datasets.io_utils import write_info

    info.total_tasks = len(tasks)
    info.splits = {"train": f"0:{info.total_episodes}"}
    write_info(info, root)
    _write_tasks(root, tasks)


def _write_tasks(root: Path, tasks: Sequence[str]) -> None:
    from lerobot.datasets.io_utils import write_tasks

    table = pa.table({"task_index": np.arange(len(tasks)), "task": tasks})
    write_tasks(table.to_pandas().set_index("task"), root)


def _numbers(shards: Shards) -> Iterator[tuple[str, np.ndarray]]:
    """Give the values of each numeric feature, one after the other since all together may not fit into memory."""
    for key, feature in numeric_features(shards.features).items():
        yield key, read_columns(shards.data_files, {key: feature})[key]


def _write_merged_statistics(target: Path, base: Shards, additions: Sequence[Shards], new_frames: Path) -> None:
    """Write the statistics of ``base`` and the numbers in ``new_frames``, and of the images of all additions."""
    from lerobot.datasets.compute_stats import aggregate_stats
    from lerobot.datasets.io_utils import load_stats, write_stats

    old = read_summaries(base.root, base.total_frames) or {key: summarize(values) for key, values in _numbers(base)}
    new = read_columns([new_frames], numeric_features(base.features))
    summaries = {key: merge(old[key], summarize(values)) for key, values in new.items()}
    merged = {key: statistics(summary) for key, summary in summaries.items()}
    if visual := visual_features(base.features):
        kept = [load_stats(shards.root) or {} for shards in (base, *additions)]
        known = [key for key in visual if all(key in each for each in kept)]
        merged |= aggregate_stats([{key: each[key] for key in known} for each in kept])
    write_stats(merged, target)
    write_summaries(target, summaries)
