"""One recording as the page receives it: plain JSON, made from the database in one short session.

Words are written ``[identity, start_ms, end_ms, text, probability]`` and passages and clips name segments by
their place in the list, so that an hour of speech stays small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from db import models, store
from pipeline import gate, mapping, overview, persons
from pipeline.collection import Collection
from pipeline.errors import NotAllowed, NotFound
from pipeline.gate import Purpose
from pipeline.looks import theme_colour
from pipeline.review import listing
from transcripts.model import Segment

Json = dict[str, Any]


def recording_of(session: Session, recording_id: int) -> models.Recording:
    """The recording, when there is one and it may be looked at.

    Raises:
        NotFound: when there is none of this number.
        NotAllowed: when its storyteller has withdrawn the story.
    """
    recording = session.scalar(
        select(models.Recording)
        .where(models.Recording.id == recording_id)
        .options(
            selectinload(models.Recording.story).selectinload(models.Story.consents),
            selectinload(models.Recording.story).selectinload(models.Story.storyteller),
        )
    )
    if recording is None:
        raise NotFound(f"There is no recording {recording_id} in this collection.")
    decision = listing.may_work(recording)
    if not decision.allowed:
        raise NotAllowed(f"Recording {recording_id} cannot be opened: {decision.reason}.")
    return recording


def recording_document(session: Session, recording: models.Recording) -> Json:
    """Everything the page needs to know about the recording."""
    row = store.current_transcript(session, recording.id)
    transcript = mapping.current_transcript(session, row) if row else None
    segments = transcript.segments if transcript else ()
    publish = gate.decide(store.consent_scope(recording), Purpose.PUBLISH)
    runs = store.latest_runs(session, [recording.sha256]).get(recording.sha256, {})
    return {
        "id": recording.id,
        "title": listing.title_of(recording),
        "kind": recording.kind,
        "duration_ms": recording.duration_ms,
        "consent": {
            "allowed": publish.allowed,
            "reason": publish.reason,
            "pseudonymise": publish.pseudonymise,
        },
        "failures": listing.failures_of(runs.values()),
        "renditions": _renditions(recording),
        "speakers": speaker_list(recording),
        "speakers_uncertain": overview.doubt(session, recording),
        "transcript": row and transcript_head(row) | {"segments": [segment_json(item) for item in segments]},
        "passages": _passages(row, segments) if row else [],
        "codebook": [_theme(theme) for theme in store.themes(session)],
        "clips": clip_list(session, recording, row, segments),
    }


def transcript_head(row: models.Transcript) -> Json:
    """What the page must name when it changes the transcript."""
    return {"id": row.id, "revision": row.revision, "language": row.language}


def segment_json(segment: Segment) -> Json:
    """A segment with its words."""
    words = [
        [word.id, word.start_ms, word.end_ms, word.text, round(word.probability, 2)] for word in segment.words
    ]
    return {"id": segment.id, "speaker": segment.speaker, "words": words}


def speaker_list(recording: models.Recording) -> list[Json]:
    """The voices of a recording, as named so far."""
    return [
        {
            "number": speaker.number,
            "name": speaker.name,
            "label": speaker.label,
            "role": speaker.role,
            "recordings": len(speaker.person.speakers) if speaker.person else 0,
            "speech_ms": speaker.speech_ms,
        }
        for speaker in recording.speakers
    ]


def suggestion_list(collection: Collection, recording_id: int) -> list[Json]:
    """Who the recording's voices that are nobody's yet probably are."""
    return [
        {
            "number": one.number,
            "person": one.person_id,
            "name": one.name,
            "score": round(one.score, 2),
            "sentence": one.sentence,
        }
        for one in persons.suggestions(collection)
        if one.recording_id == recording_id
    ]


def clip_list(
    session: Session,
    recording: models.Recording,
    row: models.Transcript | None,
    segments: Sequence[Segment],
) -> list[Json]:
    """The clips of a recording, in order of time."""
    places = _places(segments)
    return [
        clip_json(clip, row, places, segments) for clip in store.clips(session, recording_id=recording.id)
    ]


def clip_json(
    clip: models.Clip, row: models.Transcript | None, places: Mapping[str, int], segments: Sequence[Segment]
) -> Json:
    """A clip: where it lies, what it says, what became of it."""
    link = next((link for link in clip.links if row is not None and link.transcript_id == row.id), None)
    files = {file.kind: file for file in clip.files}
    return {
        "slug": clip.slug,
        "title": clip.title,
        "theme": clip.theme and _theme(clip.theme),
        "start_ms": clip.start_ms,
        "end_ms": clip.end_ms,
        "state": clip.state,
        "reasons": clip.reasons,
        "quote": link.quote if link else "",
        "lost": link is not None and link.state == "needs review",
        "segments": link and _segment_range(link, places, segments),
        "cut": _cut(clip.slug, files),
        "approved": _approval(clip, files),
    }


def _renditions(recording: models.Recording) -> Json:
    return {
        rendition.kind: {
            "url": f"/media/recordings/{recording.id}/{rendition.kind}?v={rendition.sha256[:12]}",
            "media_type": rendition.media_type,
        }
        for rendition in recording.renditions
        if rendition.kind != "speech"
    }


def _theme(theme: models.Theme) -> Json:
    return {"key": theme.key, "name": theme.name, "colour": theme_colour(theme.colour, theme.position)}


def passage_list(session: Session, row: models.Transcript) -> list[Json]:
    """The passages of a transcript, in order, as they stand now."""
    return _passages(row, mapping.current_transcript(session, row).segments)


def passage_row(session: Session, passage_id: int) -> models.Passage:
    """A passage's row, when its recording may be worked on.

    Raises:
        NotFound: when there is none of this number.
        NotAllowed: when its story was withdrawn.
    """
    row = session.get(models.Passage, passage_id)
    if row is None:
        raise NotFound("The passages were found anew in the meantime; reload the page.")
    transcript_row(session, row.transcript_id)
    return row


def _passages(row: models.Transcript, segments: Sequence[Segment]) -> list[Json]:
    places = _places(segments)
    return [
        {
            "id": passage.id,
            "segments": _segment_range(passage, places, segments),
            "start_ms": passage.start_ms,
            "end_ms": passage.end_ms,
            "themes": [
                _theme(scored.theme)
                | {"state": scored.state, "score": round(scored.score, 2), "why": _why(scored, passage)}
                for scored in passage.themes
                if scored.state in store.SHOWN
            ],
            "rejected": [
                _theme(scored.theme) | {"state": scored.state}
                for scored in passage.themes
                if scored.state == "rejected"
            ],
            "nearest": _nearest_theme(passage),
        }
        for passage in row.passages
        if segments
    ]


def _nearest_theme(passage: models.Passage) -> Json | None:
    """The best theme of a passage that none is proposed for; one that an editor rejected is no candidate."""
    left = [one for one in passage.themes if one.state == "scored"]
    return _theme(left[0].theme) if passage.unsure and left else None


def _why(scored: models.PassageTheme, passage: models.Passage) -> list[str]:
    """The sentences that weighed most."""
    said = {first: text for first, _, _, _, text in passage.sentences}
    return [said[first] for first, *_ in scored.why if first in said]


def _places(segments: Sequence[Segment]) -> dict[str, int]:
    """The segment that holds each word: identity -> place in the list."""
    return {word.id: place for place, segment in enumerate(segments) for word in segment.words}


def _segment_range(
    anchored: models.Passage | models.ClipLink, places: Mapping[str, int], segments: Sequence[Segment]
) -> list[int]:
    """First and last segment (included): by the words' identities, by time for words an editor took out."""
    first = _place(anchored.first_word, anchored.start_ms, places, segments)
    last = _place(anchored.last_word, anchored.end_ms, places, segments)
    return [first, max(first, last)]


