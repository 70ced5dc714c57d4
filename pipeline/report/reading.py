"""What a report needs of the database, as values. Theme marks are read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from db import models, store
from pipeline import looks
from pipeline.report.audience import Story


@dataclass(frozen=True, slots=True)
class Theme:
    """A theme of the codebook, with the colour it is drawn in."""

    key: str
    name: str
    colour: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A theme that comes up in a story: ``accepted`` by an editor, else proposed by the machine.

    ``passage`` is what it stands on, None for a clip; the words and times are where it can be heard.
    """

    story: int
    recording: int
    passage: int | None
    theme: str
    accepted: bool
    score: float
    first_word: str
    last_word: str
    start_ms: int
    end_ms: int


def stories(session: Session) -> list[Story]:
    """Every story, by number."""
    rows = session.scalars(
        select(models.Story)
        .options(selectinload(models.Story.storyteller), selectinload(models.Story.consents))
        .order_by(models.Story.id)
    )
    return [_story(row) for row in rows]


def themes(session: Session) -> list[Theme]:
    """The codebook's themes in its order; those that retired are not in it."""
    rows = store.themes(session)
    return [Theme(row.key, row.name, looks.theme_colour(row.colour, row.position)) for row in rows]


def theme_marks(session: Session) -> list[Mark]:
    """Every theme that is proposed or accepted for a passage of a story's current transcript, in the order of time."""
    rows = session.execute(
        select(
            models.Recording.story_id,
            models.Recording.id,
            models.Passage,
            models.PassageTheme,
            models.Theme.key,
        )
        .join(models.Transcript, models.Transcript.recording_id == models.Recording.id)
        .join(models.Passage, models.Passage.transcript_id == models.Transcript.id)
        .join(models.PassageTheme, models.PassageTheme.passage_id == models.Passage.id)
        .join(models.Theme, models.Theme.id == models.PassageTheme.theme_id)
        .where(
            models.Recording.story_id.is_not(None),
            models.Transcript.current.is_(True),
            models.PassageTheme.state.in_(store.SHOWN),
            models.Theme.retired.is_(False),
        )
        .order_by(models.Recording.id, models.Passage.ordinal, models.Theme.position)
    )
    return [
        Mark(
            story,
            recording,
            passage.id,
            theme,
            label.state == "accepted",
            label.score,
            passage.first_word,
            passage.last_word,
            passage.start_ms,
            passage.end_ms,
        )
        for story, recording, passage, label, theme in rows
        if story is not None
    ]


def clip_marks(session: Session, slugs: Iterable[str]) -> list[Mark]:
    """The themes of these clips, where the clips lie in the current transcripts."""
    going = frozenset(slugs)
    found = []
    for clip in store.clips(session, states=("approved",)):
        row = store.current_transcript(session, clip.recording_id)
        link = store.clip_link(session, clip.id, row.id) if row else None
        story = clip.recording.story_id
        if clip.slug in going and clip.theme and link and story is not None:
            where = (link.first_word, link.last_word, link.start_ms, link.end_ms)
            found.append(Mark(story, clip.recording_id, None, clip.theme.key, True, clip.score, *where))
    return found


def recordings_of_no_story(session: Session) -> int:
    """How many recordings have no line in the intake; they are no story yet, and not counted."""
    query = select(func.count()).select_from(models.Recording).where(models.Recording.story_id.is_(None))
    return session.scalar(query) or 0


def _story(row: models.Story) -> Story:
    teller = row.storyteller
    return Story(
        id=row.id,
        sector=teller.sector if teller else "",
        role=teller.role if teller else "",
        place=teller.place if teller else "",
        phase=row.phase,
        method=row.method,
        scope=row.consents[-1].scope if row.consents else None,
    )
