"""Who a report is for, and what of each story it may tell them. The gate decides; this says what follows for counts.

>>> treatment("anonymous", Audience.PUBLIC)
Treatment(counted=True, named=False, guarded=True, reason='')
>>> treatment("internal", Audience.PUBLIC).counted
False
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from pipeline.gate import Purpose, decide

SMALLEST = 3
"""The sector or role of somebody anonymous is told to everybody only where at least so many stories share it."""


class Audience(StrEnum):
    """Who reads the report."""

    TEAM = "team"
    """Those who work with the collection; the page stays among them."""
    PUBLIC = "public"
    """Everybody."""


PURPOSES = {Audience.TEAM: Purpose.EXPORT, Audience.PUBLIC: Purpose.PUBLISH}
"""What the gate is asked."""


@dataclass(frozen=True, slots=True)
class Treatment:
    """What may be told of a story.

    ``counted``: it is in the counts, and may be quoted. ``named``: a quote may say who tells it, and from which
    recording. ``guarded``: its place is not told, its sector and role only in company. ``reason``: why it is left out.
    """

    counted: bool
    named: bool
    guarded: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Story:
    """What is told of one story; what is empty is not told."""

    id: int
    sector: str = ""
    role: str = ""
    place: str = ""
    phase: str = ""
    method: str = ""
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class Admitted:
    """The stories that count, as far as they may be told, and in words what was left out."""

    stories: tuple[Story, ...]
    left_out: tuple[str, ...]


def treatment(scope: str | None, audience: Audience) -> Treatment:
    """What consent of this ``scope`` lets a report tell this ``audience``.

    A story that may not be published is no count on a public page either: a count of one tells that it was told.
    """
    decision = decide(scope, PURPOSES[audience])
    return Treatment(
        counted=decision.allowed,
        named=decision.allowed and not decision.pseudonymise,
        guarded=decision.pseudonymise and audience is Audience.PUBLIC,
        reason="" if decision.allowed else decision.reason,
    )


def admit(stories: Iterable[Story], audience: Audience) -> Admitted:
    """The stories that this audience may be told of, and only what it may be told of them."""
    treated = [(story, treatment(story.scope, audience)) for story in stories]
    counted = [(story, how) for story, how in treated if how.counted]
    common = {
        "sector": _common(story.sector for story, _ in counted),
        "role": _common(story.role for story, _ in counted),
    }
    told = [_guarded(story, common) if how.guarded else story for story, how in counted]
    reasons = Counter(how.reason for _, how in treated if not how.counted)
    left_out = [f"{_stories(number)} left out: {reason}" for reason, number in sorted(reasons.items())]
    return Admitted(tuple(told), (*left_out, *_kept_back([story for story, _ in counted], told)))


def _common(values: Iterable[str]) -> frozenset[str]:
    found = Counter(value.casefold() for value in values)
    return frozenset(value for value, number in found.items() if number >= SMALLEST)


def _guarded(story: Story, common: dict[str, frozenset[str]]) -> Story:
    return replace(
        story,
        place="",
        sector=story.sector if story.sector.casefold() in common["sector"] else "",
        role=story.role if story.role.casefold() in common["role"] else "",
    )


def _kept_back(before: Sequence[Story], after: Sequence[Story]) -> list[str]:
    """What is counted as not told although it is known."""
    pairs = list(zip(before, after, strict=True))
    places = sum(was.place != is_now.place for was, is_now in pairs)
    rare = sum((was.sector, was.role) != (is_now.sector, is_now.role) for was, is_now in pairs)
    said = []
    if places:
        said.append(f"{_stories(places)} without place: the storyteller stays anonymous")
    if rare:
        said.append(
            f"{_stories(rare)} without sector or role: the storyteller stays anonymous, and fewer than {SMALLEST} "
            "stories share it"
        )
    return said


def _stories(number: int) -> str:
    return f"{number} {'story' if number == 1 else 'stories'}"
