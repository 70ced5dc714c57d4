"""Which voiceprints may be kept: an embedding is a likeness of a voice, so consent and editors decide over each.

What consent no longer covers goes whenever a recording is taken in again, and before voices are compared.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.orm import Session

from db import models, store
from pipeline.gate import decide_voiceprint

ENCODER = "resemblyzer"
"""What makes the embeddings; only those of one encoder can be compared."""


def may_keep(speaker: models.Speaker, person: models.Person | None, scope: str | None) -> bool:
    """Whether the embedding of this speaker, who is this person, may be kept in a story of this consent: nobody asked
    to forget the voice, and the gate allows it.
    """
    if not speaker.voiceprint or (person is not None and not person.voiceprint):
        return False
    return decide_voiceprint(scope, speaker.role, sure=speaker.role_by == "editor").allowed


def drop_unallowed(session: Session, speakers: Iterable[models.Speaker]) -> int:
    """Take out the embeddings of these speakers that may not be kept; how many there were."""
    dropped = [
        speaker
        for speaker in speakers
        if speaker.embedding is not None
        and not may_keep(speaker, speaker.person, store.consent_scope(speaker.recording))
    ]
    if dropped:
        store.drop_voiceprints(session, dropped)
    return len(dropped)


def compared(session: Session) -> list[models.Speaker]:
    """The speakers whose embeddings are kept and may be compared now."""
    return [
        speaker
        for speaker in store.speakers(session, voiced=True)
        if may_keep(speaker, speaker.person, store.consent_scope(speaker.recording))
    ]
