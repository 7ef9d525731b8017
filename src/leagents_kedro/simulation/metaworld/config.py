"""MetaWorld's 50 tasks observed as state: a LeRobot environment plug-in that renders only when asked to.

LeRobot's own tools find it with ``--env.type=metaworld_state --env.discover_packages_path=leagents_kedro.simulation``.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_STATE

from leagents_kedro.errors import ParameterError
from leagents_kedro.simulation.metaworld.tasks import ACTION_DIM, AGENT_DIM, STATE_DIM, tasks_named

if TYPE_CHECKING:
    from gymnasium.vector import VectorEnv

_HORIZON = 500  # steps, of MetaWorld's simulations


@EnvConfig.register_subclass("metaworld_state")
@dataclass
class MetaWorldStateConfig(EnvConfig):
    """``task`` is one of MetaWorld's, a group (easy, medium, hard, very_hard), or a comma-separated list of both.

    Raises:
        ParameterError: ``episode_length`` is beyond MetaWorld's horizon of 500 steps.
    """

    task: str | None = "reach-v3"
    fps: int = 80
    episode_length: int = 200
    features: dict[str, PolicyFeature] = field(
        default_factory=lambda: {
            ACTION: PolicyFeature(FeatureType.ACTION, (ACTION_DIM,)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (AGENT_DIM,)),
            "environment_state": PolicyFeature(FeatureType.ENV, (STATE_DIM,)),
        }
    )
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            ACTION: ACTION,
            "agent_pos": OBS_STATE,
            "environment_state": OBS_ENV_STATE,
        }
    )

    def __post_init__(self) -> None:
        if not 1 <= self.episode_length <= _HORIZON:
            raise ParameterError(
                f"metaworld_state: episode_length should be between 1 and {_HORIZON} steps, got {self.episode_length}"
            )

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """Arguments of each environment."""
        return {"episode_length": self.episode_length}

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> dict[str, dict[int, "VectorEnv"]]:
        """Return {group: {task id: vector environment}}.

        All run in this process: a step costs less than a message to a worker.
        """
        from gymnasium.vector import SyncVectorEnv

        from leagents_kedro.simulation.metaworld.env import MetaWorldStateEnv

        return {
            group: {
                index: SyncVectorEnv([partial(MetaWorldStateEnv, task, **self.gym_kwargs)] * n_envs)
                for index, task in enumerate(tasks_named([group], "metaworld_state"))
            }
            for group in (self.task or "").replace(" ", "").split(",")
        }
