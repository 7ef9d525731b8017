import pytest
import torch
from torch.nn import functional

from leagents_kedro.shortcuts import dropout
from leagents_kedro.shortcuts.dropout import fast_dropout


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_share_and_the_mean(p):
    values = torch.full((1001, 1003), 3.0, requires_grad=True)  # an odd number of elements
    torch.manual_seed(0)
    with fast_dropout():
        dropped = functional.dropout(values, p)
    kept = dropped != 0
    assert 1 - kept.double().mean().item() == pytest.approx(p, abs=2e-3)
    assert dropped[kept].unique().tolist() == pytest.approx([3 / (1 - p)], rel=1e-4)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad * 3, dropped)


def test_dropout_draws_each_element_by_itself():
    torch.manual_seed(0)
    with fast_dropout():
        kept = (functional.dropout(torch.ones(4, 100_000), 0.5) > 0).double().reshape(-1, 4)
    together = torch.corrcoef(kept.T) - torch.eye(4, dtype=torch.float64)  # of the four in one draw
    assert together.abs().max() < 0.02


def test_dropout_follows_torchs_generator():
    def masks() -> torch.Tensor:
        torch.manual_seed(5)
        with fast_dropout():
            return torch.cat([functional.dropout(torch.ones(7), 0.5), torch.nn.Dropout(0.3)(torch.ones(9))])

    assert torch.equal(masks(), masks())


def test_each_call_has_a_mask_of_its_own():
    torch.manual_seed(0)
    with fast_dropout():
        masks = torch.stack([functional.dropout(torch.ones(50_000), 0.5) > 0 for _ in range(8)]).double()
    assert (torch.corrcoef(masks) - torch.eye(8, dtype=torch.float64)).abs().max() < 0.03


def test_the_masks_of_a_step_do_not_depend_on_the_steps_before():
    with fast_dropout() as begin_step:
        masks = []
        for drawn_before in (0, 30, 7):
            functional.dropout(torch.ones(drawn_before), 0.5)
            begin_step()
            torch.manual_seed(3)
            masks.append(functional.dropout(torch.ones(99), 0.5))
    assert torch.equal(masks[0], masks[1])
    assert torch.equal(masks[0], masks[2])


@pytest.mark.parametrize(("p", "training"), [(0.0, True), (0.5, False)])
def test_dropout_that_drops_nothing(p, training):
    with fast_dropout():
        assert torch.equal(functional.dropout(torch.ones(9), p, training), torch.ones(9))


def test_dropout_that_drops_everything():
    with fast_dropout():
        assert torch.equal(functional.dropout(torch.ones(9), 1.0), torch.zeros(9))


def test_with_another_version_dropout_is_torchs(monkeypatch):
    monkeypatch.setitem(dropout.TRIED, "torch", "0.2")
    original = functional.dropout
    with fast_dropout() as begin_step:
        begin_step()
        assert functional.dropout is original
