"""The words behind a count: which are chosen, and how they may be told."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy.orm import Session

from db import models, store
from pipeline import exchange, looks, overview
from pipeline.gate import decide
from pipeline.report.audience import PURPOSES, Audience, treatment
from pipeline.report.figures import Crossed
from pipeline.report.reading import Mark
from pipeline.turns import in_turn
from transcripts.formats.places import LaidOut, Place

MOST = 4
"""So many quotes stand behind a cell; how many more there are is told."""
_CHARS = 320


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody said: the words, who said it and in which recording as far as that may be told, and when."""

    text: str
    who: str
    recording: str
    at: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class Chosen:
    """What stands behind one cell: some of it, and how much more there is."""

    marks: tuple[Mark, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Quoted:
    """The quotes behind one cell, and how many more there are."""

    quotes: tuple[Quote, ...]
    more: int


Cells = Mapping[tuple[str, str], Quoted]
"""What stands behind each cell, by the theme's key and the phase."""


def choose(phases: Crossed, marks: Iterable[Mark], most: int = MOST) -> dict[tuple[str, str], Chosen]:
    """Which marks to quote in each cell: one of every story first; what an editor accepted, then what fits best."""
    phase_of = {story: group.label for group in phases.groups for story in group.stories}
    cells: dict[tuple[str, str], list[Mark]] = defaultdict(list)
    for mark in marks:
        if mark.story in phase_of:
            cells[mark.theme, phase_of[mark.story]].append(mark)
    return {
        cell: Chosen(tuple(_in_turn(found)[:most]), max(len(found) - most, 0))
        for cell, found in cells.items()
    }


def word(
    session: Session, chosen: Mapping[tuple[str, str], Chosen], audience: Audience
) -> dict[tuple[str, str], Quoted]:
    """The quotes as this audience may read them; what is no longer in the transcript is not quoted."""
    laid_out = cache(lambda recording: _laid_out(session, recording, audience))
    worded = {}
    for cell, one in chosen.items():
        quotes = [_quote(session, mark, laid_out, audience) for mark in one.marks]
        worded[cell] = Quoted(tuple(quote for quote in quotes if quote), one.more)
    return worded


def _in_turn(marks: Iterable[Mark]) -> list[Mark]:
    best = sorted(marks, key=lambda mark: (not mark.accepted, -mark.score, mark.recording, mark.start_ms))
    return in_turn(best, of=lambda mark: mark.story)


def _laid_out(session: Session, recording_id: int, audience: Audience) -> LaidOut | None:
    recording = session.get_one(models.Recording, recording_id)
    row = store.current_transcript(session, recording_id)
    decision = decide(store.consent_scope(recording), PURPOSES[audience])
    return exchange.laid_out(session, recording, row, decision) if row and decision.allowed else None


def _quote(
    session: Session, mark: Mark, laid_out: Callable[[int], LaidOut | None], audience: Audience
) -> Quote | None:
    recording = session.get_one(models.Recording, mark.recording)
    laid = laid_out(mark.recording)
    edges = laid and (laid.between(mark.first_word, mark.last_word) or laid.heard(mark.start_ms, mark.end_ms))
    if not laid or not edges:
        return None
    named = treatment(store.consent_scope(recording), audience).named
    return Quote(
        text=shortened(said(laid, *edges, voices=len(recording.speakers))),
        who=_teller(recording) if named else "Anonymous",
        recording=_recording(recording, named=named) if audience is Audience.TEAM else "",
        at=looks.clock(edges[0].start_ms),
        accepted=mark.accepted,
    )


def _teller(recording: models.Recording) -> str:
    teller = recording.story.storyteller if recording.story else None
    return (teller.name if teller else "") or "Storyteller not named"


def _recording(recording: models.Recording, *, named: bool) -> str:
    """How the team finds it: a file's name can be the storyteller's, the hash is nobody's."""
    return overview.name_of(recording).rsplit("/", 1)[-1] if named else recording.sha256[:8]


def said(laid: LaidOut, first: Place, last: Place, *, voices: int) -> str:
    """The words, with who says the first of them where several speak: the storyteller may not be the only one."""
    begin = laid.text.rfind("\n", 0, first.start) + 1
    opening = next(place for place in laid.places if place.start >= begin)
    label = laid.text[begin : opening.start] if voices > 1 else ""
    return label + laid.text[first.start : last.end]


def shortened(text: str, most: int = _CHARS) -> str:
    """The text, ended at a word when it is too long.

    >>> shortened("one two three", 9)
    'one two …'
    """
    return text if len(text) <= most else f"{text[:most].rsplit(maxsplit=1)[0]} …"
