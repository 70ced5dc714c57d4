"""Where the subject changes: the cheapest cut of a row of sentence embeddings into passages.

Kernel change-point detection with a penalty (Arlot, Celisse & Harchaoui 2019, "A kernel multiple change-point
algorithm via model selection") with a linear kernel, and three additions: a passage's mean is drawn towards the
recording's, so that a few sentences prove little; a boundary costs the more, the more alike the recording's near
sentences are (as they are where passages are long); and it costs less where the speaker changes. Boundaries lie
between sentences, never inside one, and a short turn (a question, a word of assent) stays with what follows it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from numpy.typing import NDArray

from transcripts.model import Passage, Segment, Transcript
from transcripts.themes.embed import SentenceEmbedder, Vectors

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grain:
    """How finely to look: blocks of at least ``block_words`` words, passages of at least ``min_blocks`` blocks.

    ``doubt`` is how many blocks about nothing in particular each passage is thought to hold besides its own: the more,
    the less a few blocks prove. A boundary costs ``price`` times the mean likeness of blocks near each other, and
    ``turn`` less where the speaker changes.
    """

    block_words: int
    min_blocks: int
    doubt: float
    price: float
    turn: float = 0.0


WRITTEN = Grain(block_words=1, min_blocks=3, doubt=4.0, price=4.0)
"""For edited prose, in which nearly every sentence names its subject; never chosen by itself."""

STORY = Grain(block_words=1, min_blocks=3, doubt=10.0, price=5.0, turn=0.15)
"""For stories of some minutes, in which a theme lasts five to fifteen sentences."""

MEETING = Grain(block_words=12, min_blocks=5, doubt=20.0, price=5.0, turn=0.15)
"""For long interviews and meetings, in which people come back to their subject by detours."""

STORY_WORDS = 1500
"""Up to so many words (about ten minutes) a recording is looked at as a story."""

_SHORT_TURN_WORDS = 15
_NEIGHBOURS = 5
"""Blocks up to so far apart are near each other: mostly of one passage."""
_SIDE = 3
"""So many blocks on each side of a boundary are compared."""
_CONTRAST = 0.25
"""What their likeness adds to the boundary's cost."""
_CHEAPEST, _DEAREST = 0.1, 0.9
"""What a boundary costs at least in the end, and what likeness makes it cost at most."""
_FEWEST = 8
"""In a short recording passages are short: doubt is this part of its blocks at most."""
_COMMON = 60
"""The mean of fewer blocks than this is more likely their subject than what the whole recording has in common."""
_STRIPE = 256


def boundaries(embeddings: Vectors, grain: Grain = STORY, changes: Collection[int] = ()) -> list[int]:
    """The rows at which a new subject begins, ascending; never 0.

    ``embeddings`` has shape (blocks, dimension), unit rows in order of time; ``changes`` are the rows at which
    another speaker begins.
    """
    if len(embeddings) < 2 * grain.min_blocks:
        return []
    rows = _apart(embeddings.astype(np.float64))
    sums = np.concatenate([np.zeros((1, rows.shape[1])), rows.cumsum(axis=0)])
    alike = max(_alike(rows), 1e-3)
    prices = min(grain.price * alike, _DEAREST) + _CONTRAST * _contrast(sums)
    prices[list(changes)] -= grain.turn
    prices = np.maximum(prices, _CHEAPEST)
    prices[0] = 0.0
    # Where near blocks are much alike there is little to doubt: noise over signal, in blocks.
    doubt = min(grain.doubt, len(rows) / _FEWEST, (1 - alike) / alike)
    return _cheapest(sums, prices, grain.min_blocks, doubt)


def _apart(rows: _Numbers) -> _Numbers:
    """Without what all of them have in common, of unit length again."""
    rest = rows - rows.mean(axis=0) * (len(rows) / (len(rows) + _COMMON))
    unit: _Numbers = rest / np.maximum(np.linalg.norm(rest, axis=1, keepdims=True), 1e-9)
    return unit


def _alike(rows: _Numbers) -> float:
    """The mean cosine of near rows."""
    distances = range(1, min(_NEIGHBOURS, len(rows) - 1) + 1)
    return float(np.mean([np.einsum("ij,ij->i", rows[:-by], rows[by:]).mean() for by in distances]))


