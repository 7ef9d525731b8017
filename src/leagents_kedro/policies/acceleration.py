"""What makes training faster and leaves its results the same but for rounding and the random numbers of dropout."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    type Dropout = Callable[[torch.Tensor, float, bool, bool], torch.Tensor]

_DRAWN = 1 << 16  # numbers that an element's share of a draw can be


@contextmanager
def accelerated() -> Iterator[None]:
    """Multiply in TF32 and measure convolutions on CUDA, as ``lerobot-train`` does, and draw dropout fast on a CPU.

    Only while this lasts: what follows in this process, an evaluation, must give the same whether a training came
    before it or not.
    """
    import torch

    functional, matmul, cudnn = torch.nn.functional, torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.benchmark, functional.dropout
    matmul.allow_tf32, cudnn.benchmark, functional.dropout = True, True, _dropout(functional.dropout)
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.benchmark, functional.dropout = before


def fuse(optimizer: "torch.optim.Optimizer") -> None:
    """Let Adam update all parameters in one kernel; torch takes the flag from the parameter groups."""
    import torch

    if isinstance(optimizer, torch.optim.Adam):
        for group in optimizer.param_groups:
            group.update(fused=True, foreach=False)


def skip_unread_tokens(policy: Any) -> None:
    """Let the last layer of ACT's VAE encoder compute its first token alone: ACT reads no other."""
    config = policy.config
    if config.type == "act" and config.use_vae and not config.pre_norm:
        last = policy.model.vae_encoder.layers[-1]
        last.self_attn.register_forward_pre_hook(lambda _, inputs: (inputs[0][:1], *inputs[1:]))  # the queries
        last.norm1.register_forward_pre_hook(lambda _, inputs: inputs[0][:1])


def _dropout(original: "Dropout") -> "Dropout":
    """Return ``torch.nn.functional.dropout`` with the masks of four elements in one draw of torch's generator.

    torch draws once an element, on CPUs that are not Intel's in a loop that takes as long as a small policy's layer.
    The probability is rounded to 2^-16; what stays is scaled by its exact inverse.
    """
    import torch

    def dropout(values: "torch.Tensor", p: float = 0.5, training: bool = True, inplace: bool = False) -> "torch.Tensor":
        dropped = round(p * _DRAWN)
        if not training or inplace or values.device.type != "cpu" or not 0 < dropped < _DRAWN:
            return original(values, p, training, inplace)
        draws = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
        numbers = draws.view(torch.int16)[: values.numel()].view(values.shape)
        kept = torch.ge(numbers, dropped - _DRAWN // 2, out=torch.empty_like(values))  # ones and zeros
        return values * kept.mul_(_DRAWN / (_DRAWN - dropped))

    return dropout
