"""What makes training faster and leaves its results the same but for rounding and the random numbers of dropout."""

import ctypes
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    type Dropout = Callable[[torch.Tensor, float, bool, bool], torch.Tensor]

_DRAWN = 1 << 16  # numbers that an element's share of a draw can be
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # options of mallopt(3)
_LARGEST_MMAP_THRESHOLD = 32 << 20


@contextmanager
def accelerated() -> Iterator[None]:
    """Multiply in TF32 and measure convolutions on CUDA, as ``lerobot-train`` does; draw dropout fast on a CPU.

    Only while this lasts: what follows in this process, an evaluation, must give the same whether a training came
    before it or not. Freed memory is kept for the next step, and given back in the end.
    """
    import torch

    functional, matmul, cudnn = torch.nn.functional, torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.benchmark, functional.dropout
    matmul.allow_tf32, cudnn.benchmark, functional.dropout = True, True, _dropout(functional.dropout)
    give_back = _keep_freed_memory()
    try:
        yield
    finally:
        give_back()
        matmul.allow_tf32, cudnn.benchmark, functional.dropout = before


def _keep_freed_memory() -> Callable[[], Any]:
    """Let the C library keep what is freed, and return what gives it back to the system.

    A step allocates what the one before it freed. glibc may have returned that to the system, which clears each page
    when it is touched again: up to a tenth of a small policy's step.
    """
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    if not hasattr(library, "mallopt"):  # not glibc
        return lambda: None
    library.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
    library.mallopt(_TRIM_THRESHOLD, -1)  # never
    return lambda: library.malloc_trim(0)


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
