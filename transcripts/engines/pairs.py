"""Attention by the instruction that multiplies pairs of bfloat16 numbers (AVX-512 BF16), for processors without AMX.

torch's attention of a whole window reaches a third of what such a processor multiplies. Here keys and values lie in the
order in which they are read, sums stay in registers, and a row's scores stay in its core's cache: the steps of
FlashAttention (Dao et al. 2022) for a window that is short enough to need no more than one pass.

numba compiles the kernels for this processor; what works on vectors is written in LLVM's own language.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import binding, ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from transcripts.engines.compiling import compiled, on_threads
from transcripts.engines.vectors import (
    AHEAD_BYTES,
    LANES,
    NARROW,
    SHORT,
    WHOLE,
    WIDE,
    Tile,
    at,
    constant,
    held,
    known,
    narrowed,
    number,
    over_lanes,
    products_of_pairs,
    read,
)

PANEL = 2 * LANES
"""So many keys are multiplied at once: two vectors."""
WIDTH = 64
"""The width of a head, in every Whisper: four vectors of sums."""
ROWS = 6
"""So many rows are summed up at once: with four vectors of values each, 24 of 32 registers."""
_LEAST = np.float32(-1e30)
_ZERO = np.float32(0)
_ONE = np.float32(1)


def fits(width: int) -> bool:
    """Whether heads of this width can be served by this processor."""
    return width == WIDTH and _is_there()


@lru_cache
def _is_there() -> bool:
    asked: Any = numba.config
    if asked.CPU_NAME or asked.CPU_FEATURES:  # numba is told to compile for another processor
        return False
    has = binding.get_host_cpu_features()
    return bool(torch.cpu._is_avx512_bf16_supported() and has.get("avx512f") and has.get("avx512bf16"))


def packed(keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values (windows, heads, states, ``WIDTH``) in bfloat16, as they are read.

    Returns:
        keys (windows, heads, panels, 2, ``WIDTH`` / 2, ``LANES``) and values (windows, heads, states / 2, ``WIDTH``),
        int32 that hold pairs: of neighbouring places of a key, of neighbouring states of a value.
    """
    windows, heads, states, width = keys.shape
    panels = -(-states // PANEL)
    of_keys = torch.empty(windows, heads, panels, 2, width // 2, LANES, dtype=torch.int32)
    of_values = torch.empty(windows, heads, -(-states // 2), width, dtype=torch.int32)
    with on_threads():
        _pack(as_pairs(keys), as_pairs(values), of_keys.numpy(), of_values.numpy())
    return of_keys, of_values


def unpacked_keys(keys: Tensor, states: int) -> Tensor:
    """The keys (windows, heads, states, ``WIDTH``) in bfloat16."""
    by_key = keys.transpose(-1, -2).flatten(2, 4)[:, :, :states]
    return by_key.contiguous().view(torch.bfloat16)


def listen(query: Tensor, keys: Tensor, values: Tensor, states: int) -> Tensor:
    """What each row hears.

    Args:
        query: (windows, rows, heads, ``WIDTH``) bfloat16, scaled.
        keys: as ``packed`` lays them; values: likewise.
        states: how many of them there are.

    Returns:
        (windows, rows, heads, ``WIDTH``) bfloat16: the values weighted by the softmax of the products with the keys.
    """
    found = torch.empty(query.shape, dtype=query.dtype)
    with on_threads():
        listen_into(as_pairs(query), keys.numpy(), values.numpy(), states, as_pairs(found))
    return found


def attend(qkv: Tensor, heads: int) -> Tensor:
    """What states hear of each other.

    Args:
        qkv: (windows, states, 3 * heads * ``WIDTH``) bfloat16: queries (scaled), keys, values.
        heads: how many.

    Returns:
        (windows, states, heads * ``WIDTH``) bfloat16.
    """
    windows, states, _ = qkv.shape
    query, key, value = qkv.view(windows, states, 3, heads, WIDTH).unbind(2)
    return listen(query, *packed(key.transpose(1, 2), value.transpose(1, 2)), states).flatten(2)


def as_pairs(numbers: Tensor) -> Any:
    """The same memory as integers of 32 bits."""
    near = numbers if numbers.stride(-1) == 1 else numbers.contiguous()
    return near.view(torch.int32).numpy()


# ---- in LLVM's language ----

_of_keys: Any = products_of_pairs(Tile(ROWS, 2, WIDTH // 2 * LANES, sent=2))
_of_values: Any = products_of_pairs(Tile(ROWS, 4, LANES, sent=4))


def _exponentials(_: Any, _scores: Any, _count: Any, _weights: Any) -> tuple[Any, Callable[..., Any]]:
    """Of each score less the greatest, as bfloat16; their sum in float32.

    The arguments are the address of float32 scores, how many vectors of them, and the address of the weights.
    """
    # the polynomial of degree 5 that is nearest to 2 ** part from 0 to 1
    powers = (8.9893397e-3, 5.5826318e-2, 2.4015361e-1, 6.9315308e-1, 9.9999994e-1)

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        scores, count, weights = given
        pair_of = ir.FunctionType(WIDE, [WIDE, WIDE])
        greater = known(builder.module, pair_of, "llvm.maxnum.v16f32")
        floor = known(builder.module, ir.FunctionType(WIDE, [WIDE]), "llvm.floor.v16f32")

        def added(one: Any, other: Any) -> Any:
            return builder.fadd(one, other, flags=("contract",))

        def multiplied(one: Any, other: Any) -> Any:
            return builder.fmul(one, other, flags=("contract",))

        top, total = held(builder, WIDE), held(builder, WIDE)
        builder.store(constant(float(_LEAST)), top)
        builder.store(constant(0.0), total)
        with cgutils.for_range(builder, count) as loop:
            index = builder.shl(loop.index, number(4))
            score = read(builder, at(builder, scores, index, WIDE))
            builder.store(builder.call(greater, [builder.load(top), score]), top)
        most = over_lanes(builder, builder.load(top), lambda one, other: builder.call(greater, [one, other]))
        with cgutils.for_range(builder, count) as loop:
            index = builder.shl(loop.index, number(4))
            below_most = builder.fsub(read(builder, at(builder, scores, index, WIDE)), most)
            scaled = multiplied(below_most, constant(1.4426950408889634))
            scaled = builder.call(greater, [scaled, constant(-126.0)])
            below = builder.call(floor, [scaled])
            part, power = builder.fsub(scaled, below), constant(1.8775767e-3)
            for factor in powers:
                power = added(multiplied(power, part), constant(factor))
            exponent = builder.add(builder.fptosi(below, WHOLE), ir.Constant(WHOLE, [127] * LANES))
            whole = builder.bitcast(builder.shl(exponent, ir.Constant(WHOLE, [23] * LANES)), WIDE)
            weight = multiplied(power, whole)
            builder.store(builder.fadd(builder.load(total), weight), total)
            place = builder.inttoptr(
                builder.add(weights, builder.shl(loop.index, number(5))), NARROW.as_pointer()
            )
            builder.store(builder.fptrunc(weight, NARROW), place).align = 4
        found = over_lanes(builder, builder.load(total), builder.fadd)
        return builder.extract_element(found, ir.Constant(SHORT, 0))

    return types.float32(*[types.int64] * 3), generate


_weigh: Any = intrinsic(_exponentials)


# ---- in numba's ----


@njit(inline="always")
def _row_at(rows: Any, window: int, row: int, head: int) -> Any:
    """The address of one of the rows (windows, rows, heads, pairs)."""
    apart = rows.strides
    return np.int64(rows.ctypes.data + window * apart[0] + row * apart[1] + head * apart[2])


@compiled
def listen_into(query: Any, keys: Any, values: Any, states: int, found: Any) -> None:
    """As ``listen``, of pairs as int32 into pairs as int32; within ``on_threads``."""
    windows, rows, heads, pairs = query.shape
    panels, of_states = keys.shape[2], values.shape[2]
    groups = (rows + ROWS - 1) // ROWS
    query_apart, found_apart = np.int64(query.strides[1] // 4), np.int64(found.strides[1] // 4)
    line, weights_line = np.int64(panels * PANEL), np.int64(panels * LANES)
    for job in prange(windows * heads * groups):  # one after the other they read the same keys and values
        window, head, first = job // (heads * groups), job // groups % heads, job % groups * ROWS
        some = np.int64(min(ROWS, rows - first))
        room = np.empty(some * (line + weights_line + WIDTH), np.float32)
        of_scores = np.int64(room.ctypes.data)
        of_weights = of_scores + some * line * 4
        of_heard = of_weights + some * weights_line * 4
        of_query, of_found = _row_at(query, window, first, head), _row_at(found, window, first, head)
        of_keys = np.int64(keys.ctypes.data) + window * keys.strides[0] + head * keys.strides[1]
        of_values = np.int64(values.ctypes.data) + window * values.strides[0] + head * values.strides[1]
        for panel in range(panels):
            _of_keys(
                some, of_query, query_apart, of_keys + panel * keys.strides[2], np.int64(LANES), np.int64(pairs),
                of_scores + panel * PANEL * 4, line, np.int64(AHEAD_BYTES),
            )  # fmt: skip
        shares = np.empty(some, np.float32)
        for row in range(some):
            room[row * line + states : (row + 1) * line] = _LEAST
            shares[row] = _ONE / _weigh(
                of_scores + row * line * 4, np.int64(panels * 2), of_weights + row * weights_line * 4
            )
        _of_values(
            some, of_weights, weights_line, of_values, np.int64(WIDTH), np.int64(of_states), of_heard,
            np.int64(WIDTH), np.int64(AHEAD_BYTES),
        )  # fmt: skip
        for row in range(some):
            narrowed(
                of_heard + row * WIDTH * 4,
                shares[row],
                np.int64(WIDTH // LANES),
                of_found + row * found_apart * 4,
            )
        room[0] = _ZERO  # so long it is kept: numba lets go of an array after its last use by name


@compiled
def _pack(keys: Any, values: Any, of_keys: Any, of_values: Any) -> None:
    windows, heads, states, pairs = keys.shape
    low, high = np.int32(0xFFFF), np.int32(-65536)
    for job in prange(windows * heads):
        window, head = job // heads, job % heads
        own, found = keys[window, head], of_keys[window, head]
        found[-1] = np.int32(0)
        for state in range(states):
            line = found[state // PANEL, state // LANES % 2]
            for pair in range(pairs):
                line[pair, state % LANES] = own[state, pair]
        said, heard = values[window, head], of_values[window, head]
        for state in range(0, states - 1, 2):
            line = heard[state // 2]
            for pair in range(pairs):
                one, other = said[state, pair], said[state + 1, pair]
                line[2 * pair] = (one & low) | (other << np.int32(16))
                line[2 * pair + 1] = ((one >> np.int32(16)) & low) | (other & high)
        if states % 2:
            line = heard[states // 2]
            for pair in range(pairs):
                one = said[states - 1, pair]
                line[2 * pair], line[2 * pair + 1] = one & low, (one >> np.int32(16)) & low
