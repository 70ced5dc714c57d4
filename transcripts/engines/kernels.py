"""Kernels of our own for processors without matrix units: attention of a few rows, rows as integers.

A step of a decoder asks each window's sound a handful of questions. General products take the sound in float32 and are
built for many rows. Here it lies in half precision in the order in which it is read, every number is widened once for
up to six rows, and sums stay in registers.

numba compiles the kernels for this processor; the tile is written in LLVM's own language, because numba cannot keep an
array in registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from transcripts.engines.compiling import bits, compiled, for_rows, on_threads, softmax
from transcripts.engines.recalling import WIDEST

PANEL = 16
"""So many keys lie side by side: two vectors of eight."""
ROWS = 6
"""So many rows are summed up at once: with two vectors each, as many sums as there are registers for."""
_CHUNK = 32
"""So many values at once: they stay in the nearest cache until all places are summed up, and the next ones are sent for
meanwhile."""
_AHEAD = 4
"""So many panels ahead keys are sent for: memory answers late."""
_FLOAT, _HALF, _VECTOR = ir.FloatType(), ir.HalfType(), 8
_ZERO = np.float32(0)


def fits(width: int) -> bool:
    """Whether heads of this width can be served."""
    return width % PANEL == 0 and width <= WIDEST


def packed(keys: Tensor) -> Tensor:
    """Keys (windows, heads, states, width) as panels in half precision: (windows, heads, panels, width, ``PANEL``)."""
    windows, heads, states, width = keys.shape
    halves = F.pad(keys.half(), (0, 0, 0, -states % PANEL))
    return halves.view(windows, heads, -1, PANEL, width).transpose(-1, -2).contiguous()


def unpacked(panels: Tensor, states: int) -> Tensor:
    """The keys (windows, heads, states, width) in float32."""
    return panels.transpose(-1, -2).flatten(2, 3)[:, :, :states].float()


def listen(query: Tensor, panels: Tensor, values: Tensor) -> Tensor:
    """What each row hears.

    Args:
        query: (windows, rows, heads, width) float32, scaled.
        panels: the keys, as ``packed`` lays them.
        values: (windows, heads, states, width) in half precision.

    Returns:
        (windows, rows, heads, width) float32: the values weighted by the softmax of the products with the keys.
    """
    found = torch.empty_like(query, memory_format=torch.contiguous_format)
    with on_threads():
        _listen(query.contiguous().numpy(), bits(panels), bits(values), found.numpy())
    return found


def whole(states: Tensor) -> tuple[Tensor, Tensor]:
    """Rows (..., inputs) of float32 as 8-bit integers, 128 for zero and 127 steps up to a row's greatest.

    Returns:
        (..., inputs) uint8, and (..., 1) float32, the greatest value of each row without its sign.
    """
    rows = states.contiguous()
    found = torch.empty(rows.shape, dtype=torch.uint8)
    greatest = torch.empty((*rows.shape[:-1], 1))
    with on_threads():
        inputs = rows.shape[-1]
        _whole(rows.view(-1, inputs).numpy(), found.view(-1, inputs).numpy(), greatest.view(-1).numpy())
    return found, greatest


# ---- in LLVM's language ----

_held: Any = cgutils.alloca_once
_known: Any = cgutils.get_or_insert_function


def _products_added(
    _: Any,
    _rows: Any,
    _factors: Any,
    _factors_apart: Any,
    _line: Any,
    _lines_apart: Any,
    _count: Any,
    _sums: Any,
    _sums_apart: Any,
    _ahead: Any,
) -> tuple[Any, Callable[..., Any]]:
    """Add products to rows of ``PANEL`` sums.

    The arguments are the rows, ``ROWS`` at most, then addresses and distances, the latter in numbers: of float32
    factors (rows, count); of halves (count, ``PANEL``); how many there are; of float32 sums (rows, ``PANEL``). The last
    tells, in bytes, how far ahead of the halves the next ones are sent for.
    """
    return types.none(*[types.int64] * 9), _generate_tiles


def _generate_tiles(context: Any, builder: Any, _: Any, given: Any) -> Any:
    for_rows(builder, given[0], ROWS, lambda rows: _generate_tile(builder, rows, *given[1:]))
    return context.get_dummy_value()


def _generate_tile(
    builder: Any, rows: int, factors: Any, factors_apart: Any, line: Any, lines_apart: Any, count: Any, sums: Any,
    sums_apart: Any, ahead: Any,
) -> None:  # fmt: skip
    wide, halves = ir.VectorType(_FLOAT, _VECTOR), ir.VectorType(_HALF, _VECTOR)
    whole, lanes = ir.IntType(64), ir.VectorType(ir.IntType(32), _VECTOR)
    vectors = range(PANEL // _VECTOR)

    def number(value: int) -> Any:
        return ir.Constant(whole, value)

    def place(base: Any, index: Any, size: int, kind: Any) -> Any:
        address = builder.add(base, builder.mul(index, number(size)))
        return builder.inttoptr(address, kind.as_pointer())

    def of_sum(row: int, vector: int) -> Any:
        first = builder.add(builder.mul(number(row), sums_apart), number(vector * _VECTOR))
        return place(sums, first, 4, wide)

    def read(pointer: Any, align: int) -> Any:
        found = builder.load(pointer)
        found.align = align
        return found

    byte = ir.IntType(8).as_pointer()
    short = ir.IntType(32)
    prefetch = _known(
        builder.module, ir.FunctionType(ir.VoidType(), [byte, short, short, short]), "llvm.prefetch.p0"
    )
    hints = [ir.Constant(short, value) for value in (0, 3, 1)]  # to be read, soon and often, no code
    held = [[_held(builder, wide) for _ in vectors] for _ in range(rows)]
    for row in range(rows):
        for vector in vectors:
            builder.store(read(of_sum(row, vector), 4), held[row][vector])
    with cgutils.for_range(builder, count) as loop:
        start = builder.mul(loop.index, lines_apart)
        soon = builder.add(builder.add(line, ahead), builder.mul(start, number(2)))
        builder.call(prefetch, [builder.inttoptr(soon, byte), *hints])
        found = []
        for vector in vectors:
            at = builder.add(start, number(vector * _VECTOR))
            found.append(builder.fpext(read(place(line, at, 2, halves), 2), wide))
        for row in range(rows):
            at = builder.add(builder.mul(number(row), factors_apart), loop.index)
            first = builder.insert_element(
                ir.Constant(wide, ir.Undefined), read(place(factors, at, 4, _FLOAT), 4),
                ir.Constant(ir.IntType(32), 0),
            )  # fmt: skip
            factor = builder.shuffle_vector(first, first, ir.Constant(lanes, [0] * _VECTOR))
            for vector in vectors:
                product = builder.fmul(factor, found[vector], flags=("contract",))
                kept = held[row][vector]
                builder.store(builder.fadd(builder.load(kept), product, flags=("contract",)), kept)
    for row in range(rows):
        for vector in vectors:
            builder.store(builder.load(held[row][vector]), of_sum(row, vector)).align = 4


_tiles: Any = intrinsic(_products_added)


# ---- in numba's ----


@compiled
def _listen(query: Any, panels: Any, values: Any, found: Any) -> None:
    windows, rows, heads, width = query.shape
    count, states = panels.shape[2], values.shape[2]
    groups = (rows + ROWS - 1) // ROWS
    apart, line = np.int64(heads * width), np.int64(count * PANEL)
    for job in prange(windows * heads * groups):  # one after the other they read the same keys and values
        window, head, first = job // (heads * groups), job // groups % heads, job % groups * ROWS
        some = np.int64(min(ROWS, rows - first))
        scores = np.zeros((some, line), np.float32)
        of_query = np.int64(query[window, first, head].ctypes.data)
        of_found = np.int64(found[window, first, head].ctypes.data)
        of_panels = np.int64(panels[window, head].ctypes.data)
        of_values = np.int64(values[window, head].ctypes.data)
        of_scores = np.int64(scores.ctypes.data)
        for panel in range(count):
            _tiles(
                some, of_query, apart, of_panels + panel * width * PANEL * 2, np.int64(PANEL), np.int64(width),
                of_scores + panel * PANEL * 4, line, np.int64(_AHEAD * width * PANEL * 2),
            )  # fmt: skip
        for row in range(some):
            softmax(scores[row], states)
            found[window, first + row, head] = _ZERO
        for state in range(0, states, _CHUNK):
            several = np.int64(min(_CHUNK, states - state))
            for place in range(0, width, PANEL):
                _tiles(
                    some, of_scores + state * 4, line, of_values + (state * width + place) * 2, np.int64(width),
                    several, of_found + place * 4, apart, np.int64(_CHUNK * width * 2),
                )  # fmt: skip
        scores[0, 0] = _ZERO  # so long it is kept: numba lets go of an array after its last use by name


@compiled
def _whole(rows: Any, found: Any, greatest: Any) -> None:
    count, inputs = rows.shape
    for index in prange(count):
        row, line = rows[index], found[index]
        top = np.float32(1e-8)
        for place in range(inputs):
            top = max(top, abs(row[place]))
        scale, half = np.float32(127) / top, np.float32(128.5)
        for place in range(inputs):
            line[place] = np.uint8(np.int32(row[place] * scale + half))
        greatest[index] = top
