"""What an editor changes in a transcript: each change is an entry of the journal that knows its inverse.

Every change names the revision its author saw; when somebody else was quicker it is refused and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, indexing, mapping, voiceprints
from pipeline.collection import Collection
from pipeline.errors import EditConflict, EditError, NotFound
from pipeline.names import nfc
from transcripts.model import Segment, Transcript

ROLES = ("", "storyteller", "interviewer", "other")


def retext_segment(
    collection: Collection, transcript_id: int, segment: str, text: str, *, author: str, revision: int
) -> Transcript:
    """Give the segment whose first word is ``segment`` another text; the transcript after it.

    Raises:
        EditConflict: when the transcript is no longer at ``revision``.
        EditError: when the text is empty.
        NotFound: when there is no such transcript or segment.
    """
    text = " ".join(nfc(text).split())
    if not text:
        raise EditError("A segment cannot be left without words; give it the words that are said.")
    with collection.sessions.begin() as session:
        row = _transcript_at(session, transcript_id, revision)
        transcript = mapping.current_transcript(session, row)
        if _segment(transcript, segment).text == text:
            return transcript
        try:
            return reword(session, row, transcript, {segment: text}, author)
        except ValueError as error:
            raise EditError(f"This text cannot stand for the segment: {error}.") from error


def reword(
    session: Session, row: models.Transcript, transcript: Transcript, texts: Mapping[str, str], author: str
) -> Transcript:
    """Give segments, each named by its first word, other texts: an entry of the journal each; the transcript after.

    The session holds the write lock, and ``transcript`` is what people see now.

    Raises:
        NotFound: when there is no such segment.
        ValueError: when a text has no words.
    """
    for segment, text in texts.items():
        held = _segment(transcript, segment)
        change = {"segment": segment, "words": [word.id for word in held.words], "text": text}
        inverse = {"segment": segment, "words": [mapping.word_document(word) for word in held.words]}
        transcript = _entered(session, row, transcript, "retext", change, inverse, author)
    _shown(session, row, transcript)
    return transcript


def name_speaker(
    collection: Collection,
    recording_id: int,
    number: int,
    *,
    name: str,
    role: str | None,
    author: str,
    everywhere: bool = False,
) -> None:
    """Name a voice of a recording, and say what part it has when ``role`` is given.

    The name makes it a person's: the one of this name, or a new one; no name makes it nobody's. It leaves the person
    that it was until then, unless ``everywhere``: then that person is renamed, in every recording.

    Raises:
        EditError: when the role is not one of ROLES, another voice of the recording is this person already, or
            another person has the name that one is to be given everywhere.
        NotFound: when the recording has no such speaker.
    """
    name = clean_name(name)
    if role is not None:
        check_role(role)
    with collection.sessions.begin() as session:
        speaker = find_speaker(session, recording_id, number)
        person = store.person_by_name(session, name) if name else None
        if everywhere and speaker.person is not None and name:
            person = speaker.person
            rename(session, person, name, author, role=role)
        if name and person is None:
            person = models.Person(name=name)
            session.add(person)
            session.flush()
        make(session, speaker, person, author, role=role)


def rename(
    session: Session, person: models.Person, name: str, author: str, *, role: str | None = None
) -> None:
    """Give a person another name, and another role when one is given, in every recording.

    Raises:
        EditError: when another person has this name.
    """
    other = store.person_by_name(session, name)
    if other is not None and other is not person:
        raise EditError(
            f"There is another person called {other.name}; if they are one, run "
            f'`stories speakers merge "{other.name}" "{person.name}"`.'
        )
    person.name = name
    person.role = person.role if role is None else role
    for speaker in list(person.speakers):
        make(session, speaker, person, author, role=role)


def make(
    session: Session,
    speaker: models.Speaker,
    person: models.Person | None,
    author: str,
    *,
    name: str = "",
    role: str | None = None,
) -> None:
    """Make a speaker this person, under the person's name, or nobody, under ``name``; a change goes into the journal.

    A ``role`` that is given is the speaker's, and the person's too when it had none. Otherwise the speaker takes the
    person's role, unless an editor gave it one of its own.

    Raises:
        EditError: when another voice of the recording is this person already.
        NotFound: when the recording has no transcript.
    """
    row = store.current_transcript(session, speaker.recording_id)
    if row is None:
        raise NotFound(f"Recording {speaker.recording_id} has no transcript yet; run `stories process`.")
    _require_once(session, speaker, person)
    before = _facts(speaker)
    transcript = mapping.current_transcript(session, row)
    strange = excerpts.strangers(session, row, transcript)
    if person is not None and not person.role:
        person.role = role or (speaker.role if speaker.role_by == "editor" else "")
    if role is None and person is not None and person.role and speaker.role_by != "editor":
        role = person.role
    if role is not None:
        speaker.role, speaker.role_by = role, "editor"
    speaker.person, speaker.name = person, person.name if person else name
    if person is not None:
        speaker.refused = [refused for refused in speaker.refused if refused != person.id]
    session.flush()
    voiceprints.drop_unallowed(session, [speaker])
    after = _facts(speaker)
    if before != after:
        edited = _entered(session, row, transcript, "name-speaker", after, before, author)
        _shown(session, row, edited)
        excerpts.withdraw(session, excerpts.strangers(session, row, edited) - strange)


def assign(
    session: Session, row: models.Transcript, words: Iterable[str], number: int, author: str, **more: int
) -> Transcript:
    """Give words, by identity, to another speaker of the recording: an entry of the journal; the transcript after.

    Clips whose words are no longer a teller's are taken back or need review. ``more`` is kept in the entry.
    """
    transcript = mapping.current_transcript(session, row)
    strange = excerpts.strangers(session, row, transcript)
    given = set(words)
    change = {
        "words": [word.id for word in transcript.words() if word.id in given],
        "speaker": number,
        **more,
    }
    inverse = {"runs": _runs(transcript, given)}
    edited = _entered(session, row, transcript, "assign-speaker", change, inverse, author)
    _shown(session, row, edited)
    excerpts.withdraw(session, excerpts.strangers(session, row, edited) - strange)
    return edited


def clean_name(name: str) -> str:
    """A name as it is kept: NFC, single spaces."""
    return " ".join(nfc(name).split())


def check_role(role: str) -> None:
    """Refuse what is no role.

    Raises:
        EditError: when the role is not one of ROLES.
    """
    if role not in ROLES:
        raise EditError(
            f"'{role}' is no role; a speaker is {', '.join(filter(None, ROLES))}, or none of them."
        )


def find_speaker(session: Session, recording_id: int, number: int) -> models.Speaker:
    """One voice of a recording.

    Raises:
        NotFound: when there is none of this number.
    """
    speaker = store.speaker(session, recording_id, number)
    if speaker is None:
        raise NotFound(f"Recording {recording_id} has no speaker {number}.")
    return speaker


def _require_once(session: Session, speaker: models.Speaker, person: models.Person | None) -> None:
    """Two voices of one recording are two persons, unless an editor merges them."""
    for other in store.speakers(session, recording_id=speaker.recording_id):
        if person is not None and other is not speaker and other.person_id == person.id:
            raise EditError(
                f"Speaker {other.number} of this recording is {person.name} already; if the two are one voice, run "
                f"`stories speakers merge {speaker.recording_id} {other.number} {speaker.number}`."
            )


def _facts(speaker: models.Speaker) -> dict[str, Any]:
    return {
        "speaker": speaker.number,
        "name": speaker.name,
        "role": speaker.role,
        "person": speaker.person.id if speaker.person else None,
    }


def _runs(transcript: Transcript, words: set[str]) -> list[dict[str, Any]]:
    """Whose these words are, in runs of one speaker's."""
    said = [(segment.speaker, word.id) for segment in transcript.segments for word in segment.words]
    return [
        {"speaker": speaker, "words": [word for _, word in run]}
        for speaker, run in groupby((pair for pair in said if pair[1] in words), key=lambda pair: pair[0])
    ]


