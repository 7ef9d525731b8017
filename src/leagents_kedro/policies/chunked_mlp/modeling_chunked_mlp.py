"""The chunked MLP itself."""

from collections import deque
from typing import Any, ClassVar

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.utils.constants import ACTION
from torch import Tensor, nn

from leagents_kedro.policies.chunked_mlp.configuration_chunked_mlp import ChunkedMLPConfig
from leagents_kedro.policies.chunked_mlp.processor_chunked_mlp import RAW_ENV_STATE

_UNITS_A_METRE = 10.0  # of a difference of positions


class ChunkedMLPPolicy(PreTrainedPolicy):
    """Maps the observation of now to the next ``chunk_size`` actions; draws no random numbers and remembers nothing.

    Inputs are the vectors of the batch in the order of their names, then the differences of positions.
    """

    config_class: ClassVar[type] = ChunkedMLPConfig
    name: ClassVar[str] = "chunked_mlp"

    def __init__(self, config: ChunkedMLPConfig, **kwargs: Any):
        """Begin with random weights; LeRobot's ``kwargs`` (statistics, metadata) are not needed.

        Raises:
            ValueError: The features are not what this policy can learn from.
        """
        super().__init__(config)
        config.validate_features()
        self._inputs = sorted(config.input_features)
        self._action_dim = config.action_feature.shape[0]
        starts = torch.tensor(config.positions, dtype=torch.int64)
        pairs = (torch.combinations(starts)[..., None] + torch.arange(3)).transpose(0, 1).flatten(1)
        self.register_buffer("pairs", pairs, persistent=False)  # (2, 3 x pairs) indices
        width = sum(config.input_features[key].shape[0] for key in self._inputs) + pairs.shape[1]
        layers: list[nn.Module] = []
        for _ in range(config.n_layers):
            layers += [nn.Linear(width, config.hidden_dim), nn.GELU()]
            width = config.hidden_dim
        self.model = nn.Sequential(*layers, nn.Linear(width, config.chunk_size * self._action_dim))
        self.reset()

    def get_optim_params(self) -> Any:
        """Return all weights."""
        return self.parameters()

    def reset(self) -> None:
        """Forget the rest of the chunk of the running episode."""
        self._queue: deque[Tensor] = deque(maxlen=self.config.n_action_steps)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, None]:
        """Return the mean absolute error of the actions that lie within their episode.

        Args:
            batch: Normalized vectors (batch, length), ``action`` (batch, chunk_size, action_dim), and
                ``action_is_pad`` (batch, chunk_size).
        """
        errors = (self._chunks(batch) - batch[ACTION]).abs()
        within = ~batch["action_is_pad"]
        loss = (errors * within[..., None]).sum() / (within.sum() * self._action_dim).clamp_min(1)
        return loss, None

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """Return normalized actions (batch, chunk_size, action_dim)."""
        self.eval()
        return self._chunks(batch)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Any) -> Tensor:
        """Return the next normalized action (batch, action_dim) of the chunk, and a new chunk where it is used up."""
        if not self._queue:
            self._queue.extend(self.predict_action_chunk(batch)[:, : self.config.n_action_steps].transpose(0, 1))
        return self._queue.popleft()

    def _chunks(self, batch: dict[str, Tensor]) -> Tensor:
        inputs = [batch[key] for key in self._inputs]
        if self.config.positions:
            first, second = batch[RAW_ENV_STATE][:, self.pairs].unbind(1)
            inputs.append(_UNITS_A_METRE * (first - second))
        clipped = torch.cat(inputs, dim=1).clamp(-self.config.input_clip, self.config.input_clip)
        return self.model(clipped).unflatten(1, (self.config.chunk_size, self._action_dim))
