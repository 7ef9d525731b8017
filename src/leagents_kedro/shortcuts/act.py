"""Shortcuts through what ACT computes in training: nothing that it does not read, nothing twice, the same sums."""

from functools import partial
from typing import TYPE_CHECKING, Any

from leagents_kedro.shortcuts.versions import are_tried

if TYPE_CHECKING:
    import torch
    from torch.nn import MultiheadAttention

TRIED = {"torch": "2.11.0", "lerobot": "0.6.1"}


def speed_up(policy: Any) -> None:
    """Let ``policy``, if it is an ACT, train in less time.

    - No attention returns its weights: they are averaged over heads for nobody.
    - The decoder starts from zeros: queries, keys, and values of its first layer are the same in every row.
    - The last layer of the VAE encoder computes its first token alone.
    """
    from torch.nn import MultiheadAttention

    config = policy.config
    if config.type != "act" or not are_tried("act", TRIED):
        return
    for module in policy.model.modules():
        if isinstance(module, MultiheadAttention):
            module.forward = partial(_attend, module)
    first = policy.model.decoder.layers[0].self_attn
    first.forward = partial(_attend_alike, first)
    if config.use_vae and not config.pre_norm:
        last = policy.model.vae_encoder.layers[-1]
        last.self_attn.register_forward_pre_hook(lambda _, inputs: (inputs[0][:1], *inputs[1:]))  # the queries
        last.norm1.register_forward_pre_hook(lambda _, inputs: inputs[0][:1])


def _attend(
    attention: "MultiheadAttention",
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    key_padding_mask: "torch.Tensor | None" = None,
) -> "tuple[torch.Tensor, None]":
    """Return what ``attention`` gives for queries (L, B, E), keys and values (S, B, E), and a padding mask (B, S)."""
    import torch
    from torch.nn import functional

    queries, keys, values = _heads(attention, query, key, value)
    scores = torch.bmm(queries, keys.transpose(1, 2))
    if key_padding_mask is not None:
        out = key_padding_mask[:, None, None].expand(-1, attention.num_heads, len(query), -1)
        scores = scores.masked_fill(out.reshape(scores.shape), -torch.inf)
    weights = functional.dropout(scores.softmax(-1), attention.dropout, attention.training)
    return attention.out_proj(torch.bmm(weights, values).transpose(0, 1).reshape(query.shape)), None


def _attend_alike(
    attention: "MultiheadAttention", query: "torch.Tensor", key: "torch.Tensor", value: "torch.Tensor"
) -> "tuple[torch.Tensor, None]":
    """Return what `_attend` does where all rows are the same, before dropout makes their weights differ."""
    import torch
    from torch.nn import functional

    length, rows, _ = query.shape
    queries, keys, values = _heads(attention, query[:, :1], key[:, :1], value[:, :1])
    alike = torch.bmm(queries, keys.transpose(1, 2)).softmax(-1)  # (H, L, S)
    weights = functional.dropout(alike[:, None].expand(-1, rows, -1, -1), attention.dropout, attention.training)
    outputs = torch.bmm(weights.flatten(1, 2), values).unflatten(1, (rows, length))  # (H, B, L, E / H)
    return attention.out_proj(outputs.permute(2, 1, 0, 3).flatten(2)), None


def _heads(attention: "MultiheadAttention", *inputs: "torch.Tensor") -> "list[torch.Tensor]":
    """Return scaled queries, keys, and values of each row's heads, (B H, length, E / H) each."""
    from torch.nn import functional

    weights, biases = attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3)
    heads = [
        functional.linear(tokens, weight, bias).view(len(tokens), -1, attention.head_dim).transpose(0, 1)
        for tokens, weight, bias in zip(inputs, weights, biases, strict=True)
    ]
    heads[0] = heads[0] * attention.head_dim**-0.5
    return heads
