import pytest
import torch
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_policy_config
from torch.nn import functional

from leagents_kedro.policies.acceleration import accelerated, skip_unread_tokens

CHUNK = 5


def batch() -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    pads = torch.zeros(6, CHUNK, dtype=torch.bool)
    pads[2, 3:] = pads[4, 1:] = True
    return {
        "observation.state": torch.randn(6, 3),
        "observation.environment_state": torch.randn(6, 7),
        "action": torch.randn(6, CHUNK, 2),
        "action_is_pad": pads,
    }


def act(**options) -> ACTPolicy:
    from lerobot.configs import FeatureType, PolicyFeature

    torch.manual_seed(0)
    config = make_policy_config("act", device="cpu", push_to_hub=False, chunk_size=CHUNK, n_action_steps=CHUNK)
    sizes = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "latent_dim": 4}
    for name, value in (sizes | {"dropout": 0.0} | options).items():
        setattr(config, name, value)
    config.input_features = {
        "observation.state": PolicyFeature(FeatureType.STATE, (3,)),
        "observation.environment_state": PolicyFeature(FeatureType.ENV, (7,)),
    }
    config.output_features = {"action": PolicyFeature(FeatureType.ACTION, (2,))}
    return ACTPolicy(config).train()


def loss_and_gradients(policy: ACTPolicy) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    torch.manual_seed(2)  # of the latent
    loss, _ = policy.forward(batch())
    loss.backward()
    return loss, {name: weight.grad for name, weight in policy.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize("options", [{"n_vae_encoder_layers": 1}, {"n_vae_encoder_layers": 3}, {"pre_norm": True}])
def test_tokens_that_act_does_not_read_change_nothing(options):
    whole, shorter = act(**options), act(**options)
    skip_unread_tokens(shorter)
    (loss, gradients), (other, others) = loss_and_gradients(whole), loss_and_gradients(shorter)
    torch.testing.assert_close(other, loss)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_the_last_layer_computes_one_token():
    policy, computed = act(n_vae_encoder_layers=2), []
    skip_unread_tokens(policy)
    for layer in policy.model.vae_encoder.layers:
        layer.linear1.register_forward_hook(lambda _, inputs, output: computed.append(len(output)))
    policy.forward(batch())
    assert computed == [CHUNK + 2, 1]


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_dropout_keeps_the_share_and_the_mean(p):
    values = torch.full((1001, 1003), 3.0, requires_grad=True)  # an odd number of elements
    torch.manual_seed(0)
    with accelerated():
        dropped = functional.dropout(values, p)
    kept = dropped != 0
    assert 1 - kept.double().mean().item() == pytest.approx(p, abs=2e-3)
    assert dropped[kept].unique().tolist() == pytest.approx([3 / (1 - p)], rel=1e-4)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad * 3, dropped)


def test_dropout_draws_each_element_by_itself():
    torch.manual_seed(0)
    with accelerated():
        kept = (functional.dropout(torch.ones(4, 100_000), 0.5) > 0).double().reshape(-1, 4)
    together = torch.corrcoef(kept.T) - torch.eye(4, dtype=torch.float64)  # of the four in one draw
    assert together.abs().max() < 0.02


def test_dropout_follows_torchs_generator():
    def masks() -> torch.Tensor:
        torch.manual_seed(5)
        with accelerated():
            return torch.cat([functional.dropout(torch.ones(7), 0.5), torch.nn.Dropout(0.3)(torch.ones(9))])

    assert torch.equal(masks(), masks())


def test_each_call_has_a_mask_of_its_own():
    torch.manual_seed(0)
    with accelerated():
        masks = torch.stack([functional.dropout(torch.ones(50_000), 0.5) > 0 for _ in range(8)]).double()
    assert (torch.corrcoef(masks) - torch.eye(8, dtype=torch.float64)).abs().max() < 0.03


def test_the_masks_of_a_step_do_not_depend_on_the_steps_before():
    with accelerated() as begin_step:
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
    with accelerated():
        assert torch.equal(functional.dropout(torch.ones(9), p, training), torch.ones(9))


def test_dropout_that_drops_everything():
    with accelerated():
        assert torch.equal(functional.dropout(torch.ones(9), 1.0), torch.zeros(9))
