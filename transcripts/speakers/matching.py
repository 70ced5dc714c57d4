"""Whose voice this is, across the recordings of a collection.

A person is known by exemplars: one embedding for each recording in which an editor confirmed the voice. They are kept
apart, not averaged into a model, so that one wrong confirmation or one bad line spoils little and can be taken back.

Cosines of embeddings have no fixed scale: some voices are like everybody's, and a telephone makes all of them alike.
So each is measured against a cohort, voices of the same collection that are others': adaptive symmetric normalisation
(AS-norm; Matějka et al. 2017, "Analysis of Score Normalization in Multilingual Speaker Recognition"). A logistic
function makes log-odds of it (Brümmer & du Preez 2006, "Application-independent evaluation of speaker detection"),
and the persons known compete with each other and with "somebody else" for the probability.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
"""An embedding a row, unit length: shape (n, d)."""
Numbers = NDArray[np.float64]

BEST = 5
"""A voice is compared with so many of a person's exemplars at most, those most like it."""
SUGGESTED = 0.7
"""From this score on a person is suggested."""
SAME_GROUP = 0.65
"""Voices without a person are offered as one when the mean cosine between them is at least this."""

COHORT = 600
"""At most so many voices make the cohort, evenly chosen."""
COHORT_JOINS = 0.45
"""Voices of this mean cosine count once in the cohort, lest somebody heard in every recording fill it."""
NEAREST_SHARE = 0.25
"""A voice is measured against this share of the cohort, the part most like it: the adaptive part of AS-norm."""
PRIOR_MEAN, PRIOR_DEVIATION, PRIOR_WEIGHT = 0.28, 0.12, 4.0
"""What that part is like where there is little or no cohort, and how many voices that knowledge is worth."""
LEAST_DEVIATION = 0.05
SLOPE, OFFSET, FEWEST_PERSONS = 2.6, -4.9, 10
"""Log-odds = SLOPE * normalised cosine + OFFSET - log(persons known, at least FEWEST_PERSONS): every person is as
likely as another beforehand, all together as likely as somebody else. Slope and offset were fitted on 200 recordings
of 40 synthetic voices in rooms and on lines; ``scripts/benchmark persons`` measures others."""
NEIGHBOURS = 20
"""So many likest voices are tried as one with a voice."""
ROWS_AT_ONCE = 2_000


@dataclass(frozen=True, slots=True, eq=False)
class HeardVoice:
    """A speaker of one recording: who it is when that is confirmed, and who it is said not to be.

    ``key`` is the caller's own. ``embedding`` has unit length and shape (d,), the same for all voices compared; it is
    centred, so that unlike voices have a cosine about 0, see ``compensation``.
    """

    key: int
    recording: int
    embedding: Rows
    person: int | None = None
    refused: frozenset[int] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class Match:
    """A voice that is probably a person's.

    ``score`` is the probability, 0 to 1; ``cosine`` is the mean over the exemplars most like the voice.
    """

    key: int
    person: int
    score: float
    cosine: float


def match(voices: Sequence[HeardVoice], least: float = SUGGESTED) -> list[Match]:
    """For each voice without a person, who it probably is, if anybody: the surest first.

    A person is in a recording once: not where another voice is confirmed to be them, and of several voices of one
    recording only the likeliest is theirs. A person that was refused for a voice is not suggested for it.
    """
    known = [voice for voice in voices if voice.person is not None]
    unknown = [voice for voice in voices if voice.person is None]
    if not known or not unknown:
        return []
    persons = sorted({voice.person for voice in known if voice.person is not None})
    cosines, odds = _compared(unknown, known, persons)
    _exclude(odds, unknown, known, persons)
    share = np.exp(np.minimum(odds, 500.0))
    scores = share / (1.0 + share.sum(axis=1, keepdims=True))
    return _one_each(unknown, persons, scores, cosines, least)


def recurring(voices: Sequence[HeardVoice], least: float = SAME_GROUP) -> list[list[HeardVoice]]:
    """Voices without a person that sound like one person in several recordings: groups of two or more, largest first.

    Average linkage (Sokal & Michener 1958) from the most alike pair on, while the mean cosine between two groups is
    ``least`` or more and no recording is in both: two speakers of one recording are two persons.
    """
    unknown = [voice for voice in voices if voice.person is None]
    groups = _linked(unknown, least, apart=True)
    found = [[unknown[index] for index in sorted(group)] for group in groups if len(group) > 1]
    return sorted(found, key=lambda group: (-len(group), group[0].recording, group[0].key))


