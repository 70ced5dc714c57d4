"""What an editor changes in a transcript: each change is an entry of the journal that knows its inverse.

Every change names the revision its author saw; when somebody else was quicker it is refused and nothing is lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import CursorResult, update
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, indexing, mapping
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
    collection: Collection, recording_id: int, number: int, *, name: str, role: str | None, author: str
) -> None:
    """Name a voice of a recording, and say what part it has when ``role`` is given.

    Raises:
        EditError: when the role is not one of ROLES.
        NotFound: when the recording has no such speaker.
    """
    if role is not None and role not in ROLES:
        raise EditError(
            f"'{role}' is no role; a speaker is {', '.join(filter(None, ROLES))}, or none of them."
        )
    name = " ".join(nfc(name).split())
    with collection.sessions.begin() as session:
        speaker = store.speaker(session, recording_id, number)
        row = store.current_transcript(session, recording_id)
        if speaker is None or row is None:
            raise NotFound(f"Recording {recording_id} has no speaker {number}.")
        before = {"speaker": number, "name": speaker.name, "role": speaker.role}
        after = {"speaker": number, "name": name, "role": speaker.role if role is None else role}
        if before == after:
            return
        speaker.name, speaker.role = name, str(after["role"])
        speaker.role_by = "editor" if role is not None else speaker.role_by
        transcript = mapping.current_transcript(session, row)
        _shown(session, row, _entered(session, row, transcript, "name-speaker", after, before, author))


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
