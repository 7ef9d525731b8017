"""Acting with a LeRobot checkpoint: raw observations in, actions to apply out."""

from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.errors import CheckpointError
from leagents_kedro.policies.checkpoints import known_policies, read_json

if TYPE_CHECKING:
    from lerobot.envs.configs import EnvConfig


_DETERMINISTIC_TYPES = frozenset({"act", "chunked_mlp"})
"""Policies whose chunk depends on nothing but the observation."""
_CHUNKED_TYPES = _DETERMINISTIC_TYPES | {"pi0", "pi05", "pi0_fast", "smolvla"}
"""Those, and policies whose chunk depends on the noise drawn for it, too; others remember their episode."""
_ROWS = 8  # of a batched call, always: the sums behind a row follow the number of rows


@dataclass(frozen=True)
class PolicyFile:
    """A checkpoint folder, which holds ``pretrained_model/``, and how to open it."""

    folder: Path
    digest: str
    device: str
    torch_threads: int

    def opened(self) -> "Actor":
        """Return the policy, read from its folder.

        Raises:
            CheckpointError: The folder is no LeRobot checkpoint.
        """
        return Actor.load(self.folder, self.device, self.torch_threads)


class Actor:
    """A policy with its processors, for one environment configuration at a time.

    What an actor does in an episode depends, to the bit, on the checkpoint, the observations, and the seeds alone, not
    on the episodes that share its calls. ``chunked`` actors have no memory beyond their chunk of actions; others
    (observation history, temporal ensembling) act for one episode at a time through ``select_action``.
    """

    def __init__(self, policy: Any, preprocessor: Any, postprocessor: Any, torch_threads: int):
        config = policy.config
        self._policy = policy.eval()
        policy.eval = lambda: None  # LeRobot asks for it in every call: a walk through all modules
        self._preprocessor, self._postprocessor = preprocessor, postprocessor
        self._env_preprocessor: Any = None
        self._env_postprocessor: Any = None
        self._torch_threads = torch_threads
        self.action_steps: int = getattr(config, "n_action_steps", 1)
        self.chunked = config.type in _CHUNKED_TYPES and getattr(config, "temporal_ensemble_coeff", None) is None
        shared = self.chunked and config.type in _DETERMINISTIC_TYPES and self._rows_are_independent()
        self._rows = _ROWS if shared else 1

    @classmethod
    def load(cls, checkpoint: Path, device: str = "cpu", torch_threads: int = 1) -> "Actor":
        """Open the checkpoint folder that holds ``pretrained_model/``; threads count, as they change sums.

        Raises:
            CheckpointError: The folder is no LeRobot checkpoint.
        """
        import torch
        from lerobot.configs import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        torch.set_num_threads(torch_threads)
        folder = checkpoint / "pretrained_model"
        if not (folder / "model.safetensors").is_file():
            raise CheckpointError(f"{folder}: no model.safetensors; expected a checkpoint as lerobot-train writes it")
        known_policies(str(read_json(folder / "config.json").get("type")))
        config = PreTrainedConfig.from_pretrained(folder)
        config.device = device
        with redirect_stdout(None):  # LeRobot prints where it loads from
            policy = get_policy_class(config.type).from_pretrained(folder, config=config)
        preprocessor, postprocessor = make_pre_post_processors(
            config, str(folder), preprocessor_overrides={"device_processor": {"device": device}}
        )
        return cls(policy.to(device), preprocessor, postprocessor, torch_threads)

    def bind(self, environment: "EnvConfig") -> None:
        """Use the processors that LeRobot has for ``environment`` between it and the policy, and its own threads."""
        import torch
        from lerobot.envs.factory import make_env_pre_post_processors

        torch.set_num_threads(self._torch_threads)
        self._env_preprocessor, self._env_postprocessor = make_env_pre_post_processors(environment, self._policy.config)

    def reset(self) -> None:
        """Forget the running episode."""
        self._policy.reset()

    def predict(
        self, observations: Sequence[dict[str, Any]], sentences: Sequence[str], seeds: Sequence[int]
    ) -> np.ndarray:
        """Return the next actions of each slot, in the order they are to be applied.

        Args:
            observations: One Gymnasium observation a slot, as the environment returned it.
            sentences: One task sentence a slot.
            seeds: One number a slot, of which a policy that samples draws its noise.

        Returns:
            float32 array (slots, steps, action_dim); one step where the actor is not ``chunked``.
        """
        calls = batched(zip(observations, sentences, seeds, strict=True), self._rows)
        return np.concatenate([self._call(slots) for slots in calls])

    def rehearse(self) -> None:
        """Act once, on an observation of random numbers.

        Raises:
            CheckpointError: The action is of another shape than the policy says of itself.
        """
        self.reset()
        actions = self._act(self._imagined(1))
        (feature,) = self._policy.config.output_features.values()
        if tuple(actions.shape[2:]) != tuple(feature.shape):
            raise CheckpointError(
                f"'{self._policy.config.type}' should give actions of shape {tuple(feature.shape)}, gives "
                f"{tuple(actions.shape[2:])}; mend its postprocessor"
            )
        self.reset()

    def _call(self, slots: Sequence[tuple[dict[str, Any], str, int]]) -> np.ndarray:
        """Return actions (slots, steps, action_dim) from one call, whose rows beyond the slots repeat the first."""
        import torch
        from lerobot.envs.utils import preprocess_observation
        from lerobot.utils.constants import ACTION

        rows = [*slots, *[slots[0]] * (self._rows - len(slots))]
        batch = preprocess_observation(_stacked([observation for observation, _, _ in rows]))
        batch["task"] = [sentence for _, sentence, _ in rows]
        if self._rows == 1:
            torch.manual_seed(slots[0][2])
        actions = self._env_postprocessor({ACTION: self._act(self._env_preprocessor(batch))})[ACTION]
        return actions.to("cpu", torch.float32).numpy()[: len(slots)]

    def _act(self, batch: dict[str, Any]) -> Any:
        """Return actions (rows, steps, action_dim) for a batch under LeRobot's names."""
        import torch

        batch = self._preprocessor(batch)
        with torch.inference_mode():
            if self.chunked:
                actions = self._policy.predict_action_chunk(batch)[:, : self.action_steps]
            else:
                actions = self._policy.select_action(batch).unsqueeze(1)
        return self._postprocessor(actions)

    def _imagined(self, rows: int) -> dict[str, Any]:
        """Return observations of random numbers, one a row, under LeRobot's names."""
        import torch

        generator = torch.Generator().manual_seed(0)
        shapes = {key: feature.shape for key, feature in self._policy.config.input_features.items()}
        seen = {key: torch.rand((rows, *shape), generator=generator) for key, shape in shapes.items()}
        return seen | {"task": [""] * rows}

    def _rows_are_independent(self) -> bool:
        """Whether a row's actions are the same bits at every place of a call, and whatever the other rows hold.

        The order of a sum does not depend on the numbers summed, so a trial with random ones tells.
        """
        import torch

        batch = self._imagined(_ROWS)

        def actions(rows: list[int]) -> Any:
            return self._act(batch | {key: batch[key][rows] for key in batch.keys() - {"task"}})

        there = actions([*range(_ROWS)])
        others = [*range(1, _ROWS), 0], [0] * _ROWS
        return all(torch.equal(actions(rows), there[rows]) for rows in others)


def _stacked(observations: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack observations of equal structure into one with a leading slot axis."""
    return {
        key: _stacked([observation[key] for observation in observations])
        if isinstance(value, dict)
        else np.stack([observation[key] for observation in observations])
        for key, value in observations[0].items()
    }
