"""How many voices there are, and which window of sound is whose: spectral clustering.

Wang et al. 2018, "Speaker Diarization with LSTM" (the refinement of the affinities and the eigengap), with a
test for a single voice before it and a merging of voices that are too alike after it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.encoder import Embeddings

Labels = NDArray[np.int64]

MAX_SPEAKERS = 20
MAX_SPECTRAL = 7
"""Spectral clustering finds at most so many voices; more are found by splitting them."""
MAX_WINDOWS = 1_200
"""At most this many windows, ten minutes of speech, are clustered at once: the cost grows with the cube."""
ONE_VOICE = 0.70
"""When the two least alike windows are more alike than this, clustering starts from one voice."""
SAME_VOICE = 0.78
"""Voices whose cores have at least this cosine are one."""
SAME_MEAN = 0.91
"""So are voices of different stretches whose mean embeddings have at least this one."""
OTHER_VOICE = 0.72
"""A voice that has two halves whose cores have a smaller cosine than this is two."""
CORE_SHARE = 0.5
"""How much of a half is its core."""
SEEDS = 12
"""From so many rows a second voice is looked for."""
LEAST_WINDOWS = 4
"""A half with fewer windows than this, some two seconds, is a cough or a laugh and no voice."""
LEAST_SHARE = 0.01
"""Nor is one with a smaller share of all windows: in a long recording that is where two voices meet in a window."""
WINDOWS_A_VOICE = 8
"""A short recording is not credited with more voices than one for so many windows."""
MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike voices must be: see the constants that are the defaults. Lean towards one voice by lower
    numbers."""

    one_voice: float = ONE_VOICE
    same_voice: float = SAME_VOICE
    same_mean: float = SAME_MEAN
    other_voice: float = OTHER_VOICE


LEANING_TO_ONE = Likeness(one_voice=0.60, same_voice=0.68, same_mean=0.85, other_voice=0.62)
"""For recordings that are said to hold one voice: only clearly different ones are believed to be two."""