def _contrast(sums: _Numbers) -> _Numbers:
    """For each row, the cosine of those just before it and those from it on."""
    count = len(sums) - 1
    at = np.arange(count)
    before = sums[at] - sums[np.maximum(at - _SIDE, 0)]
    after = sums[np.minimum(at + _SIDE, count)] - sums[at]
    lengths = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    cosines: _Numbers = np.einsum("ij,ij->i", before, after) / np.maximum(lengths, 1e-9)
    return cosines


def _cheapest(sums: _Numbers, prices: _Numbers, least: int, doubt: float) -> list[int]:
    """Where to cut so that the passages' scatter and the boundaries' prices are least, by dynamic programming.

    ``sums[i]`` is the sum of the rows before i. Rows have unit length, so a passage's scatter is its length less
    its summed vector's square over that length; ``doubt`` is added to the divisor. In stripes, for memory's sake.
    """
    count = len(sums) - 1
    squares = np.einsum("ij,ij->i", sums, sums)
    cost = np.full(count + 1, np.inf)
    cost[0] = 0.0
    start = np.zeros(count + 1, dtype=np.int64)
    for first in range(least, count + 1, _STRIPE):
        products = sums[first : first + _STRIPE] @ sums.T
        for end, product in enumerate(products, first):
            few = end - least + 1
            held = (squares[end] - 2 * product[:few] + squares[:few]) / (end - np.arange(few) + doubt)
            total = cost[:few] + prices[:few] - held
            start[end] = total.argmin()
            cost[end] = total[start[end]]
    return _traced(start)


def _traced(start: NDArray[np.int64]) -> list[int]:
    found, end = list[int](), len(start) - 1
    while end := int(start[end]):
        found.append(end)
    return found[::-1]


def passages(
    transcript: Transcript,
    embedder: SentenceEmbedder,
    grain: Grain | None = None,
    edges: Collection[int] = (),
    whole: Collection[tuple[int, int]] = (),
) -> tuple[Passage, ...]:
    """The transcript cut where its subject changes: every segment in one passage, scores empty.

    Without ``grain``, the length of the transcript decides between STORY and MEETING. What an editor gave is kept: at
    ``edges`` (positions in ``transcript.segments``) there is a boundary, and each half-open range of ``whole`` is one
    passage. What lies between is cut as if it stood alone.
    """
    segments = transcript.segments
    if not segments:
        return ()
    words = sum(len(segment.words) for segment in segments)
    grain = grain or (STORY if words <= STORY_WORDS else MEETING)
    ranges = set(whole)
    given = {0, len(segments), *edges, *(edge for one in ranges for edge in one)}
    found: list[Passage] = []
    for start, end in pairwise(sorted(edge for edge in given if 0 <= edge <= len(segments))):
        stretch = segments[start:end]
        kept = any(first <= start and end <= last for first, last in ranges)
        found += [Passage(stretch)] if kept else _cut(stretch, embedder, grain)
    return tuple(found)


def _cut(segments: Sequence[Segment], embedder: SentenceEmbedder, grain: Grain) -> Iterator[Passage]:
    blocks = list(_blocks(segments, grain.block_words))
    changes = [
        number
        for number, (before, block) in enumerate(pairwise(blocks), 1)
        if before[-1].speaker != block[0].speaker
    ]
    edges = [0, *boundaries(_block_vectors(blocks, embedder), grain, changes), len(blocks)]
    for start, end in pairwise(edges):
        yield Passage(tuple(segment for block in blocks[start:end] for segment in block))


def _block_vectors(blocks: Sequence[Sequence[Segment]], embedder: SentenceEmbedder) -> Vectors:
    """The mean of each block's sentences, of unit length: a question does not drown its answer."""
    sentences = iter(embedder.embed([segment.text for block in blocks for segment in block]))
    means = np.stack([np.mean([next(sentences) for _ in block], axis=0) for block in blocks])
    unit: Vectors = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    return unit


def _blocks(segments: Sequence[Segment], least_words: int) -> Iterator[list[Segment]]:
    """Neighbouring segments joined until they hold enough words and do not end in a short turn."""
    block: list[Segment] = []
    turns = [list(turn) for _, turn in groupby(segments, key=lambda segment: segment.speaker)]
    for turn in turns:
        short = sum(len(segment.words) for segment in turn) <= _SHORT_TURN_WORDS
        for segment in turn:
            block.append(segment)
            enough = sum(len(held.words) for held in block) >= least_words
            if enough and not (short and segment is turn[-1]):
                yield block
                block = []
    if block:
        yield block