def _compared(
    unknown: Sequence[HeardVoice], known: Sequence[HeardVoice], persons: Sequence[int]
) -> tuple[Numbers, Numbers]:
    """Each voice beside each person: mean cosines and log-odds, both of shape (voices, persons)."""
    cohort = _Cohort(unknown, known, persons)
    rows = _stack(unknown)
    cosines = np.empty((len(unknown), len(persons)))
    normed = np.empty_like(cosines)
    to_voices = rows @ cohort.means.T
    for column, person in enumerate(persons):
        exemplars = _stack([voice for voice in known if voice.person == person])
        cosines[:, column] = _best(rows @ exemplars.T)
        to_person = cohort.means @ exemplars.mean(axis=0)
        normed[:, column] = _as_norm(cosines[:, column], to_person, to_voices, cohort.of_voice, column)
    return cosines, SLOPE * normed + OFFSET - np.log(max(len(persons), FEWEST_PERSONS))


class _Cohort:
    """Voices to measure against: a mean for each person, in their order, then one for each group of the others."""

    def __init__(
        self, unknown: Sequence[HeardVoice], known: Sequence[HeardVoice], persons: Sequence[int]
    ) -> None:
        chosen = np.unique(np.linspace(0, len(unknown) - 1, min(len(unknown), COHORT)).round().astype(int))
        groups = _linked([unknown[index] for index in chosen], COHORT_JOINS, apart=False)
        sets = [_stack([voice for voice in known if voice.person == person]) for person in persons]
        sets += [_stack([unknown[chosen[index]] for index in group]) for group in groups]
        self.means = np.stack([rows.mean(axis=0) for rows in sets])
        self.of_voice = np.full(len(unknown), -1)
        """The row of ``means`` that each voice is itself part of; -1 where it is in none."""
        for row, group in enumerate(groups, len(persons)):
            self.of_voice[chosen[group]] = row


def _as_norm(
    cosines: Numbers, to_person: Rows, to_voices: Rows, of_voice: NDArray[np.int64], person: int
) -> Numbers:
    """AS-norm of one person's cosines, shape (n,): the mean of what the person's side and the voice's side say.

    Neither the person nor the group that holds the voice counts as somebody else.
    """
    mine, yours = to_person.astype(np.float64), to_voices.astype(np.float64)
    mine[person] = -np.inf
    yours[:, person] = -np.inf
    inside = np.flatnonzero(of_voice >= 0)
    yours[inside, of_voice[inside]] = -np.inf
    without = np.repeat(mine[None], len(cosines), axis=0)
    without[inside, of_voice[inside]] = -np.inf
    sides = [(cosines - mean) / deviation for mean, deviation in map(_nearest, (without, yours))]
    normed: Numbers = (sides[0] + sides[1]) / 2
    return normed


def _nearest(cosines: Numbers) -> tuple[Numbers, Numbers]:
    """Mean and standard deviation of each row's highest, as far as there are any, else what is known beforehand."""
    count = int(np.ceil(NEAREST_SHARE * cosines.shape[1]))
    top = -np.sort(-cosines, axis=1)[:, :count]
    there = np.isfinite(top)
    weight = there.sum(axis=1) + PRIOR_WEIGHT
    top = np.where(there, top, PRIOR_MEAN)
    mean = (np.where(there, top, 0.0).sum(axis=1) + PRIOR_WEIGHT * PRIOR_MEAN) / weight
    spread = np.where(there, (top - mean[:, None]) ** 2, 0.0).sum(axis=1)
    prior = PRIOR_WEIGHT * (PRIOR_DEVIATION**2 + (PRIOR_MEAN - mean) ** 2)
    return mean, np.maximum(np.sqrt((spread + prior) / weight), LEAST_DEVIATION)


def _exclude(
    odds: Numbers, unknown: Sequence[HeardVoice], known: Sequence[HeardVoice], persons: Sequence[int]
) -> None:
    """Rule out, in place, who cannot be: a person heard in the same recording already, or one refused."""
    present: dict[int, set[int]] = {}
    for voice in known:
        if voice.person is not None:
            present.setdefault(voice.recording, set()).add(voice.person)
    column = {person: place for place, person in enumerate(persons)}
    for row, voice in enumerate(unknown):
        for person in voice.refused | present.get(voice.recording, set()):
            if person in column:
                odds[row, column[person]] = -np.inf


