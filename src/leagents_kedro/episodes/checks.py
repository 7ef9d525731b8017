"""Whether a dataset is complete, and fits: named errors before LeRobot would look for the missing part on the Hub."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from leagents_kedro.episodes.columns import Features, recorded_features, visual_features
from leagents_kedro.episodes.shards import Shards
from leagents_kedro.errors import EpisodesError
from leagents_kedro.foundation.files import FileState
from leagents_kedro.foundation.untrusted import check_dataset_paths

_VERSION = "v3.0"


def check_dataset(root: Path) -> Shards:
    """Return a handle on the LeRobotDataset v3 in ``root``, which LeRobot can read without the Hub.

    Raises:
        EpisodesError: It is missing, empty, of another version, was never finalized, or lacks files or rows.
    """
    shards = Shards(root)
    _check_version(shards)
    check_dataset_paths(root, shards.info)
    if not shards.total_episodes:
        raise EpisodesError(f"{root}: the dataset has no episodes")
    for name, rows, expected in (
        ("meta/episodes", len(shards.index.length), shards.total_episodes),
        ("data", sum(_count_rows(FileState.of(file)) for file in shards.data_files), shards.total_frames),
    ):
        if rows != expected:
            raise EpisodesError(
                f"{root}: {name} should have {expected} rows, as meta/info.json says, got {rows}; "
                "was the dataset finalized and copied completely?"
            )
    if not (root / "meta" / "stats.json").is_file():
        raise EpisodesError(
            f"{root}: no meta/stats.json, which training normalizes with; "
            "run `lerobot-edit-dataset --operation.type=recompute_stats` on it"
        )
    _check_index(shards)
    _check_videos(shards)
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
    if differences := differences_from(shards, features, fps):
        raise EpisodesError(
            f"{shards.root} does not fit the environment: {'; '.join(differences)}. Change the environment's options, "
            "or the dataset with lerobot-edit-dataset"
        )


def differences_from(shards: Shards, features: Features, fps: int) -> list[str]:
    """Return what `check_fit` would refuse, one sentence each."""
    own = recorded_features(shards.features)
    differences = [f"fps should be {fps}, got {shards.fps}"] if shards.fps != fps else []
    for key, feature in features.items():
        if key not in own:
            differences += [] if key.startswith("next.") else [f"'{key}' is missing"]
        elif _layout(own[key]) != _layout(feature):
            differences.append(f"'{key}' should be {_describe(feature)}, got {_describe(own[key])}")
    return differences + [f"the environment does not give '{key}'" for key in own if key not in features]


def _check_version(shards: Shards) -> None:
    version = str(shards.info.get("codebase_version"))
    if version == _VERSION:
        return
    fix = (
        "convert it with `python -m lerobot.scripts.convert_dataset_v21_to_v30 --repo-id=<user>/<name> "
        f"--root={shards.root} --push-to-hub=false`"
        if version.startswith("v2")
        else "update LeRobot"
    )
    raise EpisodesError(f"{shards.root}: codebase_version should be {_VERSION}, got {version}; {fix}")


@lru_cache(maxsize=1024)
def _count_rows(file: FileState) -> int:
    try:
        return pq.read_metadata(file.path).num_rows
    except (OSError, pa.ArrowException) as error:
        raise EpisodesError(
            f"{file.path}: unfinished parquet file of a dataset that was never finalized, or a damaged one. {error}"
        ) from error


def _check_index(shards: Shards) -> None:
    index = shards.index
    ends = index.length.cumsum()
    consistent = (
        np.array_equal(index.episode_index, np.arange(shards.total_episodes))
        and np.array_equal(index.from_index, ends - index.length)
        and np.array_equal(index.to_index, ends)
        and ends[-1] == shards.total_frames
    )
    if not consistent:
        raise EpisodesError(
            f"{shards.root}: meta/episodes should list episodes 0 to {shards.total_episodes - 1} without gaps between "
            "their frames; the dataset is damaged, write it anew"
        )


def _check_videos(shards: Shards) -> None:
    videos = [key for key, feature in visual_features(shards.features).items() if feature["dtype"] == "video"]
    for key in videos:
        table = shards.episode_table([f"videos/{key}/chunk_index", f"videos/{key}/file_index"])
        for chunk, file in np.unique(np.stack([column.to_numpy() for column in table.columns]), axis=1).T.tolist():
            path = shards.info["video_path"].format(video_key=key, chunk_index=chunk, file_index=file)
            if not (shards.root / path).is_file():
                raise EpisodesError(f"{shards.root}: {path} is missing; download or copy the dataset with its videos")


def _layout(feature: dict) -> tuple:
    """Return what must agree: numbers' dtype and shape; images' shape whether stored as images or videos."""
    shape = tuple(feature["shape"])
    if feature["dtype"] not in {"image", "video"}:
        return feature["dtype"], shape
    names = feature.get("names") or []
    return "image", shape[1:] + shape[:1] if names and names[0].startswith("channel") else shape


def _describe(feature: dict) -> str:
    return f"{feature['dtype']} {tuple(feature['shape'])}"
