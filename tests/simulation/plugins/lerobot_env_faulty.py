"""A LeRobot environment plug-in whose task says what goes wrong in the third step of an episode."""

import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig

SPACE = gym.spaces.Box(-np.inf, np.inf, (2,), np.float32)


class FaultyEnv(gym.Env):
    """Its state is random; ``folder`` gets a file for each fault."""

    _max_episode_steps = 6
    observation_space = gym.spaces.Dict({"agent_pos": SPACE, "environment_state": SPACE})
    action_space = SPACE

    def __init__(self, task: str, folder: str):
        self._task, self._folder = task, Path(folder)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self._steps, self._seed = 0, seed
        return self._observation(), {"is_success": False}

    def step(self, action: np.ndarray):
        self._steps += 1
        if self._steps == 3:
            self._fail()
        return self._observation(), float(action.sum()), False, self._steps == 6, {"is_success": False}

    def _fail(self) -> None:
        failed = self._folder / f"{self._task}-{self._seed}"
        before = failed.exists()
        failed.touch()
        if self._task == "raises":
            raise ValueError("the gripper broke")
        if self._task == "hangs":
            time.sleep(3600)
        if self._task == "crashes" or (self._task == "crashes once" and not before):
            os.kill(os.getpid(), signal.SIGSEGV)

    def _observation(self) -> dict[str, np.ndarray]:
        return {key: self.np_random.normal(size=2).astype(np.float32) for key in self.observation_space}


@EnvConfig.register_subclass("faulty")
@dataclass
class FaultyConfig(EnvConfig):
    """A task is the name of a fault."""

    task: str | None = "works"
    folder: str = ""
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {
            "action": PolicyFeature(FeatureType.ACTION, (2,)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (2,)),
            "environment_state": PolicyFeature(FeatureType.ENV, (2,)),
        }
    )
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            "action": "action",
            "agent_pos": "observation.state",
            "environment_state": "observation.environment_state",
        }
    )

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        return {}

    def create_envs(self, n_envs: int, use_async_envs: bool = False):
        return {"faulty": {0: gym.vector.SyncVectorEnv([lambda: FaultyEnv(self.task, self.folder)] * n_envs)}}
