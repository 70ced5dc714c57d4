from __future__ import annotations

import pytest
import torch
from whisper.model import MultiHeadAttention

from tools.checkpoint.network import _attend_guided, _attention


def test_attention_and_its_gradients_are_softmaxs() -> None:
    torch.manual_seed(1)
    query, key, value = (torch.randn(2, 3, count, 16, requires_grad=True) for count in (7, 11, 11))
    found, normaliser = _attention(query, key, value, True)
    scores = query @ key.transpose(-1, -2) / 4
    plain = scores.softmax(-1) @ value
    assert torch.allclose(found, plain, atol=1e-5)
    assert torch.allclose(normaliser, scores.logsumexp(-1), atol=1e-5)
    weights = torch.randn_like(found), torch.randn_like(normaliser)
    mine = torch.autograd.grad(
        (found * weights[0]).sum() + (normaliser * weights[1]).sum(), (query, key, value)
    )
    theirs = torch.autograd.grad(
        (plain * weights[0]).sum() + (scores.logsumexp(-1) * weights[1]).sum(), (query, key, value)
    )
    for one, other in zip(mine, theirs, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("first", [0, 3])
def test_guidance_is_the_mean_log_weight_in_the_span(first: int) -> None:
    torch.manual_seed(2)
    layer = MultiHeadAttention(32, 2)
    states, audio = torch.randn(1, 4, 32), torch.randn(1, 10, 32)
    spans = torch.zeros(1, 4, 10)
    spans[:, :, first : first + 4] = 0.25
    _, inside = _attend_guided(layer, states, audio, spans)
    query, key = (part.view(1, -1, 2, 16).transpose(1, 2) for part in (layer.query(states), layer.key(audio)))
    logs = (query @ key.transpose(-1, -2) / 4).log_softmax(-1)
    assert torch.allclose(inside, logs[..., first : first + 4].mean(-1), atol=1e-4)
