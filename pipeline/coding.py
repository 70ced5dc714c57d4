"""What editors say about themes: that one fits a run of words, or does not.

A coding holds words, times and quote, as a clip does, so it outlives the passages, which are found anew whenever the
transcript changes. ``labelling`` lays codings on passages and learns from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from db import models, store
from pipeline import codebook, looks, overview
from pipeline.collection import Collection
from pipeline.errors import NotFound
from transcripts.clips import anchor
from transcripts.model import Transcript

State = Literal["accepted", "rejected"]


@dataclass(frozen=True, slots=True)
class Mark:
    """A theme's new state on a run of words; None takes back what was said before."""

    transcript_id: int
    theme: str
    state: State | None
    first_word: str
    last_word: str
    start_ms: int
    end_ms: int
    quote: str


def on_passage(passage: models.Passage, theme: str, state: State | None) -> Mark:
    """The mark that says this of a whole passage."""
    return Mark(
        passage.transcript_id,
        theme,
        state,
        passage.first_word,
        passage.last_word,
        passage.start_ms,
        passage.end_ms,
        passage.quote,
    )


def write(session: Session, marks: list[Mark], author: str) -> None:
    """Put the marks in the place of what was said of the same words and theme before.

    Raises:
        NotFound: a theme was never in the codebook.
    """
    themes = {row.key: row for row in store.themes(session, retired=True)}
    for mark in marks:
        theme = themes.get(mark.theme)
        if theme is None:
            raise NotFound(f"The codebook has no theme '{mark.theme}'; `stories themes list` shows all.")
        session.execute(
            delete(models.Coding).where(
                models.Coding.transcript_id == mark.transcript_id,
                models.Coding.theme_id == theme.id,
                models.Coding.first_word == mark.first_word,
                models.Coding.last_word == mark.last_word,
            )
        )
        if mark.state is not None:
            session.add(
                models.Coding(
                    transcript_id=mark.transcript_id,
                    theme_id=theme.id,
                    state=mark.state,
                    first_word=mark.first_word,
                    last_word=mark.last_word,
                    start_ms=mark.start_ms,
                    end_ms=mark.end_ms,
                    quote=mark.quote,
                    author=author,
                )
            )


def mark_passage(
    collection: Collection,
    find: Callable[[Session], models.Passage],
    says: dict[str, State | None],
    *,
    author: str,
) -> int:
    """Say of one passage which themes fit and which do not; the passage's number in the database.

    Raises:
        NotFound: there is no such passage or theme.
    """
    with collection.sessions.begin() as session:
        book = codebook.standing(collection).book
        if book.themes:  # without a file nothing retires
            codebook.sync(session, book)
        passage = find(session)
        write(session, [on_passage(passage, theme, state) for theme, state in says.items()], author)
        return passage.id


def find_passage(session: Session, recording: str, wanted: str) -> models.Passage:
    """The passage of a recording that is meant by its number in ``stories show``, or by a moment such as 1:23.

    Raises:
        NotFound: there is no such recording or passage.
    """
    found = overview.find_recording(session, recording)
    row = store.current_transcript(session, found.id)
    passages = list(row.passages) if row else []
    at_ms = looks.moment_ms(wanted) if ":" in wanted else None
    for passage in passages:
        if at_ms is not None and passage.start_ms <= at_ms < passage.end_ms:
            return passage
        if at_ms is None and wanted.isdecimal() and passage.ordinal + 1 == int(wanted):
            return passage
    name = overview.name_of(found)
    raise NotFound(
        f"{name} has no passage '{wanted}': give a number from 1 to {len(passages)} or a moment such as 1:23; "
        f"`stories show {name}` lists them."
    )


def carried(session: Session, row: models.Transcript, transcript: Transcript) -> list[models.Coding]:
    """The codings of a recording on the words of its current transcript; those of older versions come along.

    One whose words cannot be found again stays where it was, and is not among them.
    """
    places = {word.id: word for word in transcript.words()}
    found: list[models.Coding] = []
    for coding in of_recording(session, row.recording_id):
        same = coding.transcript_id == row.id
        if not (same and coding.first_word in places and coding.last_word in places):
            words = anchor(coding.first_word, coding.last_word, coding.quote, transcript, same_words=same)
            if words is None or _taken(session, row, coding, words):
                continue
            coding.transcript_id = row.id
            coding.first_word, coding.last_word = words
        coding.start_ms = places[coding.first_word].start_ms
        coding.end_ms = max(coding.start_ms, places[coding.last_word].end_ms)
        found.append(coding)
    session.flush()
    return found


def of_recording(session: Session, recording_id: int) -> list[models.Coding]:
    """Everything that was said about a recording's themes, oldest first."""
    return list(
        session.scalars(
            select(models.Coding)
            .join(models.Transcript, models.Transcript.id == models.Coding.transcript_id)
            .where(models.Transcript.recording_id == recording_id)
            .order_by(models.Coding.id)
        )
    )


def segment_ranges(transcript: Transcript, codings: list[models.Coding]) -> list[tuple[int, int]]:
    """The segments that each coding is about, half-open: those of which at least half of the words are in it."""
    order = {word.id: place for place, word in enumerate(transcript.words())}
    ranges: list[tuple[int, int]] = []
    for coding in codings:
        first, last = order[coding.first_word], order[coding.last_word]
        inside = [
            place
            for place, segment in enumerate(transcript.segments)
            if 2 * sum(first <= order[word.id] <= last for word in segment.words) >= len(segment.words)
        ]
        if inside:
            ranges.append((inside[0], inside[-1] + 1))
    return ranges


def _taken(
    session: Session, row: models.Transcript, coding: models.Coding, words: tuple[str, str]
) -> models.Coding | None:
    """Another coding that says something of the same theme on these words already."""
    return session.scalar(
        select(models.Coding).where(
            models.Coding.transcript_id == row.id,
            models.Coding.theme_id == coding.theme_id,
            models.Coding.first_word == words[0],
            models.Coding.last_word == words[1],
            models.Coding.id != coding.id,
        )
    )