def _place(word: str, time_ms: int, places: Mapping[str, int], segments: Sequence[Segment]) -> int:
    return places[word] if word in places else _nearest(segments, time_ms)


def _nearest(segments: Sequence[Segment], time_ms: int) -> int:
    """The segment nearest to a moment."""
    return min(
        range(len(segments)),
        key=lambda place: max(segments[place].start_ms - time_ms, time_ms - segments[place].end_ms, 0),
        default=0,
    )


def _cut(slug: str, files: Mapping[str, models.ClipFile]) -> Json | None:
    media = files.get("media")
    if media is None:
        return None
    return {
        "url": f"/media/clips/{slug}/media?v={media.sha256[:12]}",
        "media_type": media.media_type,
        "duration_ms": media.duration_ms,
        "loudness_lufs": media.loudness_lufs,
        "captions": f"/media/clips/{slug}/captions?v={files['captions'].sha256[:12]}"
        if "captions" in files
        else None,
    }


def _approval(clip: models.Clip, files: Mapping[str, models.ClipFile]) -> Json | None:
    """The approval of exactly the files there are now; one of other files is none."""
    hashes = tuple(files[kind].sha256 if kind in files else None for kind in ("media", "captions"))
    for approval in reversed(clip.approvals):
        if approval.revoked_at is None and (approval.media_sha256, approval.text_sha256) == hashes:
            return {"author": approval.author, "at": approval.approved_at.isoformat(timespec="seconds")}
    return None


def transcript_row(session: Session, transcript_id: int) -> models.Transcript:
    """A transcript's row, when its recording may be worked on.

    Raises:
        NotFound: when there is none of this number.
        NotAllowed: when its story was withdrawn.
    """
    row = session.get(models.Transcript, transcript_id)
    if row is None:
        raise NotFound(f"There is no transcript {transcript_id}.")
    recording_of(session, row.recording_id)
    return row
