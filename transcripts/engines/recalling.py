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

from transcripts.engines.compiling import as_numbers, compiled, for_rows, on_threads, softmax
from transcripts.engines.vectors import (
    FLOAT,
    LANES,
    LONG,
    SHORT,
    WHOLE,
    WIDE,
    at,
    constant,
    everywhere,
    held,
    number,
    over_lanes,
)

WIDEST = 128
"""The width of a head, at most."""
_ZERO = np.float32(0)


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
        recall_into(as_numbers(qkv), as_numbers(cache), whose.numpy(), at, found.numpy())
    return found


# ---- in LLVM's language ----


def _numbers_at(builder: Any, address: Any, index: int, kind: Any) -> Any:
    """``LANES`` numbers that lie ``index`` numbers behind an address, as float32; see ``compiling.as_float``."""
    narrow = kind != types.float32
    read = ir.VectorType(ir.IntType(16), LANES) if narrow else WIDE
    place = builder.add(address, number(index * (2 if narrow else 4)))
    found = builder.load(builder.inttoptr(place, read.as_pointer()))
    found.align = 2 if narrow else 4
    if not narrow:
        return found
    return builder.bitcast(builder.shl(builder.zext(found, WHOLE), ir.Constant(WHOLE, [16] * LANES)), WIDE)


def _where(builder: Any, cache: Any, whose: Any, rows_apart: Any, tokens_apart: Any, token: Any) -> Any:
    """Where a token's numbers stand: in the row that ``whose`` tells."""
    of_row = at(builder, whose, token, SHORT)
    row = builder.zext(builder.load(of_row), LONG)
    return builder.add(cache, builder.add(builder.mul(row, rows_apart), builder.mul(token, tokens_apart)))


_PLACES: Any = [types.int64] * 5


def _products_with_keys(
    _: Any, _query: Any, _vectors: Any, _keys: Any, _whose: Any, _rows_apart: Any, _tokens_apart: Any, _count: Any,
    _scores: Any, kind: Any,
) -> tuple[Any, Callable[..., Any]]:  # fmt: skip
    """The products of a query with the keys of some tokens.

    The arguments are the address of the query, of numbers like ``kind``; how many vectors it has, up to ``WIDEST``; the
    address of the first row's first key, that of whose each token is (int32), how far rows and tokens are apart in
    bytes, how many tokens there are; and the address of as many float32.
    """

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        query, vectors, keys, whose, rows_apart, tokens_apart, count, scores, _ = given

        def scored(several: int) -> None:
            asked = [_numbers_at(builder, query, vector * LANES, kind) for vector in range(several)]
            with cgutils.for_range(builder, count) as loop:
                key = _where(builder, keys, whose, rows_apart, tokens_apart, loop.index)
                total = constant(0.0)
                for vector, one in enumerate(asked):
                    product = builder.fmul(
                        one, _numbers_at(builder, key, vector * LANES, kind), flags=("contract",)
                    )
                    total = builder.fadd(total, product, flags=("contract",))
                total = over_lanes(builder, total, builder.fadd)
                score = builder.extract_element(total, ir.Constant(SHORT, 0))
                builder.store(score, at(builder, scores, loop.index, FLOAT))

        for_rows(builder, vectors, WIDEST // LANES, scored)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, *_PLACES, types.int64, kind), generate


def _shares_of_values(
    _: Any, _shares: Any, _vectors: Any, _values: Any, _whose: Any, _rows_apart: Any, _tokens_apart: Any, _count: Any,
    _found: Any, kind: Any,
) -> tuple[Any, Callable[..., Any]]:  # fmt: skip
    """The sum of some tokens' values, each times its share.

    The arguments are the address of the shares, a float32 for each token; then as of ``_products_with_keys``; the last
    address is that of the sums, float32.
    """

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        shares, vectors, values, whose, rows_apart, tokens_apart, count, found, _ = given

        def summed(several: int) -> None:
            totals = [held(builder, WIDE) for _ in range(several)]
            for total in totals:
                builder.store(constant(0.0), total)
            with cgutils.for_range(builder, count) as loop:
                value = _where(builder, values, whose, rows_apart, tokens_apart, loop.index)
                share = builder.load(at(builder, shares, loop.index, FLOAT))
                shared = everywhere(builder, share, WIDE)
                for vector, total in enumerate(totals):
                    product = builder.fmul(
                        shared, _numbers_at(builder, value, vector * LANES, kind), flags=("contract",)
                    )
                    builder.store(builder.fadd(builder.load(total), product, flags=("contract",)), total)
            for vector, total in enumerate(totals):
                place = at(builder, found, number(vector * LANES), WIDE)
                builder.store(builder.load(total), place).align = 4

        for_rows(builder, vectors, WIDEST // LANES, summed)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, *_PLACES, types.int64, kind), generate


_score: Any = intrinsic(_products_with_keys)
_sum: Any = intrinsic(_shares_of_values)


# ---- in numba's ----


@compiled
def recall_into(qkv: Any, cache: Any, whose: Any, at: int, found: Any) -> None:
    """As ``recall``, of numpy's float32 or of bfloat16's bits, into float32; within ``on_threads``."""
    rows, _, heads, width = qkv.shape
    vectors, count = np.int64(width // LANES), np.int64(at + 1)
    rows_apart, tokens_apart = np.int64(cache.strides[1]), np.int64(cache.strides[3])
    for job in prange(rows * heads):
        row, head = job // heads, job % heads
        for place in range(width):
            cache[0, row, head, at, place] = qkv[row, 1, head, place]
            cache[1, row, head, at, place] = qkv[row, 2, head, place]
        scores, kind = np.empty(at + 1, np.float32), qkv[0, 0, 0, 0]
        of_whose, of_scores = np.int64(whose[row].ctypes.data), np.int64(scores.ctypes.data)
        _score(
            np.int64(qkv[row, 0, head].ctypes.data), vectors, np.int64(cache[0, 0, head].ctypes.data), of_whose,
            rows_apart, tokens_apart, count, of_scores, kind,
        )  # fmt: skip
        softmax(scores, at + 1)
        _sum(
            of_scores, vectors, np.int64(cache[1, 0, head].ctypes.data), of_whose, rows_apart, tokens_apart, count,
            np.int64(found[row, head].ctypes.data), kind,
        )  # fmt: skip
        scores[0] = _ZERO  # so long it is kept: numba lets go of an array after its last use by name
