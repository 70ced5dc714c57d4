"""Which themes passages speak of: nearness to each theme as the codebook describes it, and what editors said since.

A theme is the mean of two vectors, one of its name and description, one of its examples; a passage is the mean of its
sentences, and each of its sentences. What all themes have in common, and all that is told of them, is taken away first:
what is left tells one theme from another. A theme that is near to everything is judged by its own mean and spread over
the collection. This is nearest-prototype classification (Snell, Swersky & Zemel 2017, "Prototypical Networks for
Few-shot Learning") with the codebook as the few shots.

Nearness of what the words mean by themselves adds a little, see ``likeness.senses``.

What editors accept and reject moves a theme: a logistic regression over meaning and words whose prior is the codebook's
score, so that with few corrections little moves (a Gaussian process with that mean; Rasmussen & Williams 2006, 3.4).

Then passages that are alike are made to agree, see ``likeness``; and of themes that fit one passage the nearest counts
against the others. All this is as strong as the collection is large.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from transcripts.model import Passage, ThemeScore
from transcripts.themes.codebook import Codebook, Theme
from transcripts.themes.embed import SentenceEmbedder, Vectors
from transcripts.themes.likeness import Likeness, likeness, senses

PROPOSED_FROM = 0.5
"""A score from which a theme is proposed."""

MOST_PROPOSED = 3
"""More themes than this are not proposed for one passage."""

LONGEST_JOINED_MS = 180_000
"""Neighbours on one theme are left apart where together they would be longer."""

# The rest was chosen on labelled/indirect and labelled/plain (tests/benchmark), on no others.
_STANDS_OUT = 1.05
"""A theme is proposed where its score is so many deviations over its mean: about one passage in seven."""
_SLOPE = 2.0
_USUAL_MEAN, _USUAL_SPREAD, _USUAL_PASSAGES = 0.01, 0.075, 30
"""What is believed of a theme's scores before there are passages, and how many passages outweigh it."""
_SHARPNESS = 0.1
"""The smaller, the more a passage's best sentence counts."""
_BY_WORDS = 0.15
"""What it adds to a score that words mean the like by themselves, in deviations."""
_FREE, _FEW = 10.0, 10
"""How far a passage may be from what the codebook says, as a variance; with so few looked at, half of it."""
_EVERYWHERE = 0.5
"""The same of all passages alike."""
_RARE_COUNTS = 2.0
"""A theme fits few of the passages looked at: those count so much more, at most."""
_REGRESSED, _NEIGHBOURS = 0.5, 0.35
"""How much of a score is what the whole collection makes of it, and then what the neighbours say."""
_OUTRIGHT = 1.0
"""By what was learned alone a theme is proposed where its odds are so much, as a logarithm."""
_RIVAL = 0.3
"""How much a passage's nearest theme counts against its others."""

_MOST_STEPS, _SMALL = 50, 1e-8

Scores = NDArray[np.float64]
_Number = TypeVar("_Number", np.float32, np.float64)


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

    def worth_looking(self, places: Iterable[int]) -> list[int]:
        """Those passages in the order in which to look at them: most uncertain first, all themes together.

        A theme counts as much as the variance of its answer (uncertainty sampling; Lewis & Gale 1994).
        """
        doubt = (self.scores * (1 - self.scores)).sum(axis=1).round(4)
        return sorted(places, key=lambda place: (-doubt[place], place))

    def why(self, place: int, key: str, most: int = 2) -> list[tuple[int, float]]:
        """The sentences of a passage that weighed most for a theme: (place in the passage, share of the weight)."""
        theme = next(place for place, theme in enumerate(self.codebook.themes) if theme.key == key)
        weights = _softmax(self._sentences[place] @ self._directions[theme] / _SHARPNESS)
        order = np.argsort(-weights, kind="stable")[:most]
        return [(int(one), round(float(weights[one]), 3)) for one in order]


