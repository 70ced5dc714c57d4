"""Ingest: which files there are, which recordings their bytes are, and which intake line belongs to each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.orm import Session

from db import models, store
from media.errors import MediaError, NoSound
from media.hashing import sha256_file
from media.probe import MediaInfo, probe
from pipeline import given, intake, voiceprints
from pipeline.collection import Collection
from pipeline.errors import ConfigError, IntakeError
from pipeline.fingerprint import fingerprint
from pipeline.intake import Intake, IntakeLine
from pipeline.stages import Work

NAME = "ingest"
VERSION = 1

MEDIA_SUFFIXES = frozenset(
    ".aac .ac3 .aif .aiff .amr .asf .avi .caf .flac .flv .m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpeg .mpg "
    ".mts .m2ts .oga .ogg .ogv .opus .ts .wav .webm .wma .wmv .3g2 .3gp".split()
)
"""What a folder is searched for; a file named on the command line is always tried."""

Announce = Callable[[Path, float], None]
"""Told which file is being read, and how much of it, 0 to 1."""


@dataclass
class Ingested:
    """What was found: recordings to take on, and everything a producer should know."""

    works: list[Work] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    duplicates: dict[str, str] = field(default_factory=dict)
    passed_over: list[str] = field(default_factory=list)
    without_line: list[str] = field(default_factory=list)
    lines_without_file: list[str] = field(default_factory=list)
    intake_problems: list[str] = field(default_factory=list)
    transcripts_of_none: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Look:
    """One file, read without any session held."""

    path: Path
    bytes: int
    mtime_ns: int
    sha256: str
    info: MediaInfo | None
    problem: str


def ingest(collection: Collection, paths: Sequence[Path], announce: Announce) -> Ingested:
    """Find, hash, probe and join every file in ``paths``; all of ``recordings/`` when none is given.

    Raises:
        ConfigError: when a path is not there.
    """
    found = Ingested()
    lines = _intake(collection, found)
    matched: list[IntakeLine] = []
    for path in _files(collection, paths, found):
        look = _look(collection, path, announce)
        if look is None:
            continue
        line = lines.find(path.absolute(), collection.recordings)
        if line is not None:
            matched.append(line)
        with collection.sessions.begin() as session:
            _note(session, collection, look, line, found)
    if not paths:
        found.lines_without_file = [
            f"intake.csv line {line.line}: '{line.file}' is not in recordings/."
            for line in lines.without_file(matched)
        ]
        found.transcripts_of_none = given.of_none(collection, found.works)
    return found


def _intake(collection: Collection, found: Ingested) -> Intake:
    try:
        lines = intake.read(collection.root / "intake.csv")
    except IntakeError as error:
        found.intake_problems.append(str(error))
        return Intake()
    found.intake_problems.extend(lines.problems)
    return lines


def _files(collection: Collection, paths: Sequence[Path], found: Ingested) -> list[Path]:
    if not paths:
        collection.recordings.mkdir(exist_ok=True)
    files: dict[Path, None] = {}
    for path in paths or [collection.recordings]:
        if path.is_dir():
            files.update(dict.fromkeys(_media_in(path, found)))
        elif path.exists():
            files[path] = None
        else:
            raise ConfigError(f"There is no file or folder {path}.")
    return list(files)


def _media_in(folder: Path, found: Ingested) -> Iterable[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not path.is_file():
            continue
        if path.suffix.lower() in MEDIA_SUFFIXES:
            yield path
        else:
            found.passed_over.append(path.name)


def _look(collection: Collection, path: Path, announce: Announce) -> _Look | None:
    """Read one file; what is known and unchanged is not read again."""
    announce(path, 0.0)
    facts = path.stat()
    with collection.sessions() as session:
        known = store.source_file(session, collection.stored(path))
        unchanged = (
            known is not None
            and known.recording_id is not None
            and (known.bytes, known.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
        )
        if known is not None and unchanged:
            return _Look(path, facts.st_size, facts.st_mtime_ns, known.sha256, None, "")
    sha256 = sha256_file(path, lambda share: announce(path, share))
    try:
        info = probe(path)
        if not info.has_audio:
            raise NoSound(
                f"{path.name} has no sound, so there is no story to hear; export it again with its sound."
            )
    except MediaError as error:
        return _Look(path, facts.st_size, facts.st_mtime_ns, sha256, None, str(error))
    return _Look(path, facts.st_size, facts.st_mtime_ns, sha256, info, "")


def _note(
    session: Session, collection: Collection, look: _Look, line: IntakeLine | None, found: Ingested
) -> None:
    stored = collection.stored(look.path)
    recording = None if look.problem else _recording(session, look)
    row = store.source_file(session, stored) or models.SourceFile(path=stored)
    row.bytes, row.mtime_ns, row.sha256 = look.bytes, look.mtime_ns, look.sha256
    row.recording, row.problem = recording, look.problem
    session.add(row)
    session.flush()
    _note_run(session, look)
    if recording is None:
        found.failed[stored] = look.problem
        return
    _join(session, recording, line, stored, found)
    twin = next((work for work in found.works if work.sha256 == recording.sha256), None)
    if twin is not None:
        found.duplicates[stored] = twin.name
        return
    found.works.append(
        Work(
            collection,
            recording.id,
            recording.sha256,
            recording.kind,
            recording.duration_ms,
            stored,
            line.transcript if line else "",
        )
    )


def _recording(session: Session, look: _Look) -> models.Recording:
    recording = store.recording_by_sha256(session, look.sha256)
    if recording is None:
        info = look.info or probe(look.path)
        recording = models.Recording(
            sha256=look.sha256,
            kind=info.kind,
            container=info.container,
            bytes=look.bytes,
            duration_ms=info.duration_ms,
            audio_codec=info.audio_codec,
            sample_rate_hz=info.sample_rate_hz,
            channels=info.channels,
            video_codec=info.video_codec,
            width=info.width,
            height=info.height,
            rotation=info.rotation,
            frame_rate=info.frame_rate,
            variable_frame_rate=info.variable_frame_rate,
        )
        session.add(recording)
        session.flush()
    return recording


def _join(
    session: Session,
    recording: models.Recording,
    line: IntakeLine | None,
    stored: str,
    found: Ingested,
) -> None:
    if line is not None:
        intake.apply(session, recording, line)
    elif recording.story is None:
        found.without_line.append(stored)
    voiceprints.drop_unallowed(session, recording.speakers)


def _note_run(session: Session, look: _Look) -> None:
    key = store.StageKey(look.sha256, NAME, fingerprint(NAME, VERSION))
    if look.problem or not store.is_done(session, key):
        store.finish(session, store.begin(session, key).id, look.problem)
