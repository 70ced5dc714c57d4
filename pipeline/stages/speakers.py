"""Speakers: who spoke when, and which words are whose.

A transcript that was imported may say itself who speaks: then its labels decide whose the words are, and a voice
that says most of a label's words takes its name, unless it has one.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, indexing, mapping, voiceprints
from pipeline.fingerprint import fingerprint
from pipeline.stages import Progress, Work, Write
from pipeline.stages.transcribe import speech_path
from transcripts.model import Transcript
from transcripts.span import Span, merge, shared
from transcripts.speakers import Diarization, SpeakerHints, Voice, attribute, diarize
from transcripts.speech import voiced_spans

VERSION = 4
SINGLE = {"self-recorded": True, "interview": False}
"""Whether one voice is to be expected, by how the story was told."""
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
        return fingerprint(self.name, VERSION, upstream, *_known(work))

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
        speech = tuple(voiced_spans(path))
        progress(0.2)
        count, method = _known(work)
        hints = SpeakerHints(count=count or _labelled_voices(work), single=SINGLE.get(method))
        duration_ms = max(1, work.duration_ms)
        found = diarize(
            path, speech, hints, lambda done_ms: progress(min(1.0, 0.2 + 0.8 * done_ms / duration_ms))
        )

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


def _known(work: Work) -> tuple[int, str]:
    """How many voices an editor or the settings say there are, 0 when nobody does, and how the story was told."""
    with work.collection.sessions() as session:
        recording = session.get_one(models.Recording, work.recording_id)
        count = recording.speaker_count or work.collection.settings.speakers.count
        return count, recording.story.method if recording.story else ""


def _write(session: Session, recording_id: int, speech: tuple[Span, ...], found: Diarization) -> None:
    recording = session.get_one(models.Recording, recording_id)
    heard = [row for row in recording.transcripts if row.current or row is recording.transcripts[-1]]
    held = _held(session, recording)
    numbers = _numbers(session, found, held)
    attributed: dict[int, Transcript] = {}
    names: dict[int, dict[int, str]] = {}
    for row in heard:
        labels = _labels(session, row)
        bare = attribute(mapping.machine_transcript(session, row, attributed=False), found)
        said = _named(bare, labels)
        attributed[row.id] = _renumbered(_by_label(bare, labels, said), numbers)
        names[row.id] = {numbers[voice]: label for voice, label in said.items()}
    seen = next(row for row in heard if row.current)
    _replace_speakers(
        session, recording, _as_numbered(found, numbers), attributed[seen.id], names[seen.id], held
    )
    session.merge(
        models.Speech(
            recording_id=recording_id,
            spans=mapping.spans_to_json(speech),
            overlaps=mapping.spans_to_json(found.overlaps),
            uncertain=found.uncertain,
        )
    )
    for row in heard:
        _replace_attributions(session, recording_id, row, attributed[row.id])
    current = mapping.replayed(session, seen)
    indexing.index(session, seen, current)
    excerpts.relink(session, seen, current)


@dataclass(frozen=True, slots=True)
class _Held:
    """An earlier speaker: several voices that were ``merged`` into it are one; ``given`` words, it does not vanish."""

    speaker: models.Speaker
    spans: tuple[Span, ...]
    merged: bool
    given: bool


def _held(session: Session, recording: models.Recording) -> list[_Held]:
    """The earlier speakers, whose numbers mean something once an editor touched one of them; none before that."""
    entries = [
        entry.change
        for row in recording.transcripts
        for entry in store.journal(session, row.id)
        if entry.kind == "assign-speaker"
    ]
    given = {change["speaker"] for change in entries}
    merged = {change["speaker"] for change in entries if "merged" in change}
    touched = any(
        one.name or one.role_by == "editor" or one.refused or not one.voiceprint or one.number in given
        for one in recording.speakers
    )
    return [
        _Held(
            speaker,
            tuple(Span(turn.start_ms, turn.end_ms) for turn in speaker.turns),
            speaker.number in merged,
            speaker.number in given,
        )
        for speaker in recording.speakers
        if touched
    ]


def _numbers(session: Session, found: Diarization, held: list[_Held]) -> dict[int, int]:
    """The number of each voice found: a held speaker's where it is the same voice, else one that nobody had."""
    numbers: dict[int, int] = {}
    for voice in sorted(found.voices, key=lambda voice: (-voice.speech_ms, voice.speaker)):
        known = _same_voice([turn.span for turn in found.turns if turn.speaker == voice.speaker], held)
        if known is not None and (known.merged or known.speaker.number not in numbers.values()):
            numbers[voice.speaker] = known.speaker.number
    taken = {one.speaker.number for one in held}
    for one in held[:1]:
        taken |= store.numbers_in_journal(session, one.speaker.recording_id)
    free = (number for number in itertools.count(1) if number not in taken)
    for voice in sorted(found.voices, key=lambda voice: voice.speaker):
        if voice.speaker not in numbers:
            numbers[voice.speaker] = next(free)
    return numbers


