"""Dropout's masks from a stock."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from leagents_kedro.shortcuts.versions import are_tried

if TYPE_CHECKING:
    import torch

    type Dropout = Callable[[torch.Tensor, float, bool, bool], torch.Tensor]

TRIED = {"torch": "2.11.0"}
_ALIGNED = 16  # elements of float32: a line of a CPU's cache

_DRAWN = 1 << 16  # numbers that an element's share of a draw can be
_STOCK = 1 << 17  # elements of masks that are drawn together


@contextmanager
def fast_dropout() -> Iterator[Callable[[], None]]:
    """Draw dropout fast on a CPU while this lasts.

    What this gives is to be called at the beginning of each step: then its random numbers depend on nothing but the
    state of torch's generator.
    """
    import torch

    if not are_tried("dropout", TRIED):
        yield lambda: None
        return
    functional: Any = torch.nn.functional
    dropout = _Dropout(functional.dropout)
    functional.dropout = dropout
    try:
        yield dropout.begin_step
    finally:
        functional.dropout = dropout.original


class _Dropout:
    """``torch.nn.functional.dropout`` with masks from a stock; four elements share a draw of torch's generator.

    torch draws for each call, and once an element, on CPUs that are not Intel's in a loop that takes as long as a
    small policy's layer. The probability is rounded to 2^-16; what stays is scaled by its exact inverse.
    """

    def __init__(self, original: "Dropout") -> None:
        self.original = original
        self._stock: dict[int, torch.Tensor] = {}  # by what is dropped of _DRAWN

    def __call__(
        self, values: "torch.Tensor", p: float = 0.5, training: bool = True, inplace: bool = False
    ) -> "torch.Tensor":
        dropped = round(p * _DRAWN)
        if not training or inplace or values.device.type != "cpu" or not 0 < dropped < _DRAWN:
            return self.original(values, p, training, inplace)
        count = values.numel()
        stock = self._stock.get(dropped)
        if stock is None or len(stock) < count:
            stock = _masks(max(count, _STOCK), dropped)
        self._stock[dropped] = stock[-(-count // _ALIGNED) * _ALIGNED :]
        return values * stock[:count].view(values.shape)

    def begin_step(self) -> None:
        self._stock.clear()


def _masks(count: int, dropped: int) -> "torch.Tensor":
    """Return zeros, as often as ``dropped`` of `_DRAWN`, and else what keeps the mean."""
    import torch

    draws = torch.empty(-(-count // 4), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    numbers = draws.view(torch.int16)[:count]
    kept = torch.ge(numbers, dropped - _DRAWN // 2, out=torch.empty(count))  # ones and zeros
    return kept.mul_(_DRAWN / (_DRAWN - dropped))
