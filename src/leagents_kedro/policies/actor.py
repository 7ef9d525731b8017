"""Acting with a LeRobot checkpoint: raw observations in, actions to apply out."""

from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.errors import CheckpointError

if TYPE_CHECKING:
    from lerobot.envs.configs import EnvConfig


# Policies whose chunk depends on nothing but the observation; others remember their episode.
_CHUNKED_TYPES = frozenset({"act", "pi0", "pi05", "pi0_fast", "smolvla"})


class Actor:
    """A policy with its processors, for one environment configuration at a time.

    ``chunked`` actors have no memory beyond their chunk of actions, so that many episodes share one batched call.
    Others (observation history, temporal ensembling) act for one episode at a time through ``select_action``.
    """

    def __init__(self, policy: Any, preprocessor: Any, postprocessor: Any):
        config = policy.config
        self._policy = policy.eval()
        self._preprocessor, self._postprocessor = preprocessor, postprocessor
        self._env_preprocessor: Any = None
        self._env_postprocessor: Any = None
        self.action_steps: int = getattr(config, "n_action_steps", 1)
        self.chunked = config.type in _CHUNKED_TYPES and getattr(config, "temporal_ensemble_coeff", None) is None

    @classmethod
    def load(cls, checkpoint: Path, device: str = "cpu", torch_threads: int = 1) -> "Actor":
        """Open the checkpoint folder that holds ``pretrained_model/``; threads count, as they change sums.

        Raises:
            CheckpointError: The folder is no LeRobot checkpoint.
        """
        import lerobot.policies  # noqa: F401  (registers the policy types)
        import torch
        from lerobot.configs import PreTrainedConfig
        from lerobot.policies.factory import get_policy_class, make_pre_post_processors

        torch.set_num_threads(torch_threads)
        folder = checkpoint / "pretrained_model"
        if not (folder / "model.safetensors").is_file():
            raise CheckpointError(f"{folder}: no model.safetensors; expected a checkpoint as lerobot-train writes it")
        config = PreTrainedConfig.from_pretrained(folder)
        config.device = device
        with redirect_stdout(None):  # LeRobot prints where it loads from
            policy = get_policy_class(config.type).from_pretrained(folder, config=config)
        processors = make_pre_post_processors(
            config, str(folder), preprocessor_overrides={"device_processor": {"device": device}}
        )
        return cls(policy.to(device), *processors)

    def bind(self, environment: "EnvConfig") -> None:
        """Use the processors that LeRobot has for ``environment`` between it and the policy."""
        from lerobot.envs.factory import make_env_pre_post_processors

        self._env_preprocessor, self._env_postprocessor = make_env_pre_post_processors(environment, self._policy.config)

    def reset(self) -> None:
        """Forget the running episode."""
        self._policy.reset()

    def predict(self, observations: list[dict[str, Any]], sentences: list[str]) -> np.ndarray:
        """Return the next actions of each slot, in the order they are to be applied.

        Args:
            observations: One Gymnasium observation a slot, as the environment returned it.
            sentences: One task sentence a slot.

        Returns:
            float32 array (slots, steps, action_dim); one step where the actor is not ``chunked``.
        """
        import torch
        from lerobot.envs.utils import preprocess_observation
        from lerobot.utils.constants import ACTION

        batch = preprocess_observation(_stacked(observations))
        batch["task"] = sentences
        batch = self._preprocessor(self._env_preprocessor(batch))
        with torch.inference_mode():
            if self.chunked:
                actions = self._policy.predict_action_chunk(batch)[:, : self.action_steps]
            else:
                actions = self._policy.select_action(batch).unsqueeze(1)
        actions = self._env_postprocessor({ACTION: self._postprocessor(actions)})[ACTION]
        return actions.to("cpu", torch.float32).numpy()


def _stacked(observations: list[dict[str, Any]]) -> dict[str, Any]:
    """Stack observations of equal structure into one with a leading slot axis."""
    return {
        key: _stacked([observation[key] for observation in observations])
        if isinstance(value, dict)
        else np.stack([observation[key] for observation in observations])
        for key, value in observations[0].items()
    }
