"""The small ACT that is trained here and by others: one that every way compared knows."""

from typing import Any

from benchmarks.loop import base_parameters
from leagents_kedro.parameters.training import TrainingParams

RUNG: dict[str, Any] = {
    "policy_type": "act",
    "steps": 600,
    "pretrained_path": None,
    "pretrained_revision": None,
    "options": {
        "chunk_size": 10,
        "n_action_steps": 10,
        "dim_model": 64,
        "n_heads": 4,
        "dim_feedforward": 256,
        "n_encoder_layers": 2,
        "n_vae_encoder_layers": 1,
        "latent_dim": 8,
        "optimizer_lr": 1.0e-3,
    },
}
SETTINGS: dict[str, Any] = {"device": "cpu", "batch_size": 64, "torch_threads": 2, "save_every_steps": 200}


def parameters(steps: int) -> TrainingParams:
    """Return the project's own parameters of training, but for its policy and `SETTINGS`."""
    return TrainingParams(**base_parameters("training") | SETTINGS | {"ladder": [RUNG | {"steps": steps}]})
