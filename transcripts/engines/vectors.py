"""What kernels in LLVM's own language are written with; tiles and ``narrowed`` for processors that multiply pairs of
bfloat16 by vectors.

numba cannot keep an array in registers; here sums stay there. Addresses are integers; distances count numbers of 32
bits, of which one holds a pair.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from transcripts.engines.compiling import for_rows

LANES = 16
"""Numbers of 32 bits in a vector."""
AHEAD_BYTES = 8192
"""So far ahead lines are sent for: memory answers late."""
_CHAINS = 8
"""So many sums are under way at once: a product takes six cycles, and one begins in each."""


class _Brain(ir.types.Type):  # type: ignore[misc] # llvmlite is not typed
    """LLVM's type of bfloat16, which llvmlite does not name."""

    intrinsic_name = "bf16"

    def __str__(self) -> str:
        return "bfloat"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Brain)

    def __hash__(self) -> int:
        return hash(_Brain)


BYTE, FLOAT, SHORT, LONG = ir.IntType(8), ir.FloatType(), ir.IntType(32), ir.IntType(64)
WIDE, WHOLE = ir.VectorType(FLOAT, LANES), ir.VectorType(SHORT, LANES)
PAIRED, NARROW = ir.VectorType(_Brain(), 2 * LANES), ir.VectorType(_Brain(), LANES)

held: Any = cgutils.alloca_once
known: Any = cgutils.get_or_insert_function


def number(value: int) -> Any:
    """An address or a distance that is known beforehand."""
    return ir.Constant(LONG, value)


def constant(value: float) -> Any:
    """A vector that holds one number in all its lanes."""
    return ir.Constant(WIDE, [value] * LANES)


def at(builder: Any, base: Any, index: Any, kind: Any) -> Any:
    """A pointer to what lies ``index`` numbers of 32 bits behind an address."""
    return builder.inttoptr(builder.add(base, builder.shl(index, number(2))), kind.as_pointer())


def read(builder: Any, pointer: Any) -> Any:
    """What a pointer points to, which need not be aligned as a vector."""
    found = builder.load(pointer)
    found.align = 4
    return found


def everywhere(builder: Any, value: Any, kind: Any) -> Any:
    """A vector that holds a number that is found meanwhile in all its lanes."""
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.Constant(SHORT, 0))
    return builder.shuffle_vector(first, first, ir.Constant(WHOLE, [0] * LANES))


def over_lanes(builder: Any, vector: Any, join: Callable[[Any, Any], Any]) -> Any:
    """A vector that holds what ``join`` makes of all lanes of another in each of its own."""
    for half in (8, 4, 2, 1):
        lanes = ir.Constant(WHOLE, [(lane + half) % LANES for lane in range(LANES)])
        vector = join(vector, builder.shuffle_vector(vector, vector, lanes))
    return vector


def send_for(builder: Any, place: Any) -> None:
    """Let memory send the line at a pointer to ``BYTE`` into the second cache.

    The nearest has few places for lines that are on their way; into the second many more can be.
    """
    kind = ir.FunctionType(ir.VoidType(), [BYTE.as_pointer(), SHORT, SHORT, SHORT])
    hints = [ir.Constant(SHORT, value) for value in (0, 2, 1)]  # to be read, into the second cache, no code
    builder.call(known(builder.module, kind, "llvm.prefetch.p0"), [place, *hints])


@dataclass(frozen=True)
class Tile:
    """Rows of sums of products of pairs, made at once.

    Attributes:
        rows: how many there are at most.
        vectors: of ``LANES`` sums in each.
        apart: how far a vector of lines is from the next, see ``products_of_pairs``.
        sent: how many of the vectors' lines are sent for ahead.
        added: whether products are added to what the sums hold.
        interleaved: whether the rows' factors lie side by side; else each row's do.
    """

    rows: int
    vectors: int
    apart: int
    sent: int
    added: bool = False
    interleaved: bool = False


