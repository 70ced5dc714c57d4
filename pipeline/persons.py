"""Persons: one name for a voice in all its recordings, suggested by likeness, confirmed by an editor.

Nothing is applied by itself. What may be compared at all is decided by ``voiceprints``, each time anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from db import backup, models, store
from pipeline import editing, mapping, overview, voiceprints
from pipeline.collection import Collection
from pipeline.errors import EditError, NotFound
from transcripts.span import Span, merge
from transcripts.speakers.compensation import compensated
from transcripts.speakers.matching import SUGGESTED, HeardVoice, Match, match, recurring


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A speaker who is probably a person: ``score`` is the probability, 0 to 1; ``recordings`` have them already."""

    recording_id: int
    recording: str
    number: int
    label: str
    person_id: int
    name: str
    role: str
    score: float
    recordings: int

    @property
    def sentence(self) -> str:
        """As a person reads it."""
        role = f" ({self.role})" if self.role else ""
        heard = f"heard in {self.recordings} recording{'s' * (self.recordings != 1)}"
        # never 1.00: it is a guess
        return f"{self.label} is probably {self.name}{role}, {min(self.score, 0.99):.2f}, {heard}"


@dataclass(frozen=True, slots=True)
class Voice:
    """A speaker that is nobody's yet."""

    recording_id: int
    recording: str
    number: int
    label: str


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was forgotten of a person, and the copies of the database that still hold it."""

    name: str
    voiceprints: int
    recordings: int
    copies: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Look:
    """What comparing the voices shows: ``groups`` sound like one person in several recordings whom nobody named yet."""

    suggestions: list[Suggestion]
    groups: list[list[Voice]]


def look(collection: Collection, *, least: float = SUGGESTED) -> Look:
    """Compare the voices that are nobody's yet with the persons, then those left with each other."""
    rows, voices = _voices(collection)
    by_id = {row.id: row for row in rows}
    found = [one for heard in voices.values() for one in match(heard, least)]
    suggested = {one.key for one in found}
    alike = [
        group
        for heard in voices.values()
        for group in recurring([one for one in heard if one.key not in suggested])
    ]
    with collection.sessions() as session:
        known = {person.id: person for person in store.persons(session)}
    return Look(
        [
            _suggestion(by_id[one.key], known[one.person], one)
            for one in sorted(found, key=lambda one: (-one.score, one.key))
        ],
        [[_voice(by_id[one.key]) for one in group] for group in sorted(alike, key=len, reverse=True)],
    )


def suggestions(collection: Collection, *, least: float = SUGGESTED) -> list[Suggestion]:
    """Who the voices that are nobody's yet probably are, the surest first."""
    return look(collection, least=least).suggestions


def confirm(
    collection: Collection, recording_id: int, number: int, wanted: str | int, *, author: str
) -> None:
    """Make a speaker the person of this name, or of this number, who is known already.

    Raises:
        EditError: when another voice of the recording is this person already.
        NotFound: when there is no such person, recording or speaker.
    """
    with collection.sessions.begin() as session:
        speaker = editing.find_speaker(session, recording_id, number)
        editing.make(session, speaker, find_person(session, wanted), author)


def confirm_all(collection: Collection, *, least: float, author: str) -> list[Suggestion]:
    """Accept every suggestion of this score or more; what was accepted."""
    found = suggestions(collection, least=least)
    with collection.sessions.begin() as session:
        for one in found:
            speaker = editing.find_speaker(session, one.recording_id, one.number)
            editing.make(session, speaker, session.get_one(models.Person, one.person_id), author)
    return found


def find_person(session: Session, wanted: str | int) -> models.Person:
    """The person of this name, or of this number.

    Raises:
        NotFound: when there is none.
    """
    if isinstance(wanted, int):
        person = next((one for one in store.persons(session) if one.id == wanted), None)
    else:
        person = store.person_by_name(session, editing.clean_name(wanted))
    if person is None:
        known = ", ".join(one.name for one in store.persons(session)) or "nobody"
        raise NotFound(f"There is no person '{wanted}'; known by name: {known}.")
    return person


