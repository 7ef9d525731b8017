"""Small policies on disk."""

from pathlib import Path
from typing import Any

from leagents_kedro.parameters.training import Rung
from leagents_kedro.policies.checkpoints import checkpoint_digest
from leagents_kedro.policies.training import policy_config
from leagents_kedro.records import Checkpoint
from support.datasets import METAWORLD

ACT = {"chunk_size": 4, "n_action_steps": 4, "dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "latent_dim": 2}
SMALL = {**ACT, "n_encoder_layers": 1, "n_vae_encoder_layers": 1}
"""Options of an ACT of a few thousand weights."""
_SMALL = {"act": SMALL, "chunked_mlp": {"chunk_size": 4, "n_action_steps": 4, "hidden_dim": 16}}


def rung_of(policy_type: str = "act", **changes: Any) -> Rung:
    """Return a rung of one step; keywords that it has no field for are options, over those of a small policy."""
    fields = {name: changes.pop(name) for name in Rung.model_fields.keys() & changes}
    options = _SMALL.get(policy_type, {}) | changes
    given = {"steps": 1, "pretrained_path": None, "pretrained_revision": None, "options": options} | fields
    return Rung(policy_type=policy_type, **given)


def untrained(rung: Rung, folder: Path, number: int = 0, features: dict[str, Any] = METAWORLD) -> Checkpoint:
    """Write a checkpoint of the rung with random weights, and processors without statistics."""
    from lerobot.configs import FeatureType
    from lerobot.policies.factory import get_policy_class, make_pre_post_processors
    from lerobot.utils.feature_utils import dataset_to_policy_features

    inner = folder / "pretrained_model"
    config = policy_config(rung, "cpu")
    known = dataset_to_policy_features(features)
    config.output_features = {key: one for key, one in known.items() if one.type is FeatureType.ACTION}
    config.input_features = {key: one for key, one in known.items() if key not in config.output_features}
    get_policy_class(rung.policy_type)(config).save_pretrained(inner)
    for processor in make_pre_post_processors(config, dataset_stats={}):
        processor.save_pretrained(inner)
    digest = checkpoint_digest(inner)
    return Checkpoint(path=folder, policy_type=rung.policy_type, rung=number, step=1, digest=digest)
