import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from leagents_kedro.records import Suite, Task
from support.datasets import write_random

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (3,), "names": ["x", "y", "z"]},
    "action": {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
}
SENTENCES = ("pick up the cup", "open the door")
FPS = 10


def write(root: Path, features: dict = FEATURES, frames: int = 30) -> Path:
    return write_random(root, features, range(frames, frames + 6), SENTENCES, fps=FPS)


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
def sound_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = {"dtype": "image", "shape": (64, 48, 3), "names": ["height", "width", "channels"]}
    return write(tmp_path_factory.mktemp("sound") / "pictures", FEATURES | {"observation.images.top": image}, 4)


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
