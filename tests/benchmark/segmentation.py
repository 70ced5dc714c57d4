"""How well boundaries between subjects are found: Choi's construction, and spoken interviews made of stories.

Pk (Beeferman, Berger & Lafferty 1999) and WindowDiff (Pevzner & Hearst 2002), with k half the mean length of the true
segments, are means over documents, in percent; F1 is over all boundaries together, each true one matched by one found
within one sentence, a share. The texts are described in ``seg_editorials`` and ``seg_stories``, the sound in
``seg_spoken``. Baselines: no boundary at all; TextTiling (Hearst 1997) on the same embeddings; and kernel change-point
detection by ruptures with the penalties that were measured before this search (prose 1.4, no smoothing; speech 0.75,
smoothed).

The settings in ``transcripts.themes.boundaries`` were chosen on the development halves only: 300 documents in Choi's
proportions, documents of one to four and of twenty to thirty editorials, 40 written and 12 recognised interviews,
interviews of one to three stories and, for MEETING, of long ones. The test halves share neither texts, subjects nor
seeds with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tests.benchmark import seg_editorials, seg_spoken, seg_stories
from tests.benchmark.report import BUILD
from tests.benchmark.seg_spoken import Interview
from transcripts.model import Segment, Transcript, Word
from transcripts.themes import embed
from transcripts.themes.boundaries import WRITTEN, Grain, passages
from transcripts.themes.embed import CachedEmbedder, SentenceEmbedder, Vectors

SEED = 20261127
STORIES = (5, 8)
QUICK_STORIES = (3, 3)
DEEP = 1.0
"""Deviations above the mean depth."""


@dataclass(frozen=True)
class Scores:
    """``pk`` and ``window_diff`` in percent, ``f1`` within one sentence as a share of 1."""

    pk: float
    window_diff: float
    f1: float


@dataclass(frozen=True)
class Measured:
    """One set of documents, and how well each way does on it.

    ``missing`` says why there is nothing; then ``ours`` is None. ``word_error_rate`` is in percent, None for text.
    """

    name: str
    documents: int = 0
    segments: int = 0
    sentences: int = 0
    ours: Scores | None = None
    nothing: Scores | None = None
    texttiling: Scores | None = None
    ruptures: Scores | None = None
    word_error_rate: float | None = None
    missing: str | None = None


def choi(quick: bool, *, test: bool = True) -> Measured:
    """Choi's construction on the test half of the texts (or the other), 120 documents; ``quick``: 5."""
    name = "Choi's construction"
    reason = seg_editorials.missing()
    if reason:
        return Measured(name, missing=reason)
    sources = seg_editorials.texts(test=test)
    made = seg_editorials.documents(SEED + test, sources, 5 if quick else 120)
    return _measured(name, [_as_interview(one) for one in made], WRITTEN, penalty=1.4, smooth=0.0)


def spoken(quick: bool, *, test: bool = True) -> tuple[Measured, Measured]:
    """Interviews of five to eight stories as recognised (48), and as written (120); ``quick``: 1 and 5, shorter."""
    from tests.benchmark.spoken import missing

    names = "interviews, recognised", "interviews, as written"
    subjects = seg_stories.TEST if test else seg_stories.DEVELOPMENT
    first, stories = 100 if test else 0, QUICK_STORIES if quick else STORIES
    texts = [seg_spoken.written(first + n, subjects, stories) for n in range(5 if quick else 120)]
    as_written = _measured(names[1], texts, None, penalty=0.75, smooth=1.0)
    reason = missing()
    if reason:
        return Measured(names[0], missing=reason), as_written
    heard = seg_spoken.heard_all(range(first, first + (1 if quick else 48)), subjects, stories)
    rate = float(np.mean([rate for _, rate in heard]))
    return (
        _measured(names[0], [one for one, _ in heard], None, penalty=0.75, smooth=1.0, rate=rate),
        as_written,
    )


def _measured(
    name: str,
    made: Sequence[Interview],
    grain: Grain | None,
    *,
    penalty: float,
    smooth: float,
    rate: float | None = None,
) -> Measured:
    embedder = CachedEmbedder(embed.minilm(), BUILD / "themes" / "embeddings")
    embedder.embed([segment.text for one in made for segment in one.transcript.segments])
    lengths = [len(one.transcript.segments) for one in made]
    true = [one.boundaries for one in made]

    def by(find: Callable[[Vectors], Sequence[int]]) -> Scores:
        found = [find(embedder.embed([s.text for s in one.transcript.segments])) for one in made]
        return scores(true, found, lengths)

    return Measured(
        name,
        len(made),
        sum(len(one) + 1 for one in true),
        sum(lengths),
        scores(true, [_ours(one.transcript, embedder, grain) for one in made], lengths),
        by(lambda _: ()),
        by(texttiling),
        by(lambda rows: by_ruptures(rows, penalty, smooth)),
        rate,
    )


