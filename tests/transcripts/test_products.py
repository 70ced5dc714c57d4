"""Products that are computed otherwise than torch does by itself give what torch gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from whisper.timing import median_filter

from transcripts.engines.aligning import median
from transcripts.engines.decoding import logsumexp
from transcripts.engines.products import Linear, can_pack


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (5, 1, 48), (2, 300, 48)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_linear_layer_is_torchs(dtype, shape, biased):
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(70, 48, generator=draw).to(dtype)
    bias = torch.randn(70, generator=draw).to(dtype) if biased else None
    states = torch.randn(*shape, generator=draw).to(dtype)
    found, wanted = Linear(weight, bias)(states), F.linear(states, weight, bias)
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    assert torch.allclose(found.float(), wanted.float(), rtol=1e-2, atol=2e-2 if can_pack(weight) else 1e-5)


@pytest.mark.parametrize("spent", [False, True])
def test_impossible_tokens_add_nothing(spent):
    scores = 30 * torch.randn(4, 900, generator=torch.Generator().manual_seed(1))
    scores[1, 10:] = scores[2, 1:] = float("-inf")
    wanted, before = scores.logsumexp(-1), scores.clone()
    assert torch.allclose(logsumexp(scores, spent=spent), wanted)
    assert torch.equal(scores, before) is not spent


def test_where_nothing_is_possible_the_sum_is_less_than_anything():
    assert logsumexp(torch.full((1, 3), float("-inf"))) < -1e38


@pytest.mark.parametrize("width", [3, 5, 7])
@pytest.mark.parametrize("shape", [(2, 5, 400), (3, 1, 7), (1, 2, 3)])
def test_a_median_is_the_librarys(shape, width):
    draw = torch.Generator().manual_seed(1)
    values = torch.randn(shape, generator=draw).round(decimals=1)  # some are equal
    assert torch.equal(median(values, width), median_filter(values, width))
