"""How many voices there are, and what they sound like: average linkage of windows, then of voices.

The windows are compared with what recordings do to a voice discounted (``compensation``), and joined from the most
alike pair on (average linkage, Sokal & Michener 1958) while they are surely one voice; two voices that are found so are
one when their cores are as alike as one voice's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.compensation import compensated
from transcripts.speakers.encoder import Embeddings, unit

Labels = NDArray[np.int64]

MAX_SPEAKERS = 20
MAX_WINDOWS = 2_400
"""At most this many windows, twenty minutes of speech, are clustered at once: the cost grows with the square."""
JOINED = 0.3
"""Windows are joined while the mean cosine of their compensated embeddings is at least this; 0.25 to 0.45 found the
same voices."""
SAME_VOICE = 0.72
"""Voices whose cores have at least this cosine are one. Two parts of one person's voice have 0.74 and more, of a
synthetic one 0.82; two voices mostly have less than 0.7."""
APART = 0.45
"""Voices that are told apart within ten seconds, and have compensated embeddings of a smaller cosine there, are two.
One voice that was taken for two there has 0.55 and more, two mostly have less than 0.3; 0.3 to 0.48 found much the
same."""
SAME_MEAN = 0.91
"""So are voices of different stretches whose mean embeddings have at least this one."""
LONG_WINDOWS, LONG_SHARE, LONGER = 20, 0.05, 0.06
"""Voices that are each heard in at least so many windows, ten seconds, and this share of all, are one only when by so
much more alike: what is joined in so many windows is no mood or noise. Where they are fewer, by as much less."""
CORE_SHARE, LEAST_CORE = 0.5, 4
"""How much of a voice is its core, and how many windows at least."""
LEAST_WINDOWS, SHORT_LEAST = 3, 2
"""What is heard in fewer windows than this, some two seconds, is a cough or a laugh and no voice; in a short recording,
where nobody says much, in fewer than the other."""
SHORT_WINDOWS = 60
"""A recording with fewer windows, half a minute of speech, is short."""
LEAST_SHARE = 0.01
"""Nor is what is heard in a smaller share of them: in a long recording there is more of everything."""
WINDOWS_A_VOICE = 6
"""A short recording is not credited with more voices than one for so many windows, unless more are known to be
there."""


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike voices must be to be one: see the constants that are the defaults. Lean towards one voice by lower
    numbers."""

    same_voice: float = SAME_VOICE
    same_mean: float = SAME_MEAN
    apart: float = APART


LEANING_TO_ONE = Likeness(same_voice=0.62, same_mean=0.85, apart=0.25)
"""For recordings that are said to hold one voice: only clearly different ones are believed to be two."""
TWO_EXPECTED, TWO_WINDOWS = 0.8, 16
"""Where two voices are expected and one was found, two are believed in that have cores of a smaller cosine; in fewer
windows than these they are not looked for."""
STARTS = 5
"""How often 2-means begins anew."""


def centroids(embeddings: Embeddings, labels: Labels) -> Embeddings:
    """The mean of each label's embeddings, unit length: shape (labels, 256)."""
    return unit(
        np.stack([embeddings[labels == label].mean(axis=0) for label in range(int(labels.max()) + 1)])
    )