def find_number(recording: models.Recording, wanted: str) -> int:
    """The number of the speaker meant by a number, a name or a label such as "Speaker 2".

    Raises:
        NotFound: when the recording has no such speaker.
    """
    wanted = editing.clean_name(wanted)
    for speaker in recording.speakers:
        if wanted == str(speaker.number) or wanted.casefold() in (
            speaker.label.casefold(),
            f"speaker {speaker.number}",
        ):
            return speaker.number
    there = ", ".join(f"{one.number} ({one.label})" for one in recording.speakers) or "none"
    raise NotFound(f"{overview.name_of(recording)} has no speaker '{wanted}'; it has {there}.")


def merge_speakers(
    collection: Collection, recording_id: int, number: int, other_number: int, *, author: str
) -> None:
    """Make two voices of a recording one: the other's words and turns are this speaker's, and what it lacks of name and
    role; the other is gone.

    Raises:
        EditError: when they are the same, or two different persons.
        NotFound: when the recording has no such speaker.
    """
    if number == other_number:
        raise EditError(f"Speaker {number} cannot be merged with itself; name two speakers.")
    with collection.sessions.begin() as session:
        speaker = editing.find_speaker(session, recording_id, number)
        other = editing.find_speaker(session, recording_id, other_number)
        row = _transcript(session, recording_id)
        if speaker.person is not None and other.person is not None:
            raise EditError(
                f"{speaker.person.name} and {other.person.name} are two persons; if the voices are one, take one "
                "of them off with `stories speakers split` first."
            )
        person, name = speaker.person or other.person, speaker.name or other.name
        stronger = other.role_by == "editor" and speaker.role_by != "editor"
        role = other.role if stronger or not speaker.role else None
        other.person = None
        session.flush()
        editing.make(session, speaker, person, author, name=name, role=role)
        editing.assign(
            session, row, _words_of(session, row, other.number), number, author, merged=other_number
        )
        _move(session, speaker, other)


def merge_persons(collection: Collection, name: str, other_name: str, *, author: str) -> int:
    """Make two persons one, under the first one's name; in how many recordings the second was heard.

    Raises:
        EditError: when they are the same, or both are heard in one recording.
        NotFound: when there is no such person.
    """
    with collection.sessions.begin() as session:
        person, other = find_person(session, name), find_person(session, other_name)
        if person is other:
            raise EditError(f"{person.name} cannot be merged with themselves; name two persons.")
        both = {one.recording_id for one in person.speakers} & {one.recording_id for one in other.speakers}
        if both:
            where = overview.name_of(session.get_one(models.Recording, min(both)))
            raise EditError(
                f"{person.name} and {other.name} both speak in {where}; if they are one voice there, take one of them "
                "off with `stories speakers split` and merge the two speakers first."
            )
        moved = list(other.speakers)
        person.role = person.role or other.role
        person.voiceprint = person.voiceprint and other.voiceprint
        person.notes = "\n".join(filter(None, (person.notes, other.notes)))
        for speaker in moved:
            editing.make(session, speaker, person, author)
        session.flush()
        session.expire(other)
        session.delete(other)
        voiceprints.drop_unallowed(session, store.speakers(session, voiced=True))
    return len(moved)


def take_off(collection: Collection, recording_id: int, number: int, *, author: str) -> str:
    """Say that a speaker is not the person it was made, nor is suggested to be; that person's name.

    Raises:
        EditError: when it neither is nor is suggested to be anybody.
        NotFound: when the recording has no such speaker.
    """
    with collection.sessions() as session:
        speaker = editing.find_speaker(session, recording_id, number)
        person_id = speaker.person_id
    if person_id is None:
        person_id = next(
            (
                one.person_id
                for one in suggestions(collection)
                if (one.recording_id, one.number) == (recording_id, number)
            ),
            None,
        )
    with collection.sessions.begin() as session:
        speaker = editing.find_speaker(session, recording_id, number)
        person = session.get(models.Person, person_id) if person_id is not None else None
        if person is None:
            raise EditError(
                f"{speaker.label} is nobody's voice yet; to give words of it to another, say --from and --to."
            )
        speaker.refused = sorted({*speaker.refused, person.id})
        if speaker.person is person:
            editing.make(session, speaker, None, author)
        return person.name


