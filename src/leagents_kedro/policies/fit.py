"""Whether a rung that was changed can go on from the weights that were trained before."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leagents_kedro.parameters.training import Rung
from leagents_kedro.policies.checkpoints import read_json
from leagents_kedro.policies.refusals import refusals
from leagents_kedro.policies.training import policy_config
from leagents_kedro.records import Checkpoint

if TYPE_CHECKING:
    import torch

_OF_TRAINING = ("optimizer_", "scheduler_")
_ABSENT = object()


def misfit(rung: Rung, checkpoint: Checkpoint) -> str | None:
    """Return why training of ``rung`` cannot go on from ``checkpoint``; None where it can.

    A policy is built only where an option differs that may change its weights.

    Raises:
        ParameterError: LeRobot refuses the rung.
    """
    if rung.policy_type != checkpoint.policy_type:
        return f"policy_type is '{rung.policy_type}', the checkpoint is of '{checkpoint.policy_type}'"
    trained = read_json(checkpoint.pretrained_model / "config.json")
    changed = {
        name: value
        for name, value in rung.options.items()
        if not name.startswith(_OF_TRAINING) and trained.get(name, _ABSENT) != json.loads(json.dumps(value))
    }
    if not changed or _fit(_weights_of(rung, checkpoint.pretrained_model), _shapes(checkpoint.pretrained_model)):
        return None
    return ", ".join(f"options.{name} is {value!r}, was {trained.get(name)!r}" for name, value in changed.items())


def _weights_of(rung: Rung, folder: Path) -> "dict[str, torch.Tensor]":
    """Return the weights that the rung would begin with now."""
    from lerobot.policies.factory import get_policy_class

    config: Any = policy_config(rung, "cpu", folder)
    if hasattr(config, "pretrained_backbone_weights"):
        config.pretrained_backbone_weights = None  # shapes are the same, and nothing is downloaded
    with refusals(rung, {}):
        weights: dict[str, torch.Tensor] = get_policy_class(rung.policy_type)(config).state_dict()
    return weights


def _fit(weights: "dict[str, torch.Tensor]", stored: dict[str, tuple[int, ...]]) -> bool:
    """Whether ``stored`` are the shapes of all ``weights``; of tied ones, one name is stored."""
    there = {weight.data_ptr() for name, weight in weights.items() if name in stored}
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    tied = all(name in stored or weight.data_ptr() in there for name, weight in weights.items())
    return tied and all(shapes.get(name) == shape for name, shape in stored.items())


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    from safetensors import safe_open

    with safe_open(folder / "model.safetensors", "pt") as tensors:
        return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
