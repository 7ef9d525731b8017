import numpy as np
import pytest

from leagents_kedro.episodes.shards import Episode, Shards
from leagents_kedro.episodes.writing import write_episodes
from leagents_kedro.parameters.training import Rung, TrainingSettings

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
    "observation.environment_state": {"dtype": "float32", "shape": (6,), "names": None},
    "action": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
}


def episode(rng: np.random.Generator, sentence: str, frames: int, scale: float = 1.0) -> Episode:
    columns = {
        key: (scale * rng.normal(size=(frames, *feature["shape"]))).astype(np.float32)
        for key, feature in FEATURES.items()
    }
    return Episode(sentence, columns)


def written(root, lengths, scale=1.0) -> Shards:
    rng = np.random.default_rng(0)
    episodes = [episode(rng, f"do task {index % 2}", frames, scale) for index, frames in enumerate(lengths)]
    write_episodes(root, episodes, FEATURES, fps=10, robot_type="test")
    return Shards(root)


@pytest.fixture(scope="session")
def shards(tmp_path_factory):
    return written(tmp_path_factory.mktemp("mix") / "v3", [7, 12, 9, 15])


@pytest.fixture
def shards_of():
    return written


@pytest.fixture
def rung():
    return Rung(
        policy_type="act",
        steps=12,
        pretrained_path=None,
        pretrained_revision=None,
        options={
            "chunk_size": 4,
            "n_action_steps": 4,
            "dim_model": 16,
            "n_heads": 2,
            "dim_feedforward": 32,
            "n_encoder_layers": 1,
            "n_vae_encoder_layers": 1,
            "latent_dim": 4,
            "optimizer_lr": 1e-3,
        },
    )


@pytest.fixture
def settings():
    return TrainingSettings(
        batch_size=8,
        seed=3,
        device="cpu",
        torch_threads=1,
        precision="float32",
        normalization="keep",
        save_every_steps=4,
        frame_cache_gb=1,
    )
