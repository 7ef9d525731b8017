"""A LeRobotDataset v3 folder as a value, and what a new version of one is made of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from leagents_kedro.episodes.columns import (
    Features,
    numeric_features,
    read_columns,
    read_table,
    recorded_features,
    schema_of,
)
from leagents_kedro.episodes.format import DATA_PATH
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.files import FileState

_PLACE = ("data/chunk_index", "data/file_index")
_SMALL = 1 << 20  # bytes; larger files are few, and not worth the memory


@dataclass(frozen=True)
class EpisodeIndex:
    """Where each episode lies: arrays of one int64 an episode.

    ``from_index`` and ``to_index`` are the episode's first frame and the one after its last; ``task`` is the
    position in `Shards.tasks` of its sentence, of several that of the first frame.
    """

    episode_index: np.ndarray
    length: np.ndarray
    from_index: np.ndarray
    to_index: np.ndarray
    task: np.ndarray


@dataclass(frozen=True)
class Episode:
    """One episode in memory.

    ``columns`` are (frames, *shape of the feature): numbers of the feature's dtype, images as
    (frames, height, width, 3) uint8. ``provenance`` says in JSON how it was made, where that is known.
    """

    sentence: str
    columns: dict[str, np.ndarray]
    provenance: str = ""


@dataclass(frozen=True)
class Shards:
    """A LeRobotDataset v3 folder; made without touching it, read where it is looked at, never changed."""

    root: Path

    @cached_property
    def info(self) -> dict[str, Any]:
        """The content of ``meta/info.json``.

        Raises:
            EpisodesError: There is none.
        """
        path = self.root / "meta" / "info.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except (OSError, json.JSONDecodeError) as error:
            raise EpisodesError(
                f"{self.root}: no LeRobotDataset; expected a readable meta/info.json. {error}"
            ) from error

    @property
    def fps(self) -> int:
        """Frames a second; a whole number is an integer, also where another writer left 30.0."""
        fps = self.info["fps"]
        return int(fps) if fps == int(fps) else fps

    @cached_property
    def features(self) -> Features:
        """LeRobot's description of each column; shapes are tuples."""
        return {key: feature | {"shape": tuple(feature["shape"])} for key, feature in self.info["features"].items()}

    @property
    def total_episodes(self) -> int:
        """Number of episodes."""
        return self.info["total_episodes"]

    @property
    def total_frames(self) -> int:
        """Number of frames in all episodes."""
        return self.info["total_frames"]

    @property
    def robot_type(self) -> str | None:
        """The robot, or the environment, that the episodes were recorded with."""
        return self.info.get("robot_type")

    @property
    def data_files(self) -> list[Path]:
        """Parquet files of frames, in the order of their frames."""
        return sorted(self.root.glob("data/*/*.parquet"))

    @property
    def episode_files(self) -> list[Path]:
        """Parquet files that describe episodes, in their order."""
        return sorted(self.root.glob("meta/episodes/*/*.parquet"))

    @cached_property
    def data_states(self) -> tuple[FileState, ...]:
        """`data_files` as they are: looked at once, since a dataset grows to hundreds of them."""
        return tuple(map(FileState.of, self.data_files))

    @cached_property
    def episode_states(self) -> tuple[FileState, ...]:
        """`episode_files` as they are: looked at once, like `data_states`."""
        return tuple(map(FileState.of, self.episode_files))

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Task sentences by task index.

        Raises:
            EpisodesError: ``meta/tasks.parquet`` is missing or unfinished, or has no sentences.
        """
        file = self.root / "meta" / "tasks.parquet"
        table = read_table([file])
        others = [name for name in table.column_names if name != "task_index"]
        named = [name for name in (index_of(table.schema), "task", *others[: len(others) == 1]) if name in others]
        if not named:
            raise EpisodesError(
                f"{file}: should have the sentences in the column 'task', has {', '.join(table.column_names)}; rename "
                "the column that holds them"
            )
        return tuple(table[named[0]].cast(pa.string()).fill_null("").to_pylist())

    @cached_property
    def index(self) -> EpisodeIndex:
        """Where each episode lies.

        Raises:
            EpisodesError: ``meta/episodes`` is missing or unfinished, or names a sentence that is no task.
        """
        # File by file: the sentences of a million episodes would take more memory than all else.
        files = self._described_files()
        parts = [(_part if file.size <= _SMALL else _part.__wrapped__)(file, self.tasks) for file in files]
        return EpisodeIndex(*map(np.concatenate, zip(*parts, strict=True)))

    def episode(self, episode_index: int) -> Episode:
        """Return the numbers of one episode, without its images.

        Raises:
            EpisodesError: A file is missing, unfinished, or holds something else than the features say.
        """
        features = numeric_features(recorded_features(self.features))
        row = int(np.flatnonzero(self.index.episode_index == episode_index)[0])
        columns = read_columns(self.data_files, features, [episode_index])
        shaped = {key: values.reshape(-1, *features[key]["shape"]) for key, values in columns.items()}
        return Episode(self.tasks[self.index.task[row]], shaped)

    def episode_table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """Return ``meta/episodes``, one row an episode, with ``columns`` or all of them.

        Raises:
            EpisodesError: It is missing or unfinished, or has no such column.
        """
        return read_table([file.path for file in self._described_files()], columns)

    def _described_files(self) -> tuple[FileState, ...]:
        if not (files := self.episode_states):
            raise EpisodesError(f"{self.root}: no meta/episodes; the dataset is empty or was never finalized")
        return files


@lru_cache(maxsize=1024)
def _part(file: FileState, tasks: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Return the columns of `EpisodeIndex` for the episodes in ``file``, which most versions of a dataset share."""
    numbers = ["episode_index", "length", "dataset_from_index", "dataset_to_index"]
    schema = schema_of(file.path)
    listed = "tasks" in schema.names and pa.types.is_nested(schema.field("tasks").type)
    table = read_table([file.path], [*numbers, *_PLACE, *(["tasks"] if listed else [])])
    task = _listed_tasks(table["tasks"].combine_chunks(), tasks, file.path) if listed else np.full(len(table), -1)
    if len(unknown := np.flatnonzero(task < 0)):
        task[unknown] = _tasks_of_first_frames(table.take(unknown), file.path, len(tasks))
    return *(_whole(table[key], key, file.path) for key in numbers), task


