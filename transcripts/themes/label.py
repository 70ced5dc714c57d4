"""Which themes passages speak of: nearness to each theme as the codebook describes it, and what editors said since.

A theme is the mean of two vectors, one of its name and description, one of its examples; a passage is the mean of its
sentences, and each of its sentences. What all themes have in common, and all that is told of them, is taken away first:
what is left tells one theme from another. A theme that is near to everything is judged by its own mean and spread over
the collection. This is nearest-prototype classification (Snell, Swersky & Zemel 2017, "Prototypical Networks for
Few-shot Learning") with the codebook as the few shots.

What editors accept and reject moves a theme's direction: a logistic regression whose prior is the codebook's score, so
that with few corrections little moves (a Gaussian prior on the change; Bishop 2006, 4.5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from transcripts.libraries import torch_first
from transcripts.model import Passage, ThemeScore
from transcripts.themes.codebook import Codebook, Theme
from transcripts.themes.embed import SentenceEmbedder, Vectors

PROPOSED_FROM = 0.5
"""A score from which a theme is proposed."""

MOST_PROPOSED = 3
"""More themes than this are not proposed for one passage."""

LONGEST_JOINED_MS = 180_000
"""Neighbours on one theme are left apart where together they would be longer."""

# The rest was chosen on passages told by the way (tests/benchmark/labelled/indirect), on no others.
_STANDS_OUT = 1.0
"""A theme is proposed where its score is so many deviations over its mean: about one passage in seven."""
_SLOPE = 2.0
_USUAL_MEAN, _USUAL_SPREAD, _USUAL_PASSAGES = 0.01, 0.075, 30
"""What is believed of a theme's scores before there are passages, and how many passages outweigh it."""
_SHARPNESS = 0.1
"""The smaller, the more a passage's best sentence counts."""
_STIFFNESS, _FEW = 0.1, 10
"""How much is held against each step away from the codebook; with so few passages looked at, twice as much."""
_EVERYWHERE = 2.0
"""The same against a step that would change every passage alike."""
_RARE_COUNTS = 4.0
"""A theme fits few of the passages looked at: those count so much more, at most."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Judged:
    """What editors said of one passage, by its place: the keys of themes that fit, and of those that do not."""

    place: int
    fits: frozenset[str]
    unfit: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Labelled:
    """How passages stand to the themes of a codebook.

    ``scores`` has shape (passages, themes), 0 to 1, themes in the codebook's order; ``directions`` (themes, dimension)
    are what the sentences' vectors were compared with.
    """

    codebook: Codebook
    scores: Scores
    _sentences: tuple[Vectors, ...]
    _directions: Scores

    def proposed(self, place: int) -> tuple[str, ...]:
        """The keys of the themes that fit a passage, best first."""
        order = np.argsort(-self.scores[place], kind="stable")[:MOST_PROPOSED]
        return tuple(
            self.codebook.themes[theme].key
            for theme in order
            if round(float(self.scores[place, theme]), 4) >= PROPOSED_FROM
        )

    def theme_scores(self, place: int) -> tuple[ThemeScore, ...]:
        """Every theme's score for a passage, best first; ties keep the codebook's order."""
        # Rounded, so that the last bits of another machine's arithmetic change nothing.
        scores = [
            ThemeScore(theme.key, round(float(score), 4))
            for theme, score in zip(self.codebook.themes, self.scores[place], strict=True)
        ]
        return tuple(sorted(scores, key=lambda score: -score.score))

    def why(self, place: int, key: str, most: int = 2) -> list[tuple[int, float]]:
        """The sentences of a passage that weighed most for a theme: (place in the passage, share of the weight)."""
        theme = next(place for place, theme in enumerate(self.codebook.themes) if theme.key == key)
        weights = _softmax(self._sentences[place] @ self._directions[theme] / _SHARPNESS)
        order = np.argsort(-weights, kind="stable")[:most]
        return [(int(one), round(float(weights[one]), 3)) for one in order]


def labelled(
    sentences: Sequence[Vectors],
    codebook: Codebook,
    embedder: SentenceEmbedder,
    judged: Sequence[Judged] = (),
    *,
    alone: bool = False,
) -> Labelled:
    """Score passages for every theme of the codebook.

    Args:
        sentences: a collection's passages, each the vectors of its sentences, shape (sentences, dimension).
        codebook: at least one theme.
        embedder: made the vectors; the themes' are made by it too.
        judged: what editors said of some of the passages.
        alone: the passages are no collection, so nothing is learned from their mean and spread.
    """
    themes = np.stack([_theme_vector(theme, embedder) for theme in codebook.themes])
    told = np.concatenate([embedder.embed(_texts(theme)) for theme in codebook.themes])
    # One theme has nothing in common with others.
    share = 1 - 1 / len(codebook.themes)
    directions = _unit(themes - share * themes.mean(axis=0))
    centre = share * told.mean(axis=0)
    apart = tuple(_unit(one - centre) for one in sentences)
    wholes = _unit(np.stack([_unit(one.mean(axis=0)) for one in sentences]) - centre)
    raw = (wholes @ directions.T + _best_sentences(apart, directions)) / 2
    believed = 0 if alone else len(sentences)
    mean, spread = _spread(raw, believed, _USUAL_MEAN, _USUAL_SPREAD)
    logits = _SLOPE * ((raw - mean) / spread - _STANDS_OUT)
    moved = np.zeros_like(directions)
    for theme, one in enumerate(codebook.themes):
        learned = _learned(wholes, logits[:, theme], one.key, judged)
        if learned is not None:
            moved[theme] = learned[:-1]
            logits[:, theme] += wholes @ learned[:-1] + learned[-1]
    mean, again = _spread(logits, believed, -_SLOPE * _STANDS_OUT, _SLOPE)
    # Learning makes a theme narrower or wider: it stands out by what it is now, or by what was learned outright.
    scores = _sigmoid(np.maximum(_SLOPE * ((logits - mean) / again - _STANDS_OUT), logits))
    return Labelled(codebook, scores, apart, directions + moved * (spread / _SLOPE)[:, None])


def label(
    passages: Sequence[Passage],
    codebook: Codebook,
    embedder: SentenceEmbedder,
    whole: Collection[str] = (),
) -> tuple[Passage, ...]:
    """The passages of one recording with a score for every theme, best first, by the codebook alone.

    Neighbours whose best theme is the same become one passage, up to LONGEST_JOINED_MS: a passage is a run on one
    theme. Those whose first word is in ``whole`` were made by editors, and stay as they are.
    """
    if not passages or not codebook.themes:
        return tuple(replace(passage, scores=(), proposed=()) for passage in passages)
    found = labelled(vectors_of(passages, embedder), codebook, embedder, alone=True)
    scored = [
        replace(passage, scores=found.theme_scores(place), proposed=found.proposed(place))
        for place, passage in enumerate(passages)
    ]
    joined = _joined(scored, whole)
    if len(joined) < len(scored):
        return label(joined, codebook, embedder, whole)
    return tuple(scored)


def vectors_of(passages: Sequence[Passage], embedder: SentenceEmbedder) -> list[Vectors]:
    """The vectors of each passage's sentences."""
    return split_vectors([[segment.text for segment in one.segments] for one in passages], embedder)