@dataclass(frozen=True, slots=True)
class Ground:
    """Passages against a codebook, before anything that editors said: what does not change as they say more."""

    codebook: Codebook
    _sentences: tuple[Vectors, ...]
    _directions: Scores
    _spread: Scores
    _logits: Scores
    _likeness: Likeness
    _believed: int
    """How many passages' mean and spread are to be believed."""

    def labelled(self, judged: Sequence[Judged] = ()) -> Labelled:
        """The passages' scores, learned from what editors said of some."""
        logits, moved = self._logits.copy(), np.zeros_like(self._directions)
        outright = np.full_like(logits, -np.inf)
        for theme, one in enumerate(self.codebook.themes):
            places, weights = _learned(self._likeness, logits[:, theme], one.key, judged)
            if places:
                logits[:, theme] += (
                    self._likeness.carried(places, _FREE * weights) + _EVERYWHERE * weights.sum()
                )
                outright[:, theme] = logits[:, theme] - _OUTRIGHT
                rows = self._likeness.rows[places, : moved.shape[1]]
                moved[theme] = _FREE * (weights @ rows) * self._spread[theme] / _SLOPE
        apart = self._standing(logits, -_SLOPE * _STANDS_OUT, _SLOPE)
        if self._believed:
            told = self._likeness.regressed(_proposing(self._rivalled(apart)))
            share = self._strength * _REGRESSED
            apart = (1 - share) * apart + share * told / np.maximum(told.std(axis=0), 1e-9)
            apart = self._likeness.smoothed(apart, self._strength * _NEIGHBOURS)
        # A theme that most passages speak of stands out in none.
        scores = np.maximum(_proposing(self._rivalled(self._standing(apart))), _sigmoid(outright))
        return Labelled(self.codebook, scores, self._sentences, self._directions + moved)

    @property
    def _strength(self) -> float:
        return _strength(self._believed)

    def _standing(self, values: Scores, usual_mean: float = 0.0, usual_spread: float = 1.0) -> Scores:
        """How many deviations over the theme's mean."""
        mean, spread = _spread(values, self._believed, usual_mean, usual_spread)
        standing: Scores = (values - mean) / spread
        return standing

    def _rivalled(self, values: Scores) -> Scores:
        """The same once the best of a passage's other themes counts against each."""
        if values.shape[1] == 1:
            return values
        order = np.sort(values, axis=1)
        rivals = np.where(values == order[:, -1:], order[:, -2:-1], order[:, -1:])
        return self._standing(values - self._strength * _RIVAL * rivals)


def ground(
    sentences: Sequence[Vectors],
    texts: Sequence[Sequence[str]],
    codebook: Codebook,
    embedder: SentenceEmbedder,
    *,
    alone: bool = False,
) -> Ground:
    """Weigh passages against every theme of the codebook.

    Args:
        sentences: a collection's passages, each the vectors of its sentences, shape (sentences, dimension), one
            at least.
        texts: the sentences themselves.
        codebook: at least one theme.
        embedder: made the vectors; the themes' are made by it too.
        alone: the passages are no collection, so nothing is learned from each other.
    """
    themes = np.stack([_theme_vector(theme, embedder) for theme in codebook.themes])
    told = np.concatenate([embedder.embed(_texts(theme)) for theme in codebook.themes])
    # One theme has nothing in common with others.
    share = 1 - 1 / len(codebook.themes)
    directions = _unit(themes - share * themes.mean(axis=0)).astype(float)
    centre = share * told.mean(axis=0)
    sizes = np.array([len(one) for one in sentences])
    rows = np.concatenate(sentences)
    apart = _unit(rows - centre)
    wholes = _unit(_unit(_sums(rows, sizes)) - centre)
    raw = (wholes @ directions.T + _best_sentences(apart, sizes, directions)) / 2
    believed = 0 if alone else len(sentences)
    mean, spread = _spread(raw, believed, _USUAL_MEAN, _USUAL_SPREAD)
    logits = _SLOPE * ((raw - mean) / spread - _STANDS_OUT)
    told_by_words = None
    if embedder.lexicon is not None and believed:
        told_by_words, of_themes = senses(texts, embedder.lexicon, [_texts(one) for one in codebook.themes])
        near = (told_by_words @ of_themes.T).astype(float)
        standing = (near - near.mean(axis=0)) / np.maximum(near.std(axis=0), 1e-9)
        logits += _SLOPE * _BY_WORDS * _strength(believed) * standing
    alike = likeness(wholes, texts, told_by_words)
    parted = tuple(np.split(apart, sizes.cumsum()[:-1]))
    return Ground(codebook, parted, directions, spread, logits, alike, believed)


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
    texts = [[segment.text for segment in one.segments] for one in passages]
    found = ground(split_vectors(texts, embedder), texts, codebook, embedder, alone=True).labelled()
    scored = [
        replace(passage, scores=found.theme_scores(place), proposed=found.proposed(place))
        for place, passage in enumerate(passages)
    ]
    joined = _joined(scored, whole)
    if len(joined) < len(scored):
        return label(joined, codebook, embedder, whole)
    return tuple(scored)


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


