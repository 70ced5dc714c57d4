"""Values and rows: the only translator between the rooms' values and the database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from db import models, store
from transcripts.edit import retext
from transcripts.model import Segment, Transcript, TranslatedLine, Turn, Word
from transcripts.span import Span


def machine_transcript(session: Session, row: models.Transcript, *, attributed: bool = True) -> Transcript:
    """The transcript as the machine heard it, without any edit; its words are given to speakers when ``attributed``."""
    words = [
        Word(str(word.ordinal), word.start_ms, word.end_ms, word.text, word.probability)
        for word in session.scalars(
            select(models.Word).where(models.Word.transcript_id == row.id).order_by(models.Word.ordinal)
        )
    ]
    spoken_by = _speaker_of_each_word(session, row, len(words)) if attributed else [None] * len(words)
    segments = session.scalars(
        select(models.Segment).where(models.Segment.transcript_id == row.id).order_by(models.Segment.ordinal)
    )
    return Transcript(
        row.language,
        tuple(
            part
            for segment in segments
            for part in _split_by_speaker(
                words[segment.first_word : segment.last_word + 1],
                spoken_by[segment.first_word : segment.last_word + 1],
            )
        ),
    )


def current_transcript(session: Session, row: models.Transcript) -> Transcript:
    """The transcript as people see it: the machine's with the journal of edits on top."""
    if row.revision == 0:
        return machine_transcript(session, row)
    snapshot = session.get(models.Snapshot, row.id)
    if snapshot is not None and snapshot.revision == row.revision:
        return transcript_from_document(snapshot.document)
    return replayed(session, row)


def replayed(
    session: Session, row: models.Transcript, journal: Iterable[models.Edit] | None = None
) -> Transcript:
    """The machine's transcript with every entry of the journal applied in order, or with these entries alone.

    An entry of the correction list holds for the very segment it was made for: once other speakers part or join it,
    the list is laid on what is there then.
    """
    transcript = machine_transcript(session, row)
    for entry in store.journal(session, row.id) if journal is None else journal:
        if entry.author == store.LIST_AUTHOR and not _is_a_segment(transcript, entry.change["words"]):
            transcript = replace(transcript, revision=entry.revision)
            continue
        transcript = apply_edit(transcript, entry.kind, entry.change, entry.revision)
    return transcript


def apply_edit(transcript: Transcript, kind: str, change: dict[str, Any], revision: int) -> Transcript:
    """The transcript after one entry of the journal.

    An entry names the words it means, so it finds its place again after the speakers were sought anew; one whose
    words are all gone changes nothing.
    """
    if kind == "assign-speaker":
        given = _given(transcript.segments, set(change["words"]), change["speaker"])
        return replace(transcript, segments=given, revision=revision)
    before, meant, after = _around(transcript.segments, set(change.get("words", ())))
    if meant:
        whole = Segment(tuple(word for segment in meant for word in segment.words), meant[0].speaker)
        if kind == "retext":
            meant = (retext(whole, change["text"], revision),)
    return replace(transcript, segments=(*before, *meant, *after), revision=revision)


def _is_a_segment(transcript: Transcript, words: list[str]) -> bool:
    return any(
        segment.id == words[0] and [word.id for word in segment.words] == words
        for segment in transcript.segments
    )


def _given(segments: Iterable[Segment], words: set[str], speaker: int | None) -> tuple[Segment, ...]:
    """The segments with these words given to a speaker; one is parted where its words go to two."""
    parts: list[Segment] = []
    for segment in segments:
        for inside, run in groupby(segment.words, key=lambda word: word.id in words):
            parts.append(Segment(tuple(run), speaker if inside else segment.speaker))
    return tuple(parts)


def _around(
    segments: tuple[Segment, ...], words: set[str]
) -> tuple[tuple[Segment, ...], tuple[Segment, ...], tuple[Segment, ...]]:
    """The segments before, with and after those that hold any of the words."""
    held = [
        index for index, segment in enumerate(segments) if any(word.id in words for word in segment.words)
    ]
    if not held:
        return segments, (), ()
    first, last = held[0], held[-1] + 1
    return segments[:first], segments[first:last], segments[last:]


