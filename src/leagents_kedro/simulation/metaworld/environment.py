"""MetaWorld, with LeRobot's cameras or as state: its tasks, its experts, and what workers prepare."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from leagents_kedro.records import Task
from leagents_kedro.simulation.environments import Environment, Expert, register
from leagents_kedro.simulation.metaworld.tasks import METAWORLD_DIM, metaworld_tasks, tasks_named
from leagents_kedro.simulation.sources import GOAL, at

if TYPE_CHECKING:
    import gymnasium as gym

    from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv
    from leagents_kedro.simulation.pool import EnvironmentPool


_POSITIONS = {"object": 4, "second object": 11, GOAL: 36}  # where they begin in MetaWorld's state


@register("metaworld")
class MetaWorld(Environment):
    """LeRobot's own MetaWorld."""

    def tasks(self, names: Sequence[str], pool: "EnvironmentPool") -> tuple[Task, ...]:
        """Return the tasks that names of tasks or groups (easy, medium, hard, very_hard) stand for.

        Raises:
            ParameterError: A task or a group is unknown.
        """
        sentences = metaworld_tasks()
        return tuple(Task(name=task, sentence=sentences[task]) for task in tasks_named(names, self.name))


@register("metaworld_state")
class MetaWorldState(MetaWorld):
    """MetaWorld observed as state: `leagents_kedro.simulation.metaworld.config`."""

    config_module = "leagents_kedro.simulation.metaworld.config"
    extra = "metaworld"
    preloaded = ("leagents_kedro.simulation.metaworld.env",)
    hand_step = 0.01

    def prepare(self) -> None:
        """Let MuJoCo compile the arm, which all tasks share."""
        from leagents_kedro.simulation.metaworld.env import compile_arm

        compile_arm()

    def speed_up(self, env: "gym.Env") -> None:
        """Let ``env`` take the shortcuts through MetaWorld's steps."""
        cast("MetaWorldStateEnv", env.unwrapped).shortcuts = True

    def hand(self, observation: dict[str, Any]) -> np.ndarray:
        """Return where the hand is (3,), in metres."""
        return observation["environment_state"][:3].astype(np.float64)

    def frames(self, observation: dict[str, Any]) -> dict[str, np.ndarray]:
        """Return where objects and goal are; MetaWorld turns none of them."""
        state = observation["environment_state"].astype(np.float64)
        found = {name: state[start : start + 3] for name, start in _POSITIONS.items()}
        return {name: at(position) for name, position in found.items() if position.any()}  # zeros stand for no object

    def expert(self, task: str) -> Expert:
        """Return MetaWorld's scripted policy of ``task``, which reads the simulator's state."""
        from lerobot.envs.metaworld import TASK_POLICY_MAPPING

        policy = TASK_POLICY_MAPPING[task]()

        def act(observation: dict[str, Any]) -> np.ndarray:
            with warnings.catch_warnings():
                # The experts ask for more than the hand can do in a step, and MetaWorld warns of it.
                warnings.filterwarnings("ignore", message="Constant")
                return policy.get_action(observation["environment_state"][:METAWORLD_DIM].astype(np.float64))

        return act
