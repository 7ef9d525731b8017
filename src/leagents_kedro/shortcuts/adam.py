"""Adam's update after a backward pass, in one kernel, or on one tensor."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from leagents_kedro.shortcuts.dropout import ALIGNED
from leagents_kedro.shortcuts.versions import are_tried

if TYPE_CHECKING:
    import torch

TRIED = {"torch": "2.11.0"}

_SMALL = 1 << 22  # elements of which a copy costs less than a call for each tensor
_OPTIONS = ("lr", "weight_decay", "eps", "amsgrad", "maximize", "fused", "foreach", "decoupled_weight_decay")


def speed_up(
    update: Callable[[], None], optimizer: "torch.optim.Optimizer", weights: Sequence["torch.Tensor"], max_norm: float
) -> Callable[[], None]:
    """Return what does the same as ``update``: a step of ``optimizer`` with gradients clipped to ``max_norm`` (0: not).

    Adam updates all tensors in one kernel. On a CPU those of a small policy even lie end to end, and are updated as
    one; for the policy, the optimizer, and their checkpoints they stay tensors of their own.
    """
    import torch

    if not isinstance(optimizer, torch.optim.Adam) or not are_tried("adam", TRIED):
        return update
    for group in optimizer.param_groups:
        group.update(fused=True, foreach=False)  # torch takes the flags from here
    return _UpdateAsOne(optimizer, max_norm, update) if _can_be_one(optimizer, weights) else update


def _can_be_one(optimizer: "torch.optim.Optimizer", weights: Sequence["torch.Tensor"]) -> bool:
    import torch

    groups = [group for group in optimizer.param_groups if group["params"]]
    return (
        len(groups) == 1
        and not any(groups[0][name] for name in ("amsgrad", "capturable", "differentiable"))
        and {weight for weight in weights if weight.requires_grad} <= set(groups[0]["params"])
        and all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in weights)
        and sum(weight.numel() for weight in weights) <= _SMALL
    )


class _UpdateAsOne:
    """Adam's update of weights that lie end to end.

    Where not always the same of them have gradients it is ``otherwise``: Adam leaves alone what has none.
    """

    def __init__(self, optimizer: "torch.optim.Optimizer", max_norm: float, otherwise: Callable[[], None]) -> None:
        self._optimizer, self._max_norm, self._otherwise = optimizer, max_norm, otherwise
        self._weights = sorted(self._group()["params"], key=lambda weight: weight.numel() % ALIGNED)  # aligned first
        self._trained: list[bool] | None = None  # which have gradients; not known before the first
        self._is_one = True

    def __call__(self) -> None:
        gradients = [weight.grad for weight in self._weights]
        trained = [gradient is not None for gradient in gradients]
        if self._trained is None:
            self._trained = trained
            self._is_one = self._lay()
        self._is_one &= trained == self._trained
        if self._is_one:
            self._update([gradient for gradient in gradients if gradient is not None])
        else:
            self._otherwise()

    def _group(self) -> dict[str, Any]:
        """Return the only parameter group; the optimizer replaces it where it loads a state."""
        return next(group for group in self._optimizer.param_groups if group["params"])

    def _lay(self) -> bool:
        """Lay what has gradients, and what Adam remembers of it, end to end; False, and nothing done, where that fails.

        It fails where weights have made different numbers of steps.
        """
        import torch

        weights = [weight for weight in self._weights if weight.grad is not None]
        states = [self._optimizer.state[weight] for weight in weights]  # empty before the first step
        if len({float(state.get("step", 0)) for state in states}) != 1:
            return False
        self._values, parts = _end_to_end([weight.detach() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.data = part
        self._memory = {}
        for name in ("step", "exp_avg", "exp_avg_sq"):
            zeros = [torch.zeros(() if name == "step" else weight.shape) for weight in weights]
            before = [state.get(name, zero) for state, zero in zip(states, zeros, strict=True)]
            self._memory[name], parts = _end_to_end(before)
            for state, part in zip(states, parts, strict=True):
                state[name] = part
        return True

    def _update(self, gradients: list["torch.Tensor"]) -> None:
        import torch
        from torch.optim.adam import adam

        gradient = torch.cat([part.reshape(-1) for part in gradients])
        for weight in self._weights:
            weight.grad = None
        if self._max_norm:
            norm = torch.linalg.vector_norm(gradient)
            gradient.mul_((self._max_norm / (norm + 1e-6)).clamp(max=1.0))  # what clip_grad_norm_ multiplies by
        group, steps = self._group(), self._memory["step"]
        with torch.no_grad():
            adam(
                [self._values],
                [gradient],
                [self._memory["exp_avg"]],
                [self._memory["exp_avg_sq"]],
                [],
                [steps[0]],
                beta1=group["betas"][0],
                beta2=group["betas"][1],
                **{name: group[name] for name in _OPTIONS},
            )
            steps.fill_(steps[0])


def _end_to_end(tensors: Sequence["torch.Tensor"]) -> "tuple[torch.Tensor, list[torch.Tensor]]":
    """Return a copy of all as one tensor, and its parts in their shapes.

    Each part has a storage of its own in that memory: safetensors saves no tensor that is a part of a larger storage.
    """
    import torch

    whole = torch.cat([tensor.reshape(-1) for tensor in tensors])
    memory, parts, start = whole.numpy(), [], 0
    for tensor in tensors:
        end = start + tensor.numel()
        parts.append(torch.from_numpy(memory[start:end]).view(tensor.shape))
        start = end
    return whole, parts
