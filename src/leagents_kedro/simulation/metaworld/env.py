"""One of MetaWorld's tasks, observed as state; imports the simulator, which `config` does not."""

import pickle
from functools import cached_property, partial
from typing import Any

import gymnasium as gym
import mujoco
import numpy as np
from gymnasium import spaces
from metaworld.sawyer_xyz_env import SawyerXYZEnv
from metaworld.types import Task as MetaWorldTask

from leagents_kedro.shortcuts.metaworld import speed_up
from leagents_kedro.simulation.metaworld.scene import scene_of
from leagents_kedro.simulation.metaworld.tasks import (
    ACTION_DIM,
    AGENT_DIM,
    METAWORLD_DIM,
    STATE_DIM,
    metaworld_tasks,
)


class MetaWorldStateEnv(gym.Env):
    """One MetaWorld task with its goal in sight, ended by success or after ``episode_length`` steps.

    Observations are ``agent_pos`` (4,), the hand's position in metres and the gripper's opening, and
    ``environment_state`` (89,), MetaWorld's 39 numbers (the goal is the last three) followed by a one-hot code of the
    task in the alphabetical order of all 50. Actions are (4,) in [-1, 1].

    ``reset(seed=...)`` determines an episode fully, also in an environment that has run others. The simulation is made
    at the first reset, a graphics context at the first ``render()``. With ``shortcuts``, set before that, steps take
    less time.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 80}
    render_mode = "rgb_array"
    shortcuts = False

    def __init__(self, task: str, episode_length: int):
        self.task = task
        self.task_description = metaworld_tasks()[task]
        self._max_episode_steps = episode_length
        self._blank_state = np.zeros(STATE_DIM, np.float32)
        self._blank_state[METAWORLD_DIM + sorted(metaworld_tasks()).index(task)] = 1
        self.observation_space = spaces.Dict(
            {
                "agent_pos": spaces.Box(-np.inf, np.inf, (AGENT_DIM,), np.float32),
                "environment_state": spaces.Box(-np.inf, np.inf, (STATE_DIM,), np.float32),
            }
        )
        self.action_space = spaces.Box(-1, 1, (ACTION_DIM,), np.float32)

    @cached_property
    def _simulation(self) -> SawyerXYZEnv:
        self._scene = scene_of(self.task)
        simulation = self._scene.simulation()
        self._placement = self._scene.placement()
        # MT1 would simulate 50 resets to draw placements that the seeds of episodes replace.
        goal_in_sight = {"env_cls": SawyerXYZEnv, "rand_vec": None, "partially_observable": False}
        simulation.set_task(MetaWorldTask(self.task, pickle.dumps(goal_in_sight)))
        simulation.seeded_rand_vec = True
        if self.shortcuts:
            speed_up(simulation)
        return simulation

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Place hand, objects, and goal as ``seed`` says; without one, as the last seed goes on."""
        super().reset(seed=seed, options=options)
        simulation = self._simulation
        if seed is not None:
            simulation.seed(seed)
        self._scene.reset()
        # Tasks compute part of their state from bodies as they stood before the placement was drawn. As in MetaWorld's
        # benchmarks, a second pass on the same placement corrects the first, which need not simulate the hand.
        simulation._freeze_rand_vec = False
        simulation._reset_hand = partial(simulation._reset_hand, steps=0)
        mujoco.mj_resetData(simulation.model, simulation.data)
        mujoco.mj_forward(simulation.model, simulation.data)
        simulation.reset_model()
        simulation._freeze_rand_vec = True
        del simulation._reset_hand
        mujoco.mj_resetData(simulation.model, simulation.data)
        raw = simulation.reset_model()
        self._placement = self._scene.placement()
        simulation.curr_path_length = 0
        simulation._prev_obs = raw[:18].copy()
        raw[18:36] = simulation._prev_obs
        return self._observation(raw), {"is_success": False}

    def step(self, action: np.ndarray) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """Apply ``action`` (4,): a displacement of the hand in centimetres, and the gripper's effort."""
        simulation = self._simulation
        self._scene.place(self._placement)
        raw, reward, _, _, info = simulation.step(action)
        success = bool(info["success"])
        truncated = simulation.curr_path_length >= self._max_episode_steps
        return self._observation(raw), float(reward), success, truncated, {"is_success": success}

    def render(self) -> np.ndarray:
        """Return the scene as uint8 (480, 480, 3)."""
        simulation = self._simulation
        self._scene.place(self._placement)
        return np.flip(simulation.render(), (0, 1))  # MetaWorld's corner2 camera hangs upside down

    def close(self) -> None:
        """Free the simulation; a later reset makes another."""
        simulation = self.__dict__.pop("_simulation", None)
        if simulation is not None:
            simulation.close()
            del self._scene

    def _observation(self, raw: np.ndarray) -> dict[str, np.ndarray]:
        state = self._blank_state.copy()
        state[:METAWORLD_DIM] = raw
        return {"agent_pos": state[:AGENT_DIM].copy(), "environment_state": state}


def compile_arm() -> None:
    """Let MuJoCo compile the meshes of the arm, which all tasks share, for every model that is loaded later."""
    env = MetaWorldStateEnv("reach-v3", 1)
    env.reset()
    env.close()