def give(
    collection: Collection, recording_id: int, span: Span, number: int | None, *, author: str
) -> tuple[int, int]:
    """Give what is said in a stretch to another speaker, or to a new one; the speaker's number, and how many words.

    A word lies in the stretch when its middle does. A new speaker has no voiceprint until the voices are sought anew.

    Raises:
        EditError: when nobody says anything there, or it is this speaker's already.
        NotFound: when the recording has no such speaker.
    """
    with collection.sessions.begin() as session:
        row = _transcript(session, recording_id)
        taker = editing.find_speaker(session, recording_id, number) if number is not None else None
        transcript = mapping.current_transcript(session, row)
        meant = [
            word.id
            for segment in transcript.segments
            for word in segment.words
            if (word.start_ms + word.end_ms) // 2 in span and segment.speaker != number
        ]
        if not meant:
            raise EditError("Nothing is said there that is not this speaker's already; name another stretch.")
        if taker is None:
            taker = models.Speaker(recording_id=recording_id, number=_next_number(session, recording_id))
            session.add(taker)
            session.flush()
        _take_time(session, taker, span)
        editing.assign(session, row, meant, taker.number, author)
        return taker.number, len(meant)


def forget(collection: Collection, wanted: str, *, name: bool, author: str) -> Forgotten:
    """Take out every voiceprint of a person, for good; with ``name`` their name too, here and in the journal.

    Copies of the database that were made before are not touched; they are named in what is given back.

    Raises:
        NotFound: when there is no such person.
    """
    with collection.sessions.begin() as session:
        person = find_person(session, wanted)
        known, speakers = person.name, list(person.speakers)
        voiced = [speaker for speaker in speakers if speaker.embedding is not None]
        store.drop_voiceprints(session, voiced)
        person.voiceprint = False
        for speaker in speakers:
            speaker.voiceprint = False
        if name:
            _forget_name(session, person, author)
    store.empty_log(collection.engine)
    database = collection.engine.url.database
    sqlite = collection.engine.dialect.name == "sqlite" and database
    copies = tuple(backup.copies(Path(database))) if sqlite and database else ()
    return Forgotten(known, len(voiced), len(speakers), copies)


def _forget_name(session: Session, person: models.Person, author: str) -> None:
    """Leave the person's speakers without a name, and no trace of it in any journal."""
    for speaker in list(person.speakers):
        editing.make(session, speaker, None, author)
    for entry in session.scalars(select(models.Edit).where(models.Edit.kind == "name-speaker")):
        if person.id in (entry.change.get("person"), entry.inverse.get("person")) or person.name in (
            entry.change["name"],
            entry.inverse["name"],
        ):
            entry.change = _nameless(entry.change, person)
            entry.inverse = _nameless(entry.inverse, person)
    session.flush()
    session.expire(person)
    session.delete(person)


def _nameless(facts: Mapping[str, object], person: models.Person) -> dict[str, object]:
    """An entry's facts without this person."""
    meant = facts.get("person") == person.id or facts["name"] == person.name
    return {**facts, "name": "", "person": None} if meant else dict(facts)


def _voices(collection: Collection) -> tuple[Sequence[models.Speaker], dict[str, list[HeardVoice]]]:
    """The speakers whose voice may be compared, and their voices by encoder; what consent no longer covers is gone."""
    with collection.sessions() as session:
        rows = voiceprints.compared(session)
        overdue = len(rows) < len(store.speakers(session, voiced=True))
        present: defaultdict[int, set[int]] = defaultdict(set)
        for speaker in session.scalars(select(models.Speaker).where(models.Speaker.person_id.is_not(None))):
            present[speaker.recording_id].add(speaker.person_id or 0)
    if overdue:
        with collection.sessions.begin() as session:
            voiceprints.drop_unallowed(session, store.speakers(session, voiced=True))
    heard: dict[str, list[HeardVoice]] = {}
    for encoder, some in groupby(sorted(rows, key=lambda row: row.encoder), key=lambda row: row.encoder):
        spoken = list(some)
        embeddings = np.stack([np.frombuffer(row.embedding or b"", np.float32) for row in spoken])
        if encoder == voiceprints.ENCODER:
            embeddings = compensated(embeddings)
        heard[encoder] = [
            HeardVoice(
                row.id,
                row.recording_id,
                embedding,
                row.person_id,
                frozenset(row.refused) | frozenset(present[row.recording_id]),
            )
            for row, embedding in zip(spoken, embeddings, strict=True)
        ]
    return rows, heard