def _transcript_at(session: Session, transcript_id: int, revision: int) -> models.Transcript:
    # Writing first takes the lock, so that two editors cannot both pass the check.
    seen = session.execute(
        update(models.Transcript)
        .where(models.Transcript.id == transcript_id, models.Transcript.revision == revision)
        .values(revision=revision)
    )
    row = session.get(models.Transcript, transcript_id)
    if row is None:
        raise NotFound(f"There is no transcript {transcript_id}.")
    if cast("CursorResult[Any]", seen).rowcount == 0:
        raise EditConflict(
            f"Somebody changed this transcript in the meantime (it is at revision {row.revision}, you saw "
            f"{revision}); your text is still here: reload, look, and save again."
        )
    return row


def _segment(transcript: Transcript, first_word: str) -> Segment:
    for segment in transcript.segments:
        if segment.id == first_word:
            return segment
    raise NotFound(f"The transcript has no segment that begins with word {first_word}.")


def _entered(
    session: Session,
    row: models.Transcript,
    transcript: Transcript,
    kind: str,
    change: dict[str, Any],
    inverse: dict[str, Any],
    author: str,
) -> Transcript:
    """The transcript after a new entry of the journal."""
    revision = row.revision + 1
    edited = mapping.apply_edit(transcript, kind, change, revision)
    session.add(
        models.Edit(
            transcript_id=row.id,
            revision=revision,
            kind=kind,
            change=change,
            inverse=inverse,
            author=author,
        )
    )
    row.revision = revision
    return edited


def _shown(session: Session, row: models.Transcript, edited: Transcript) -> None:
    """Bring in step what is made from the transcript: its snapshot, the search index, the clips' places."""
    session.merge(
        models.Snapshot(
            transcript_id=row.id, revision=row.revision, document=mapping.transcript_document(edited)
        )
    )
    session.flush()
    indexing.index(session, row, edited)
    excerpts.relink(session, row, edited)
