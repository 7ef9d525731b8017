import pytest

from leagents_kedro.episodes.shards import Shards
from leagents_kedro.parameters.training import Rung, TrainingSettings
from support.datasets import write_random
from support.policies import rung_of

FEATURES = {
    "observation.state": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
    "observation.environment_state": {"dtype": "float32", "shape": (6,), "names": None},
    "action": {"dtype": "float32", "shape": (4,), "names": ["x", "y", "z", "gripper"]},
}


def written(root, lengths, scale=1.0) -> Shards:
    return Shards(write_random(root, FEATURES, lengths, ("do task 0", "do task 1"), robot_type="test", scale=scale))


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
def decayed(rung):
    return rung.model_copy(update={"scheduler": "cosine", "steps": 40})


@pytest.fixture
def mlp():
    return rung_of("chunked_mlp", steps=12, positions=[0, 3])


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
        shortcuts=True,
    )