def _suggestion(row: models.Speaker, person: models.Person, found: Match) -> Suggestion:
    return Suggestion(
        row.recording_id,
        overview.name_of(row.recording),
        row.number,
        row.label,
        person.id,
        person.name,
        person.role,
        found.score,
        len(person.speakers),
    )


def _voice(row: models.Speaker) -> Voice:
    return Voice(row.recording_id, overview.name_of(row.recording), row.number, row.label)


def _transcript(session: Session, recording_id: int) -> models.Transcript:
    row = store.current_transcript(session, recording_id)
    if row is None:
        raise NotFound(f"Recording {recording_id} has no transcript yet; run `stories process`.")
    return row


def _next_number(session: Session, recording_id: int) -> int:
    """A number that no speaker of the recording has or had."""
    numbers = {speaker.number for speaker in store.speakers(session, recording_id=recording_id)}
    return 1 + max(numbers | store.numbers_in_journal(session, recording_id), default=0)


def _words_of(session: Session, row: models.Transcript, number: int) -> list[str]:
    transcript = mapping.current_transcript(session, row)
    return [word.id for segment in transcript.segments if segment.speaker == number for word in segment.words]


def _move(session: Session, speaker: models.Speaker, other: models.Speaker) -> None:
    """Put all that is another speaker's under this one, and take the other out."""
    embedded = [one for one in (speaker, other) if one.embedding is not None]
    if len({one.encoder for one in embedded}) == 1:
        parts = [max(1, one.speech_ms) * np.frombuffer(one.embedding or b"", np.float32) for one in embedded]
        total = np.sum(parts, axis=0)
        speaker.embedding = (total / np.linalg.norm(total)).astype(np.float32).tobytes()
        speaker.encoder = embedded[0].encoder
    speaker.voiceprint = speaker.voiceprint and other.voiceprint
    speaker.refused = sorted({*speaker.refused, *other.refused})
    _set_turns(speaker, [*_spans(speaker), *_spans(other)])
    session.execute(
        update(models.Attribution)
        .where(models.Attribution.speaker_id == other.id)
        .values(speaker_id=speaker.id)
    )
    session.delete(other)
    session.flush()
    session.expire(speaker.recording, ["speakers"])
    voiceprints.drop_unallowed(session, [speaker])


def _take_time(session: Session, taker: models.Speaker, span: Span) -> None:
    """Count a stretch as this speaker's. The turns that the machine found stay: by them voices are found again."""
    taken: list[Span] = []
    for other in store.speakers(session, recording_id=taker.recording_id):
        shared = [part for one in _spans(other) if (part := one & span)]
        if other is not taker and shared:
            taken += shared
            shared_ms = sum(part.duration_ms for part in merge(shared))
            other.speech_ms = max(0, other.speech_ms - shared_ms)
    _set_turns(taker, [*_spans(taker), *(taken or [span])])
    session.flush()


def _spans(speaker: models.Speaker) -> list[Span]:
    return [Span(turn.start_ms, turn.end_ms) for turn in speaker.turns]


def _set_turns(speaker: models.Speaker, spans: Iterable[Span]) -> None:
    speaker.turns = [models.Turn(start_ms=span.start_ms, end_ms=span.end_ms) for span in merge(spans)]
    speaker.speech_ms = sum(turn.end_ms - turn.start_ms for turn in speaker.turns)
