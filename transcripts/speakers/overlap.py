"""Who they are where two speak at once.

That two speak is heard in the sound, see ``counting``. The embedding of two voices together lies between theirs: each
pair of voices is tried, how well a non-negative combination of the two fits (least squares, Lawson and Hanson 1974, in
closed form for two), and whoever speaks just before or after is likelier to be one of them. Where one falls silent and
another begins meanwhile, a third may speak beside both: a question put into the end of one answer and the start of the
next.
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
PASSING_MS = 1_000
"""In a shorter stretch no third speaks beside two who follow each other."""
NOBODY = -1

Pair = tuple[int, int]
"""Two voices by number."""


@dataclass(frozen=True, slots=True)
class Both:
    """A stretch in which two speak at once: frames ``first`` up to ``last``, and who speaks just before and after, else
    NOBODY."""

    first: int
    last: int
    before: int
    after: int

    @property
    def beside(self) -> frozenset[int]:
        """Who speaks just before or after."""
        return frozenset({self.before, self.after} - {NOBODY})


def stretches(together: NDArray[np.bool_], path: NDArray[np.int64], stretch: NDArray[np.int64]) -> list[Both]:
    """The stretches in which two speak at once, of frames that are ``together``, shape (m,).

    ``path`` is the voice that has each frame, ``stretch`` the number of the stretch of speech it lies in: only who
    speaks in the same one is beside.
    """

    def beside(place: int, inside: int) -> int:
        return int(path[place]) if 0 <= place < len(path) and stretch[place] == inside else NOBODY

    edges = np.flatnonzero(np.diff(together, prepend=False, append=False)).reshape(-1, 2)
    return [
        Both(first, last, beside(first - 1, stretch[first]), beside(last, stretch[last - 1]))
        for first, last in edges.tolist()
    ]


def pairs(
    halves: Embeddings, voices: Embeddings, there: Iterable[int], both: Both, length_ms: int
) -> tuple[Pair, Pair]:
    """The two voices of ``there`` who speak at once, in the first half of a stretch and in the second.

    They are the same two; or, in a stretch that is long enough, somebody speaks beside one who speaks before and then
    beside another who speaks after.

    Args:
        halves: what is heard in each half, shape (2, 256); zeros where nothing is.
        voices: all voices, unit length, shape (k, 256).
        there: the numbers of the voices that have frames of their own, two or more.
        both: the stretch.
        length_ms: how long it is.
    """

    def likely(two: tuple[Pair, Pair]) -> float:
        fits = [
            _fit(heard, voices[one], voices[other]) for heard, (one, other) in zip(halves, two, strict=True)
        ]
        return sum(fits) / 2 + BESIDE * len(both.beside.intersection(two[0] + two[1]))

    known = sorted(there)
    tried = [(two, two) for two in combinations(known, 2)]
    if length_ms >= PASSING_MS and len(both.beside) == 2:
        tried += [((both.before, one), (one, both.after)) for one in known if one not in both.beside]
    return max(tried, key=likely)


def _fit(heard: NDArray[np.floating], one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """How much of what is heard a non-negative combination of the two explains, in units of its square."""
    of_one, of_other, alike = float(heard @ one), float(heard @ other), float(one @ other)
    free = max(1 - alike**2, 1e-6)
    share, others_share = (of_one - alike * of_other) / free, (of_other - alike * of_one) / free
    if min(share, others_share) < 0:
        return max(of_one, of_other, 0.0) ** 2
    return share * of_one + others_share * of_other
