"""Whether a rung that was changed can go on from the weights that were trained before."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leagents_kedro.parameters.training import Rung, TrainingParams
from leagents_kedro.policies.checkpoints import read_json, stored_shapes, unstored
from leagents_kedro.policies.refusals import refusals
from leagents_kedro.policies.training import policy_config
from leagents_kedro.records import Checkpoint, Initial

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
    if not changed or _fit(_weights_of(rung, checkpoint.pretrained_model), stored_shapes(checkpoint.pretrained_model)):
        return None
    return ", ".join(f"options.{name} is {value!r}, was {trained.get(name)!r}" for name, value in changed.items())


def misfit_of_step(
    training: TrainingParams, rung: int, initial: Initial, sources: Mapping[str, Checkpoint | None]
) -> str | None:
    """Return why a rung of the ladder cannot go on from the ``initial`` one of its ``sources``, if it cannot.

    Raises:
        ParameterError: The ladder ends below the rung, or LeRobot refuses it.
    """
    if initial == "scratch":
        return None
    checkpoint = sources[initial]
    if checkpoint is None:
        return f"training would go on from the {initial} checkpoint, and there is none"
    found = misfit(training.rung(rung), checkpoint)
    return found and f"training.ladder[{rung}] does not fit the {initial} checkpoint that it would go on from: {found}"


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
    """Whether ``stored`` are the shapes of all ``weights``."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    return not unstored(weights, stored) and all(shapes.get(name) == shape for name, shape in stored.items())
