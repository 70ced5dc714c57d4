"""Clips as people handle them: cut, approve, reject, add, and find again when the transcript changes."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from db import models, store
from media import cut as media_cut
from media import poster as media_poster
from media.files import atomic_path
from media.probe import MediaInfo, probe
from pipeline import mapping
from pipeline.collection import Collection
from pipeline.errors import NotAllowed, NotFound, StoriesError
from pipeline.fingerprint import fingerprint
from pipeline.gate import Purpose, decide
from pipeline.names import slugify
from transcripts.clips import anchor
from transcripts.formats import clip_captions
from transcripts.model import Segment, Transcript
from transcripts.span import Span

CUT_VERSION = 1
"""Raised when the same span would be cut differently, so that old cuts are made again."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What has to be known to cut one clip, read before the slow work starts."""

    clip_id: int
    slug: str
    kind: str
    span: Span
    source: Path
    recording_sha256: str
    segments: tuple[Segment, ...]
    names: dict[int, str]
    made: dict[str, str]


def slug_for(recording_sha256: str, first_word: str, last_word: str, theme: str | None) -> str:
    """A clip's public name: its theme and eight letters of a hash; it names nobody, and is the same each time."""
    digest = hashlib.sha256(f"{recording_sha256}:{first_word}:{last_word}".encode()).digest()
    letters = base64.b32encode(digest)[:8].decode().lower()
    return f"{slugify(theme or '')[:60] or 'story'}-{letters}"


def cut(collection: Collection, slug: str) -> None:
    """Cut the clip's media, captions and poster, unless they are there and still right.

    Raises:
        NotFound: when there is no such clip, or the recording's file is gone.
        MediaError: when the recording cannot be cut.
    """
    work = _work(collection, slug)
    info = probe(work.source)
    folder = collection.derived_for(work.recording_sha256) / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        _media(collection, work, info, folder),
        _captions(collection, work, folder),
        _poster(collection, work, folder),
    ]
    with collection.sessions.begin() as session:
        for row in filter(None, files):
            store.put_clip_file(session, row)


def approve(collection: Collection, slug: str, *, author: str) -> None:
    """Say yes to exactly the media and the captions that lie there now; they are cut first when they do not.

    Raises:
        NotAllowed: when the consent gate keeps the story from being published.
        NotFound: when there is no such clip.
    """
    with collection.sessions() as session:
        clip = find_clip(session, slug)
        decision = decide(store.consent_scope(clip.recording), Purpose.PUBLISH)
        if not decision.allowed:
            raise NotAllowed(f"Clip {slug} cannot be approved: {decision.reason}.")
    cut(collection, slug)
    with collection.sessions.begin() as session:
        clip = find_clip(session, slug)
        files = {file.kind: file for file in clip.files}
        _revoke(clip)
        clip.approvals.append(
            models.Approval(
                media_sha256=files["media"].sha256, text_sha256=files["captions"].sha256, author=author
            )
        )
        clip.state = "approved"


def reject(collection: Collection, slug: str, *, author: str) -> None:
    """Say no: the clip is not proposed again, and an approval is revoked.

    Raises:
        NotFound: when there is no such clip.
    """
    del author
    with collection.sessions.begin() as session:
        clip = find_clip(session, slug)
        _revoke(clip)
        clip.state = "rejected"


def remove(collection: Collection, slug: str) -> None:
    """Forget the clip and delete the files cut for it.

    Raises:
        NotFound: when there is no such clip.
    """
    with collection.sessions.begin() as session:
        clip = find_clip(session, slug)
        paths = [collection.absolute(file.path) for file in clip.files]
        session.delete(clip)
    for path in paths:
        path.unlink(missing_ok=True)


def add(
    collection: Collection, recording_id: int, start_ms: int, end_ms: int, *, title: str = "", theme: str = ""
) -> str:
    """Add a clip by hand from ``start_ms`` to ``end_ms``; its slug.

    Raises:
        NotFound: when there is no such recording or theme.
        StoriesError: when nothing is said in that stretch, or it is none.
    """
    with collection.sessions.begin() as session:
        recording = session.get(models.Recording, recording_id)
        if recording is None:
            raise NotFound(f"There is no recording {recording_id}.")
        if not 0 <= start_ms < end_ms <= recording.duration_ms:
            raise StoriesError(
                f"A clip from {start_ms} to {end_ms} ms does not lie inside the recording, which lasts "
                f"{recording.duration_ms} ms."
            )
        row = store.current_transcript(session, recording_id)
        segments = _segments_in(session, row, Span(start_ms, end_ms))
        if row is None or not segments:
            raise StoriesError(
                "Nothing is said in that stretch, so there is nothing to caption; choose another."
            )
        found = session.query(models.Theme).filter_by(key=theme).one_or_none() if theme else None
        if theme and found is None:
            raise NotFound(f"The codebook has no theme '{theme}'.")
        slug = slug_for(recording.sha256, segments[0].words[0].id, segments[-1].words[-1].id, theme or None)
        if store.clip(session, slug) is not None:
            raise StoriesError(f"This clip is there already: {slug}.")
        session.add(
            models.Clip(
                slug=slug,
                recording_id=recording_id,
                theme_id=found.id if found else None,
                title=title or title_of(segments),
                start_ms=start_ms,
                end_ms=end_ms,
                origin="added",
                links=[link(row, segments)],
            )
        )
        return slug


