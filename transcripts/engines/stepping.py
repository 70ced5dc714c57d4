"""A step of the decoder by kernels of our own alone, for processors that multiply pairs of bfloat16 by vectors.

Between general functions a step of a few rows spends as much time as in them: tensors are made, two sets of threads
wait for work, numbers are narrowed and widened again. Here nothing stands between a layer's products.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from transcripts.engines.compiling import compiled, on_threads
from transcripts.engines.multiplying import ADDED, NARROW, THOUGHT, WIDE
from transcripts.engines.pairs import listen_into
from transcripts.engines.past import Past
from transcripts.engines.recalling import recall_into
from transcripts.engines.vectors import LANES, narrowed

_ZERO, _ONE = np.float32(0), np.float32(1)
_EPSILON = np.float32(1e-5)
"""Of torch's layer norms, which Whisper leaves as it is."""


class Stepper:
    """The layers of a decoder for a few rows at a time."""

    def __init__(self, layers: Sequence[Any], norm: Any, embedding: Any, heads: int) -> None:
        """Take over the weights.

        Args:
            layers: norms with ``weight`` and ``bias``, float32, and ``PairedLinear``s, as the decoder names them.
            norm: of the last layer's states.
            embedding: the ``PairedLinear`` that makes logits of them.
            heads: of the attention.
        """
        self._layers = layers
        self._norms = [
            [_numbers(one) for one in (layer.norm, layer.cross_norm, layer.mlp_norm)] for layer in layers
        ]
        self._norm, self._embedding, self._heads = _numbers(norm), embedding, heads

    def step(self, states: Tensor, past: Past, sound: Sequence[tuple[Tensor, Tensor]], count: int) -> Tensor:
        """Lead hypotheses through all layers.

        Args:
            states: (hypotheses, width) float32, the newest tokens; written over.
            past: what they said before; it has room, and their keys and values are written there.
            sound: each layer's keys and values, as ``pairs.packed`` lays them.
            count: how many states of the encoder those are.

        Returns:
            (hypotheses, width) float32.
        """
        rows, width = states.shape
        pairs, windows = width // 2, len(sound[0][0])
        line = states.numpy()
        near, query, heard = (np.empty((rows, pairs), np.int32) for _ in range(3))
        qkv, inner = np.empty((rows, 3 * pairs), np.int32), np.empty((rows, 4 * pairs), np.int32)
        recalled = np.empty((rows, self._heads, width // self._heads), np.float32)
        said = qkv.view(np.uint16).reshape(rows, 3, self._heads, -1)
        asked, found = (one.reshape(windows, -1, self._heads, pairs // self._heads) for one in (query, heard))
        with on_threads():
            for number, (layer, norms) in enumerate(zip(self._layers, self._norms, strict=True)):
                _normalise(line, *norms[0], near)
                layer.qkv.into(near, NARROW, narrow=qkv)
                recall_into(said, *past.noted(number), recalled)
                _narrow(recalled.reshape(rows, width), near)
                layer.out.into(near, ADDED, wide=line)
                _normalise(line, *norms[1], near)
                layer.cross_query.into(near, NARROW, narrow=query)
                keys, values = sound[number]
                listen_into(asked, keys.numpy(), values.numpy(), count, found)
                layer.cross_out.into(heard, ADDED, wide=line)
                _normalise(line, *norms[2], near)
                layer.up.into(near, THOUGHT, narrow=inner)
                layer.down.into(inner, ADDED, wide=line)
        return states

    def scores(self, states: Tensor) -> Tensor:
        """The logits (..., vocabulary), float32, of states (..., width)."""
        rows = states.reshape(-1, states.shape[-1]).contiguous()
        near = np.empty((len(rows), rows.shape[1] // 2), np.int32)
        found = torch.empty(len(rows), self._embedding.outputs)
        with on_threads():
            _normalise(rows.numpy(), *self._norm, near)
            self._embedding.into(near, WIDE, wide=found.numpy())
        return found.view(*states.shape[:-1], -1)


def _numbers(norm: Any) -> tuple[Any, Any]:
    return norm.weight.numpy(), norm.bias.numpy()


@njit(inline="always")
def _sum(lanes: Any) -> Any:
    total = _ZERO
    for lane in range(LANES):
        total += lanes[lane]
    return total


@compiled
def _normalise(states: Any, weight: Any, bias: Any, found: Any) -> None:
    """The layer norm of each row, as pairs of bfloat16; ``width`` is a multiple of ``LANES``."""
    rows, width = states.shape
    share = _ONE / np.float32(width)
    for row in prange(rows):
        line, own = states[row], np.empty(width, np.float32)
        lanes = np.zeros(LANES, np.float32)
        for start in range(0, width, LANES):
            for lane in range(LANES):
                lanes[lane] += line[start + lane]
        mean = _sum(lanes) * share
        lanes[:] = _ZERO
        for start in range(0, width, LANES):
            for lane in range(LANES):
                apart = line[start + lane] - mean
                own[start + lane] = apart
                lanes[lane] += apart * apart
        scale = _ONE / np.sqrt(_sum(lanes) * share + _EPSILON)
        for place in range(width):
            own[place] = own[place] * scale * weight[place] + bias[place]
        narrowed(np.int64(own.ctypes.data), _ONE, np.int64(width // LANES), np.int64(found[row].ctypes.data))
        own[0] = _ZERO  # so long it is kept: numba lets go of an array after its last use by name


@compiled
def _narrow(numbers: Any, found: Any) -> None:
    """Rows of float32 as pairs of bfloat16."""
    rows, width = numbers.shape
    for row in prange(rows):
        of_numbers, of_found = np.int64(numbers[row].ctypes.data), np.int64(found[row].ctypes.data)
        narrowed(of_numbers, _ONE, np.int64(width // LANES), of_found)
