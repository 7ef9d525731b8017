"""Synthetic episodes and small real datasets of them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from leagents_kedro.episodes.columns import Features, recorded_features
from leagents_kedro.episodes.shards import Episode
from leagents_kedro.episodes.writing import write_episodes


def numbers(**sizes: int) -> Features:
    """Return float32 features of these sizes; an underscore that is doubled stands for a dot."""
    return {
        name.replace("__", "."): {"dtype": "float32", "shape": (size,), "names": None} for name, size in sizes.items()
    }


def random_episode(
    rng: np.random.Generator, features: Features, sentence: str, frames: int, scale: float = 1.0
) -> Episode:
    """Numbers are normal, images and videos noise."""
    columns: dict[str, Any] = {}
    for key, feature in recorded_features(features).items():
        shape = (frames, *feature["shape"])
        image = feature["dtype"] in {"image", "video"}
        columns[key] = (
            rng.integers(0, 255, shape, np.uint8) if image else (scale * rng.normal(size=shape)).astype(np.float32)
        )
    return Episode(sentence, columns)


def write_random(
    root: Path,
    features: Features,
    lengths: Sequence[int] = (5, 7, 2, 9),
    sentences: Sequence[str] = ("pick up the cup", "open the door"),
    *,
    fps: int = 10,
    robot_type: str = "sim",
    scale: float = 1.0,
) -> Path:
    """Write a dataset of random episodes; ``sentences`` are taken in turn."""
    rng = np.random.default_rng(0)
    episodes = [
        random_episode(rng, features, sentences[number % len(sentences)], frames, scale)
        for number, frames in enumerate(lengths)
    ]
    write_episodes(root, episodes, features, fps, robot_type)
    return root


METAWORLD = numbers(observation__state=4, observation__environment_state=89, action=4)
"""What a policy sees and does in MetaWorld's state environment."""


def write_reaches(root: Path) -> Path:
    """Write a dataset for the suite ``reach-v3``, of random numbers."""
    sentences = ["Reach a goal position"]
    return write_random(root, METAWORLD, (9, 9), sentences, fps=80, robot_type="metaworld_state")


def as_v21(source: Path, target: Path) -> Path:
    """Write the numbers of ``source`` as LeRobot did before version 3: a file an episode, JSON lines beside."""
    (target / "data" / "chunk-000").mkdir(parents=True)
    (target / "meta").mkdir()
    (file,) = source.glob("data/*/*.parquet")
    table = pq.read_table(file)
    described = pq.read_table(next(source.glob("meta/episodes/*/*.parquet"))).to_pylist()
    lines: dict[str, list[dict]] = {"episodes": [], "episodes_stats": []}
    for row in described:
        number, length = row["episode_index"], row["length"]
        name = target / "data" / "chunk-000" / f"episode_{number:06d}.parquet"
        pq.write_table(table.slice(row["dataset_from_index"], length), name)
        lines["episodes"].append({"episode_index": number, "tasks": row["tasks"], "length": length})
        stats: dict[str, dict] = {}
        for key, value in row.items():
            if key.startswith("stats/"):
                _, feature, statistic = key.split("/")
                stats.setdefault(feature, {})[statistic] = value
        lines["episodes_stats"].append({"episode_index": number, "stats": stats})
    tasks = pq.read_table(source / "meta" / "tasks.parquet").to_pylist()
    lines["tasks"] = [{"task_index": row["task_index"], "task": row["task"]} for row in tasks]
    for name, rows in lines.items():
        (target / "meta" / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    old = json.loads((source / "meta" / "info.json").read_text()) | {
        "codebase_version": "v2.1",
        "total_chunks": 1,
        "total_videos": 0,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": None,
    }
    (target / "meta" / "info.json").write_text(json.dumps(old))
    return target
