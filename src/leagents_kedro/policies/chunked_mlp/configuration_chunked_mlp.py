"""What a chunked MLP is made of, and trained with."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lerobot.configs import FeatureType, NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, LRSchedulerConfig
from lerobot.optim.schedulers import CosineAnnealingWithWarmupSchedulerConfig
from lerobot.utils.constants import OBS_ENV_STATE

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LRScheduler

_LONGEST_WARMUP = 0.05  # of a training


@LRSchedulerConfig.register_subclass("cosine_to_last_step")
@dataclass
class CosineToLastStepSchedulerConfig(LRSchedulerConfig):
    """Warms up over ``num_warmup_steps``, at most a twentieth of a training, and decays to zero at its last step."""

    num_warmup_steps: int = 500

    def build(self, optimizer: "Optimizer", num_training_steps: int) -> "LRScheduler":
        """Return the schedule of a training of ``num_training_steps``."""
        warmup = min(self.num_warmup_steps, int(_LONGEST_WARMUP * num_training_steps))
        return CosineAnnealingWithWarmupSchedulerConfig(warmup).build(optimizer, num_training_steps)


@PreTrainedConfig.register_subclass("chunked_mlp")
@dataclass
class ChunkedMLPConfig(PreTrainedConfig):
    """``n_layers`` hidden layers of ``hidden_dim`` between the observation and the next ``chunk_size`` actions.

    Of a chunk, ``n_action_steps`` are applied before the next one is asked for. Normalized inputs are clipped to
    ``input_clip`` standard deviations. ``positions`` are the indices in ``observation.environment_state`` at which
    positions (x, y, z in metres) begin; the differences between all pairs of them are further inputs.

    Raises:
        ValueError: A field has no valid value.
    """

    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("STATE", "ENV", "ACTION"), NormalizationMode.MEAN_STD)
    )
    chunk_size: int = 10
    n_action_steps: int = 10
    hidden_dim: int = 256
    n_layers: int = 3
    input_clip: float = 8.0
    positions: list[int] = field(default_factory=list)
    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4
    scheduler_warmup_steps: int = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_obs_steps != 1:
            raise ValueError(f"n_obs_steps should be 1, got {self.n_obs_steps}")
        for name in ("chunk_size", "hidden_dim", "n_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} should be at least 1, got {getattr(self, name)}")
        if not 1 <= self.n_action_steps <= self.chunk_size:
            raise ValueError(
                f"n_action_steps should be between 1 and chunk_size ({self.chunk_size}), got {self.n_action_steps}"
            )
        if self.input_clip <= 0:
            raise ValueError(f"input_clip should be more than 0, got {self.input_clip}")
        if min(self.positions, default=0) < 0 or len(set(self.positions)) != len(self.positions):
            raise ValueError(f"positions should be different indices from 0 on, got {self.positions}")
        if len(self.positions) == 1:
            raise ValueError(
                f"positions should be at least two, which have a difference, or none; got {self.positions}"
            )

    def validate_features(self) -> None:
        """Check that inputs are vectors, one of them with all ``positions``, and that there is an action.

        Raises:
            ValueError: They are not.
        """
        if not self.input_features:
            raise ValueError("chunked_mlp should get at least one vector, got no input")
        for key, feature in self.input_features.items():
            if feature.type is FeatureType.VISUAL:
                raise ValueError(
                    f"chunked_mlp should get vectors alone, got the image '{key}'; choose a policy that sees, as act, "
                    "or leave images out of input_features"
                )
            if len(feature.shape) != 1:
                raise ValueError(f"chunked_mlp should get vectors alone, got '{key}' of shape {tuple(feature.shape)}")
        if self.positions:
            state = self.input_features.get(OBS_ENV_STATE)
            if state is None:
                raise ValueError(
                    f"positions are indices in '{OBS_ENV_STATE}', which is not among the inputs; leave them out"
                )
            if (end := max(self.positions) + 3) > state.shape[0]:
                raise ValueError(
                    f"positions {self.positions} need {end} numbers of '{OBS_ENV_STATE}', which has {state.shape[0]}"
                )
        if self.action_feature is None or len(self.action_feature.shape) != 1:
            raise ValueError("chunked_mlp should have a vector 'action' to predict, got none")

    def get_optimizer_preset(self) -> AdamWConfig:
        """Return how weights are updated."""
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay)

    def get_scheduler_preset(self) -> CosineToLastStepSchedulerConfig:
        """Return how the learning rate changes: to zero at the last step of whatever training is asked for."""
        return CosineToLastStepSchedulerConfig(self.scheduler_warmup_steps)

    @property
    def observation_delta_indices(self) -> None:
        """One observation is seen, that of now."""
        return

    @property
    def action_delta_indices(self) -> list[int]:
        """The actions of a chunk, from that of now on."""
        return list(range(self.chunk_size))

    @property
    def reward_delta_indices(self) -> None:
        """Rewards are not read."""
        return
