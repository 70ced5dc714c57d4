"""Speakers: who spoke when, and which words are whose.

A transcript that was imported may say itself who speaks: then its labels decide whose the words are, and a voice
that says most of a label's words takes its name, unless it has one.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, indexing, mapping
from pipeline.fingerprint import fingerprint
from pipeline.gate import Purpose, decide
from pipeline.stages import Progress, Work, Write
from pipeline.stages.transcribe import speech_path
from transcripts.model import Transcript
from transcripts.span import Span, merge
from transcripts.speakers import Diarization, SpeakerHints, attribute, diarize
from transcripts.speech import speech_spans

VERSION = 1
LABEL_SHARE = 0.05
"""A label with less of the words is not counted as a voice: too little is heard of it."""
_NO_NAME = re.compile(r"\w+ \d+|.")
"""Labels that tell speakers apart but name none: "Speaker 2", "Q"."""


@dataclass(frozen=True, slots=True)
class Speakers:
    """Voice activity, voices, words to voices."""

    name: str = "speakers"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of how many voices to expect and how the story was told."""
        return fingerprint(
            self.name, VERSION, upstream, work.collection.settings.speakers.count, _method(work)
        )

    def intact(self, work: Work) -> bool:
        """Whether the voices are in the database."""
        with work.collection.sessions() as session:
            return store.speech(session, work.recording_id) is not None

    def run(self, work: Work, progress: Progress) -> Write:
        """Listen for voices, then give each of them its words.

        Raises:
            SpeakersUnavailable: when the voice encoder is not installed.
        """
        path = speech_path(work)
        speech = tuple(speech_spans(path))
        progress(0.2)
        hints = SpeakerHints(
            count=work.collection.settings.speakers.count or _labelled_voices(work),
            single=True if _method(work) == "self-recorded" else None,
        )
        found = diarize(path, speech, hints, lambda share: progress(0.2 + 0.8 * share))

        def write(session: Session) -> None:
            _write(session, work.recording_id, speech, found)

        return write


def _labelled_voices(work: Work) -> int | None:
    """How many speak by the imported transcript's own account; None when it does not say, or names only one."""
    with work.collection.sessions() as session:
        row = store.current_transcript(session, work.recording_id)
        words = Counter(_labels(session, row).values()) if row else Counter[str]()
    count = sum(said >= LABEL_SHARE * words.total() for said in words.values())
    return count if count > 1 else None


def _labels(session: Session, row: models.Transcript) -> dict[str, str]:
    """Who says each word, by its identity, as far as an imported transcript tells."""
    segments = session.scalars(
        select(models.Segment).where(models.Segment.transcript_id == row.id, models.Segment.label != "")
    )
    return {
        str(word): segment.label
        for segment in segments
        for word in range(segment.first_word, segment.last_word + 1)
    }


def _named(transcript: Transcript, labels: dict[str, str]) -> dict[int, str]:
    """The label of each voice that says mostly the words of one, and more of them than any other voice."""
    said = Counter(
        (segment.speaker, labels.get(word.id, ""))
        for segment in transcript.segments
        for word in segment.words
    )
    of_voice: Counter[int | None] = Counter()
    for (speaker, _), count in said.items():
        of_voice[speaker] += count
    names: dict[int, str] = {}
    for (speaker, label), count in said.most_common():
        if speaker is not None and label and label not in names.values() and count * 2 > of_voice[speaker]:
            names[speaker] = label
    return names


def _by_label(transcript: Transcript, labels: dict[str, str], names: dict[int, str]) -> Transcript:
    """Give labelled segments to the voice of their label; where it has none, to nobody."""
    numbers = {label: number for number, label in names.items()}
    return replace(
        transcript,
        segments=tuple(
            replace(segment, speaker=numbers.get(labels[segment.id])) if segment.id in labels else segment
            for segment in transcript.segments
        ),
    )


def _method(work: Work) -> str:
    with work.collection.sessions() as session:
        recording = session.get_one(models.Recording, work.recording_id)
        return recording.story.method if recording.story else ""


