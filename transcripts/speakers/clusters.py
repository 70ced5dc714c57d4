"""How many voices there are, and which window of sound is whose: spectral clustering.

Wang et al. 2018, "Speaker Diarization with LSTM" (the refinement of the affinities and the eigengap), with a
test for a single voice before it and a merging of voices that are too alike after it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.encoder import Embeddings

Labels = NDArray[np.int64]

MAX_SPEAKERS = 7
MAX_WINDOWS = 1_200
"""At most this many windows are clustered: the cost grows with the cube. The rest go to the nearest voice."""
ONE_VOICE = 0.70
"""When the two least alike windows are more alike than this, clustering starts from one voice."""
SAME_VOICE = 0.91
"""Voices whose mean embeddings have at least this cosine are one."""
OTHER_VOICE = 0.80
"""A voice whose two halves have a smaller cosine than this is two."""
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
    other_voice: float = OTHER_VOICE


LEANING_TO_ONE = Likeness(one_voice=0.60, same_voice=0.80, other_voice=0.70)
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
    interviewer's, so each voice found is then tried for a second one in it.

    Args:
        embeddings: one a window, in order of time: shape (n, 256), n >= 1.
        least: the fewest voices to find; with 1 it is first asked whether there is only one.
        most: the most voices to find.
        likeness: how alike voices must be.
    """
    likeness = likeness or Likeness()
    some = _subsample(embeddings)
    if least == most:
        return centroids(some, _exactly(some, min(least, len(some))))
    most = max(least, min(most, len(some) // WINDOWS_A_VOICE))
    labels = np.zeros(len(some), dtype=np.int64)
    if (
        most > 1
        and len(some) >= 2 * LEAST_WINDOWS
        and (least > 1 or _least_alike(some) <= likeness.one_voice)
    ):
        labels = _spectral(some, 2, most)
    labels = _split(some, labels, most, likeness.other_voice)
    labels = _merge(some, labels, least, likeness.same_voice)
    if labels.max() + 1 < least:
        labels = _exactly(some, min(least, len(some)))
    return centroids(some, labels)


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
    halves = {label: _halves(embeddings[labels == label]) for label in choices}
    worst = min(choices, key=lambda label: _cosine(embeddings[labels == label], halves[label]))
    split = labels.copy()
    split[np.flatnonzero(labels == worst)[halves[worst]]] = labels.max() + 1
    return split


def _split(embeddings: Embeddings, labels: Labels, most: int, other_voice: float) -> Labels:
    """Try each voice for a second one in it, and the new ones again."""
    labels, waiting = labels.copy(), list(range(int(labels.max()) + 1))
    least = max(LEAST_WINDOWS, int(LEAST_SHARE * len(embeddings)))
    while waiting and labels.max() + 1 < most:
        members = np.flatnonzero(labels == waiting.pop(0))
        if len(members) < 2 * least:
            continue
        second = _halves(embeddings[members])
        enough = min(second.sum(), len(second) - second.sum()) >= least
        if enough and _cosine(embeddings[members], second) < other_voice:
            old, new = int(labels[members[0]]), int(labels.max()) + 1
            labels[members[second]] = new
            waiting += [old, new]
    return labels


def _halves(embeddings: Embeddings) -> NDArray[np.bool_]:
    """Spherical 2-means from the two least alike rows: who is in the second half; neither is empty."""
    alike = embeddings @ embeddings.T
    pair = list(divmod(int(alike.argmin()), len(embeddings)))
    if pair[0] == pair[1]:
        pair = [0, len(embeddings) - 1]
    second = np.zeros(len(embeddings), dtype=bool)
    second[pair[1]] = True
    means = embeddings[pair]
    for _ in range(MAX_ROUNDS):
        closer = np.diff(embeddings @ means.T, axis=1)[:, 0] > 0
        if closer.all() or not closer.any() or np.array_equal(closer, second):
            break
        second = closer
        means = centroids(embeddings, second.astype(np.int64))
    return second


def _cosine(embeddings: Embeddings, second: NDArray[np.bool_]) -> float:
    """How alike the two halves' means are."""
    means = centroids(embeddings, second.astype(np.int64))
    return float(means[0] @ means[1])


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
    """Join the two most alike voices while they are too alike and there are more than ``least``."""
    while labels.max() + 1 > least:
        voices = centroids(embeddings, labels)
        alike = voices @ voices.T
        np.fill_diagonal(alike, -1.0)
        first, second = divmod(int(alike.argmax()), len(voices))
        if alike[first, second] < same_voice:
            break
        labels = np.where(labels == max(first, second), min(first, second), labels)
        labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return labels
