"""Whether a dataset is complete, and fits: named errors before LeRobot would look for the missing part on the Hub.

The checks of the form stand here once. `check_dataset` stops at the first error; the doctor tells all.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leagents_kedro.episodes.columns import INDEX_COLUMNS, Features, flat_names, recorded_features, visual_features
from leagents_kedro.episodes.commands import convert_command, copy_command, recompute_command
from leagents_kedro.episodes.format import DATA_PATH, INFO_KEYS, VERSION, VIDEO_PATH
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.files import FileState
from leagents_kedro.foundation.findings import Finding, error
from leagents_kedro.foundation.untrusted import check_dataset_paths, link_outside, stand_in

COPY = "download or copy the dataset again, completely"
RECOMPUTE = "compute them anew, in a copy"
REWRITE = "restore the folder from a copy, or write the dataset anew"

_PLACE = re.compile(r"chunk-\d+/file-\d+\.parquet")
_LEAST_VIDEO = 1024  # bytes; pointers are shorter


def check_dataset(root: Path) -> Shards:
    """Return a handle on the LeRobotDataset v3 in ``root``, which LeRobot can read without the Hub.

    Raises:
        EpisodesError: It is missing, empty, of another version, was never finalized, or lacks files or rows.
    """
    shards = Shards(root)
    for check in (check for stage in FORM for check in stage):
        for finding in check(shards):
            raise EpisodesError(str(finding))
    return shards


def check_episodes(shards: Shards, episodes: Sequence[int]) -> None:
    """Make sure that ``shards`` has all of ``episodes``, and that there are some.

    Raises:
        EpisodesError: ``episodes`` is empty or goes beyond the dataset.
    """
    if not len(episodes):
        raise EpisodesError(f"{shards.root}: no episodes were selected")
    chosen = np.asarray(episodes)
    beyond = chosen[(chosen < 0) | (chosen >= shards.total_episodes)]
    if len(beyond):
        raise EpisodesError(
            f"{shards.root}: episodes should be between 0 and {shards.total_episodes - 1}, got {beyond.tolist()}"
        )


def check_fit(shards: Shards, features: Features, fps: int) -> None:
    """Make sure that a policy trained on ``shards`` can act in an environment, and its rollouts can be appended.

    Args:
        shards: The dataset.
        features: Features of the environment's episodes. The dataset may lack those of ``next.*``, but has no others.
        fps: Environment steps a second.

    Raises:
        EpisodesError: Features or fps differ; names all differences.
    """
    if differences := differences_from(shards.features, shards.fps, features, fps):
        raise EpisodesError(
            f"{shards.root} does not fit the environment: {'; '.join(differences)}. Change the environment's options, "
            "or import the dataset again (demonstrations.source: folder), which converts what can be"
        )


def differences_from(own: Features, own_fps: int, wanted: Features, fps: int) -> list[str]:
    """Return what `check_fit` would refuse of a dataset with its ``own`` features and fps, one sentence each."""
    own = recorded_features(own)
    differences = [f"fps should be {fps}, got {own_fps}"] if own_fps != fps else []
    for key, feature in wanted.items():
        if key not in own:
            differences += [] if key.startswith("next.") else [f"'{key}' is missing"]
        elif _layout(own[key]) != _layout(feature):
            differences.append(f"'{key}' should be {_describe(feature)}, got {_describe(own[key])}")
    return differences + [f"the environment does not give '{key}'" for key in own if key not in wanted]


def _has_info(shards: Shards) -> Iterator[Finding]:
    file = shards.root / "meta" / "info.json"
    try:
        info = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as fault:
        what = f"should be the JSON that describes a LeRobotDataset, but is not readable: {fault}"
        yield error(file, what, stand_in(file) or COPY)
        return
    known = info if isinstance(info, dict) else {}
    if missing := [key for key in INFO_KEYS if key not in known]:
        yield error(file, f"should have {', '.join(INFO_KEYS)}, lacks {', '.join(missing)}", COPY)
        return
    for key in ("total_episodes", "total_frames"):
        if type(known[key]) is not int:
            yield error(file, f"{key} should be a whole number, is {known[key]!r}", "correct it")
    if not isinstance(known["features"], dict):
        yield error(file, f"features should be described by name, are a {type(known['features']).__name__}", COPY)
        return
    if odd := [key for key, feature in known["features"].items() if not _is_described(feature)]:
        what = f"each feature should have a dtype, and a shape of whole numbers; {', '.join(map(repr, odd))} has not"
        yield error(file, what, f"correct it, or {COPY}")
        return
    if isinstance(known["fps"], bool) or not (isinstance(known["fps"], int | float) and known["fps"] > 0):
        yield error(file, f"fps should be a number above 0, is {known['fps']!r}", "correct it")
    if str(known["codebase_version"]) == VERSION and (
        missing := [key for key in INDEX_COLUMNS if key not in known["features"]]
    ):
        what = f"features should list {', '.join(INDEX_COLUMNS)}, which LeRobot adds to each dataset, lacks "
        yield error(file, what + ", ".join(missing), COPY)


def _is_described(feature: Any) -> bool:
    match feature:
        case {"dtype": str(), "shape": [*sizes]}:
            return all(type(size) is int for size in sizes)
    return False


def _has_version(shards: Shards) -> Iterator[Finding]:
    version = str(shards.info["codebase_version"])
    if version != VERSION:
        fix, command = "update LeRobot", ""
        if version == "v2.1":
            fix, command = "convert a copy of it", convert_command(shards.root)
        elif version < VERSION:
            fix = "convert it to v2.1 first, with the LeRobot of its time"
        yield error(shards.root, f"codebase_version should be {VERSION}, got {version}", fix, command)


def _stays_in_its_folder(shards: Shards) -> Iterator[Finding]:
    if outside := link_outside(shards.root):
        fix = "if the link is yours, take a copy with the files themselves"
        yield error(outside, "links to a place outside of the data set", fix, copy_command(shards.root))
        return
    try:
        check_dataset_paths(shards.root, shards.info, {"data_path": DATA_PATH, "video_path": VIDEO_PATH})
    except EpisodesError as fault:
        yield error(shards.root, str(fault), "do not use it unless you trust who made it; correct it by hand then")


def _is_finalized(shards: Shards) -> Iterator[Finding]:
    """Every parquet file has its footer; LeRobot's writer leaves it out until ``finalize()``."""
    if not shards.total_episodes:
        yield error(shards.root, "should have at least one episode, has none", "record some, and finalize()")
    elif not shards.episode_states:
        fix = "call finalize() on the LeRobotDataset that wrote it; without it the episodes are lost"
        yield error(shards.root / "meta" / "episodes", "should list the episodes, is not there: never finalized", fix)
    tasks = shards.root / "meta" / "tasks.parquet"
    parts = (*shards.episode_states, *shards.data_states)
    for file, state in [(tasks, None), *((part.path, part) for part in parts)]:
        try:
            _count_rows(state or FileState.of(file))
        except (OSError, pa.ArrowException) as fault:
            fix = stand_in(file) or (
                "record with finalize() at the end, or copy the file again: without its footer nothing can be read"
            )
            if file.name.startswith("._"):
                fix = "delete it: macOS left it there, it is no part of the dataset"
            yield error(file, f"should be a finished parquet file, is not: {fault}", fix)