def transcript_document(transcript: Transcript) -> dict[str, Any]:
    """The transcript as plain JSON; words hold the fields of Word."""
    # Not dataclasses.asdict: it copies deeply, which takes a second for three hours of talk.
    return {
        "language": transcript.language,
        "revision": transcript.revision,
        "segments": [
            {"speaker": segment.speaker, "words": [word_document(word) for word in segment.words]}
            for segment in transcript.segments
        ],
    }


def word_document(word: Word) -> dict[str, Any]:
    """The word as plain JSON."""
    return {
        "id": word.id,
        "start_ms": word.start_ms,
        "end_ms": word.end_ms,
        "text": word.text,
        "probability": word.probability,
    }


def transcript_from_document(document: dict[str, Any]) -> Transcript:
    """The transcript that ``transcript_document`` wrote."""
    return Transcript(
        language=document["language"],
        segments=tuple(
            Segment(tuple(Word(**word) for word in segment["words"]), segment["speaker"])
            for segment in document["segments"]
        ),
        revision=document["revision"],
    )


def translated_lines(rows: Iterable[models.Translation]) -> list[TranslatedLine]:
    """A translation's lines."""
    return [TranslatedLine(row.start_ms, row.end_ms, row.text) for row in rows]


def translation_rows(lines: Iterable[TranslatedLine]) -> list[models.Translation]:
    """The rows of a translation."""
    return [
        models.Translation(ordinal=ordinal, start_ms=line.start_ms, end_ms=line.end_ms, text=line.text)
        for ordinal, line in enumerate(lines)
    ]


def speaker_names(recording: models.Recording, *, pseudonymise: bool = False) -> dict[int, str]:
    """The name that people see, for each speaker's number; nobody's own where the gate says ``pseudonymise``."""
    return {
        speaker.number: speaker.pseudonym if pseudonymise else speaker.label for speaker in recording.speakers
    }


def tellers(recording: models.Recording) -> frozenset[int] | None:
    """The speakers whose words can become clips: the storytellers, where nobody is one those of no known role.

    None when nobody was told apart: then it is one voice.
    """
    if not recording.speakers:
        return None
    roles = {speaker.number: speaker.role for speaker in recording.speakers}
    wanted = "storyteller" if "storyteller" in roles.values() else ""
    return frozenset(number for number, role in roles.items() if role == wanted)


def spans_to_json(spans: Iterable[Span]) -> list[Any]:
    """Spans as a JSON column keeps them."""
    return [[span.start_ms, span.end_ms] for span in spans]


def spans_from_json(listed: Sequence[Sequence[int]]) -> tuple[Span, ...]:
    """Spans from a JSON column."""
    return tuple(Span(start_ms, end_ms) for start_ms, end_ms in listed)


def turn_rows(turns: Iterable[Turn], number: int) -> list[models.Turn]:
    """The rows of one speaker's turns."""
    return [
        models.Turn(start_ms=turn.start_ms, end_ms=turn.end_ms) for turn in turns if turn.speaker == number
    ]


def attribution_runs(transcript: Transcript) -> list[tuple[int, int, int]]:
    """Runs of a machine transcript's words by one speaker: (first ordinal, last ordinal, speaker's number)."""
    runs: list[tuple[int, int, int]] = []
    for segment in transcript.segments:
        if segment.speaker is None:
            continue
        first, last = int(segment.words[0].id), int(segment.words[-1].id)
        if runs and runs[-1][2] == segment.speaker and runs[-1][1] + 1 == first:
            runs[-1] = (runs[-1][0], last, segment.speaker)
        else:
            runs.append((first, last, segment.speaker))
    return runs


def _speaker_of_each_word(session: Session, row: models.Transcript, count: int) -> list[int | None]:
    spoken_by: list[int | None] = [None] * count
    for run, number in session.execute(
        select(models.Attribution, models.Speaker.number)
        .join(models.Speaker, models.Speaker.id == models.Attribution.speaker_id)
        .where(models.Attribution.transcript_id == row.id)
    ):
        spoken_by[run.first_word : run.last_word + 1] = [number] * (run.last_word - run.first_word + 1)
    return spoken_by


def _split_by_speaker(words: Sequence[Word], spoken_by: Sequence[int | None]) -> list[Segment]:
    parts: list[Segment] = []
    start = 0
    for index in range(1, len(words) + 1):
        if index == len(words) or spoken_by[index] != spoken_by[start]:
            parts.append(Segment(tuple(words[start:index]), spoken_by[start]))
            start = index
    return parts
