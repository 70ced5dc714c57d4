"""The correction list at work: what it changes in a transcript lies in the journal as edits of its own.

The list says how the text ought to stand, not what to do next: each segment is to read as the machine wrote it with
the list applied. So applying it again changes nothing, and a line that was taken out is taken back. A segment that an
editor worded is the editor's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy.orm import Session

from db import models, store
from pipeline import editing, mapping
from pipeline.collection import Collection
from transcripts.corrections import Corrections, read
from transcripts.edit import retext
from transcripts.model import Segment, Transcript

FILE = store.LIST_AUTHOR
"""The list in the collection's folder; the journal names it as the author of what it changed."""


def corrections(collection: Collection) -> Corrections:
    """The collection's list; empty when there is none.

    Raises:
        CorrectionsError: when a line of it cannot be understood.
    """
    return read(collection.root / FILE)


def pending(session: Session, row: models.Transcript, listed: Corrections) -> dict[str, str]:
    """What the list would still change: the text of each segment, named by its first word."""
    journal = store.journal(session, row.id)
    by_list = [edit for edit in journal if edit.author == FILE]
    if row.origin != "machine" or not (listed.lines or by_list):
        return {}
    seen = mapping.current_transcript(session, row)
    unlisted = seen
    if by_list:
        unlisted = mapping.replayed(session, row, [edit for edit in journal if edit.author != FILE])
    worded = _words_of_editors(journal)
    texts = {}
    for segment, before in zip(seen.segments, _before(seen, unlisted), strict=True):
        wanted = " ".join(listed.applied(one.text) for one in before)
        if before and _changes(segment, wanted) and worded.isdisjoint(_ids([segment, *before])):
            texts[segment.id] = wanted
    return texts


def apply(session: Session, row: models.Transcript, listed: Corrections) -> None:
    """Enter into the journal what the list would still change."""
    texts = pending(session, row, listed)
    if texts:
        editing.reword(session, row, mapping.current_transcript(session, row), texts, FILE)


def _changes(segment: Segment, text: str) -> bool:
    """Whether the text would read otherwise, once it is in NFC and on the words that are there."""
    return segment.text != text and retext(segment, text, 0).text != segment.text


def _before(seen: Transcript, unlisted: Transcript) -> list[list[Segment]]:
    """For each segment that people see, what it was made of: edits join segments and never part them."""
    places = {word.id: place for place, segment in enumerate(seen.segments) for word in segment.words}
    found: list[list[Segment]] = [[] for _ in seen.segments]
    for segment in unlisted.segments:
        place = next((places[word.id] for word in segment.words if word.id in places), None)
        if place is not None:
            found[place].append(segment)
    return found


def _words_of_editors(journal: Sequence[models.Edit]) -> set[str]:
    return {
        word
        for edit in journal
        if edit.kind == "retext" and edit.author != FILE
        for word in edit.change["words"]
    }


def _ids(segments: Iterable[Segment]) -> Iterable[str]:
    return (word.id for segment in segments for word in segment.words)