def _has_no_other_files(shards: Shards) -> Iterator[Finding]:
    """LeRobot reads every parquet file in ``data/`` and ``meta/episodes/``, whatever its name."""
    for folder, states in (("data", shards.data_states), ("meta/episodes", shards.episode_states)):
        for file in (state.path for state in states):
            place = file.relative_to(shards.root / folder).as_posix()
            if not _PLACE.fullmatch(place) and not file.name.startswith("._"):
                what = "is no file of the dataset by its name, but would be read as one: a copy, or a backup?"
                yield error(file, what, "move it out of the folder")


def _has_all_rows(shards: Shards) -> Iterator[Finding]:
    for name, files, expected in (
        ("meta/episodes", shards.episode_states, shards.total_episodes),
        ("data", shards.data_states, shards.total_frames),
    ):
        rows = sum(map(_count_rows, files))
        if rows != expected:
            yield error(shards.root / name, f"should have {expected} rows, as meta/info.json says, has {rows}", COPY)


def _has_all_videos(shards: Shards) -> Iterator[Finding]:
    for key in (key for key, feature in visual_features(shards.features).items() if feature["dtype"] == "video"):
        table = shards.episode_table([f"videos/{key}/chunk_index", f"videos/{key}/file_index"])
        for chunk, number in np.unique(np.stack([column.to_numpy() for column in table.columns]), axis=1).T.tolist():
            file = shards.root / VIDEO_PATH.format(video_key=key, chunk_index=chunk, file_index=number)
            if not file.is_file() or not file.stat().st_size:
                yield error(file, "should be a video, but is missing or empty", COPY)
            elif file.stat().st_size < _LEAST_VIDEO and (fix := stand_in(file)):
                yield error(file, "should be a video, is none", fix)


def _has_a_file_of_statistics(shards: Shards) -> Iterator[Finding]:
    file = shards.root / "meta" / "stats.json"
    if not file.is_file():
        what = "should be the JSON that training normalizes with, but is missing"
        yield error(file, what, RECOMPUTE, recompute_command(shards.root))


def _has_gapless_index(shards: Shards) -> Iterator[Finding]:
    index, episodes = shards.index, shards.total_episodes
    ends = index.length.cumsum()
    if not (
        np.array_equal(index.episode_index, np.arange(episodes))
        and np.array_equal(index.from_index, ends - index.length)
        and np.array_equal(index.to_index, ends)
        and ends[-1] == shards.total_frames
    ):
        what = f"should list episodes 0 to {episodes - 1} without gaps between their frames, does not"
        yield error(shards.root / "meta" / "episodes", what, REWRITE)


FORM: tuple[tuple[Callable[[Shards], Iterator[Finding]], ...], ...] = (
    (_has_info,),
    (_has_version,),
    (_stays_in_its_folder,),
    (_is_finalized, _has_no_other_files),
    (_has_all_rows, _has_all_videos, _has_a_file_of_statistics),
    (_has_gapless_index,),
)
"""Stages of checks that read footers, counts, and the index; each relies on what those before it made sure of."""


@lru_cache(maxsize=4096)
def _count_rows(file: FileState) -> int:
    return pq.read_metadata(file.path).num_rows


def _layout(feature: dict) -> tuple:
    """Return what must agree: numbers' dtype and shape; images' shape whether stored as images or videos."""
    shape = tuple(feature["shape"])
    if feature["dtype"] not in {"image", "video"}:
        return feature["dtype"], shape
    names = flat_names(feature.get("names"))
    return "image", shape[1:] + shape[:1] if names and names[0].startswith("channel") else shape


def _describe(feature: dict) -> str:
    return f"{feature['dtype']} {tuple(feature['shape'])}"
