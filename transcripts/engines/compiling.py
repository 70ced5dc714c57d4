"""What kernels of our own have in common: numba compiles them, they run on torch's threads and in torch's memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

import numba
import numpy as np
import torch
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from torch import Tensor

_FLOAT = ir.FloatType()
_ONE, _ZERO = np.float32(1), np.float32(0)

_config: Any = numba.config

_alone = Lock()  # numba's simplest threading layer, macOS's, allows one caller at a time


def compiled(function: Callable[..., None]) -> Any:
    """The function on all threads, kept between runs.

    Sums keep their order: code that was just compiled and code from disk are optimised differently, and must find the
    same to the last digit.
    """
    options: dict[str, Any] = {
        "parallel": True,
        "fastmath": {"nnan", "ninf", "nsz", "contract"},
        "nogil": True,
    }
    try:
        kernel: Any = njit(cache=True, **options)(function)
    except RuntimeError:  # no folder to keep it in can be written
        return njit(**options)(function)
    kept = kernel._cache._cache_file
    kept._source_stamp = (kept._source_stamp, _helpers())
    return kernel


@lru_cache
def _helpers() -> str:
    """What tells the text of the files apart that kernels are written with.

    numba looks only at the file in which a kernel stands, and would go on with what was compiled from older ones.
    """
    here = Path(__file__).parent
    return sha256(b"".join((here / name).read_bytes() for name in ("compiling.py", "vectors.py"))).hexdigest()


@contextmanager
def threads_kept() -> Iterator[None]:
    """Leave torch as many threads as it has: numba sets them anew when it starts its own."""
    threads = torch.get_num_threads()
    yield
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


@contextmanager
def on_threads() -> Iterator[None]:
    """Run a kernel alone, on as many threads as torch has."""
    with _alone:
        with threads_kept():
            numba.set_num_threads(min(torch.get_num_threads(), _config.NUMBA_NUM_THREADS))
        yield


def as_numbers(numbers: Tensor) -> Any:
    """The same memory as numpy's float32, or as the bits of bfloat16."""
    return bits(numbers) if numbers.dtype == torch.bfloat16 else numbers.contiguous().numpy()


def bits(halves: Tensor) -> Any:
    """The same memory as numpy's unsigned integers: numba knows neither half precision nor bfloat16."""
    return halves.contiguous().view(torch.int16).numpy().view(np.uint16)


# ---- what kernels call ----


def _float_of_bits(_: Any, _bits: Any) -> tuple[Any, Callable[..., Any]]:
    """The float32 that has these bits."""

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        return builder.bitcast(given[0], _FLOAT)

    return types.float32(types.int32), generate


_from_bits: Any = intrinsic(_float_of_bits)


def _float_of_number(_: Any, number: Any) -> tuple[Any, Callable[..., Any]]:
    """A float32 as it is; of 16 bits, the float32 whose upper half they are, which is what bfloat16 means."""

    def generate(_context: Any, builder: Any, _signature: Any, given: Any) -> Any:
        if number == types.float32:
            return given[0]
        whole = ir.IntType(32)
        return builder.bitcast(builder.shl(builder.zext(given[0], whole), ir.Constant(whole, 16)), _FLOAT)

    return types.float32(number), generate


as_float: Any = intrinsic(_float_of_number)


@njit(inline="always")
def exponential(value: Any) -> Any:
    """The exponential of a number that is not above zero, to a part in a million; numba's own is no vector's."""
    scaled = max(value * np.float32(1.4426950408889634), np.float32(-126))
    below = np.floor(scaled)
    part = scaled - below
    # the polynomial of degree 5 that is nearest to 2 ** part from 0 to 1
    power = np.float32(1.8775767e-3)
    power = power * part + np.float32(8.9893397e-3)
    power = power * part + np.float32(5.5826318e-2)
    power = power * part + np.float32(2.4015361e-1)
    power = power * part + np.float32(6.9315308e-1)
    power = power * part + np.float32(9.9999994e-1)
    return power * _from_bits((np.int32(below) + np.int32(127)) << np.int32(23))


@njit(inline="always")
def softmax(line: Any, count: int) -> None:
    """Of the first ``count`` numbers of a line, in place."""
    top = line[0]
    for index in range(count):
        top = max(top, line[index])
    for index in range(count):
        line[index] = exponential(line[index] - top)
    first = second = third = fourth = _ZERO
    for index in range(0, count - 3, 4):
        first += line[index]
        second += line[index + 1]
        third += line[index + 2]
        fourth += line[index + 3]
    for index in range(count - count % 4, count):
        first += line[index]
    share = _ONE / ((first + second) + (third + fourth))
    for index in range(count):
        line[index] *= share


# ---- what kernels in LLVM's language are written with ----


def for_rows(builder: Any, rows: Any, most: int, body: Callable[[int], None]) -> None:
    """Write ``body`` for each number of rows from one to ``most``, and go to the one that is asked for.

    What is written for a number that is known keeps its sums in registers.
    """
    after = builder.append_basic_block("after")
    choice = builder.switch(rows, after)
    for count in range(1, most + 1):
        block = builder.append_basic_block(f"rows.{count}")
        choice.add_case(ir.Constant(rows.type, count), block)
        builder.position_at_end(block)
        body(count)
        builder.branch(after)
    builder.position_at_end(after)
