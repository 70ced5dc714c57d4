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
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from transcripts.engines.compiling import compiled, for_rows, on_threads

LANES = 16
PANEL = 2 * LANES
"""So many keys are multiplied at once: two vectors."""
WIDTH = 64
"""The width of a head, in every Whisper: four vectors of sums."""
ROWS = 6
"""So many rows are summed up at once: with four vectors of values each, 24 of 32 registers."""
_AHEAD_BYTES = 4096
"""So far ahead keys and values are sent for: memory answers late."""
_LEAST = np.float32(-1e30)
_ZERO = np.float32(0)
_ONE = np.float32(1)


class _Brain(ir.types.Type):  # type: ignore[misc] # llvmlite is not typed
    """LLVM's type of bfloat16, which llvmlite does not name."""

    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Brain)

    def __hash__(self) -> int:
        return hash(_Brain)


_FLOAT, _SHORT, _LONG = ir.FloatType(), ir.IntType(32), ir.IntType(64)
_WIDE, _WHOLE = ir.VectorType(_FLOAT, LANES), ir.VectorType(_SHORT, LANES)
_PAIRED, _NARROW = ir.VectorType(_Brain(), 2 * LANES), ir.VectorType(_Brain(), LANES)


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
        _pack(_as_pairs(keys), _as_pairs(values), of_keys.numpy(), of_values.numpy())
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
        (windows, rows, heads, ``WIDTH``) float32: the values weighted by the softmax of the products with the keys.
    """
    found = torch.empty(query.shape)
    with on_threads():
        _listen(_as_pairs(query), keys.numpy(), values.numpy(), states, found.numpy())
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
    found = listen(query, *packed(key.transpose(1, 2), value.transpose(1, 2)), states)
    return found.view(windows, states, -1).to(qkv.dtype)


def _as_pairs(numbers: Tensor) -> Any:
    """The same memory as integers of 32 bits."""
    near = numbers if numbers.stride(-1) == 1 else numbers.contiguous()
    return near.view(torch.int32).numpy()


# ---- in LLVM's language ----

_held: Any = cgutils.alloca_once
_known: Any = cgutils.get_or_insert_function


def _number(value: int) -> Any:
    return ir.Constant(_LONG, value)


def _at(builder: Any, base: Any, index: Any, kind: Any) -> Any:
    """A pointer to what lies ``index`` numbers of 32 bits behind an address."""
    return builder.inttoptr(builder.add(base, builder.shl(index, _number(2))), kind.as_pointer())


def _read(builder: Any, pointer: Any, align: int = 4) -> Any:
    found = builder.load(pointer)
    found.align = align
    return found


def _everywhere(builder: Any, value: Any, kind: Any) -> Any:
    """A vector that holds one number in all its lanes."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(_SHORT, 0))
    return builder.shuffle_vector(first, first, ir.Constant(_WHOLE, [0] * LANES))


def _constant(value: float) -> Any:
    return ir.Constant(_WIDE, [value] * LANES)


def _sums_of_products(vectors: int) -> Any:
    """The kernel that makes rows of ``vectors`` x ``LANES`` sums of products of pairs.

    Its arguments are the rows, ``ROWS`` at most, then addresses and distances, the latter in numbers of 32 bits: of
    factors (rows, count) and how far their rows are apart; of lines of ``LANES`` pairs (vectors, count), how far a line
    is from the next, and a vector from the next; how many pairs there are; of float32 sums (rows, vectors, ``LANES``),
    how far their rows are apart.
    """

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        for_rows(builder, given[0], ROWS, lambda rows: _generate_tile(builder, rows, vectors, *given[1:]))
        return context.get_dummy_value()

    def tiles(
        _: Any, _rows: Any, _factors: Any, _factors_apart: Any, _line: Any, _lines_apart: Any, _vectors_apart: Any,
        _count: Any, _sums: Any, _sums_apart: Any,
    ) -> tuple[Any, Callable[..., Any]]:  # fmt: skip
        return types.none(*[types.int64] * 9), generate

    return intrinsic(tiles)


