"""Products of a handful of rows with a model's weights by pairs of bfloat16 (AVX-512 BF16), for processors without AMX.

A step of a decoder reads every weight for a few rows: memory sets the pace where nothing else takes time. Here weights
lie in panels in the order in which they are read and are sent for ahead; a panel's sums stay in registers, and what
follows a product, a bias, a sum with what was there, the activation, is done while they are near.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from transcripts.engines.compiling import compiled, exponential, on_threads
from transcripts.engines.vectors import AHEAD_BYTES, LANES, Tile, narrowed, products_of_pairs

PANEL = 2 * LANES
"""So many outputs are summed up at once: two vectors."""
ROWS = 8
"""So many rows at once: with two vectors each, 16 sums beside which there is room for what is multiplied."""
PAIRS = 192
"""Of more rows, so many pairs at once: 24 KiB of a panel stay in the nearest cache until all rows have read them."""
GROUP = 80
"""So many rows share a panel's turn: their sums stay near, too."""
NARROW, ADDED, THOUGHT, WIDE = range(4)
"""What becomes of a product: it is written in bfloat16, added to what was there, written in bfloat16 after the
activation (the exact GELU of Hendrycks and Gimpel 2016), or written in float32."""
_ZERO, _ONE, _HALF = np.float32(0), np.float32(1), np.float32(0.5)
_NO_PAIRS, _NO_NUMBERS = np.empty((0, 0), np.int32), np.empty((0, 0), np.float32)


class PairedLinear:
    """A linear layer of bfloat16: states (..., inputs), an even number, to (..., outputs), as ``products.Linear``."""

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Keep ``weight`` (outputs, inputs) and ``bias`` (outputs,)."""
        self.outputs, inputs = weight.shape
        panels = -(-self.outputs // PANEL)
        padded = torch.zeros(panels * PANEL, inputs, dtype=torch.bfloat16)
        padded[: self.outputs] = weight
        pairs = padded.view(torch.int32).view(panels, PANEL, inputs // 2)
        self.weights: Any = pairs.transpose(1, 2).contiguous().numpy()
        self.bias: Any = np.zeros(panels * PANEL, np.float32)
        if bias is not None:
            self.bias[: self.outputs] = bias.float().numpy()

    def __call__(self, states: Tensor) -> Tensor:
        """The product and the bias."""
        rows = states.reshape(-1, states.shape[-1]).contiguous()
        found = torch.empty(len(rows), len(self.bias), dtype=torch.bfloat16)
        with on_threads():
            self.into(rows.view(torch.int32).numpy(), NARROW, narrow=found.view(torch.int32).numpy())
        return found[:, : self.outputs].reshape(*states.shape[:-1], self.outputs)

    def into(self, rows: Any, becomes: int, *, narrow: Any = _NO_PAIRS, wide: Any = _NO_NUMBERS) -> None:
        """Write the product of ``rows`` (rows, inputs / 2), pairs as int32, with the bias; within ``on_threads``.

        Args:
            rows: the states.
            becomes: ``NARROW`` or ``THOUGHT`` into ``narrow``, ``ADDED`` or ``WIDE`` into ``wide``.
            narrow: (rows, outputs / 2) int32, pairs of bfloat16; outputs are filled up to a multiple of ``PANEL``.
            wide: (rows, outputs) float32.
        """
        _multiply(rows, self.weights, self.bias, becomes, narrow, wide)


_add_both: Any = products_of_pairs(Tile(ROWS, 2, LANES, sent=2, added=True, interleaved=True))
_add: Any = products_of_pairs(Tile(ROWS, 2, LANES, sent=1, added=True, interleaved=True))


@njit(inline="always")
def _think(sums: Any, row: int) -> None:
    """The GELU of a row of sums, in place; the error function by formula 7.1.26 of Abramowitz and Stegun 1964."""
    for place in range(PANEL):
        value = sums[row, place]
        size = abs(value) * np.float32(0.70710678)
        near = _ONE / (_ONE + np.float32(0.3275911) * size)
        power = np.float32(1.061405429)
        power = power * near - np.float32(1.453152027)
        power = power * near + np.float32(1.421413741)
        power = power * near - np.float32(0.284496736)
        power = power * near + np.float32(0.254829592)
        beyond = _HALF * power * near * exponential(-size * size)
        sums[row, place] = value * (_ONE - beyond if value > 0 else beyond)


@compiled
def _multiply(states: Any, weights: Any, bias: Any, becomes: int, narrow: Any, wide: Any) -> None:
    rows, pairs = states.shape
    blocks, pieces = (rows + ROWS - 1) // ROWS, (pairs + PAIRS - 1) // PAIRS
    # of each block of rows, their first pairs side by side, then their second
    arranged = np.empty(rows * pairs, np.int32)
    for job in prange(blocks * pieces):
        first, start = job // pieces * ROWS, job % pieces * PAIRS
        some = min(ROWS, rows - first)
        for pair in range(start, min(start + PAIRS, pairs)):
            for row in range(some):
                arranged[first * pairs + pair * some + row] = states[first + row, pair]
    of_rows = np.int64(arranged.ctypes.data)
    groups = (rows + GROUP - 1) // GROUP
    for job in prange(len(weights) * groups):
        panel, begin = job // groups, job % groups * GROUP
        end, place = min(rows, begin + GROUP), panel * PANEL
        sums = np.empty((end - begin, PANEL), np.float32)
        for row in range(end - begin):
            for lane in range(PANEL):
                sums[row, lane] = bias[place + lane]
        of_sums, of_panel = np.int64(sums.ctypes.data), np.int64(weights[panel].ctypes.data)
        if end - begin <= ROWS:
            _add_both(
                np.int64(end - begin), of_rows + begin * pairs * 4, np.int64(1), of_panel, np.int64(PANEL),
                np.int64(pairs), of_sums, np.int64(PANEL), np.int64(AHEAD_BYTES),
            )  # fmt: skip
        else:
            for start in range(0, pairs, PAIRS):
                count = np.int64(min(PAIRS, pairs - start))
                for first in range(begin, end, ROWS):
                    some = np.int64(min(ROWS, end - first))
                    # two blocks of rows share the sending for what is next
                    ahead = PAIRS * PANEL * 4 + (first - begin) // ROWS % 2 * LANES * 4
                    _add(
                        some, of_rows + (first * pairs + start * some) * 4, np.int64(1),
                        of_panel + start * PANEL * 4, np.int64(PANEL), count,
                        of_sums + (first - begin) * PANEL * 4, np.int64(PANEL), np.int64(ahead),
                    )  # fmt: skip
        filled = min(PANEL, wide.shape[1] - place)
        for row in range(end - begin):
            if becomes == THOUGHT:
                _think(sums, row)
            if becomes in (THOUGHT, NARROW):
                to = narrow.ctypes.data + (begin + row) * narrow.strides[0] + place * 2
                narrowed(of_sums + row * PANEL * 4, _ONE, np.int64(2), np.int64(to))
            else:
                for lane in range(filled):
                    so_far = wide[begin + row, place + lane] if becomes == ADDED else _ZERO
                    wide[begin + row, place + lane] = so_far + sums[row, lane]
        sums[0, 0] = _ZERO  # so long it is kept: numba lets go of an array after its last use by name
    arranged[0] = np.int32(0)