def _one_each(
    unknown: Sequence[HeardVoice],
    persons: Sequence[int],
    scores: Numbers,
    cosines: Numbers,
    least: float,
) -> list[Match]:
    """The best person of each voice, the surest first; nobody twice in one recording."""
    best = scores.argmax(axis=1)
    found: list[Match] = []
    taken: set[tuple[int, int]] = set()
    for row in np.argsort(-scores.max(axis=1), kind="stable"):
        voice, person = unknown[row], persons[best[row]]
        score = float(scores[row, best[row]])
        if score >= least and (voice.recording, person) not in taken:
            taken.add((voice.recording, person))
            found.append(Match(voice.key, person, score, float(cosines[row, best[row]])))
    return found


def _linked(voices: Sequence[HeardVoice], least: float, *, apart: bool) -> list[list[int]]:
    """Average linkage of the voices, when ``apart`` a recording at most once in a group; every voice is in one group.

    Only a voice's NEIGHBOURS likest are candidates, so the work grows with the voices and not with their pairs.
    """
    if not voices:
        return []
    groups = {
        index: _Group([index], {voice.recording} if apart else set(), voice.embedding)
        for index, voice in enumerate(voices)
    }
    waiting = _candidates(_stack(voices), least, groups)
    heapq.heapify(waiting)
    for number in count(len(voices)):
        while waiting and not _can_join(waiting[0], groups):
            heapq.heappop(waiting)
        if not waiting:
            return [group.members for group in groups.values()]
        _, one, other = heapq.heappop(waiting)
        joined = groups[number] = groups.pop(one) + groups.pop(other)
        joined.beside = {place for place in joined.beside if place in groups}
        for place in joined.beside:
            groups[place].beside.add(number)
            cosine = joined.mean_cosine(groups[place])
            if cosine >= least:
                heapq.heappush(waiting, (-cosine, place, number))
    raise AssertionError("unreachable")


@dataclass(slots=True)
class _Group:
    """Voices that are one so far; ``total`` is the sum of their embeddings, ``beside`` the groups to compare with."""

    members: list[int]
    recordings: set[int]
    total: NDArray[np.floating[Any]]
    beside: set[int] = field(default_factory=set)

    def __add__(self, other: _Group) -> _Group:
        return _Group(
            self.members + other.members,
            self.recordings | other.recordings,
            self.total + other.total,
            self.beside | other.beside,
        )

    def mean_cosine(self, other: _Group) -> float:
        """Of every voice here with every voice there."""
        return float(self.total @ other.total) / (len(self.members) * len(other.members))


def _can_join(pair: tuple[float, int, int], groups: dict[int, _Group]) -> bool:
    _, one, other = pair
    return one in groups and other in groups and not groups[one].recordings & groups[other].recordings


def _candidates(rows: Rows, least: float, groups: dict[int, _Group]) -> list[tuple[float, int, int]]:
    """The pairs of likest voices of at least this cosine: (minus the cosine, one, other); noted in the groups."""
    pairs: list[tuple[float, int, int]] = []
    for first in range(0, len(rows), ROWS_AT_ONCE):
        alike = rows[first : first + ROWS_AT_ONCE] @ rows.T
        alike[np.arange(len(alike)), first + np.arange(len(alike))] = -1.0
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :NEIGHBOURS]
        for row, places in enumerate(nearest.tolist(), first):
            for place in places:
                cosine = float(alike[row - first, place])
                if cosine >= least and place not in groups[row].beside:
                    groups[row].beside.add(place)
                    groups[place].beside.add(row)
                    pairs.append((-cosine, min(row, place), max(row, place)))
    return pairs


def _best(cosines: Rows) -> Numbers:
    """The mean of each row's BEST highest, shape (n,)."""
    best: Numbers = -np.sort(-cosines, axis=1)[:, :BEST].mean(axis=1, dtype=np.float64)
    return best


def _stack(voices: Sequence[HeardVoice]) -> Rows:
    return np.stack([voice.embedding for voice in voices]).astype(np.float32)
