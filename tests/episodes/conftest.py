from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode, Shards
from leagents_kedro.episodes.writing import write_episodes

STATE = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
    "action": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.success": {"dtype": "bool", "shape": (1,), "names": None},
}
EVERY_KIND = STATE | {
    "pose": {"dtype": "float64", "shape": (2, 3), "names": None},
    "counts": {"dtype": "int32", "shape": (2,), "names": None},
    "action.scale": {"dtype": "float32", "shape": (1,), "names": None},
}
VIDEO = {
    "observation.state": STATE["observation.state"],
    "observation.images.top": {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]},
    "action": STATE["action"],
}
FPS = 10


def random_episode(rng: np.random.Generator, features: dict, sentence: str, frames: int) -> Episode:
    """Numbers on a level of their own for each episode, so that merged quantiles differ from the mean of quantiles."""
    columns = {}
    for key, feature in features.items():
        shape = (frames, *feature["shape"])
        match feature["dtype"]:
            case "video" | "image":
                shade = rng.integers(0, 200)
                columns[key] = np.broadcast_to(np.arange(frames)[:, None, None, None] * 5 + shade, shape).astype(
                    np.uint8
                )
            case "bool":
                columns[key] = np.arange(frames).reshape(shape) == frames - 1
            case dtype if dtype.startswith("int"):
                columns[key] = rng.integers(-9, 9, shape).astype(dtype)
            case dtype:
                columns[key] = (rng.normal(size=shape) + rng.integers(0, 100)).astype(dtype)
    return Episode(sentence, columns)


def make_episodes(seed: int, features: dict, lengths: Sequence[int], sentences: Sequence[str]) -> list[Episode]:
    rng = np.random.default_rng(seed)
    return [random_episode(rng, features, sentences[i % len(sentences)], frames) for i, frames in enumerate(lengths)]


@pytest.fixture
def make_shards(tmp_path) -> Callable[..., Shards]:
    """Write a dataset of random episodes into a folder of its own."""

    def make(
        name: str,
        lengths: Sequence[int] = (5, 7, 2, 9),
        sentences: Sequence[str] = ("pick up the cup", "Öffne die Tür"),
        features: dict = STATE,
        fps: int = FPS,
        robot_type: str | None = "sim",
    ) -> Shards:
        seed = sum(name.encode())
        root: Path = tmp_path / name
        write_episodes(root, make_episodes(seed, features, lengths, sentences), features, fps, robot_type)
        return Shards(root)

    return make


@pytest.fixture(scope="session")
def every_kind() -> dict:
    return EVERY_KIND


@pytest.fixture(scope="session")
def video() -> dict:
    return VIDEO


@pytest.fixture(scope="session")
def state() -> dict:
    return STATE


@pytest.fixture(scope="session")
def random_episodes() -> Callable[..., list[Episode]]:
    """Called with (seed, features, lengths, sentences); sentences are taken in turn."""
    return make_episodes