def link(row: models.Transcript, segments: tuple[Segment, ...]) -> models.ClipLink:
    """Where a clip of these segments lies in this version of the transcript."""
    return models.ClipLink(
        transcript_id=row.id,
        revision=row.revision,
        first_word=segments[0].words[0].id,
        last_word=segments[-1].words[-1].id,
        start_ms=segments[0].start_ms,
        end_ms=segments[-1].end_ms,
        quote=" ".join(segment.text for segment in segments),
        state="found",
    )


def title_of(segments: tuple[Segment, ...]) -> str:
    """A title from the clip's first words, until somebody gives a better one."""
    text = segments[0].text
    if len(text) <= 60:
        return text.rstrip(".")
    return text[:60].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def relink(session: Session, row: models.Transcript, transcript: Transcript) -> None:
    """Find every clip of the recording again in this transcript; what cannot be found needs review.

    An approved clip whose words changed was approved with another text, so it needs review as well.
    """
    if not row.current:
        return
    for clip in store.clips(session, recording_id=row.recording_id):
        held = store.clip_link(session, clip.id, row.id)
        known = held or max(clip.links, key=lambda candidate: candidate.transcript_id)
        segments = _anchored(known, transcript, same_words=held is not None)
        if held is None:
            held = models.ClipLink(
                transcript_id=row.id,
                first_word=known.first_word,
                last_word=known.last_word,
                start_ms=known.start_ms,
                end_ms=known.end_ms,
                quote=known.quote,
            )
            clip.links.append(held)
        _update_link(clip, held, segments, row.revision)


def strangers(session: Session, row: models.Transcript, transcript: Transcript) -> set[str]:
    """The slugs of the recording's clips that hold words of somebody who does not tell the story."""
    tellers = mapping.tellers(session.get_one(models.Recording, row.recording_id))
    if tellers is None:
        return set()
    return {
        clip.slug
        for clip in store.clips(session, recording_id=row.recording_id)
        if (held := store.clip_link(session, clip.id, row.id))
        and any(
            segment.speaker not in tellers
            for segment in segments_between(transcript, held.first_word, held.last_word)
        )
    }


def withdraw(session: Session, slugs: Iterable[str]) -> None:
    """Take back what was proposed in these clips; what somebody added or approved needs review instead."""
    for slug in slugs:
        clip = find_clip(session, slug)
        if clip.state == "proposed" and clip.origin == "proposed":
            session.delete(clip)
        elif clip.state != "rejected":
            clip.state = "needs review"
    session.flush()


def _update_link(
    clip: models.Clip, held: models.ClipLink, segments: tuple[Segment, ...], revision: int
) -> None:
    held.revision = revision
    if not segments:
        held.state = "needs review"
        clip.state = clip.state if clip.state == "rejected" else "needs review"
        return
    quote = " ".join(segment.text for segment in segments)
    if clip.state == "approved" and quote != held.quote:
        clip.state = "needs review"
    held.state = "found"
    held.quote = quote
    held.first_word, held.last_word = segments[0].words[0].id, segments[-1].words[-1].id
    held.start_ms, held.end_ms = segments[0].start_ms, segments[-1].end_ms


def _anchored(held: models.ClipLink, transcript: Transcript, *, same_words: bool) -> tuple[Segment, ...]:
    # Another version of the transcript counts its words anew, so there only the quote can be trusted.
    found = anchor(held.first_word, held.last_word, held.quote, transcript, same_words=same_words)
    return () if found is None else segments_between(transcript, *found)


def segments_between(transcript: Transcript, first_word: str, last_word: str) -> tuple[Segment, ...]:
    """The segments from one word to another, cut to those words; empty when either is not there."""
    order = {word.id: index for index, word in enumerate(transcript.words())}
    if first_word not in order or last_word not in order:
        return ()
    wanted = range(order[first_word], order[last_word] + 1)
    parts = (
        Segment(tuple(word for word in segment.words if order[word.id] in wanted), segment.speaker)
        for segment in transcript.segments
        if any(order[word.id] in wanted for word in segment.words)
    )
    return tuple(parts)