def centroids(embeddings: Embeddings, labels: Labels) -> Embeddings:
    """The mean of each label's embeddings, unit length: shape (labels, 256)."""
    means = np.stack([embeddings[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
    return unit(means)


def unit(rows: NDArray[np.floating[Any]]) -> Embeddings:
    """The rows at unit length; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Embeddings = (rows / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


def cluster(
    embeddings: Embeddings, *, least: int = 1, most: int = MAX_SPEAKERS, likeness: Likeness | None = None
) -> Embeddings:
    """The voices found, as their centroids: shape (k, 256), ``least`` <= k <= ``most`` where there is data
    for it.

    Spectral clustering finds the voices that share the talking; it overlooks one that says little, such as an
    interviewer's, so each voice found is then tried for a second one in it. Its cost grows with the cube of the
    windows, so a long recording is clustered in stretches and their voices are joined: cost and memory then grow
    with its length alone.

    Args:
        embeddings: one a window, in order of time: shape (n, 256), n >= 1.
        least: the fewest voices to find; with 1 it is first asked whether there is only one.
        most: the most voices to find.
        likeness: how alike voices must be.
    """
    likeness = likeness or Likeness()
    count = -(-len(embeddings) // MAX_WINDOWS)
    if count > 1:
        joined = _join(np.array_split(embeddings, count), least, most, likeness)
        if len(joined) >= least:
            return joined
    some = _subsample(embeddings)
    if least == most:
        return centroids(some, _exactly(some, min(least, len(some))))
    return centroids(some, _some(some, least, most, likeness))


def _some(embeddings: Embeddings, least: int, most: int, likeness: Likeness) -> Labels:
    """As many voices as there seem to be."""
    most = max(least, min(most, len(embeddings) // WINDOWS_A_VOICE))
    labels = np.zeros(len(embeddings), dtype=np.int64)
    if (
        most > 1
        and len(embeddings) >= 2 * LEAST_WINDOWS
        and (least > 1 or _least_alike(embeddings) <= likeness.one_voice)
    ):
        labels = _spectral(embeddings, 2, min(most, MAX_SPECTRAL))
    labels = _split(embeddings, labels, most, likeness.other_voice)
    labels = _merge(embeddings, labels, least, likeness.same_voice)
    if labels.max() + 1 < least:
        labels = _exactly(embeddings, min(least, len(embeddings)))
    return labels


def _join(stretches: Sequence[Embeddings], least: int, most: int, likeness: Likeness) -> Embeddings:
    """The voices of all stretches, those that are one joined; perhaps fewer than ``least``.

    Agglomerative clustering of the stretches' centroids, weighted by their windows. Where more than ``most`` are
    left, those go together that lose least by it (Ward 1963), so that a short voice goes before a long one.
    """
    labels = [_some(stretch, 1, MAX_SPEAKERS, likeness) for stretch in stretches]
    voices = np.concatenate([centroids(one, of) for one, of in zip(stretches, labels, strict=True)])
    sizes = np.concatenate([np.bincount(of) for of in labels]).astype(np.float64)
    while len(voices) > least:
        alike = voices @ voices.T
        np.fill_diagonal(alike, -1.0)
        if alike.max() < likeness.same_mean:
            if len(voices) <= most:
                break
            loss = (1 - alike) * sizes[:, None] * sizes / (sizes[:, None] + sizes)
            np.fill_diagonal(loss, np.inf)
            pair = divmod(int(loss.argmin()), len(voices))
        else:
            pair = divmod(int(alike.argmax()), len(voices))
        first, second = min(pair), max(pair)
        both = sizes[first] * voices[first] + sizes[second] * voices[second]
        voices[first] = unit(both[None])[0]
        sizes[first] += sizes[second]
        voices, sizes = np.delete(voices, second, axis=0), np.delete(sizes, second)
    return voices


def _subsample(embeddings: Embeddings) -> Embeddings:
    """At most MAX_WINDOWS of them, evenly over time."""
    if len(embeddings) <= MAX_WINDOWS:
        return embeddings
    kept: Embeddings = embeddings[np.linspace(0, len(embeddings) - 1, MAX_WINDOWS).round().astype(int)]
    return kept


def _least_alike(embeddings: Embeddings) -> float:
    """The smallest affinity, (cosine + 1) / 2, of any two windows."""
    return float((embeddings @ embeddings.T).min() + 1) / 2


def _exactly(embeddings: Embeddings, count: int) -> Labels:
    """As many voices as are known to be there, at most one a window."""
    labels = np.zeros(len(embeddings), dtype=np.int64)
    if count > 1 and len(embeddings) > 2 * count:
        labels = _spectral(embeddings, count, max(2, count))
    while labels.max() + 1 < count:
        labels = _halve_best(embeddings, labels)
    return labels


def _halve_best(embeddings: Embeddings, labels: Labels) -> Labels:
    """Split the voice whose halves are least alike; there must be one of two windows or more."""
    choices = [label for label in range(int(labels.max()) + 1) if (labels == label).sum() > 1]
    halves = {label: _halves(embeddings[labels == label], 1) for label in choices}
    worst = min(choices, key=lambda label: halves[label][1])
    split = labels.copy()
    split[np.flatnonzero(labels == worst)[halves[worst][0]]] = labels.max() + 1
    return split


def _split(embeddings: Embeddings, labels: Labels, most: int, other_voice: float) -> Labels:
    """Try each voice for a second one in it, and the new ones again."""
    labels, waiting = labels.copy(), list(range(int(labels.max()) + 1))
    least = max(LEAST_WINDOWS, int(LEAST_SHARE * len(embeddings)))
    while waiting and labels.max() + 1 < most:
        members = np.flatnonzero(labels == waiting.pop(0))
        if len(members) < 2 * least:
            continue
        second, alike = _halves(embeddings[members], least)
        if alike < other_voice:
            old, new = int(labels[members[0]]), int(labels.max()) + 1
            labels[members[second]] = new
            waiting += [old, new]
    return labels


def _halves(embeddings: Embeddings, least: int) -> tuple[NDArray[np.bool_], float]:
    """The two halves, of at least ``least`` rows each, whose cores are least alike.

    Spherical 2-means, started from the two least alike rows and from the mean beside some rows that fit it worst.

    Returns:
        Who is in the second half, and the cosine of the cores; it is 1 where there are no such halves.
    """
    alike = embeddings @ embeddings.T
    pair = divmod(int(alike.argmin()), len(embeddings))
    mean = unit(embeddings.mean(axis=0)[None])[0]
    outer = np.argsort(embeddings @ mean)[: max(1, min(SEEDS, len(embeddings) // WINDOWS_A_VOICE))]
    starts = [embeddings[list(pair)], *(np.stack([mean, embeddings[one]]) for one in outer)]
    halves = [half for half in (_two_means(embeddings, start) for start in starts)
              if least <= half.sum() <= len(half) - least]  # fmt: skip
    if not halves:
        half = np.arange(len(embeddings)) >= (len(embeddings) + 1) // 2
        return half, 1.0
    cosines = [_cosine(embeddings, half) for half in halves]
    best = int(np.argmin(cosines))
    return halves[best], cosines[best]


def _two_means(embeddings: Embeddings, means: Embeddings) -> NDArray[np.bool_]:
    """Who is nearer to the second mean when nothing changes any more."""
    second = np.zeros(len(embeddings), dtype=bool)
    for _ in range(MAX_ROUNDS):
        closer = np.diff(embeddings @ means.T, axis=1)[:, 0] > 0
        if np.array_equal(closer, second):
            break
        second = closer
        if second.all() or not second.any():
            break
        means = centroids(embeddings, second.astype(np.int64))
    return second


def _cosine(embeddings: Embeddings, second: NDArray[np.bool_]) -> float:
    """How alike the cores of two halves are: of each, those that lie farthest from the other.

    Windows in which both voices are heard lie between them; with those the halves would seem more alike.
    """
    means = centroids(embeddings, second.astype(np.int64))
    lean = np.diff(embeddings @ means.T, axis=1)[:, 0]
    cores = []
    for members, sign in ((np.flatnonzero(~second), 1), (np.flatnonzero(second), -1)):
        count = max(min(LEAST_WINDOWS, len(members)), int(CORE_SHARE * len(members)))
        cores.append(embeddings[members[np.argsort(sign * lean[members])[:count]]].mean(axis=0))
    one, other = unit(np.stack(cores))
    return float(one @ other)


def _spectral(embeddings: Embeddings, least: int, most: int) -> Labels:
    from spectralcluster import SpectralClusterer, configs

    clusterer = SpectralClusterer(
        min_clusters=least,
        max_clusters=most,
        refinement_options=configs.icassp2018_refinement_options,
        custom_dist="cosine",
    )
    with _seeded():
        labels = np.asarray(clusterer.predict(embeddings.astype(np.float64)))
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


class _seeded:  # noqa: N801
    """The library's k-means draws from numpy's global generator; give it one that never changes, then put it
    back."""

    def __enter__(self) -> None:
        self._numpy, self._python = np.random.get_state(), random.getstate()
        np.random.seed(0)
        random.seed(0)

    def __exit__(self, *_: object) -> None:
        np.random.set_state(self._numpy)
        random.setstate(self._python)


def _merge(embeddings: Embeddings, labels: Labels, least: int, same_voice: float) -> Labels:
    """Join the two voices with the most alike cores while these are too alike and there are more than
    ``least``."""
    while labels.max() + 1 > least:
        pairs = list(combinations(range(int(labels.max()) + 1), 2))
        alike = [_cosine(embeddings[of], labels[of] == second) for of, second in _pairs(labels, pairs)]
        if max(alike) < same_voice:
            break
        first, second = pairs[int(np.argmax(alike))]
        labels = np.where(labels == second, first, labels)
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return labels


def _pairs(labels: Labels, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[NDArray[np.bool_], int]]:
    return (((labels == first) | (labels == second), second) for first, second in pairs)