def _best_sentences(apart: Vectors, sizes: NDArray[np.intp], directions: Scores) -> Scores:
    """A soft maximum over the sentences of each passage, as the logarithm of a mean of exponentials."""
    raised = _sums(np.exp(apart @ directions.T / _SHARPNESS), sizes)
    best: Scores = _SHARPNESS * np.log(raised / sizes[:, None])
    return best


def _sums(rows: NDArray[_Number], sizes: NDArray[np.intp]) -> NDArray[_Number]:
    """The sums of groups of rows that follow each other, none of them empty."""
    sums: NDArray[_Number] = np.add.reduceat(rows, sizes.cumsum() - sizes, axis=0)
    return sums


def _strength(passages: int) -> float:
    """How much a collection of so many passages tells of each of them."""
    return passages / (passages + _USUAL_PASSAGES)


def _spread(values: Scores, count: int, mean: float, spread: float) -> tuple[Scores, Scores]:
    """Each column's mean and deviation, between what is usual and what ``count`` rows say."""
    n, usual = count, _USUAL_PASSAGES
    means = (n * values.mean(axis=0) + usual * mean) / (n + usual)
    variances = (n * values.var(axis=0) + usual * spread**2) / (n + usual)
    return means, np.sqrt(variances)


def _learned(alike: Likeness, logits: Scores, key: str, judged: Sequence[Judged]) -> tuple[list[int], Scores]:
    """The passages that say something of a theme, and what each adds to those like it.

    Newton's method on the posterior, halving steps that go too far (Rasmussen & Williams 2006, algorithm 3.1).
    """
    known = [(one.place, key in one.fits) for one in judged if key in one.fits | one.unfit or one.fits]
    places = [place for place, _ in known]
    weights = np.zeros(len(known))
    if not known:
        return places, weights
    fits, start = np.array([fit for _, fit in known], dtype=float), logits[places]
    counts = np.where(fits > 0, min(_RARE_COUNTS, max(1.0, (1 - fits).sum() / max(fits.sum(), 1))), 1.0)
    held = 1 + _FEW / len(known)
    kernel = (_FREE * alike.between(places) + _EVERYWHERE) / held

    def cost(weights: Scores) -> float:
        outcome = start + kernel @ weights
        return float(counts @ (np.logaddexp(0, outcome) - fits * outcome) + weights @ kernel @ weights / 2)

    best = cost(weights)
    for _ in range(_MOST_STEPS):
        moved = kernel @ weights
        likely = _sigmoid(start + moved)
        curved = counts * likely * (1 - likely)
        aim = curved * moved + counts * (fits - likely)
        step = np.linalg.solve(np.eye(len(known)) + curved[:, None] * kernel, aim) - weights
        while (reached := cost(weights + step)) > best and np.abs(step).max() > _SMALL:
            step /= 2
        weights, gained, best = weights + step, best - reached, reached
        if gained < _SMALL:
            break
    return places, weights / held


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


def _proposing(standing: Scores) -> Scores:
    """As scores of 0 to 1."""
    return _sigmoid(_SLOPE * (standing - _STANDS_OUT))


def _sigmoid(values: Scores) -> Scores:
    return 1 / (1 + np.exp(-np.clip(values, -80, 80)))


def _softmax(values: Scores) -> Scores:
    raised = np.exp(values - values.max())
    shares: Scores = raised / raised.sum()
    return shares
