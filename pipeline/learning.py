"""How far the proposals agree with what editors said, before and after learning; and what to look at next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline import labelling
from pipeline.collection import Collection
from pipeline.labelling import Change, Desk, Held
from pipeline.turns import in_turn
from transcripts.themes.codebook import Theme
from transcripts.themes.discovery import Candidate, candidates
from transcripts.themes.label import PROPOSED_FROM, Labelled


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of what editors accepted, how much is proposed; of what they judged and is proposed, how much they accepted.

    Each story is judged by what was said of the others: its own corrections would only be read back.
    """

    theme: str
    accepted: int
    rejected: int
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Learned:
    """What learning changed: agreement by theme and over all (F1, 0 to 1), and the passages with other themes now."""

    passages: int
    looked_at: int
    before: float
    after: float
    themes: tuple[Agreement, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """A passage that teaches much, with its least certain theme and that one's score."""

    passage: Held
    theme: str
    score: float


def learn(collection: Collection) -> Learned:
    """Bring all proposals in step with what editors said, and say what that changed.

    Raises:
        CodebookError: themes.yaml is no codebook.
        EmbeddingsUnavailable: the sentence model is not installed.
    """
    settled = labelling.settle(collection)
    desk = labelling.desk_of(collection)
    places = [place for place, says in enumerate(desk.laid) if says]
    if not places or not desk.book.themes:
        return Learned(settled.passages, 0, 0.0, 0.0, (), settled.changes)
    plain = desk.labelled([])
    before = _counts(desk, places, lambda _: plain)
    stories = {
        story: desk.labelled(desk.judged(without=story))
        for story in {desk.passages[one].story for one in places}
    }
    after = _counts(desk, places, lambda place: stories[desk.passages[place].story])
    return Learned(
        settled.passages,
        len(places),
        _f1(sum(before.values(), Counter())),
        _f1(sum(after.values(), Counter())),
        tuple(
            Agreement(
                theme.key,
                sum(says.get(theme.key) is True for says in desk.laid),
                sum(says.get(theme.key) is False for says in desk.laid),
                _f1(before[theme.key]),
                _f1(after[theme.key]),
            )
            for theme in desk.book.themes
            if any(theme.key in says for says in desk.laid)
        ),
        settled.changes,
    )


def next_looks(collection: Collection, most: int = 10) -> list[Look]:
    """The passages nobody looked at whose themes are least certain, one a recording before a second of any.

    Raises:
        CodebookError: themes.yaml is no codebook.
        EmbeddingsUnavailable: the sentence model is not installed.
    """
    desk = labelling.desk_of(collection)
    if not desk.passages or not desk.book.themes:
        return []
    found = desk.labelled(desk.judged())
    order = found.worth_looking(place for place, says in enumerate(desk.laid) if not says)
    places = in_turn(order, of=lambda place: desk.passages[place].recording_id)[:most]
    return [_look(desk, found, place) for place in places]


def discover(collection: Collection) -> list[tuple[Candidate, list[Held]]]:
    """What the codebook misses: passages that no theme fits and that are alike, with what they have in common.

    Raises:
        CodebookError: themes.yaml is no codebook.
        EmbeddingsUnavailable: the sentence model is not installed.
    """
    desk = labelling.desk_of(collection)
    unsure = [place for place, one in enumerate(desk.passages) if not one.shown]
    if not unsure:
        return []
    passages = [desk.passages[place] for place in unsure]
    found = candidates([one.texts for one in passages], [desk.vectors[place] for place in unsure])
    return [(one, [passages[place] for place in one.passages]) for one in found]


def as_theme(candidate: Candidate, passages: list[Held], key: str, name: str) -> Theme:
    """A theme for the codebook, its examples the typical sentences."""
    of = dict(zip(candidate.passages, passages, strict=True))
    examples = tuple(of[place].texts[one] for place, one in candidate.sentences)
    return Theme(
        key,
        name,
        examples=examples,
        notes=f"Found among passages no theme fitted: {', '.join(candidate.terms)}.",
    )


def _look(desk: Desk, found: Labelled, place: int) -> Look:
    theme = int(np.argmin(np.abs(found.scores[place] - PROPOSED_FROM)))
    return Look(
        desk.passages[place], desk.book.themes[theme].key, round(float(found.scores[place, theme]), 2)
    )


def _counts(desk: Desk, places: list[int], found_for: Callable[[int], Labelled]) -> dict[str, Counter[str]]:
    """By theme: how often it is rightly proposed, wrongly proposed, and missed, where editors judged it."""
    counts: dict[str, Counter[str]] = {theme.key: Counter() for theme in desk.book.themes}
    for place in places:
        proposed = set(found_for(place).proposed(place))
        for key, accepted in desk.laid[place].items():
            if key in counts and accepted:
                counts[key]["right" if key in proposed else "missed"] += 1
            elif key in counts and key in proposed:
                counts[key]["wrong"] += 1
    return counts


def _f1(counts: Counter[str]) -> float:
    wanted = 2 * counts["right"] + counts["wrong"] + counts["missed"]
    return 2 * counts["right"] / wanted if wanted else 1.0