def _generate_tile(
    builder: Any, rows: int, vectors: int, factors: Any, factors_apart: Any, line: Any, lines_apart: Any,
    vectors_apart: Any, count: Any, sums: Any, sums_apart: Any,
) -> None:  # fmt: skip
    byte = ir.IntType(8).as_pointer()
    prefetch = _known(
        builder.module, ir.FunctionType(ir.VoidType(), [byte, _SHORT, _SHORT, _SHORT]), "llvm.prefetch.p0"
    )
    products = _known(
        builder.module, ir.FunctionType(_WIDE, [_WIDE, _PAIRED, _PAIRED]), "llvm.x86.avx512bf16.dpbf16ps.512"
    )
    hints = [ir.Constant(_SHORT, value) for value in (0, 3, 1)]  # to be read, soon and often, no code
    held = [[_held(builder, _WIDE) for _ in range(vectors)] for _ in range(rows)]
    for kept in (one for row in held for one in row):
        builder.store(_constant(0.0), kept)
    with cgutils.for_range(builder, count) as loop:
        start, found = builder.mul(loop.index, lines_apart), []
        for vector in range(vectors):
            index = builder.add(start, builder.mul(_number(vector), vectors_apart))
            pairs = _read(builder, _at(builder, line, index, _WHOLE))
            found.append(builder.bitcast(pairs, _PAIRED))
            soon = _at(builder, builder.add(line, _number(_AHEAD_BYTES)), index, ir.IntType(8))
            builder.call(prefetch, [soon, *hints])
        for row in range(rows):
            index = builder.add(builder.mul(_number(row), factors_apart), loop.index)
            pair = _read(builder, _at(builder, factors, index, _SHORT))
            factor = builder.bitcast(_everywhere(builder, pair, _WHOLE), _PAIRED)
            for vector in range(vectors):
                kept = held[row][vector]
                builder.store(builder.call(products, [builder.load(kept), found[vector], factor]), kept)
    for row in range(rows):
        for vector in range(vectors):
            index = builder.add(builder.mul(_number(row), sums_apart), _number(vector * LANES))
            builder.store(builder.load(held[row][vector]), _at(builder, sums, index, _WIDE)).align = 4


_of_keys, _of_values = _sums_of_products(2), _sums_of_products(4)


