"""Attention of a few rows by kernels of our own, beside torch's general products."""

from typing import get_args

import pytest
import torch

from transcripts.engines import kernels, pairs
from transcripts.engines.decoding import Layout, Memory

# Shapes that fill the kernels' tiles, and shapes that do not.
SHAPES = [
    (1, 1, 1, 16, 1),
    (2, 1, 3, 64, 1_500),
    (2, 5, 2, 64, 1_500),
    (1, 6, 2, 32, 40),
    (1, 13, 2, 64, 300),
]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("windows", "rows", "heads", "width", "states"), SHAPES)
def test_rows_hear_what_general_products_give(windows, rows, heads, width, states):
    query, keys = normal(windows, rows, heads, width), normal(windows, heads, states, width) * 0.3
    values = normal(windows, heads, states, width).half()
    heard = kernels.listen(query, kernels.packed(keys), values)
    chances = (query.transpose(1, 2) @ keys.half().float().transpose(-1, -2)).softmax(-1)
    assert torch.allclose(heard, (chances @ values.float()).transpose(1, 2), atol=1e-5)


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("layout", [one for one in get_args(Layout) if one != "paired" or pairs.fits(64)])
def test_every_layout_hears_what_exact_products_give(layout, rows):
    kind = torch.float32 if layout == "halved" else torch.bfloat16
    query = normal(2, rows, 3, 64).to(kind)
    keys, values = (normal(2, 3, 1_500, 64 + more)[..., :64].to(kind) * 0.3 for more in (0, 1))
    memory = Memory.of([(keys, values)], layout)
    exact = query.float().transpose(1, 2) @ keys.float().transpose(-1, -2)
    heard = memory.attended(0, query)
    assert heard.dtype == kind
    wanted = (exact.softmax(-1) @ values.float()).transpose(1, 2)
    assert (heard - wanted).norm() < 0.02 * wanted.norm()
    some = memory.products(0, query.transpose(1, 2)[:, [2, 0]], [2, 0])
    assert (some - exact[:, [2, 0]]).norm() < 0.01 * exact.norm()


def test_what_is_unlikely_by_far_weighs_nothing():
    keys = torch.tensor([400.0, 0.0, -400.0]).repeat_interleave(16).view(1, 1, 3, 16)
    values = torch.tensor([1.0, 2.0, 3.0]).repeat_interleave(16).view(1, 1, 3, 16).half()
    heard = kernels.listen(torch.ones(1, 1, 1, 16), kernels.packed(keys), values)
    assert torch.equal(heard, torch.ones(1, 1, 1, 16))


def test_packed_keys_come_back():
    keys = normal(2, 3, 37, 64)
    assert torch.equal(kernels.unpacked(kernels.packed(keys), 37), keys.half().float())


def test_rows_become_integers_each_by_its_greatest_value():
    states = torch.tensor([[0.0, 1.0, -2.0, 0.5], [0.0, 0.0, 0.0, 0.0], [3e-3, -3e-3, 1e-3, 0.0]])
    rows, greatest = kernels.whole(states)
    assert rows.tolist() == [[128, 192, 1, 160], [128] * 4, [255, 1, 170, 128]]
    assert torch.allclose(greatest[:, 0], torch.tensor([2.0, 0.0, 3e-3]), atol=1e-7)
