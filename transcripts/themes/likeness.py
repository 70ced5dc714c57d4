"""How alike the passages of a collection are, in meaning and in words; what that says of those nobody looked at.

Words count twice: where two passages have the same rare ones, and where theirs mean the like. The latter is a weighted
mean of what each word means by itself, frequent ones counting less (Arora, Liang & Ma 2017, "A simple but tough-to-beat
baseline for sentence embeddings"); it tells what a passage talks of even where its sentences say something else.

Values that passages have, here how near they are to a theme, are made to agree among passages that are alike: each is
drawn to the mean of its nearest neighbours (label propagation; Zhu & Ghahramani 2002), and to what a ridge regression
over all passages makes of them, which learns the collection's own words for a theme (self-training; Scudder 1965).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transcripts.themes.terms import terms
from transcripts.themes.vectors import Lexicon, Vectors, nfc

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Values = NDArray[np.float64]

# Chosen on labelled/indirect and labelled/plain (tests/benchmark), on no others.
_WORDS, _SENSES = 1.0, 0.4
"""What the words, and what they mean by themselves, count beside the meaning of the sentences."""
_FREQUENT = 1e-3
"""A word that is this share of all counts half."""
_USUAL_PASSAGES = 5
"""What passages have in common is taken away as far as there are more than so many."""
_STEM = 6
"""Words that begin with the same letters are one."""
_MOST_TERMS = 1500
_NEIGHBOURS = 8
_RIDGE = 10.0

_MOST_COMPARED = 1500
"""In a larger collection each passage is compared with so many of them, evenly spread."""
_BLOCK = 1000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Likeness:
    """Passages as rows whose dot product says how alike they are.

    ``rows`` has shape (passages, features); ``compared`` are the places that all are compared with; ``near`` and
    ``shares`` (passages, neighbours) name each one's nearest, and what each of them counts.
    """

    rows: Vectors
    compared: NDArray[np.intp]
    near: NDArray[np.intp]
    shares: Values

    def between(self, places: Sequence[int] | NDArray[np.intp]) -> Values:
        """How alike some passages are: shape (places, places)."""
        chosen = self.rows[places].astype(float)
        alike: Values = chosen @ chosen.T
        return alike

    def carried(self, places: Sequence[int] | NDArray[np.intp], weights: Values) -> Values:
        """For all passages the sum of weights, each as far as they are alike: (places, n) -> (passages, n)."""
        carried: Values = self.rows @ (self.rows[places].T @ weights)
        return carried

    def smoothed(self, values: Values, share: float) -> Values:
        """Values (passages, n), that share of each the mean of its neighbours'."""
        if not self.near.shape[1]:
            return values
        neighbours: Values = np.einsum("pk,pkn->pn", self.shares, values[self.near])
        return (1 - share) * values + share * neighbours

    def regressed(self, values: Values) -> Values:
        """What a ridge regression of values (passages, n) says of each passage, but for a constant."""
        kernel = self.between(self.compared)
        kernel += kernel.mean() - kernel.mean(axis=0) - kernel.mean(axis=1)[:, None]
        told = values[self.compared]
        kernel[np.diag_indices(len(kernel))] += _RIDGE
        return self.carried(self.compared, np.linalg.solve(kernel, told - told.mean(axis=0)))