def index_of(schema: pa.Schema) -> str | None:
    """Return the column that pandas, and so LeRobot, takes for the index: it has no name in older datasets."""
    described = (schema.pandas_metadata or {}).get("index_columns") or [None]
    return described[0] if isinstance(described[0], str) else None


def _whole(column: pa.ChunkedArray, key: str, file: Path) -> np.ndarray:
    """Return whole numbers, which some writers keep as floats."""
    try:
        whole = column.cast(pa.int64())
    except pa.ArrowException:
        whole = pa.nulls(1)
    if whole.null_count:
        raise EpisodesError(f"{file}: '{key}' should be a whole number of each episode, is not")
    return whole.to_numpy()


def _listed_tasks(sentences: pa.ListArray, tasks: tuple[str, ...], file: Path) -> np.ndarray:
    """Return the position in ``tasks`` of each episode's sentence, (episodes,) int64; -1 where there is not one.

    LeRobot lists several sentences of an episode in the order of a set, which is another in each process.
    """
    every = sentences.flatten()
    task = pc.index_in(every, value_set=pa.array(tasks, pa.string()))
    if task.null_count:
        unknown = every.filter(pc.is_null(task))[0].as_py()
        raise EpisodesError(f"{file}: an episode's task {unknown!r} is not in meta/tasks.parquet")
    count = pc.fill_null(pc.list_value_length(sentences), 0).to_numpy()
    found = np.full(len(sentences), -1)
    found[count == 1] = task.to_numpy()[np.repeat(count, count) == 1]
    return found


def _tasks_of_first_frames(episodes: pa.Table, file: Path, tasks: int) -> np.ndarray:
    """Return the ``task_index`` of the first frame of ``episodes``, rows of ``file`` in ``meta/episodes``."""
    chunk, number, begin, episode = (
        episodes[name].to_numpy() for name in (*_PLACE, "dataset_from_index", "episode_index")
    )
    task = np.full(len(episodes), -1)
    for place in np.unique(np.stack([chunk, number]), axis=1).T.tolist():
        here = (chunk == place[0]) & (number == place[1])
        frames = read_table(
            [file.parents[3] / DATA_PATH.format(chunk_index=place[0], file_index=place[1])], ["index", "task_index"]
        )
        order = frames["index"].to_numpy()
        row = order.searchsorted(begin[here]).clip(max=len(order) - 1)
        task[here] = np.where(order[row] == begin[here], frames["task_index"].to_numpy()[row], -1)
    if len(bad := episode[(task < 0) | (task >= tasks)]):
        raise EpisodesError(
            f"{file}: no task of meta/tasks.parquet is that of episode {bad[0]}, nor of its first frame"
        )
    return task


@dataclass(frozen=True)
class NewEpisodes:
    """A dataset that is to be written from episodes in memory."""

    episodes: tuple[Episode, ...]
    features: Features
    fps: int
    robot_type: str | None

    def like(self, mix: Shards) -> "NewEpisodes":
        """Return what can follow the episodes of ``mix``: what it has of them, as it calls it."""
        features = recorded_features(mix.features)
        episodes = (replace(each, columns={key: each.columns[key] for key in features}) for each in self.episodes)
        return NewEpisodes(tuple(episodes), features, mix.fps, mix.robot_type)


@dataclass(frozen=True)
class Imported:
    """A dataset of others that is to be taken over with the ``features`` that `columns.taken_over` names."""

    source: Shards
    features: Features


@dataclass(frozen=True)
class Appended:
    """A dataset that is to hold ``base`` and, after it, what ``additions`` have beyond it.

    Where it is to be ``compacted``, its small files are joined.
    """

    base: Shards
    additions: tuple[Shards, ...]
    compacted: bool = False
