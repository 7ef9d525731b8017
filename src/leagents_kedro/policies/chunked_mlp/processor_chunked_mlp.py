"""What comes before a chunked MLP, and after it."""

from dataclasses import dataclass
from typing import Any

from lerobot.processor import (
    ObservationProcessorStep,
    ProcessorStepRegistry,
    make_default_policy_processor_steps,
    make_policy_processor_pipelines,
)
from lerobot.utils.constants import OBS_ENV_STATE

from leagents_kedro.policies.chunked_mlp.configuration_chunked_mlp import ChunkedMLPConfig

RAW_ENV_STATE = "observation.raw_environment_state"
"""The environment's state before it is normalized, in which positions have one unit."""


@dataclass
@ProcessorStepRegistry.register(name="chunked_mlp_raw_environment_state")
class RawEnvironmentStateStep(ObservationProcessorStep):
    """Keeps the environment's state as it is, under a name of its own."""

    def observation(self, observation: dict[str, Any]) -> dict[str, Any]:
        """Return the observation with that entry."""
        return observation | {RAW_ENV_STATE: observation[OBS_ENV_STATE]}

    def transform_features(self, features: Any) -> Any:
        """Return ``features`` as they are: the entry is between this step and the policy alone."""
        return features


def make_chunked_mlp_pre_post_processors(
    config: ChunkedMLPConfig, dataset_stats: dict[str, dict[str, Any]] | None = None
) -> tuple[Any, Any]:
    """Return LeRobot's default processors, with the environment's state kept as it is where there are positions."""
    steps = make_default_policy_processor_steps(config, dataset_stats, normalizer_device=config.device)
    raw = [RawEnvironmentStateStep()] if config.positions else []
    return make_policy_processor_pipelines(
        [steps.rename_observations, steps.add_batch_dim, steps.to_device, *raw, steps.normalize],
        [steps.unnormalize, steps.to_cpu],
    )
