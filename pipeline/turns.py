"""A fair order: one of each before a second of any."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

_T = TypeVar("_T")


def in_turn(items: Iterable[_T], of: Callable[[_T], Hashable]) -> list[_T]:
    """The items, the first of every group first, then every second one; otherwise as they came.

    >>> in_turn(["a1", "a2", "b1", "a3", "b2"], of=lambda one: one[0])
    ['a1', 'b1', 'a2', 'b2', 'a3']
    """
    seen: Counter[Hashable] = Counter()
    turns: list[tuple[int, _T]] = []
    for item in items:
        turns.append((seen[of(item)], item))
        seen[of(item)] += 1
    return [item for _, item in sorted(turns, key=lambda one: one[0])]
