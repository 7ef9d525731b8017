"""What an environment gives, as a policy sees it: LeRobot's own conversions, and the features that follow from them."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from leagents_kedro.episodes.columns import Features

if TYPE_CHECKING:
    import gymnasium as gym
    from lerobot.envs.configs import EnvConfig

_FOLLOWS: Features = {
    "next.reward": {"dtype": "float32", "shape": (1,), "names": None},
    "next.success": {"dtype": "bool", "shape": (1,), "names": None},
    "next.done": {"dtype": "bool", "shape": (1,), "names": None},
}


def policy_columns(
    observations: Sequence[dict[str, Any]], env: "gym.Env", config: "EnvConfig"
) -> dict[str, np.ndarray]:
    """Return observations as the columns that LeRobot's own conversions make of them.

    Columns are (observations, dim) float32, and (observations, height, width, 3) uint8 for images.
    """
    from gymnasium.vector.utils import concatenate, create_empty_array
    from lerobot.envs.utils import preprocess_observation

    space = env.observation_space
    stacked = concatenate(space, observations, create_empty_array(space, len(observations)))
    preprocess, _ = config.get_env_processors()
    batch = preprocess(preprocess_observation(stacked))
    return dict(_arrays(batch))


def episode_features(observation: dict[str, Any], env: "gym.Env", config: "EnvConfig") -> Features:
    """Return the LeRobotDataset features of episodes that begin with ``observation``: what is seen, done, and follows.

    They stand in the order of LeRobot's configuration; what it does not name comes after.
    """
    columns = policy_columns([observation], env, config)
    features = {key: _feature(column.shape[1:], column.dtype == np.uint8) for key, column in columns.items()}
    features["action"] = _feature(env.action_space.shape or (), image=False)
    order = {key: place for place, key in enumerate(config.features_map.values())}
    return dict(sorted(features.items(), key=lambda item: order.get(item[0], len(order)))) | _FOLLOWS


def _feature(shape: tuple[int, ...], image: bool) -> dict[str, Any]:
    return {
        "dtype": "video" if image else "float32",
        "shape": tuple(shape),
        "names": ["height", "width", "channels"] if image else None,
    }


def _arrays(batch: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    import torch

    for key, value in batch.items():
        if key.startswith("observation.image"):
            yield key, (value * 255).round().to(torch.uint8).movedim(-3, -1).numpy()
        elif key.startswith("observation."):
            yield key, value.to(torch.float32).numpy()
