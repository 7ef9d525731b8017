import pytest
import torch
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import make_policy_config

from leagents_kedro.shortcuts import act as shortcut

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


@pytest.mark.parametrize(
    "options",
    [
        {"n_vae_encoder_layers": 1},
        {"n_vae_encoder_layers": 3, "n_decoder_layers": 2},
        {"pre_norm": True},
        {"use_vae": False},
    ],
)
def test_shortcuts_change_nothing(options):
    whole, shorter = act(**options), act(**options)
    shortcut.speed_up(shorter)
    (loss, gradients), (other, others) = loss_and_gradients(whole), loss_and_gradients(shorter)
    torch.testing.assert_close(other, loss)
    assert gradients.keys() == others.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(others[name], gradient, rtol=1e-4, atol=1e-7, msg=name)


def test_the_last_layer_computes_one_token():
    policy, computed = act(n_vae_encoder_layers=2), []
    shortcut.speed_up(policy)
    for layer in policy.model.vae_encoder.layers:
        layer.linear1.register_forward_hook(lambda _, inputs, output: computed.append(len(output)))
    policy.forward(batch())
    assert computed == [CHUNK + 2, 1]


def test_rows_that_are_alike_have_dropout_of_their_own():
    policy = act(dropout=0.5)
    shortcut.speed_up(policy)
    attention = policy.model.decoder.layers[0].self_attn
    tokens = torch.randn(CHUNK, 1, 16).expand(-1, 6, -1)
    outputs, _ = attention(tokens, tokens, value=tokens)
    assert not any(torch.equal(outputs[:, 0], outputs[:, row]) for row in range(1, 6))
    outputs, _ = attention.eval()(tokens, tokens, value=tokens)
    torch.testing.assert_close(outputs, outputs[:, :1].expand_as(outputs))


def test_with_another_version_act_computes_as_it_does(monkeypatch):
    monkeypatch.setitem(shortcut.TRIED, "lerobot", "0.0.1")
    policy = act()
    before = [dict(vars(module)) for module in policy.modules()]
    shortcut.speed_up(policy)
    assert [dict(vars(module)) for module in policy.modules()] == before