def products_of_pairs(tile: Tile) -> Any:
    """The kernel that makes a tile.

    Its arguments are the number of rows, then addresses and distances: of factors (rows, count), how far their rows
    are apart (nothing is made of it where they are interleaved); of lines of ``LANES`` pairs (vectors, count), how far
    a line is from the next; how many pairs there are; of float32 sums (rows, vectors, ``LANES``), how far their rows
    are apart. The last tells, in bytes, how far ahead lines are sent for.
    """

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        for_rows(builder, given[0], tile.rows, lambda rows: _generate(builder, tile, rows, *given[1:]))
        return context.get_dummy_value()

    def tiles(
        _: Any, _rows: Any, _factors: Any, _factors_apart: Any, _line: Any, _lines_apart: Any, _count: Any,
        _sums: Any, _sums_apart: Any, _ahead: Any,
    ) -> tuple[Any, Callable[..., Any]]:  # fmt: skip
        return types.none(*[types.int64] * 9), generate

    return intrinsic(tiles)


def _generate(
    builder: Any, tile: Tile, rows: int, factors: Any, factors_apart: Any, line: Any, lines_apart: Any, count: Any,
    sums: Any, sums_apart: Any, ahead: Any,
) -> None:  # fmt: skip
    products = known(
        builder.module, ir.FunctionType(WIDE, [WIDE, PAIRED, PAIRED]), "llvm.x86.avx512bf16.dpbf16ps.512"
    )
    chains = 1
    while chains * rows * tile.vectors < _CHAINS:
        chains *= 2
    places = [(row, vector) for row in range(rows) for vector in range(tile.vectors)]
    kept = [{place: held(builder, WIDE) for place in places} for _ in range(chains)]

    def of_sum(row: int, vector: int) -> Any:
        index = builder.add(builder.mul(number(row), sums_apart), number(vector * LANES))
        return at(builder, sums, index, WIDE)

    def multiplied(pair: Any, sums_of: dict[tuple[int, int], Any]) -> None:
        start, found = builder.mul(pair, lines_apart), []
        for vector in range(tile.vectors):
            index = builder.add(start, number(vector * tile.apart))
            found.append(builder.bitcast(read(builder, at(builder, line, index, WHOLE)), PAIRED))
            if vector < tile.sent:
                send_for(builder, at(builder, builder.add(line, ahead), index, BYTE))
        for row in range(rows):
            if tile.interleaved:
                index = builder.add(builder.mul(pair, number(rows)), number(row))
            else:
                index = builder.add(builder.mul(number(row), factors_apart), pair)
            both = read(builder, at(builder, factors, index, SHORT))
            factor = builder.bitcast(everywhere(builder, both, WHOLE), PAIRED)
            for vector in range(tile.vectors):
                one = sums_of[row, vector]
                builder.store(builder.call(products, [builder.load(one), found[vector], factor]), one)

    for position, chain in enumerate(kept):
        for place in places:
            begun = tile.added and position == 0
            builder.store(read(builder, of_sum(*place)) if begun else constant(0.0), chain[place])
    with cgutils.for_range(builder, builder.sdiv(count, number(chains))) as loop:
        first = builder.mul(loop.index, number(chains))
        for position, chain in enumerate(kept):
            multiplied(builder.add(first, number(position)), chain)
    rest = builder.srem(count, number(chains))
    with cgutils.for_range(builder, rest) as loop:
        multiplied(builder.add(builder.sub(count, rest), loop.index), kept[0])
    for place in places:
        total = builder.load(kept[0][place])
        for chain in kept[1:]:
            total = builder.fadd(total, builder.load(chain[place]))
        builder.store(total, of_sum(*place)).align = 4


def _narrowed(
    _: Any, _numbers: Any, _share: Any, _vectors: Any, _pairs: Any
) -> tuple[Any, Callable[..., Any]]:
    """Write float32 numbers, times a share, as bfloat16.

    The arguments are the numbers' address, the share, how many vectors of them, and the address of what is written.
    """

    def generate(context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        numbers, share, vectors, pairs = given
        shares = everywhere(builder, share, WIDE)
        with cgutils.for_range(builder, vectors) as loop:
            index = builder.mul(loop.index, number(LANES))
            value = builder.fmul(read(builder, at(builder, numbers, index, WIDE)), shares)
            place = at(builder, pairs, builder.mul(loop.index, number(LANES // 2)), NARROW)
            builder.store(builder.fptrunc(value, NARROW), place).align = 4
        return context.get_dummy_value()

    return types.none(types.int64, types.float32, types.int64, types.int64), generate


narrowed: Any = intrinsic(_narrowed)
