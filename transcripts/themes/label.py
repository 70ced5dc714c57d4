"""Which themes a passage speaks of: cosine to each theme, as the codebook describes it.

A theme is the mean of two vectors, one of its name and description, one of its examples (each the mean of its
sentences); a passage is the mean of its sentences. This is nearest-prototype classification (Snell, Swersky &
Zemel 2017, "Prototypical Networks for Few-shot Learning") with the codebook as the few shots.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np

from transcripts.model import Passage, ThemeScore
from transcripts.themes.codebook import Codebook, Theme
from transcripts.themes.embed import SentenceEmbedder, Vectors

UNSURE_BELOW = 0.42
"""A best score under this proposes nothing."""

UNSURE_MARGIN = 0.03
"""A best score that leads the next by less than this proposes nothing; a theme's parent and children are no rivals."""

LONGEST_JOINED_MS = 180_000
"""Neighbours on one theme are left apart where together they would be longer."""

ENOUGH_PASSAGES = 30
"""From so many passages on, a theme's mean score says more about the theme than about the passages."""


def label(
    passages: Sequence[Passage],
    codebook: Codebook,
    embedder: SentenceEmbedder,
    mean_scores: Mapping[str, float] | None = None,
    unsure_below: float = UNSURE_BELOW,
) -> tuple[Passage, ...]:
    """The passages with a score for every theme, best first; ties keep the codebook's order.

    Neighbours that get the same theme become one passage, up to LONGEST_JOINED_MS: a passage is a run on one theme.

    A score is a cosine, -1 to 1. With ``mean_scores`` (see ``means``) each theme's own mean is taken off and the
    mean of all themes put back: a theme that is near to everything loses its start, the scale stays.
    """
    if not passages or not codebook.themes:
        return tuple(replace(passage, scores=(), unsure=True) for passage in passages)
    themes = np.stack([_theme_vector(theme, embedder) for theme in codebook.themes])
    cosines = _passage_vectors(passages, embedder) @ themes.T
    if mean_scores:
        cosines = cosines - _offsets(codebook, mean_scores)
    scored = [
        _scored(passage, codebook, row, unsure_below) for passage, row in zip(passages, cosines, strict=True)
    ]
    joined = _joined(scored)
    if len(joined) < len(scored):
        return label(joined, codebook, embedder, mean_scores, unsure_below)
    return tuple(scored)


def means(labelled: Iterable[Passage]) -> dict[str, float] | None:
    """Each theme's mean score over a collection's passages, for a second ``label``; None when they are too few.

    ``labelled`` must have been scored without means.
    """
    scores: dict[str, list[float]] = {}
    count = 0
    for passage in labelled:
        count += 1
        for score in passage.scores:
            scores.setdefault(score.theme, []).append(score.score)
    return {theme: fmean(found) for theme, found in scores.items()} if count >= ENOUGH_PASSAGES else None


def _theme_vector(theme: Theme, embedder: SentenceEmbedder) -> Vectors:
    described = f"{theme.name}. {theme.description}" if theme.description else theme.name
    vectors = embedder.embed([described, *theme.examples])
    return _unit(vectors[0] + _unit(vectors[1:].mean(axis=0)) if theme.examples else vectors[0])


def _passage_vectors(passages: Sequence[Passage], embedder: SentenceEmbedder) -> Vectors:
    sentences = iter(embedder.embed([segment.text for passage in passages for segment in passage.segments]))
    return np.stack(
        [_unit(np.mean([next(sentences) for _ in passage.segments], axis=0)) for passage in passages]
    )


def _offsets(codebook: Codebook, mean_scores: Mapping[str, float]) -> Vectors:
    """What to take off each theme's score; a theme new to the collection has the mean of the others."""
    overall = fmean(mean_scores.values())
    own = [mean_scores.get(theme.key, overall) - overall for theme in codebook.themes]
    return np.array(own, dtype=np.float32)


def _scored(passage: Passage, codebook: Codebook, row: Vectors, unsure_below: float) -> Passage:
    # Rounded, so that the last bits of another machine's arithmetic change nothing.
    scores = [
        ThemeScore(theme.key, round(float(score), 4))
        for theme, score in zip(codebook.themes, row, strict=True)
    ]
    scores.sort(key=lambda score: -score.score)
    unsure = scores[0].score < unsure_below or _lead(scores, codebook) < UNSURE_MARGIN
    return replace(passage, scores=tuple(scores), unsure=unsure)


def _joined(passages: Sequence[Passage]) -> list[Passage]:
    joined: list[Passage] = []
    for passage in passages:
        last = joined[-1] if joined else passage
        fits = passage.segments[-1].end_ms - last.segments[0].start_ms <= LONGEST_JOINED_MS
        if joined and fits and passage.theme is not None and passage.theme == last.theme:
            joined[-1] = replace(last, segments=last.segments + passage.segments)
        else:
            joined.append(passage)
    return joined


def _lead(scores: Sequence[ThemeScore], codebook: Codebook) -> float:
    """How far the best theme is ahead of the next that is neither its parent nor its child."""
    best = codebook[scores[0].theme]
    for score in scores[1:]:
        if score.theme != best.parent and codebook[score.theme].parent != best.key:
            return scores[0].score - score.score
    return 1.0


def _unit(vector: Vectors) -> Vectors:
    unit: Vectors = vector / max(float(np.linalg.norm(vector)), 1e-9)
    return unit