def split_vectors(texts: Sequence[Sequence[str]], embedder: SentenceEmbedder) -> list[Vectors]:
    """The vectors of texts that stand in groups, computed at once."""
    rows = embedder.embed([text for group in texts for text in group])
    ends = np.cumsum([len(group) for group in texts])
    return [rows[end - len(group) : end] for group, end in zip(texts, ends, strict=True)]


def _texts(theme: Theme) -> list[str]:
    described = f"{theme.name}. {theme.description}" if theme.description else theme.name
    return [described, *theme.examples]


def _theme_vector(theme: Theme, embedder: SentenceEmbedder) -> Vectors:
    vectors = embedder.embed(_texts(theme))
    return _unit(vectors[0] + _unit(vectors[1:].mean(axis=0)) if theme.examples else vectors[0])


def _best_sentences(apart: Sequence[Vectors], directions: Vectors) -> Scores:
    """A soft maximum over the sentences, as the logarithm of a mean of exponentials."""
    return np.stack(
        [_SHARPNESS * np.log(np.exp(one @ directions.T / _SHARPNESS).mean(axis=0)) for one in apart]
    )


def _spread(values: Scores, count: int, mean: float, spread: float) -> tuple[Scores, Scores]:
    """Each column's mean and deviation, between what is usual and what ``count`` rows say."""
    n, usual = count, _USUAL_PASSAGES
    means = (n * values.mean(axis=0) + usual * mean) / (n + usual)
    variances = (n * values.var(axis=0) + usual * spread**2) / (n + usual)
    return means, np.sqrt(variances)


def _learned(wholes: Vectors, logits: Scores, key: str, judged: Sequence[Judged]) -> Scores | None:
    """What to add to a theme's logits: weights for a passage's vector, and last a constant; None: nothing was said."""
    known = [(one.place, key in one.fits) for one in judged if key in one.fits | one.unfit or one.fits]
    if not known:
        return None
    torch_first()
    from scipy.optimize import minimize

    places = [place for place, _ in known]
    fits = np.array([fit for _, fit in known], dtype=float)
    rows, start = wholes[places].astype(float), logits[places]
    few = min(_RARE_COUNTS, max(1.0, (1 - fits).sum() / max(fits.sum(), 1)))
    counts = np.where(fits > 0, few, 1.0)
    held = 1 + _FEW / len(known)
    stiffness = held * np.append(np.full(rows.shape[1], _STIFFNESS), _EVERYWHERE)

    def loss(weights: Scores) -> tuple[float, Scores]:
        outcome = start + rows @ weights[:-1] + weights[-1]
        wrong = counts * (_sigmoid(outcome) - fits)
        value = (counts * (np.logaddexp(0, outcome) - fits * outcome)).sum() + stiffness @ weights**2 / 2
        return float(value), np.append(rows.T @ wrong, wrong.sum()) + stiffness * weights

    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B")
    weights: Scores = found.x
    return weights


def _joined(passages: Sequence[Passage], whole: Collection[str]) -> list[Passage]:
    joined: list[Passage] = []
    for passage in passages:
        last = joined[-1] if joined else passage
        fits = passage.segments[-1].end_ms - last.segments[0].start_ms <= LONGEST_JOINED_MS
        made = {last.segments[0].id, passage.segments[0].id} & set(whole)
        if joined and fits and not made and passage.theme is not None and passage.theme == last.theme:
            joined[-1] = replace(last, segments=last.segments + passage.segments)
        else:
            joined.append(passage)
    return joined


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)
    return unit


def _sigmoid(values: Scores) -> Scores:
    return 1 / (1 + np.exp(-np.clip(values, -500, 500)))


def _softmax(values: Scores) -> Scores:
    raised = np.exp(values - values.max())
    shares: Scores = raised / raised.sum()
    return shares
