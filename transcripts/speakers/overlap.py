"""Who they are where two speak at once.

That two speak is heard in the sound, see ``counting``. The embedding of two voices together lies between theirs: each
pair of voices is tried, how well a non-negative combination of the two fits (least squares, Lawson and Hanson 1974, in
closed form for two), and whoever speaks just before or after is likelier to be one of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.encoder import Embeddings

BESIDE = 0.15
"""What it counts for a pair that one of the two speaks just before or after, in units of a squared cosine."""


@dataclass(frozen=True, slots=True)
class Both:
    """A stretch in which two speak at once: frames ``first`` up to ``last``, and who speaks just before and after."""

    first: int
    last: int
    beside: frozenset[int]


def stretches(together: NDArray[np.bool_], path: NDArray[np.int64], stretch: NDArray[np.int64]) -> list[Both]:
    """The stretches in which two speak at once, of frames that are ``together``, shape (m,).

    ``path`` is the voice that has each frame, ``stretch`` the number of the stretch of speech it lies in: only who
    speaks in the same one is beside.
    """
    found = []
    edges = np.flatnonzero(np.diff(together, prepend=False, append=False)).reshape(-1, 2)
    for first, last in edges.tolist():
        near = [place for place in (first - 1, last) if 0 <= place < len(path)]
        inside = {stretch[first], stretch[last - 1]}
        found.append(
            Both(first, last, frozenset(int(path[place]) for place in near if stretch[place] in inside))
        )
    return found


def pair(
    heard: Embeddings, voices: Embeddings, there: Iterable[int], beside: frozenset[int]
) -> tuple[int, int]:
    """The two voices of ``there`` who speak at once: the likeliest pair, by number.

    Args:
        heard: what is heard in the stretch, shape (n, 256); n may be 0.
        voices: all voices, unit length, shape (k, 256).
        there: the numbers of the voices that have frames of their own, two or more.
        beside: who speaks just before or after.
    """
    together = heard.mean(axis=0) if len(heard) else np.zeros(voices.shape[1])

    def likely(two: tuple[int, int]) -> float:
        return _fit(together, voices[two[0]], voices[two[1]]) + BESIDE * len(beside.intersection(two))

    return max(combinations(sorted(there), 2), key=likely)


def _fit(heard: NDArray[np.floating], one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """How much of what is heard a non-negative combination of the two explains, in units of its square."""
    of_one, of_other, alike = float(heard @ one), float(heard @ other), float(one @ other)
    free = max(1 - alike**2, 1e-6)
    share, others_share = (of_one - alike * of_other) / free, (of_other - alike * of_one) / free
    if min(share, others_share) < 0:
        return max(of_one, of_other, 0.0) ** 2
    return share * of_one + others_share * of_other