def _ours(transcript: Transcript, embedder: SentenceEmbedder, grain: Grain | None) -> list[int]:
    """As the product cuts."""
    sizes = [len(passage.segments) for passage in passages(transcript, embedder, grain)]
    return [int(end) for end in np.cumsum(sizes)[:-1]]


def _as_interview(document: seg_editorials.Document) -> Interview:
    segments = [Segment((Word(str(n), n, n + 1, text),)) for n, text in enumerate(document.sentences)]
    return Interview(Transcript("en", tuple(segments)), document.boundaries)


# ---- baselines ----


def texttiling(rows: Vectors, side: int = 3) -> list[int]:
    """Valleys of the likeness of three sentences on either side, deeper than most.

    Hearst's threshold, the mean less half a deviation, finds far too many on single sentences; this one was chosen on
    the development halves.
    """
    count = len(rows)
    means = [
        (rows[max(0, at - side) : at].mean(axis=0), rows[at : at + side].mean(axis=0))
        for at in range(1, count)
    ]
    likeness = np.array([a @ b / max(np.linalg.norm(a) * np.linalg.norm(b), 1e-9) for a, b in means])
    depths = np.array(
        [_peak(likeness[at::-1]) + _peak(likeness[at:]) - 2 * likeness[at] for at in range(count - 1)]
    )
    enough = depths.mean() + DEEP * depths.std()
    padded = np.pad(depths, 1, constant_values=-np.inf)
    valley = (depths >= padded[:-2]) & (depths > padded[2:])
    return [int(at) + 1 for at in np.flatnonzero(valley & (depths > enough))]


def _peak(likeness: NDArray[np.float64]) -> float:
    """The height that the curve climbs to before it falls."""
    falls = np.flatnonzero(np.diff(likeness) < 0)
    return float(likeness[falls[0] if len(falls) else -1])


def by_ruptures(rows: Vectors, penalty: float, smooth: float) -> list[int]:
    """Plain kernel change-point detection on the sentences."""
    from ruptures import KernelCPD
    from scipy.ndimage import gaussian_filter1d

    signal = rows.astype(np.float64)
    if smooth:
        signal = gaussian_filter1d(signal, smooth, axis=0, mode="nearest")
    search = KernelCPD(kernel="linear", min_size=3 if smooth else 2).fit(signal)
    return [int(end) for end in search.predict(pen=penalty)[:-1]]


# ---- scores ----


def scores(true: Sequence[Sequence[int]], found: Sequence[Sequence[int]], lengths: Sequence[int]) -> Scores:
    """Over several documents, by position of the boundaries."""
    each = [windowed(*one) for one in zip(true, found, lengths, strict=True)]
    hits = sum(matches(a, b) for a, b in zip(true, found, strict=True))
    count = sum(map(len, true)) + sum(map(len, found))
    pk, difference = np.mean(each, axis=0)
    return Scores(100 * float(pk), 100 * float(difference), 2 * hits / count if count else 1.0)


def windowed(true: Sequence[int], found: Sequence[int], length: int) -> tuple[float, float]:
    """Pk and WindowDiff of one document, as shares."""
    width = max(1, round(length / (len(true) + 1) / 2))
    a, b = (_inside(one, length, width) for one in (true, found))
    if not len(a):
        return 0.0, 0.0
    return float(np.mean((a > 0) != (b > 0))), float(np.mean(a != b))


def _inside(boundaries: Sequence[int], length: int, width: int) -> NDArray[np.int64]:
    """How many boundaries lie between each sentence and the one ``width`` further."""
    begins = np.zeros(length, dtype=np.int64)
    begins[list(boundaries)] = 1
    number = begins.cumsum()
    inside: NDArray[np.int64] = number[width:] - number[: length - width]
    return inside


def matches(true: Sequence[int], found: Sequence[int], within: int = 1) -> int:
    """How many of the boundaries found lie at a true one, one for one."""
    left, hits = sorted(true), 0
    for one in sorted(found):
        near = [other for other in left if abs(other - one) <= within]
        if near:
            left.remove(near[0])
            hits += 1
    return hits
