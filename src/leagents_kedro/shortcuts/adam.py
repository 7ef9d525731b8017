"""Adam in one kernel for all tensors, instead of several for each: the same update, rounded otherwise."""

from typing import TYPE_CHECKING

from leagents_kedro.shortcuts.versions import are_tried

if TYPE_CHECKING:
    import torch

TRIED = {"torch": "2.11.0"}


def speed_up(optimizer: "torch.optim.Optimizer") -> None:
    """Let ``optimizer``, if it is an Adam, make its steps in less time."""
    import torch

    if isinstance(optimizer, torch.optim.Adam) and are_tried("adam", TRIED):
        for group in optimizer.param_groups:
            group.update(fused=True, foreach=False)  # torch takes the flags from here
