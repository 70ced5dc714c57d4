"""Where the subject changes: change points in a row of sentence embeddings.

Kernel change-point detection with a penalty (Arlot, Celisse & Harchaoui 2019, "A kernel multiple change-point
algorithm via model selection"), by the ruptures library. Boundaries lie between sentences, never inside one, and
a short turn (a question, a word of assent) stays with what follows it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from transcripts.libraries import torch_first
from transcripts.model import Passage, Segment, Transcript
from transcripts.themes.embed import SentenceEmbedder, Vectors


@dataclass(frozen=True, slots=True)
class Grain:
    """How finely to look: blocks of at least ``block_words`` words, passages of at least ``min_blocks`` blocks.

    ``penalty`` is what one boundary costs, in squared distance between unit vectors; ``smoothing`` is the sigma,
    in blocks, of the Gaussian that the vectors are smoothed with.
    """

    block_words: int
    min_blocks: int
    penalty: float
    smoothing: float = 1.0


STORY = Grain(block_words=1, min_blocks=3, penalty=0.75)
"""For stories of some minutes, in which a theme lasts five to fifteen sentences."""

MEETING = Grain(block_words=25, min_blocks=4, penalty=2.5)
"""For long interviews and meetings, in which people come back to their subject by detours."""

STORY_WORDS = 600
"""Up to so many words (about four minutes) a recording is looked at as a story."""

_SHORT_TURN_WORDS = 15


def boundaries(embeddings: Vectors, grain: Grain = STORY) -> list[int]:
    """The rows at which a new subject begins, ascending; never 0.

    ``embeddings`` has shape (blocks, dimension), unit rows in order of time.
    """
    if len(embeddings) < 2 * grain.min_blocks:
        return []
    torch_first()
    # Both libraries take seconds to import, and most commands find no boundaries.
    from ruptures import KernelCPD
    from scipy.ndimage import gaussian_filter1d

    smooth = gaussian_filter1d(embeddings.astype(np.float64), grain.smoothing, axis=0, mode="nearest")
    search = KernelCPD(kernel="linear", min_size=grain.min_blocks).fit(smooth)
    return [int(end) for end in search.predict(pen=grain.penalty)[:-1]]


def passages(
    transcript: Transcript, embedder: SentenceEmbedder, grain: Grain | None = None
) -> tuple[Passage, ...]:
    """The transcript cut where its subject changes: every segment in one passage, scores empty.

    Without ``grain``, the length of the transcript decides between STORY and MEETING.
    """
    if not transcript.segments:
        return ()
    words = sum(len(segment.words) for segment in transcript.segments)
    grain = grain or (STORY if words <= STORY_WORDS else MEETING)
    blocks = list(_blocks(transcript.segments, grain.block_words))
    edges = [0, *boundaries(_block_vectors(blocks, embedder), grain), len(blocks)]
    return tuple(
        Passage(tuple(segment for block in blocks[start:end] for segment in block))
        for start, end in pairwise(edges)
    )


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
