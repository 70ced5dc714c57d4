"""Transcribe: Whisper hears the speech rendition and writes a new version of the transcript."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, given, indexing, mapping
from pipeline.errors import NotFound
from pipeline.fingerprint import fingerprint, of_file
from pipeline.names import nfc
from pipeline.stages import Progress, Work, Write
from pipeline.vocabulary import terms
from transcripts import engines
from transcripts.engines import RecogniserOptions, Recognition

VERSION = 2


@dataclass(frozen=True, slots=True)
class Transcribe:
    """Recognition with word times."""

    name: str = "transcribe"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the engine, the model, the language and the vocabulary."""
        settings = work.collection.settings.transcription
        return fingerprint(
            self.name,
            VERSION,
            upstream,
            settings.engine,
            _model_identity(settings.model),
            _language(work),
            settings.beam_size,
            _vocabulary(work),
            # only when asked for, so that what was done without it stays done
            *(["translate"] if _translate(work) else []),
            *(["given", given.identity(path)] if (path := given.find(work)) else []),
        )

    def intact(self, work: Work) -> bool:
        """Whether there is a transcript."""
        with work.collection.sessions() as session:
            return store.current_transcript(session, work.recording_id) is not None

    def run(self, work: Work, progress: Progress) -> Write:
        """Hear the whole recording; where there is a transcript already, find its words instead.

        Raises:
            TranscriptsError: when the model, the language, the audio or the given transcript is not as it must be.
            NotFound: when the intake names a transcript that is not there.
        """
        settings = work.collection.settings.transcription
        options = RecogniserOptions(
            model=_model_path(work, settings.model),
            language=_language(work) or None,
            vocabulary=_vocabulary(work),
            translate=_translate(work),
            beam_size=settings.beam_size,
            seed=int(work.sha256[:8], 16),
        )
        recogniser = engines.load(settings.engine)
        sound, tell = speech_path(work), lambda done_ms: progress(done_ms / max(1, work.duration_ms))
        source = given.find(work)
        if source is None:
            heard = recogniser.transcribe(sound, options, tell)
        else:
            heard = recogniser.align(sound, given.read(work, source), options, tell)
        progress(1.0)

        def write(session: Session) -> None:
            row = store.add_transcript(session, _row(work, heard, source))
            _insert_words(session, row, heard)
            if row.current:
                transcript = mapping.machine_transcript(session, row)
                indexing.index(session, row, transcript)
                excerpts.relink(session, row, transcript)

        return write


def speech_path(work: Work) -> Path:
    """The speech rendition's file.

    Raises:
        NotFound: when it was not made.
    """
    with work.collection.sessions() as session:
        row = store.rendition(session, work.recording_id, "speech")
        if row is None:
            raise NotFound(f"{work.name} has no speech rendition; run `stories process` again.")
        return work.collection.absolute(row.path)


def _row(work: Work, heard: Recognition, source: Path | None) -> models.Transcript:
    return models.Transcript(
        recording_id=work.recording_id,
        origin="import" if source else "machine",
        source=work.collection.stored(source) if source else "",
        engine=heard.engine,
        model=heard.model,
        model_sha256=heard.model_sha256,
        language=heard.language,
        language_probability=heard.language_probability,
        revision=0,
        prompted=list(heard.prompted),
        other_languages=list(heard.other_languages),
        translation=mapping.translation_rows(heard.translation),
    )


def _insert_words(session: Session, row: models.Transcript, heard: Recognition) -> None:
    transcript_id, labels = row.id, heard.labels or [""] * len(heard.measures)
    words = [
        {
            "transcript_id": transcript_id,
            "ordinal": int(word.id),
            "start_ms": word.start_ms,
            "end_ms": word.end_ms,
            "text": word.text,
            "probability": word.probability,
        }
        for word in heard.transcript.words()
    ]
    segments = [
        {
            "transcript_id": transcript_id,
            "ordinal": ordinal,
            "first_word": int(segment.words[0].id),
            "last_word": int(segment.words[-1].id),
            "start_ms": segment.start_ms,
            "end_ms": segment.end_ms,
            "avg_logprob": measures.avg_logprob,
            "compression_ratio": measures.compression_ratio,
            "no_speech_prob": measures.no_speech_prob if row.origin == "machine" else None,
            "label": nfc(label),
        }
        for ordinal, (segment, measures, label) in enumerate(
            zip(heard.transcript.segments, heard.measures, labels, strict=True)
        )
    ]
    if words:
        session.execute(insert(models.Word), words)
        session.execute(insert(models.Segment), segments)


def _language(work: Work) -> str:
    """The intake's language for this recording, else the collection's; empty: to be found."""
    with work.collection.sessions() as session:
        recording = session.get_one(models.Recording, work.recording_id)
        told = recording.story.language if recording.story else ""
    return told or work.collection.settings.transcription.language


def _translate(work: Work) -> bool:
    """Whether an English text is wanted beside what is said; of a recording told in English there is none."""
    return work.collection.settings.transcription.translate and _language(work).lower() not in (
        "en",
        "english",
    )


def _vocabulary(work: Work) -> tuple[str, ...]:
    with work.collection.sessions() as session:
        return terms(session.get_one(models.Recording, work.recording_id), work.collection.root)


def _model_path(work: Work, model: str) -> str:
    """A relative path to weights counts from the collection's folder."""
    inside = work.collection.root / model
    return str(inside) if inside.is_file() else model


def _model_identity(model: str) -> str:
    if model in engines.BUILTIN_MODELS:
        return f"{model}:{of_file(engines.builtin_path(model))}"
    path = Path(model).expanduser()
    if path.is_file():
        facts = path.stat()
        return f"{model}:{facts.st_size}:{facts.st_mtime_ns}"
    return model
