"""Keeps the full-text index in step with what people see."""

from __future__ import annotations

from sqlalchemy.orm import Session

from db import models
from db.search import SearchRow, index_transcript
from pipeline import mapping
from transcripts.model import Transcript


def index(session: Session, row: models.Transcript, transcript: Transcript) -> None:
    """Index this transcript in the place of whatever was indexed for its recording."""
    if not row.current:
        return
    recording = session.get_one(models.Recording, row.recording_id)
    names = mapping.speaker_names(recording)
    index_transcript(
        session,
        row.recording_id,
        row.id,
        [
            SearchRow(
                segment=segment.id,
                start_ms=segment.start_ms,
                end_ms=segment.end_ms,
                speaker=names.get(segment.speaker, "") if segment.speaker else "",
                text=segment.text,
            )
            for segment in transcript.segments
        ],
    )
