"""What hypotheses make of their own past, by a kernel of our own: a query each, and a row of keys and values each.

General products copy what one of them reads and are built for many rows. Here each token is read where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from llvmlite import ir
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from torch import Tensor

from transcripts.engines.compiling import as_numbers, compiled, on_threads, softmax

_LANES = 16
_FLOAT, _LANE = ir.FloatType(), ir.IntType(32)
_WIDE = ir.VectorType(_FLOAT, _LANES)
_ONE, _ZERO = np.float32(1), np.float32(0)

_held: Any = cgutils.alloca_once


def recall(qkv: Tensor, cache: Tensor, whose: Tensor, at: int) -> Tensor:
    """What each hypothesis makes of its own past, to which its newest key and value are added.

    Args:
        qkv: (hypotheses, 3, heads, width), float32 or bfloat16: query (scaled), key and value of the token at ``at``.
        cache: (2, hypotheses, heads, room, width) of the same dtype, written at ``at``.
        whose: (hypotheses, room) int32, the row of ``cache`` in which each token of a hypothesis stands.
        at: how many tokens there were before.

    Returns:
        (hypotheses, heads, width) float32.
    """
    found = torch.empty(len(qkv), *qkv.shape[2:])
    with on_threads():
        _recall(as_numbers(qkv), as_numbers(cache), whose.numpy(), at, found.numpy())
    return found


# ---- in LLVM's language ----


def _numbers_at(builder: Any, address: Any, index: Any, kind: Any) -> Any:
    """``_LANES`` numbers that lie ``index`` numbers behind an address, as float32; see ``compiling.as_float``."""
    narrow = kind != types.float32
    read = ir.VectorType(ir.IntType(16), _LANES) if narrow else _WIDE
    place = builder.add(address, builder.mul(index, ir.Constant(ir.IntType(64), 2 if narrow else 4)))
    found = builder.load(builder.inttoptr(place, read.as_pointer()))
    found.align = 2 if narrow else 4
    if not narrow:
        return found
    whole = ir.VectorType(_LANE, _LANES)
    return builder.bitcast(builder.shl(builder.zext(found, whole), ir.Constant(whole, [16] * _LANES)), _WIDE)


def _products_summed(
    _: Any, _query: Any, _other: Any, _count: Any, kind: Any
) -> tuple[Any, Callable[..., Any]]:
    """The sum of products of float32 with ``count`` numbers like ``kind``, a multiple of ``_LANES``, by address."""

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        query, other, count, _ = given
        total = _held(builder, _WIDE)
        builder.store(ir.Constant(_WIDE, [0.0] * _LANES), total)
        with cgutils.for_range(builder, builder.sdiv(count, ir.Constant(count.type, _LANES))) as loop:
            index = builder.mul(loop.index, ir.Constant(count.type, _LANES))
            one = _numbers_at(builder, query, index, types.float32)
            product = builder.fmul(one, _numbers_at(builder, other, index, kind), flags=("contract",))
            builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
        found = builder.load(total)
        for half in (8, 4, 2, 1):
            lanes = ir.Constant(
                ir.VectorType(_LANE, _LANES), [(lane + half) % _LANES for lane in range(_LANES)]
            )
            found = builder.fadd(found, builder.shuffle_vector(found, found, lanes))
        return builder.extract_element(found, ir.Constant(_LANE, 0))

    return types.float32(types.int64, types.int64, types.int64, kind), generate


def _share_added(
    _: Any, _sums: Any, _share: Any, _other: Any, _count: Any, kind: Any
) -> tuple[Any, Callable[..., Any]]:
    """Add a share of ``count`` numbers like ``kind`` to as many float32, by address."""

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        sums, share, other, count, _ = given
        first = builder.insert_element(ir.Constant(_WIDE, ir.Undefined), share, ir.Constant(_LANE, 0))
        lanes = ir.Constant(ir.VectorType(_LANE, _LANES), [0] * _LANES)
        shares = builder.shuffle_vector(first, first, lanes)
        with cgutils.for_range(builder, builder.sdiv(count, ir.Constant(count.type, _LANES))) as loop:
            index = builder.mul(loop.index, ir.Constant(count.type, _LANES))
            product = builder.fmul(shares, _numbers_at(builder, other, index, kind), flags=("contract",))
            so_far = _numbers_at(builder, sums, index, types.float32)
            place = builder.add(sums, builder.mul(index, ir.Constant(count.type, 4)))
            found = builder.fadd(so_far, product, flags=("contract",))
            builder.store(found, builder.inttoptr(place, _WIDE.as_pointer())).align = 4
        return context.get_dummy_value()

    return types.none(types.int64, types.float32, types.int64, types.int64, kind), generate


_dot: Any = intrinsic(_products_summed)
_add: Any = intrinsic(_share_added)


# ---- in numba's ----


@compiled
def _recall(qkv: Any, cache: Any, whose: Any, at: int, found: Any) -> None:
    rows, _, heads, width = qkv.shape
    count = np.int64(width)
    for job in prange(rows * heads):
        row, head = job // heads, job % heads
        for place in range(width):
            cache[0, row, head, at, place] = qkv[row, 1, head, place]
            cache[1, row, head, at, place] = qkv[row, 2, head, place]
        scores, own, kind = np.empty(at + 1, np.float32), found[row, head], qkv[0, 0, 0, 0]
        of_own = np.int64(own.ctypes.data)
        own[:] = _ZERO
        _add(of_own, _ONE, np.int64(qkv[row, 0, head].ctypes.data), count, kind)  # the query in float32
        for token in range(at + 1):
            key = np.int64(cache[0, whose[row, token], head, token].ctypes.data)
            scores[token] = _dot(of_own, key, count, kind)
        softmax(scores, at + 1)
        own[:] = _ZERO
        for token in range(at + 1):
            value = np.int64(cache[1, whose[row, token], head, token].ctypes.data)
            _add(of_own, scores[token], value, count, kind)