def _as_numbered(found: Diarization, numbers: dict[int, int]) -> Diarization:
    """The same voices under other numbers; two of one number are one."""
    voices: dict[int, list[Voice]] = {}
    for voice in found.voices:
        voices.setdefault(numbers[voice.speaker], []).append(voice)
    return replace(
        found,
        turns=tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in found.turns),
        voices=tuple(_one_voice(number, parts) for number, parts in voices.items()),
    )


def _one_voice(number: int, parts: list[Voice]) -> Voice:
    """What several parts of a voice sound like together, the longer ones more."""
    total = np.sum([max(1, part.speech_ms) * np.asarray(part.embedding) for part in parts], axis=0)
    mean = parts[0].embedding if len(parts) == 1 else tuple((total / np.linalg.norm(total)).tolist())
    return Voice(number, mean, sum(part.speech_ms for part in parts))


def _renumbered(transcript: Transcript, numbers: dict[int, int]) -> Transcript:
    return replace(
        transcript,
        segments=tuple(
            segment if segment.speaker is None else replace(segment, speaker=numbers[segment.speaker])
            for segment in transcript.segments
        ),
    )


def _replace_speakers(
    session: Session,
    recording: models.Recording,
    found: Diarization,
    transcript: Transcript,
    names: dict[int, str],
    held: list[_Held],
) -> None:
    """Put the voices found in the place of the earlier ones; what an editor said of one goes with its number."""
    known = {one.speaker.number: one.speaker for one in held}
    scope = store.consent_scope(recording)
    roles = _roles(transcript, found)
    rows = []
    for voice in found.voices:
        before = known.get(voice.speaker)
        row = _like(before, recording.id, voice.speaker)
        if not row.name and not _NO_NAME.fullmatch(names.get(voice.speaker, "")):
            row.name = names.get(voice.speaker, "")
        if row.role_by != "editor":
            row.role, row.role_by = roles.get(voice.speaker, ""), "machine"
        row.speech_ms = voice.speech_ms
        row.turns = mapping.turn_rows(found.turns, voice.speaker)
        if voiceprints.may_keep(row, before.person if before else None, scope):
            row.embedding = np.asarray(voice.embedding, np.float32).tobytes()
            row.encoder = voiceprints.ENCODER
        rows.append(row)
    there = {row.number for row in rows}
    rows += [_unheard(one, recording.id) for one in held if one.given and one.speaker.number not in there]
    for turn in [turn for one in held for turn in one.speaker.turns]:
        # the database takes them out with their speaker, and the session must not take new rows for them
        session.expunge(turn)
    session.execute(delete(models.Speaker).where(models.Speaker.recording_id == recording.id))
    session.expire(recording, ["speakers"])
    session.add_all(rows)
    session.flush()


def _like(known: models.Speaker | None, recording_id: int, number: int) -> models.Speaker:
    """A new row for a speaker, with what an editor said of the earlier one."""
    if known is None:
        return models.Speaker(
            recording_id=recording_id, number=number, name="", role="", role_by="machine", voiceprint=True
        )
    return models.Speaker(
        recording_id=recording_id,
        number=number,
        name=known.name,
        role=known.role,
        role_by=known.role_by,
        person_id=known.person_id,
        voiceprint=known.voiceprint,
        refused=known.refused,
    )


def _unheard(one: _Held, recording_id: int) -> models.Speaker:
    """A speaker to whom an editor gave words, and whom the machine does not tell from another."""
    row = _like(one.speaker, recording_id, one.speaker.number)
    row.turns = [models.Turn(start_ms=span.start_ms, end_ms=span.end_ms) for span in one.spans]
    row.speech_ms = one.speaker.speech_ms
    return row


def _same_voice(spans: list[Span], held: list[_Held]) -> _Held | None:
    """The held speaker that was heard in most of these spans, when that is more than half of them."""
    total = _sum_ms(spans)
    common = [(_sum_ms(shared(merge(spans), merge(one.spans))), one) for one in held]
    # words that were given away lie in two speakers' turns: the narrower one is meant
    most, known = max(common, key=lambda pair: (pair[0], -_sum_ms(pair[1].spans)), default=(0, None))
    return known if most * 2 > total else None


def _sum_ms(spans: Iterable[Span]) -> int:
    return sum(span.duration_ms for span in spans)


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