def _exponentials(_: Any, _scores: Any, _count: Any, _weights: Any) -> tuple[Any, Callable[..., Any]]:
    """Of each score less the greatest, as bfloat16; their sum in float32.

    The arguments are the address of float32 scores, how many vectors of them, and the address of the weights.
    """
    # the polynomial of degree 5 that is nearest to 2 ** part from 0 to 1
    powers = (8.9893397e-3, 5.5826318e-2, 2.4015361e-1, 6.9315308e-1, 9.9999994e-1)

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        scores, count, weights = given
        pair_of = ir.FunctionType(_WIDE, [_WIDE, _WIDE])
        greater = _known(builder.module, pair_of, "llvm.maxnum.v16f32")
        floor = _known(builder.module, ir.FunctionType(_WIDE, [_WIDE]), "llvm.floor.v16f32")

        def over_lanes(vector: Any, join: Callable[[Any, Any], Any]) -> Any:
            for half in (8, 4, 2, 1):
                lanes = ir.Constant(_WHOLE, [(lane + half) % LANES for lane in range(LANES)])
                vector = join(vector, builder.shuffle_vector(vector, vector, lanes))
            return vector

        def added(one: Any, other: Any) -> Any:
            return builder.fadd(one, other, flags=("contract",))

        def multiplied(one: Any, other: Any) -> Any:
            return builder.fmul(one, other, flags=("contract",))

        top, total = _held(builder, _WIDE), _held(builder, _WIDE)
        builder.store(_constant(float(_LEAST)), top)
        builder.store(_constant(0.0), total)
        with cgutils.for_range(builder, count) as loop:
            index = builder.shl(loop.index, _number(4))
            score = _read(builder, _at(builder, scores, index, _WIDE))
            builder.store(builder.call(greater, [builder.load(top), score]), top)
        most = over_lanes(builder.load(top), lambda one, other: builder.call(greater, [one, other]))
        with cgutils.for_range(builder, count) as loop:
            index = builder.shl(loop.index, _number(4))
            below_most = builder.fsub(_read(builder, _at(builder, scores, index, _WIDE)), most)
            scaled = multiplied(below_most, _constant(1.4426950408889634))
            scaled = builder.call(greater, [scaled, _constant(-126.0)])
            below = builder.call(floor, [scaled])
            part, power = builder.fsub(scaled, below), _constant(1.8775767e-3)
            for factor in powers:
                power = added(multiplied(power, part), _constant(factor))
            exponent = builder.add(builder.fptosi(below, _WHOLE), ir.Constant(_WHOLE, [127] * LANES))
            whole = builder.bitcast(builder.shl(exponent, ir.Constant(_WHOLE, [23] * LANES)), _WIDE)
            weight = multiplied(power, whole)
            builder.store(builder.fadd(builder.load(total), weight), total)
            place = builder.inttoptr(
                builder.add(weights, builder.shl(loop.index, _number(5))), _NARROW.as_pointer()
            )
            builder.store(builder.fptrunc(weight, _NARROW), place).align = 4
        found = over_lanes(builder.load(total), builder.fadd)
        return builder.extract_element(found, ir.Constant(_SHORT, 0))

    return types.float32(types.int64, types.int64, types.int64), generate


_weigh: Any = intrinsic(_exponentials)


# ---- in numba's ----


@compiled
def _listen(query: Any, keys: Any, values: Any, states: int, found: Any) -> None:
    windows, rows, heads, pairs = query.shape
    panels, of_states = keys.shape[2], values.shape[2]
    groups = (rows + ROWS - 1) // ROWS
    count, half = np.int64(pairs), np.int64(pairs * LANES)
    query_apart, found_apart = np.int64(query.strides[1] // 4), np.int64(found.strides[1] // 4)
    line, weights_line = np.int64(panels * PANEL), np.int64(panels * LANES)
    for job in prange(windows * heads * groups):  # one after the other they read the same keys and values
        window, head, first = job // (heads * groups), job // groups % heads, job % groups * ROWS
        some = np.int64(min(ROWS, rows - first))
        scores = np.empty((some, line), np.float32)
        weights = np.empty((some, weights_line), np.int32)
        of_scores, of_weights = np.int64(scores.ctypes.data), np.int64(weights.ctypes.data)
        of_query = np.int64(query[window, first, head].ctypes.data)
        of_keys = np.int64(keys[window, head].ctypes.data)
        for panel in range(panels):
            _of_keys(
                some, of_query, query_apart, of_keys + panel * half * 8, np.int64(LANES), half, count,
                of_scores + panel * PANEL * 4, line,
            )  # fmt: skip
        sums = np.empty(some, np.float32)
        for row in range(some):
            scores[row, states:] = _LEAST
            sums[row] = _weigh(
                of_scores + row * line * 4, np.int64(panels * 2), of_weights + row * weights_line * 4
            )
        of_found = np.int64(found[window, first, head].ctypes.data)
        of_values = np.int64(values[window, head].ctypes.data)
        _of_values(
            some, of_weights, weights_line, of_values, np.int64(WIDTH), np.int64(LANES),
            np.int64(of_states), of_found, found_apart,
        )  # fmt: skip
        for row in range(some):
            share, own = _ONE / sums[row], found[window, first + row, head]
            for place in range(WIDTH):
                own[place] *= share
        # so long they are kept: numba lets go of an array after its last use by name
        scores[0, 0], weights[0, 0] = _ZERO, np.int32(0)


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
