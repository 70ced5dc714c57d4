"""Products that are computed otherwise than torch does by itself give what torch gives."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from whisper.model import ModelDimensions, Whisper
from whisper.timing import median_filter

from transcripts.engines.aligning import median
from transcripts.engines.decoding import logsumexp
from transcripts.engines.encoding import Encoder
from transcripts.engines.products import IntegerLinear, Linear, can_pack, for_sound


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("shape", [(48,), (1, 48), (5, 1, 48), (2, 300, 48)])
@pytest.mark.parametrize("biased", [True, False])
def test_a_linear_layer_is_torchs(dtype, shape, biased):
    draw = torch.Generator().manual_seed(1)
    weight = torch.randn(70, 48, generator=draw).half().to(dtype)  # as checkpoints are published
    bias = torch.randn(70, generator=draw).to(dtype) if biased else None
    states = torch.randn(*shape, generator=draw).to(dtype)
    found, wanted = Linear(weight, bias)(states), F.linear(states, weight, bias)
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    assert torch.allclose(found.float(), wanted.float(), rtol=1e-2, atol=2e-2 if can_pack(weight) else 1e-4)


def test_weights_beyond_half_precision_are_not_cut_off():
    weight, states = torch.full((3, 4), 90_000.0), torch.ones(2, 4)
    assert torch.equal(Linear(weight, None)(states), F.linear(states, weight))


def _random_layer(outputs: int = 70, inputs: int = 768) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return torch.randn(outputs, inputs, generator=draw), torch.randn(outputs, generator=draw)


@pytest.mark.parametrize("shape", [(768,), (1, 768), (2, 300, 768)])
def test_integers_are_near_what_torch_finds(shape):
    weight, bias = _random_layer()
    states = torch.randn(*shape, generator=torch.Generator().manual_seed(2))
    found, wanted = IntegerLinear(weight, bias)(states), F.linear(states, weight, bias)
    assert found.shape == wanted.shape
    assert (found - wanted).norm() / wanted.norm() < 0.025


def test_a_row_of_integers_does_not_depend_on_its_neighbours():
    layer = IntegerLinear(*_random_layer())
    states = torch.randn(5, 768, generator=torch.Generator().manual_seed(2))
    states[3] *= 1000
    together = layer(states)
    for row in range(5):
        assert torch.allclose(layer(states[row : row + 1])[0], together[row])


@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_integers_add_up_without_being_cut_off(sign):
    found = IntegerLinear(torch.ones(3, 768), torch.zeros(3))(sign * torch.ones(2, 768))
    assert torch.allclose(found, torch.full((2, 3), sign * 768.0))


def test_a_row_of_nothing_is_the_bias():
    weight, bias = _random_layer()
    assert torch.equal(IntegerLinear(weight, bias)(torch.zeros(2, 768)), bias.expand(2, -1))


@pytest.mark.parametrize("width", [384, 512])
def test_a_wide_encoder_is_near_the_librarys(width):
    torch.manual_seed(1)
    model = Whisper(ModelDimensions(80, 1500, width, width // 64, 2, 100, 16, width, width // 64, 1))
    mel = torch.randn(1, 80, 3000)
    with torch.inference_mode():
        wanted = model.encoder(mel)
    found = Encoder(model, torch.float32)(mel)
    exact = isinstance(for_sound(torch.ones(width, width), torch.zeros(width)), Linear)
    assert exact or width >= 512
    assert (found - wanted).norm() / wanted.norm() < (1e-3 if exact else 0.05)


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
