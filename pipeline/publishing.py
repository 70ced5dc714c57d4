"""What may go on the site: approved clips of consenting storytellers, each exactly as it was approved."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import models, store
from media.hashing import sha256_file
from pipeline import excerpts, mapping
from pipeline.collection import Collection
from pipeline.gate import Decision, Purpose, decide
from pipeline.publish.values import PublishedClip
from transcripts.span import Span


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A clip that does not go out, and why."""

    slug: str
    reason: str


def gather(collection: Collection) -> tuple[list[PublishedClip], list[LeftOut]]:
    """Every clip that somebody decided on, as it goes out, or the reason why it does not."""
    going: list[PublishedClip] = []
    left: list[LeftOut] = []
    with collection.sessions() as session:
        for clip in store.clips(session, states=("approved", "needs review")):
            decision = decide(store.consent_scope(clip.recording), Purpose.PUBLISH)
            reason = _objection(collection, session, clip, decision)
            if reason:
                left.append(LeftOut(clip.slug, reason))
            else:
                going.append(_published(collection, session, clip, decision))
    return going, left


def _objection(collection: Collection, session: Session, clip: models.Clip, decision: Decision) -> str:
    """Why the clip cannot go out; empty when it can."""
    if not decision.allowed:
        return decision.reason
    if clip.state != "approved":
        return "its words changed since it was approved; look at it and approve it again"
    approval = next((line for line in reversed(clip.approvals) if line.revoked_at is None), None)
    if approval is None:
        return "nobody has approved it"
    files = {file.kind: file for file in clip.files}
    for kind, approved in (("media", approval.media_sha256), ("captions", approval.text_sha256)):
        file = files.get(kind)
        if file is None or not collection.absolute(file.path).is_file():
            return f"its {kind} file is missing; approve it again to have it cut again"
        if sha256_file(collection.absolute(file.path)) != approved:
            return f"its {kind} is not what was approved; look at it and approve it again"
    if "poster" not in files or not collection.absolute(files["poster"].path).is_file():
        return "its poster is missing; approve it again to have it made again"
    if _captions_now(session, clip) != approval.text_sha256:
        return "its captions changed since it was approved; look at it and approve it again"
    return ""


def _captions_now(session: Session, clip: models.Clip) -> str:
    """SHA-256 of the captions as they would be written now."""
    row = store.current_transcript(session, clip.recording_id)
    link = store.clip_link(session, clip.id, row.id) if row else None
    if row is None or link is None:
        return ""
    transcript = mapping.current_transcript(session, row)
    segments = excerpts.segments_between(transcript, link.first_word, link.last_word)
    span = Span(clip.start_ms, clip.end_ms)
    captions = excerpts.captions_of(segments, span, excerpts.caption_names(clip.recording))
    return hashlib.sha256(captions).hexdigest()


def _published(
    collection: Collection, session: Session, clip: models.Clip, decision: Decision
) -> PublishedClip:
    files = {file.kind: file for file in clip.files}
    recording, story = clip.recording, clip.recording.story
    teller = story.storyteller if story else None
    row = store.current_transcript(session, recording.id)
    link = store.clip_link(session, clip.id, row.id) if row else None
    hidden = decision.pseudonymise
    return PublishedClip(
        slug=clip.slug,
        title=clip.title,
        theme_key=clip.theme.key if clip.theme else None,
        theme_name=clip.theme.name if clip.theme else None,
        theme_colour=clip.theme.colour if clip.theme else None,
        storyteller="Anonymous" if hidden or teller is None else teller.name or "Anonymous",
        role=teller.role if teller else "",
        sector=teller.sector if teller else "",
        # A role, a small place and a day together can name somebody.
        place="" if hidden or teller is None else teller.place,
        phase=story.phase if story else "",
        told_on=None if hidden or story is None else story.told_on,
        kind="video" if recording.kind == "video" else "audio",
        duration_ms=files["media"].duration_ms or clip.end_ms - clip.start_ms,
        width=recording.width,
        height=recording.height,
        language=row.language if row else "",
        quote=link.quote if link else "",
        media=collection.absolute(files["media"].path),
        media_type=files["media"].media_type,
        media_sha256=files["media"].sha256,
        captions=collection.absolute(files["captions"].path),
        poster=collection.absolute(files["poster"].path),
    )