def cluster(
    embeddings: Embeddings, *, least: int = 1, most: int = MAX_SPEAKERS, likeness: Likeness | None = None
) -> Embeddings:
    """The voices found, as their centroids: shape (k, 256), ``least`` <= k <= ``most`` where there is data
    for it.

    A long recording is clustered in stretches and their voices are joined: cost and memory then grow with its length
    alone.

    Args:
        embeddings: one a window, in order of time, each of one voice if possible: shape (n, 256), n >= 1.
        least: the fewest voices to find.
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
    return centroids(some, _voices(some, least, most, likeness.same_voice))


def two_voices(embeddings: Embeddings) -> Embeddings:
    """The two voices that are least alike, where they can be believed in, else the one: shape (1 or 2, 256).

    2-means (MacQueen 1967) parts voices of which average linkage says that they are one.
    """
    from scipy.cluster.vq import kmeans2

    some = _subsample(embeddings)
    one = np.zeros(len(some), dtype=np.int64)
    if len(some) < TWO_WINDOWS:
        return centroids(some, one)
    tried = [kmeans2(compensated(some), 2, minit="++", seed=start)[1] for start in range(STARTS)]
    believed = [(_cosine(some, of == 1), start) for start, of in enumerate(tried) if _both_there(of)]
    alike, best = min(believed, default=(1.0, 0))
    return centroids(some, tried[best].astype(np.int64) if alike < TWO_EXPECTED else one)


def _both_there(labels: NDArray[np.integer]) -> bool:
    return bool(np.bincount(labels, minlength=2).min() >= LEAST_WINDOWS)


def _voices(embeddings: Embeddings, least: int, most: int, same_voice: float) -> Labels:
    """Whose each window is, when there are ``least`` to ``most`` voices."""
    from scipy.cluster.hierarchy import linkage

    if len(embeddings) < 2:
        return np.zeros(len(embeddings), dtype=np.int64)
    most = max(least, min(most, len(embeddings) // WINDOWS_A_VOICE))
    alike = compensated(embeddings)
    tree = linkage(alike, "average", metric="cosine")
    labels = _merge(embeddings, _cut(alike, tree, 1 - JOINED), least, most, same_voice)
    for distance in tree[::-1, 2]:
        if labels.max() + 1 >= least:
            return labels
        # so many are known to be there: the tree is cut lower
        labels = _merge(embeddings, _cut(alike, tree, float(distance) - 1e-9), least, most, same_voice=1.0)
    return np.minimum(np.arange(len(embeddings)), least - 1) if labels.max() + 1 < least else labels


def _cut(alike: Embeddings, tree: NDArray[np.float64], distance: float) -> Labels:
    """The groups below this distance that are voices; the other windows are with the voice that is most like them."""
    from scipy.cluster.hierarchy import fcluster

    groups = fcluster(tree, distance, "distance") - 1
    sizes = np.bincount(groups)
    least = SHORT_LEAST if len(alike) < SHORT_WINDOWS else max(LEAST_WINDOWS, int(LEAST_SHARE * len(alike)))
    kept = np.flatnonzero(sizes >= min(least, int(sizes.max())))
    voices = np.stack([alike[groups == group].mean(axis=0) for group in kept])
    nearest = np.argmax(alike @ unit(voices).T, axis=1)
    return _counted(np.where(np.isin(groups, kept), np.searchsorted(kept, groups), nearest))


def _counted(labels: NDArray[np.integer]) -> Labels:
    """The same labels from 0 on without gaps."""
    counted: Labels = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return counted


def _merge(embeddings: Embeddings, labels: Labels, least: int, most: int, same_voice: float) -> Labels:
    """Join the two voices with the most alike cores while these are too alike, but not to fewer than ``least``; or
    while there are more than ``most``."""
    while labels.max() + 1 > least:
        pairs = list(combinations(range(int(labels.max()) + 1), 2))
        alike = [_cosine(embeddings[of], labels[of] == second) for of, second in _members(labels, pairs)]
        sizes = np.bincount(labels)
        enough = max(LONG_WINDOWS, LONG_SHARE * len(labels))
        lasting = [min(sizes[first], sizes[second], enough) / enough for first, second in pairs]
        too_alike = np.array(alike) - same_voice - LONGER * np.array(lasting)
        if too_alike.max() < 0 and labels.max() < most:
            break
        first, second = pairs[int(too_alike.argmax())]
        labels = _counted(np.where(labels == second, first, labels))
    return labels


def _members(labels: Labels, pairs: Sequence[tuple[int, int]]) -> Iterator[tuple[NDArray[np.bool_], int]]:
    return (((labels == first) | (labels == second), second) for first, second in pairs)


def _cosine(embeddings: Embeddings, second: NDArray[np.bool_]) -> float:
    """How alike the cores of two voices are: of each, the windows that lie farthest from the other.

    Windows in which both voices are heard lie between them; with those the voices would seem more alike.
    """
    means = centroids(embeddings, second.astype(np.int64))
    lean = np.diff(embeddings @ means.T, axis=1)[:, 0]
    cores = []
    for members, sign in ((np.flatnonzero(~second), 1), (np.flatnonzero(second), -1)):
        count = max(min(LEAST_CORE, len(members)), int(CORE_SHARE * len(members)))
        cores.append(embeddings[members[np.argsort(sign * lean[members])[:count]]].mean(axis=0))
    one, other = unit(np.stack(cores))
    return float(one @ other)


def _join(stretches: Sequence[Embeddings], least: int, most: int, likeness: Likeness) -> Embeddings:
    """The voices of all stretches, those that are one joined; perhaps fewer than ``least``.

    Agglomerative clustering of the stretches' centroids, weighted by their windows. Where more than ``most`` are
    left, those go together that lose least by it (Ward 1963), so that a short voice goes before a long one.
    """
    labels = [_voices(stretch, 1, MAX_SPEAKERS, likeness.same_voice) for stretch in stretches]
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
