import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.records import Suite, Task

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
}
SENTENCES = ("pick up the cup", "open the door")
FPS = 10


def episode(rng: np.random.Generator, sentence: str, frames: int, features: dict) -> Episode:
    columns = {
        key: (rng.integers(0, 255, (frames, *feature["shape"])) if feature["dtype"] == "video" else values)
        for key, feature in features.items()
        for values in [rng.normal(size=(frames, *feature["shape"])).astype(np.float32)]
    }
    return Episode(sentence, {key: v.astype(np.uint8) if v.dtype == np.int64 else v for key, v in columns.items()})


def write(root: Path, features: dict = FEATURES, frames: int = 30) -> Path:
    rng = np.random.default_rng(0)
    episodes = [episode(rng, SENTENCES[number % 2], frames + number, features) for number in range(6)]
    write_episodes(root, episodes, features, FPS, "sim")
    return root


@pytest.fixture
def needs() -> Suite:
    tasks = tuple(Task(name=f"task {number}", sentence=sentence) for number, sentence in enumerate(SENTENCES))
    return Suite(environment="sim", options={}, tasks=tasks, features=FEATURES, fps=FPS)


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset without a fault; not to be changed."""
    return write(tmp_path_factory.mktemp("sound") / "v3")


@pytest.fixture(scope="session")
def sound_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = {"dtype": "video", "shape": (64, 64, 3), "names": ["height", "width", "channels"]}
    return write(tmp_path_factory.mktemp("sound") / "film", FEATURES | {"observation.images.top": image}, 4)


@pytest.fixture(scope="session")
def trained(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of one step, as LeRobot saves it, trained on the sound dataset."""
    import torch
    from lerobot.configs import FeatureType, PolicyFeature
    from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy
    from lerobot.policies.factory import make_pre_post_processors

    torch.manual_seed(0)
    sizes = {"chunk_size": 2, "n_action_steps": 2, "dim_model": 8, "n_heads": 2, "dim_feedforward": 8}
    layers = {"n_encoder_layers": 1, "n_decoder_layers": 1, "use_vae": False, "device": "cpu"}
    features = {
        "input_features": {
            "observation.state": PolicyFeature(FeatureType.STATE, (3,)),
            "observation.environment_state": PolicyFeature(FeatureType.ENV, (5,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (2,))},
    }
    config = ACTConfig(**features, **sizes, **layers)
    folder = tmp_path_factory.mktemp("checkpoint") / "last"
    processors = make_pre_post_processors(config, dataset_stats=LeRobotDatasetMetadata("local/a", root=sound).stats)
    for part in (ACTPolicy(config), *processors):
        part.save_pretrained(folder / "pretrained_model")
    return folder


@pytest.fixture
def copied(tmp_path: Path) -> Callable[[Path], Path]:
    """Give a copy that a test may break."""
    return lambda root: Path(shutil.copytree(root, tmp_path / root.name))