def _segments_in(session: Session, row: models.Transcript | None, span: Span) -> tuple[Segment, ...]:
    if row is None:
        return ()
    inside = (
        Segment(words, segment.speaker)
        for segment in mapping.current_transcript(session, row).segments
        if (words := tuple(word for word in segment.words if (word.start_ms + word.end_ms) // 2 in span))
    )
    return tuple(inside)


def find_clip(session: Session, slug: str) -> models.Clip:
    """The clip of this slug.

    Raises:
        NotFound: when there is none.
    """
    clip = store.clip(session, slug)
    if clip is None:
        raise NotFound(f"There is no clip '{slug}'; `stories clip list` shows all.")
    return clip


def _revoke(clip: models.Clip) -> None:
    for approval in clip.approvals:
        approval.revoked_at = approval.revoked_at or models.now()


def _work(collection: Collection, slug: str) -> _Work:
    with collection.sessions() as session:
        clip = find_clip(session, slug)
        recording = clip.recording
        row = store.current_transcript(session, recording.id)
        transcript = mapping.current_transcript(session, row) if row else Transcript("", ())
        held = store.clip_link(session, clip.id, row.id) if row else None
        return _Work(
            clip_id=clip.id,
            slug=slug,
            kind=recording.kind,
            span=Span(clip.start_ms, clip.end_ms),
            source=original(collection, recording),
            recording_sha256=recording.sha256,
            segments=segments_between(transcript, held.first_word, held.last_word) if held else (),
            names=caption_names(recording),
            made={
                file.kind: file.fingerprint for file in clip.files if collection.absolute(file.path).is_file()
            },
        )


def caption_names(recording: models.Recording) -> dict[int, str]:
    """Names for captions: none where consent asks for a pseudonym."""
    if decide(store.consent_scope(recording), Purpose.PUBLISH).pseudonymise:
        return {}
    return {speaker.number: speaker.name for speaker in recording.speakers if speaker.name}


def captions_of(segments: tuple[Segment, ...], span: Span, names: dict[int, str]) -> bytes:
    """A clip's captions, as the file that is written, approved and published holds them."""
    out = io.StringIO()
    clip_captions(segments, span, out, speaker_names=names)
    return out.getvalue().encode()


def original(collection: Collection, recording: models.Recording) -> Path:
    """The recording's file, wherever a copy of it still lies.

    Raises:
        NotFound: when no copy of it is there any more.
    """
    for file in recording.files:
        path = collection.absolute(file.path)
        if path.is_file():
            return path
    known = ", ".join(file.path for file in recording.files) or "nowhere"
    raise NotFound(f"The recording's file is gone (it was at {known}); put it back and try again.")


def _identity(what: str, work: _Work) -> str:
    """The fingerprint of what is made from this stretch of this recording."""
    return fingerprint(what, CUT_VERSION, work.recording_sha256, work.span.start_ms, work.span.end_ms)


def _media(collection: Collection, work: _Work, info: MediaInfo, folder: Path) -> models.ClipFile | None:
    wanted = _identity("clip media", work)
    if work.made.get("media") == wanted:
        return None
    target = folder / f"{work.slug}{'.mp4' if work.kind == 'video' else '.m4a'}"
    made = media_cut.cut(work.source, target, work.span.start_ms, work.span.end_ms, info)
    return models.ClipFile(
        clip_id=work.clip_id,
        kind="media",
        path=collection.stored(made.path),
        media_type=made.media_type,
        bytes=made.bytes,
        sha256=made.sha256,
        fingerprint=wanted,
        duration_ms=made.duration_ms,
        loudness_lufs=made.loudness_lufs,
        true_peak_db=made.true_peak_db,
    )


def _captions(collection: Collection, work: _Work, folder: Path) -> models.ClipFile | None:
    text = captions_of(work.segments, work.span, work.names)
    digest = hashlib.sha256(text).hexdigest()
    wanted = fingerprint("clip captions", digest)
    if work.made.get("captions") == wanted:
        return None
    target = folder / f"{work.slug}.vtt"
    with atomic_path(target) as temporary:
        temporary.write_bytes(text)
    return models.ClipFile(
        clip_id=work.clip_id,
        kind="captions",
        path=collection.stored(target),
        media_type="text/vtt",
        bytes=len(text),
        sha256=digest,
        fingerprint=wanted,
        duration_ms=work.span.duration_ms,
    )


def _poster(collection: Collection, work: _Work, folder: Path) -> models.ClipFile | None:
    wanted = _identity("clip poster", work)
    if work.made.get("poster") == wanted:
        return None
    target = folder / f"{work.slug}.jpg"
    if work.kind == "video":
        at_ms = work.span.start_ms + min(1000, work.span.duration_ms // 2)
        made = media_poster.poster(work.source, target, at_ms)
    else:
        made = media_poster.waveform_poster(folder / f"{work.slug}.m4a", target)
    return models.ClipFile(
        clip_id=work.clip_id,
        kind="poster",
        path=collection.stored(made.path),
        media_type=made.media_type,
        bytes=made.bytes,
        sha256=made.sha256,
        fingerprint=wanted,
    )
