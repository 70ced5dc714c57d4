"""Attention by pairs of bfloat16, beside exact products; where the processor does not multiply them, torch attends."""

import numba
import pytest
import torch

from transcripts.engines import pairs
from transcripts.engines.products import can_pair

needs_pairs = pytest.mark.skipif(
    not pairs.fits(pairs.WIDTH), reason="this processor multiplies no pairs of bfloat16 by vectors"
)

# Windows, rows, heads, states: some fill the kernels' tiles, some do not.
SHAPES = [(1, 1, 1, 2), (1, 1, 1, 37), (2, 5, 3, 1_500), (1, 6, 2, 64), (2, 7, 2, 101), (1, 13, 1, 1_499)]


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def exactly(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    chances = (query.float().transpose(1, 2) @ keys.float().transpose(-1, -2)).softmax(-1)
    return (chances @ values.float()).transpose(1, 2)


@needs_pairs
@pytest.mark.parametrize(("windows", "rows", "heads", "states"), SHAPES)
def test_rows_hear_what_exact_products_give(windows, rows, heads, states):
    query = normal(windows, rows, heads, 64).bfloat16()
    keys, values = (normal(windows, heads, states, 64 + more)[..., :64].bfloat16() for more in (0, 2))
    heard = pairs.listen(query, *pairs.packed(keys, values), states)
    assert torch.allclose(heard.float(), exactly(query, keys, values), atol=0.02)


@needs_pairs
def test_what_is_unlikely_by_far_weighs_nothing():
    keys = torch.tensor([-300.0, -400.0, -700.0]).view(1, 1, 3, 1).expand(1, 1, 3, 64).bfloat16()
    values = torch.tensor([1.0, 2.0, 3.0]).view(1, 1, 3, 1).expand(1, 1, 3, 64).bfloat16()
    heard = pairs.listen(torch.ones(1, 1, 1, 64).bfloat16(), *pairs.packed(keys, values), 3)
    assert torch.equal(heard, torch.ones(1, 1, 1, 64).bfloat16())


@needs_pairs
@pytest.mark.parametrize("states", [2, 37, 1_500])
def test_packed_keys_come_back(states):
    keys = normal(2, 3, states, 64).bfloat16()
    assert torch.equal(pairs.unpacked_keys(pairs.packed(keys, keys)[0], states), keys)


@needs_pairs
def test_states_hear_each_other_as_exactly_as_torch_lets_them():
    qkv = (normal(2, 1_500, 3 * 3 * 64) * 0.4).bfloat16()
    query, keys, values = qkv.view(2, 1_500, 3, 3, 64).unbind(2)
    keys, values = keys.transpose(1, 2), values.transpose(1, 2)
    wanted = exactly(query, keys, values).flatten(2)
    torchs = torch.nn.functional.scaled_dot_product_attention(query.transpose(1, 2), keys, values, scale=1.0)
    ours, theirs = (
        (one.float() - wanted).norm() for one in (pairs.attend(qkv, 3), torchs.transpose(1, 2).flatten(2))
    )
    assert ours < 1.2 * theirs


@pytest.mark.parametrize(
    ("dtype", "width", "device"),
    [(torch.float32, 64, "cpu"), (torch.bfloat16, 32, "cpu"), (torch.bfloat16, 64, "meta")],
)
def test_other_numbers_widths_and_devices_are_left_to_torch(dtype, width, device):
    assert not can_pair(torch.zeros(2, 2, dtype=dtype, device=device), width)


def test_numba_told_to_compile_for_another_processor_is_not_given_the_kernels(monkeypatch):
    monkeypatch.setattr(numba.config, "CPU_NAME", "generic")
    pairs._is_there.cache_clear()
    assert not pairs.fits(64)
    pairs._is_there.cache_clear()