def likeness(meaning: Vectors, texts: Sequence[Sequence[str]], senses: Vectors | None) -> Likeness:
    """The likeness of passages.

    Args:
        meaning: unit rows, shape (passages, dimension).
        texts: the sentences of each passage.
        senses: unit rows of what their words mean by themselves, if anything tells.
    """
    parts = [meaning, np.sqrt(_WORDS) * _words(texts)]
    if senses is not None:
        parts.append(np.sqrt(_SENSES) * senses)
    rows = np.hstack(parts).astype(np.float32)
    count = len(rows)
    compared = np.unique(np.linspace(0, count - 1, min(count, _MOST_COMPARED)).round().astype(np.intp))
    near, shares = [], []
    for start in range(0, count, _BLOCK):
        block = np.arange(start, min(start + _BLOCK, count))
        alike = rows[block] @ rows[compared].T
        alike[block[:, None] == compared] = -np.inf
        found = _best(alike, min(_NEIGHBOURS, len(compared) - 1))
        counts = np.maximum(np.take_along_axis(alike, found, axis=1), 1e-6).astype(float)
        near.append(compared[found])
        shares.append(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1e-6))
    return Likeness(rows, compared, np.concatenate(near), np.concatenate(shares))


def _best(values: Vectors, most: int) -> NDArray[np.intp]:
    """The places of each row's highest values, highest first."""
    if not most:
        return np.zeros((len(values), 0), dtype=np.intp)
    some = np.argpartition(-values, most - 1, axis=1)[:, :most]
    order = np.argsort(-np.take_along_axis(values, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _words(texts: Sequence[Sequence[str]]) -> Vectors:
    """Which terms more than one passage has, rare ones counting more (inverse document frequency): unit rows."""
    held = [{term[:_STEM] for term in terms(one)} for one in texts]
    frequent = Counter(term for one in held for term in sorted(one))
    chosen = [term for term, count in frequent.most_common(_MOST_TERMS) if count > 1]
    column = {term: place for place, term in enumerate(chosen)}
    weights = np.log((len(texts) + 1) / (np.array([frequent[term] for term in chosen]) + 0.5))
    rows = np.zeros((len(texts), len(chosen)), dtype=np.float32)
    for row, one in zip(rows, held, strict=True):
        places = [column[term] for term in one if term in column]
        row[places] = weights[places]
    return _unit(rows)


def senses(
    texts: Sequence[Sequence[str]], lexicon: Lexicon, others: Sequence[Sequence[str]] = ()
) -> tuple[Vectors, Vectors]:
    """What the words of passages mean by themselves, and those of other texts: unit rows.

    How frequent a word is, the passages tell. What all passages have in common is taken away, and so is what all the
    others have.
    """
    told = [_WORD.findall(nfc(" ".join(one)).casefold()) for one in (*texts, *others)]
    number: dict[str, int] = {}
    words = [[number.setdefault(word, len(number)) for word in one] for one in told]
    frequent = np.bincount(list(chain.from_iterable(words[: len(texts)])), minlength=len(number))
    weights = _FREQUENT / (_FREQUENT + frequent / max(frequent.sum(), 1))
    pieces = lexicon.words(list(number))
    share = weights / np.maximum([len(one) for one in pieces], 1)
    used = np.unique(np.fromiter(chain.from_iterable(pieces), dtype=np.intp))
    table = _counts(pieces, len(lexicon.rows))[:, used] @ lexicon.rows[used].astype(np.float32)
    rows = _counts(words, len(number)) @ (share[:, None] * table).astype(np.float32)
    rows = _unit(rows)
    return _apart(rows[: len(texts)], _USUAL_PASSAGES), _apart(rows[len(texts) :])


def _counts(numbers: Sequence[Sequence[int]], most: int) -> csr_array:
    """How often each row holds each number: shape (rows, most)."""
    from scipy.sparse import csr_array

    flat = np.fromiter(chain.from_iterable(numbers), dtype=np.intp)
    ends = np.cumsum([0, *map(len, numbers)])
    return csr_array((np.ones(len(flat), dtype=np.float32), flat, ends), shape=(len(numbers), most))


def _apart(rows: Vectors, usual: int = 0) -> Vectors:
    """Without what all have in common, as far as there are more than ``usual``."""
    return _unit(rows - len(rows) / (len(rows) + usual) * rows.mean(axis=0)) if len(rows) else rows


def _unit(rows: Vectors) -> Vectors:
    unit: Vectors = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    return unit
