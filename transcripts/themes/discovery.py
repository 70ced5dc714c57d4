"""What the codebook misses: passages that no theme fits, gathered by what they speak of.

Agglomerative clustering by average linkage of the cosine distance; a cluster's terms by class-based TF-IDF
(Grootendorst 2022, "BERTopic"), its sentences by nearness to its middle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

import numpy as np

from transcripts.libraries import torch_first
from transcripts.themes.embed import Vectors
from transcripts.themes.terms import terms

ALIKE = 0.4
"""Passages of a cluster have at least this mean cosine to each other."""
LEAST_PASSAGES = 3
MOST_TERMS = 6
MOST_SENTENCES = 3
_LEAST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Candidate:
    """Passages that speak of one thing: their places, key terms, and typical sentences as (passage, sentence)."""

    passages: tuple[int, ...]
    terms: tuple[str, ...]
    sentences: tuple[tuple[int, int], ...]


def candidates(
    texts: Sequence[Sequence[str]], vectors: Sequence[Vectors], *, alike: float = ALIKE
) -> list[Candidate]:
    """Clusters of at least LEAST_PASSAGES passages, the largest first.

    ``texts`` are the sentences of each passage, ``vectors`` theirs, shape (sentences, dimension), unit rows.
    """
    if len(texts) < LEAST_PASSAGES:
        return []
    torch_first()
    from scipy.cluster.hierarchy import fcluster, linkage

    means = np.stack([one.mean(axis=0) for one in vectors])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    numbers = fcluster(linkage(means, "average", metric="cosine"), 1 - alike, "distance")
    groups = [tuple(int(one) for one in np.flatnonzero(numbers == number)) for number in sorted(set(numbers))]
    groups = [group for group in groups if len(group) >= LEAST_PASSAGES]
    words = [Counter(terms(sentences)) for sentences in texts]
    found = [
        Candidate(group, _telling(group, groups, words), _typical(group, means, texts, vectors))
        for group in groups
    ]
    return sorted(found, key=lambda one: (-len(one.passages), one.passages))


def _telling(
    group: tuple[int, ...], groups: Sequence[tuple[int, ...]], words: Sequence[Counter[str]]
) -> tuple[str, ...]:
    """The terms that are frequent in a group, and in more than one of its passages, but not in the rest."""
    own: Counter[str] = sum((words[place] for place in group), Counter())
    everywhere: Counter[str] = sum(words, Counter())
    passages = Counter(word for place in group for word in words[place])
    mean = sum(everywhere.values()) / max(1, len(groups))
    weights = {
        word: sqrt(count) * log(1 + mean / everywhere[word])
        for word, count in own.items()
        if passages[word] > 1
    }
    return tuple(sorted(weights, key=lambda word: (-weights[word], word))[:MOST_TERMS])


def _typical(
    group: tuple[int, ...], means: Vectors, texts: Sequence[Sequence[str]], vectors: Sequence[Vectors]
) -> tuple[tuple[int, int], ...]:
    """The sentences nearest to the group's middle, one a passage."""
    middle = means[list(group)].mean(axis=0)
    best: list[tuple[float, int, int]] = []
    for place in group:
        near = [
            (-float(vectors[place][one] @ middle), place, one)
            for one, text in enumerate(texts[place])
            if len(text.split()) >= _LEAST_WORDS
        ]
        best += sorted(near)[:1]
    return tuple((place, one) for _, place, one in sorted(best)[:MOST_SENTENCES])
