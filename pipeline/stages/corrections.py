"""Corrections: the collection's list of what the recogniser writes wrong, laid on the transcript as edits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import store
from pipeline import correcting
from pipeline.stages import Progress, Work, Write
from transcripts.errors import CorrectionsError


@dataclass(frozen=True, slots=True)
class Correct:
    """After the speakers: an edit names a whole segment, and only now a segment is one speaker's."""

    name: str = "corrections"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """That of the stage before: what the list changes shows in the transcript's revision."""
        return upstream

    def intact(self, work: Work) -> bool:
        """Whether the text stands as the list wants it."""
        try:
            listed = correcting.corrections(work.collection)
        except CorrectionsError:
            return False
        with work.collection.sessions() as session:
            row = store.current_transcript(session, work.recording_id)
            return row is None or not correcting.pending(session, row, listed)

    def run(self, work: Work, progress: Progress) -> Write:
        """Read the list; what is to be changed is looked for when it is written, so no editor can come between.

        Raises:
            CorrectionsError: when a line of the list cannot be understood.
        """
        listed = correcting.corrections(work.collection)
        progress(1.0)

        def write(session: Session) -> None:
            row = store.current_transcript(session, work.recording_id)
            if row is not None:
                correcting.apply(session, row, listed)

        return write
