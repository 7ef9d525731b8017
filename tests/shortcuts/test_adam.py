import copy

import pytest
import torch
from safetensors.torch import load_model, save_model
from torch.nn.utils import clip_grad_norm_

from leagents_kedro.shortcuts.adam import TRIED, speed_up

MAX_NORM = 0.5  # less than what the first steps have


class Model(torch.nn.Module):
    def __init__(self, branch: bool = False):
        super().__init__()
        self.first = torch.nn.Linear(16, 8)
        self.second = torch.nn.Linear(8, 3)
        self.unused = torch.nn.Linear(2, 2)
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)
        self.branch = torch.nn.Linear(8, 3) if branch else None

    def forward(self, values: torch.Tensor, step: int) -> torch.Tensor:
        hidden = self.first(values).relu()
        return (self.branch if self.branch and step > 2 else self.second)(hidden)


def adam(model: Model, kind: type = torch.optim.AdamW, **options) -> torch.optim.Optimizer:
    return kind([{"params": list(model.parameters())}, {"params": []}], **{"lr": 1e-2} | options)


def backward(model: Model, step: int) -> None:
    values = torch.randn(5, 16, generator=torch.Generator().manual_seed(step))
    model(values, step).square().sum().backward()


def torch_update(model: Model, optimizer: torch.optim.Optimizer, max_norm: float):
    def update() -> None:
        if max_norm:
            clip_grad_norm_(model.parameters(), max_norm)
        optimizer.step()
        optimizer.zero_grad()

    return update


def faster(model: Model, optimizer: torch.optim.Optimizer, max_norm: float = MAX_NORM):
    return speed_up(torch_update(model, optimizer, max_norm), optimizer, list(model.parameters()), max_norm)


def pair(model: Model, max_norm: float = MAX_NORM, **options):
    """Return two models, their optimizers, and their updates: ours and torch's."""
    torch.manual_seed(0)
    other = copy.deepcopy(model)
    optimizers = adam(model, **options), adam(other, **options)
    updates = faster(model, optimizers[0], max_norm), torch_update(other, optimizers[1], max_norm)
    return (model, other), optimizers, updates


def assert_same(models, optimizers) -> None:
    for (name, ours), theirs in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    assert states[0].keys() == states[1].keys()
    torch.testing.assert_close(states[0], states[1])


@pytest.mark.parametrize("max_norm", [0.0, MAX_NORM])
@pytest.mark.parametrize(
    "options", [{}, {"kind": torch.optim.Adam, "weight_decay": 0.1}, {"amsgrad": True}, {"maximize": True}]
)
def test_the_update_is_torchs(max_norm, options):
    models, optimizers, updates = pair(Model(), max_norm, **options)
    for step in range(6):
        for model, optimizer, update in zip(models, optimizers, updates, strict=True):
            optimizer.param_groups[0]["lr"] = 1e-2 / (step + 1)  # as a scheduler would
            backward(model, step)
            update()
            assert all(weight.grad is None for weight in model.parameters())
    assert_same(models, optimizers)


def test_a_weight_whose_gradient_comes_and_goes_is_updated_as_torch_does():
    models, optimizers, updates = pair(Model(branch=True))
    for step in range(6):
        for model, update in zip(models, updates, strict=True):
            backward(model, step)
            update()
    assert_same(models, optimizers)
    assert {float(state["step"]) for state in optimizers[0].state.values()} == {3.0, 6.0}


def test_a_loaded_state_goes_on(tmp_path):
    models, optimizers, updates = pair(Model())
    for step in range(3):
        for model, update in zip(models, updates, strict=True):
            backward(model, step)
            update()
    saved = copy.deepcopy(optimizers[0].state_dict())
    save_model(models[0], tmp_path / "model.safetensors")  # refuses parts of a larger storage

    model = Model()
    load_model(model, tmp_path / "model.safetensors")
    optimizer = adam(model)
    update = faster(model, optimizer)
    optimizer.load_state_dict(saved)
    for step in range(3, 6):
        backward(models[1], step)
        updates[1]()
        backward(model, step)
        update()
    assert_same((model, models[1]), (optimizer, optimizers[1]))


def test_adam_sees_one_tensor(monkeypatch):
    import torch.optim.adam as functional

    seen = []
    original = functional.adam
    monkeypatch.setattr(functional, "adam", lambda *args, **options: (seen.append(args[0]), original(*args, **options)))
    model = Model()
    update = faster(model, adam(model))
    for step in range(2):
        backward(model, step)
        update()
    trained = sum(weight.numel() for layer in (model.first, model.second) for weight in layer.parameters())
    assert [[len(tensor) for tensor in tensors] for tensors in seen] == [[trained], [trained]]
    assert all(weight.untyped_storage().nbytes() == weight.nbytes for weight in model.parameters())


def test_other_optimizers_step_as_they_do():
    models, optimizers, updates = pair(Model(), kind=torch.optim.SGD)
    for step in range(3):
        for model, update in zip(models, updates, strict=True):
            backward(model, step)
            update()
    assert_same(models, optimizers)


def test_with_another_version_the_update_is_the_one_that_was_given(monkeypatch):
    monkeypatch.setitem(TRIED, "torch", "0.2")
    model = Model()
    optimizer = adam(model)
    update = torch_update(model, optimizer, MAX_NORM)
    assert speed_up(update, optimizer, list(model.parameters()), MAX_NORM) is update
    assert not optimizer.param_groups[0]["fused"]
