import copy

import pytest
import torch

from leagents_kedro.shortcuts.adam import TRIED, speed_up


def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))


def trained(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)  # as a scheduler would
        values = torch.randn(5, 16, generator=torch.Generator().manual_seed(step))
        model(values).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (torch.optim.AdamW, {}),
        (torch.optim.Adam, {"weight_decay": 0.1}),
        (torch.optim.AdamW, {"amsgrad": True}),
        (torch.optim.AdamW, {"maximize": True}),
        (torch.optim.SGD, {}),
    ],
)
def test_the_update_is_torchs(kind, options):
    ours = model()
    theirs = copy.deepcopy(ours)
    optimizers = [
        kind([{"params": list(each.parameters())}, {"params": []}], lr=1e-2, **options) for each in (ours, theirs)
    ]
    speed_up(optimizers[0])
    trained(ours, optimizers[0])
    trained(theirs, optimizers[1])
    for (name, weight), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight, other, msg=name)
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    torch.testing.assert_close(*states)


def test_with_another_version_adam_is_as_it_was(monkeypatch):
    optimizer = torch.optim.Adam(model().parameters())
    before = copy.deepcopy(optimizer.state_dict())
    monkeypatch.setitem(TRIED, "torch", "0.2")
    speed_up(optimizer)
    assert optimizer.state_dict() == before
