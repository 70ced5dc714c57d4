"""Products by pairs of bfloat16 and what follows them, beside exact ones; a step by kernels alone, beside torch's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from whisper.model import ModelDimensions, Whisper

from transcripts.engines import pairs
from transcripts.engines.compiling import on_threads
from transcripts.engines.decoding import Decoder, Past
from transcripts.engines.products import Linear, for_text

pytestmark = pytest.mark.skipif(
    not pairs.fits(pairs.WIDTH), reason="this processor multiplies no pairs of bfloat16 by vectors"
)

# Rows, inputs, outputs: some fill blocks, pieces, groups and panels, some do not.
SHAPES = [(1, 2, 1), (3, 64, 64), (8, 768, 70), (9, 770, 96), (40, 384, 33), (81, 1_000, 64), (170, 64, 32)]


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def a_layer(inputs: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    return (normal(outputs, inputs) / inputs**0.5).bfloat16(), normal(outputs).bfloat16()


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), SHAPES)
def test_products_are_as_exact_as_bfloat16_is(rows, inputs, outputs, biased):
    weight, bias = a_layer(inputs, outputs)
    states = normal(rows, inputs, seed=1).bfloat16()
    layer = for_text(weight, bias if biased else None, 64)
    assert not isinstance(layer, Linear)
    wanted = F.linear(states.double(), weight.double(), bias.double() if biased else None)
    found = layer(states)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.double(), wanted, rtol=2**-8, atol=1e-4)
    assert torch.equal(layer(states.view(1, rows, 1, inputs)), found.view(1, rows, 1, outputs))


@pytest.mark.parametrize("rows", [1, 8, 21, 100])
def test_what_follows_a_product_is_done_with_it(rows):
    from transcripts.engines.multiplying import ADDED, THOUGHT, WIDE, PairedLinear

    weight, bias = a_layer(192, 96)
    states, before = 3 * normal(rows, 192, seed=1).bfloat16(), normal(rows, 96, seed=2)
    exactly = F.linear(states.double(), weight.double(), bias.double())
    added, wide, thought = before.clone(), torch.empty(rows, 96), torch.empty(rows, 96, dtype=torch.bfloat16)
    layer, given = PairedLinear(weight, bias), pairs.as_pairs(states)
    with on_threads():
        layer.into(given, ADDED, wide=added.numpy())
        layer.into(given, WIDE, wide=wide.numpy())
        layer.into(given, THOUGHT, narrow=pairs.as_pairs(thought))
    assert torch.allclose(wide.double(), exactly, atol=1e-4)
    assert torch.allclose(added.double(), before + exactly, atol=1e-4)
    assert torch.allclose(thought.double(), F.gelu(exactly), rtol=2**-8, atol=1e-4)


def test_the_sums_of_a_panel_that_is_not_full_do_not_spill():
    from transcripts.engines.multiplying import WIDE, PairedLinear

    weight, _ = a_layer(64, 40)
    room = np.full((3, 41), 7, np.float32)
    with on_threads():
        PairedLinear(weight, None).into(pairs.as_pairs(normal(3, 64).bfloat16()), WIDE, wide=room[:, :40])
    assert (room[:, 40] == 7).all()
    assert (room[:, :40] != 7).all()


@pytest.mark.parametrize("beams", [1, 3])
def test_a_step_is_what_reading_the_whole_text_gives(beams):
    torch.manual_seed(1)
    model = Whisper(ModelDimensions(80, 1500, 128, 2, 1, 2000, 448, 128, 2, 3))
    for weights in model.parameters():
        weights.data = torch.randn_like(weights) * (0.1 if weights.ndim > 1 else 0.3)
    decoder = Decoder(model, torch.bfloat16)
    with torch.inference_mode():
        memory = decoder.memory(normal(2, 1500, 128))
        text = torch.randint(2000, (2, 12))
        whole, _, kept = decoder.read(text, memory, aligned=False)
        past = Past([layer[:, :, :, :9] for layer in kept], beams, noted=True)
        for place in range(9, 12):
            states = decoder.step(text[:, place].repeat_interleave(beams), past, memory)
            wanted = whole[:, place].repeat_interleave(beams, 0)
            assert (states - wanted).norm() < 0.01 * wanted.norm()
            scores = decoder.norm(wanted, torch.float32) @ model.decoder.token_embedding.weight.detach().T
            assert (decoder.scores(states) - scores).norm() < 0.02 * scores.norm()
    assert past.at == 12