def _write(session: Session, recording_id: int, speech: tuple[Span, ...], found: Diarization) -> None:
    recording = session.get_one(models.Recording, recording_id)
    heard = [row for row in recording.transcripts if row.current or row is recording.transcripts[-1]]
    attributed = {
        row.id: attribute(mapping.machine_transcript(session, row, attributed=False), found) for row in heard
    }
    names: dict[int, dict[int, str]] = {}
    for row in heard:
        labels = _labels(session, row)
        names[row.id] = _named(attributed[row.id], labels)
        attributed[row.id] = _by_label(attributed[row.id], labels, names[row.id])
    seen = next(row for row in heard if row.current)
    _replace_speakers(session, recording, found, attributed[seen.id], names[seen.id])
    session.merge(
        models.Speech(
            recording_id=recording_id,
            spans=mapping.spans_to_json(speech),
            overlaps=mapping.spans_to_json(found.overlaps),
        )
    )
    for row in heard:
        _replace_attributions(session, recording_id, row, attributed[row.id])
    current = mapping.replayed(session, seen)
    indexing.index(session, seen, current)
    excerpts.relink(session, seen, current)


def _replace_speakers(
    session: Session,
    recording: models.Recording,
    found: Diarization,
    transcript: Transcript,
    names: dict[int, str],
) -> None:
    """Put the voices found in the place of the earlier ones; a name or role that one had goes with its voice."""
    earlier = [
        (speaker, [Span(turn.start_ms, turn.end_ms) for turn in speaker.turns])
        for speaker in recording.speakers
        if speaker.name or speaker.role_by == "editor"
    ]
    keep_voices = decide(store.consent_scope(recording), Purpose.VOICEPRINT).allowed
    roles = _roles(transcript, found)
    rows = []
    for voice in found.voices:
        row = models.Speaker(
            recording_id=recording.id,
            number=voice.speaker,
            role=roles.get(voice.speaker, ""),
            speech_ms=voice.speech_ms,
            embedding=np.asarray(voice.embedding, np.float32).tobytes() if keep_voices else None,
        )
        spans = [turn.span for turn in found.turns if turn.speaker == voice.speaker]
        known = _same_voice(spans, earlier)
        if not _NO_NAME.fullmatch(names.get(voice.speaker, "")):
            row.name = names.get(voice.speaker, "")
        if known is not None:
            row.name = known.name or row.name
            if known.role_by == "editor":
                row.role, row.role_by = known.role, "editor"
        row.turns = mapping.turn_rows(found.turns, voice.speaker)
        rows.append(row)
    session.execute(delete(models.Speaker).where(models.Speaker.recording_id == recording.id))
    session.expire(recording, ["speakers"])
    session.add_all(rows)
    session.flush()


def _same_voice(spans: list[Span], earlier: list[tuple[models.Speaker, list[Span]]]) -> models.Speaker | None:
    """The earlier speaker that was heard in most of these spans, when that is more than half of them."""
    total = sum(span.duration_ms for span in spans)
    shared = [
        (sum(a.overlap_ms(b) for a in merge(spans) for b in merge(held)), speaker)
        for speaker, held in earlier
    ]
    most, speaker = max(shared, key=lambda pair: pair[0], default=(0, None))
    return speaker if most * 2 > total else None


def _roles(transcript: Transcript, found: Diarization) -> dict[int, str]:
    """Who tells and who asks, as far as it shows: the storyteller speaks most, the interviewer asks most.

    With more than two voices only the storyteller is named; an editor names the others.
    """
    if not found.voices:
        return {}
    teller = max(found.voices, key=lambda voice: (voice.speech_ms, -voice.speaker)).speaker
    roles = {teller: "storyteller"}
    others = [voice.speaker for voice in found.voices if voice.speaker != teller]
    if len(others) == 1 and _questions(transcript, others[0]) >= _questions(transcript, teller):
        roles[others[0]] = "interviewer"
    return roles


def _questions(transcript: Transcript, speaker: int) -> int:
    return sum(segment.speaker == speaker and segment.text.endswith("?") for segment in transcript.segments)


def _replace_attributions(
    session: Session, recording_id: int, row: models.Transcript, transcript: Transcript
) -> None:
    session.execute(delete(models.Attribution).where(models.Attribution.transcript_id == row.id))
    session.execute(delete(models.Snapshot).where(models.Snapshot.transcript_id == row.id))
    ids = {
        speaker.number: speaker.id
        for speaker in session.query(models.Speaker).filter_by(recording_id=recording_id)
    }
    runs = [
        {"transcript_id": row.id, "first_word": first, "last_word": last, "speaker_id": ids[number]}
        for first, last, number in mapping.attribution_runs(transcript)
    ]
    if runs:
        session.execute(insert(models.Attribution), runs)
