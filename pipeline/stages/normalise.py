"""Normalise: one loudness for all, a speech rendition to listen to by machine, a web rendition for people."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import models, store
from media.loudness import TARGET_LUFS, TARGET_PEAK_DB, measure
from media.normalise import Rendition, speech_rendition, web_rendition
from media.poster import poster, waveform_poster
from media.probe import probe
from media.waveform import peaks
from pipeline import excerpts
from pipeline.fingerprint import fingerprint
from pipeline.stages import Progress, Work, Write

VERSION = 1


@dataclass(frozen=True, slots=True)
class Normalise:
    """Two-pass EBU R128, then every rendition of the recording."""

    name: str = "normalise"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the loudness aimed at."""
        return fingerprint(self.name, VERSION, upstream, TARGET_LUFS, TARGET_PEAK_DB)

    def intact(self, work: Work) -> bool:
        """Whether every rendition still lies where the database says."""
        with work.collection.sessions() as session:
            recording = session.get_one(models.Recording, work.recording_id)
            paths = [work.collection.absolute(row.path) for row in recording.renditions]
        return len(paths) == 4 and all(path.is_file() for path in paths)

    def run(self, work: Work, progress: Progress) -> Write:
        """Measure, then render.

        Raises:
            MediaError: when the recording cannot be read to its end.
        """
        with work.collection.sessions() as session:
            source = excerpts.original(work.collection, session.get_one(models.Recording, work.recording_id))
        folder = work.collection.derived_for(work.sha256)
        folder.mkdir(parents=True, exist_ok=True)
        info = probe(source)
        video = info.kind == "video"
        loudness = measure(source, progress=_part(progress, 0.0, 0.15))
        speech = speech_rendition(
            source, folder / "speech.flac", loudness, progress=_part(progress, 0.15, 0.4)
        )
        web = web_rendition(
            source,
            folder / ("web.mp4" if video else "web.m4a"),
            info,
            loudness,
            progress=_part(progress, 0.4, 0.97),
        )
        picture = folder / "poster.jpg"
        made = [
            speech,
            web,
            poster(source, picture, min(2000, info.duration_ms // 2))
            if video
            else waveform_poster(speech.path, picture),
            peaks(speech.path, folder / "waveform.json"),
        ]
        progress(1.0)

        def write(session: Session) -> None:
            store.replace_renditions(session, work.recording_id, [_row(work, item) for item in made])

        return write


def _part(progress: Progress, start: float, end: float) -> Progress:
    """The progress of a part of the stage."""
    return lambda share: progress(start + share * (end - start))


def _row(work: Work, made: Rendition) -> models.Rendition:
    return models.Rendition(
        recording_id=work.recording_id,
        kind=made.kind,
        path=work.collection.stored(made.path),
        media_type=made.media_type,
        bytes=made.bytes,
        sha256=made.sha256,
        duration_ms=made.duration_ms,
        loudness_lufs=made.loudness_lufs,
        true_peak_db=made.true_peak_db,
    )
