"""Questions and answers: every query takes a Session and knows neither Click nor ffmpeg."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, delete, func, select, text, update
from sqlalchemy.orm import Session, selectinload

from db.models import (
    Clip,
    ClipFile,
    ClipLink,
    Consent,
    Edit,
    Person,
    Recording,
    Rendition,
    SourceFile,
    Speaker,
    Speech,
    StageRun,
    Story,
    Storyteller,
    Theme,
    Transcript,
    Translation,
    now,
)

SHOWN = ("proposed", "accepted")
"""The states of a theme that a passage is shown to have."""

LIST_AUTHOR = "corrections.txt"
"""Who stands in the journal for what the correction list changed."""

# Recordings and files


def source_file(session: Session, path: str) -> SourceFile | None:
    """The file of this stored path, when it was seen before."""
    return session.scalar(select(SourceFile).where(SourceFile.path == path))


def source_files(session: Session) -> Sequence[SourceFile]:
    """Every file seen, by path."""
    return session.scalars(
        select(SourceFile).options(selectinload(SourceFile.recording)).order_by(SourceFile.path)
    ).all()


def recording_by_sha256(session: Session, sha256: str) -> Recording | None:
    """The recording of these bytes."""
    return session.scalar(select(Recording).where(Recording.sha256 == sha256))


def recordings(session: Session) -> Sequence[Recording]:
    """Every recording, with its story and its files, in the order of its first file's path."""
    rows = session.scalars(
        select(Recording).options(
            selectinload(Recording.files),
            selectinload(Recording.story).selectinload(Story.storyteller),
            selectinload(Recording.story).selectinload(Story.consents),
            selectinload(Recording.speakers),
            selectinload(Recording.renditions),
            selectinload(Recording.clips).selectinload(Clip.theme),
            selectinload(Recording.transcripts),
        )
    ).all()
    return sorted(rows, key=lambda row: (row.files[0].path if row.files else "", row.sha256))


def rendition(session: Session, recording_id: int, kind: str) -> Rendition | None:
    """One rendition of a recording."""
    return session.scalar(
        select(Rendition).where(Rendition.recording_id == recording_id, Rendition.kind == kind)
    )


def replace_renditions(session: Session, recording_id: int, rows: Iterable[Rendition]) -> None:
    """Put these renditions in the place of those of the recording."""
    session.execute(delete(Rendition).where(Rendition.recording_id == recording_id))
    for row in rows:
        row.recording_id = recording_id
        session.add(row)


# Stories and consent


def story_by_key(session: Session, key: str) -> Story | None:
    """The story of this key."""
    return session.scalar(select(Story).where(Story.key == key))


def storyteller_by_key(session: Session, key: str) -> Storyteller | None:
    """The storyteller of this key."""
    return session.scalar(select(Storyteller).where(Storyteller.key == key))


def record_consent(story: Story, scope: str, source: str, note: str = "") -> bool:
    """Add a line to the consent log, unless this source's newest line says the same; whether one was added."""
    newest = next((line for line in reversed(story.consents) if line.source == source), None)
    if newest is not None and newest.scope == scope:
        return False
    story.consents.append(Consent(scope=scope, source=source, note=note))
    return True


def consent_scope(recording: Recording) -> str | None:
    """The scope that holds now for the recording's story; None when nothing is recorded."""
    if recording.story is None or not recording.story.consents:
        return None
    return recording.story.consents[-1].scope


# Transcripts


def current_transcript(session: Session, recording_id: int) -> Transcript | None:
    """The version of the transcript that people see."""
    return session.scalar(
        select(Transcript).where(Transcript.recording_id == recording_id, Transcript.current.is_(True))
    )


def add_transcript(session: Session, row: Transcript) -> Transcript:
    """Add a version. It becomes the one people see, unless an editor has corrected the one they see now.

    What the correction list changed is no editor's: it is laid on the new version too.
    """
    latest = session.scalar(
        select(func.max(Transcript.version)).where(Transcript.recording_id == row.recording_id)
    )
    seen = current_transcript(session, row.recording_id)
    row.version = (latest or 0) + 1
    row.current = seen is None or all(edit.author == LIST_AUTHOR for edit in journal(session, seen.id))
    if row.current and seen is not None:
        seen.current = False
        session.flush()
    session.add(row)
    session.flush()
    return row


def translation(session: Session, recording_id: int) -> Sequence[Translation]:
    """The English lines of a recording: of the version that people see, else of the newest that has any.

    An editor's corrections keep a version in its place; a translation that was made later is of the same sound.
    """
    version = session.scalar(
        select(Transcript.id)
        .join(Translation, Translation.transcript_id == Transcript.id)
        .where(Transcript.recording_id == recording_id)
        .order_by(Transcript.current.desc(), Transcript.version.desc())
        .limit(1)
    )
    return session.scalars(
        select(Translation).where(Translation.transcript_id == version).order_by(Translation.ordinal)
    ).all()


def journal(session: Session, transcript_id: int) -> Sequence[Edit]:
    """The edits laid on a transcript, oldest first."""
    return session.scalars(
        select(Edit).where(Edit.transcript_id == transcript_id).order_by(Edit.revision)
    ).all()


# Speakers


def speech(session: Session, recording_id: int) -> Speech | None:
    """Where anybody speaks in the recording."""
    return session.get(Speech, recording_id)


def speaker(session: Session, recording_id: int, number: int) -> Speaker | None:
    """One voice of a recording."""
    return session.scalar(
        select(Speaker).where(Speaker.recording_id == recording_id, Speaker.number == number)
    )


def set_speaker_count(session: Session, recording_ids: Iterable[int], count: int) -> None:
    """Note how many are known to speak in these recordings; 0: it is to be found out."""
    session.execute(
        update(Recording).where(Recording.id.in_(list(recording_ids))).values(speaker_count=count)
    )


def speakers(session: Session, *, recording_id: int | None = None, voiced: bool = False) -> Sequence[Speaker]:
    """Speakers by recording and number, of one recording only, or only those whose embedding is kept, when asked."""
    query = (
        select(Speaker)
        .options(
            selectinload(Speaker.person),
            selectinload(Speaker.recording).selectinload(Recording.files),
            selectinload(Speaker.recording).selectinload(Recording.story).selectinload(Story.consents),
        )
        .order_by(Speaker.recording_id, Speaker.number)
    )
    if recording_id is not None:
        query = query.where(Speaker.recording_id == recording_id)
    if voiced:
        query = query.where(Speaker.embedding.is_not(None))
    return session.scalars(query).all()


def numbers_in_journal(session: Session, recording_id: int) -> set[int]:
    """The speakers that edits of the recording's transcripts name: a number of theirs never means another voice."""
    entries = session.scalars(
        select(Edit)
        .join(Transcript, Transcript.id == Edit.transcript_id)
        .where(Transcript.recording_id == recording_id, Edit.kind != "retext")
    )
    named = {number for entry in entries for number in (entry.change["speaker"], entry.change.get("merged"))}
    return {number for number in named if number is not None}


def drop_voiceprints(session: Session, dropped: Iterable[Speaker]) -> None:
    """Take the embeddings of these speakers out; on SQLite their bytes are overwritten, not only let go."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("PRAGMA secure_delete = ON"))
    for speaker in dropped:
        speaker.embedding = None
    session.flush()


def empty_log(engine: Engine) -> None:
    """Bring what SQLite's log still holds into the database and empty it; pages of before a change lie there too.

    A program that reads at this moment keeps it from being emptied; the last one to close the database does it then.
    """
    if engine.dialect.name != "sqlite":
        return
    connection = engine.raw_connection()
    try:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


# Persons


def persons(session: Session) -> Sequence[Person]:
    """Every person with their speakers, by name."""
    return session.scalars(
        select(Person).options(selectinload(Person.speakers)).order_by(func.lower(Person.name), Person.id)
    ).all()


def person_by_name(session: Session, name: str) -> Person | None:
    """The person of this name, capitals aside."""
    # in Python, not SQL: SQLite folds the case of ASCII only
    return next((one for one in persons(session) if one.name.casefold() == name.casefold()), None)


# Themes


def themes(session: Session, *, retired: bool = False) -> Sequence[Theme]:
    """The codebook's themes in its order, with those no longer in it when ``retired``."""
    query = select(Theme).order_by(Theme.position, Theme.key)
    if not retired:
        query = query.where(Theme.retired.is_(False))
    return session.scalars(query).all()


# Clips


def clip(session: Session, slug: str) -> Clip | None:
    """The clip of this slug."""
    return session.scalar(select(Clip).where(Clip.slug == slug))


def clips(session: Session, *, states: Sequence[str] = (), recording_id: int | None = None) -> Sequence[Clip]:
    """Clips by recording and time, of these states only when some are named."""
    query = (
        select(Clip)
        .options(
            selectinload(Clip.theme),
            selectinload(Clip.files),
            selectinload(Clip.links),
            selectinload(Clip.approvals),
            selectinload(Clip.recording).selectinload(Recording.story).selectinload(Story.storyteller),
            selectinload(Clip.recording).selectinload(Recording.story).selectinload(Story.consents),
            selectinload(Clip.recording).selectinload(Recording.files),
        )
        .join(Recording, Recording.id == Clip.recording_id)
        .order_by(Recording.sha256, Clip.start_ms, Clip.slug)
    )
    if states:
        query = query.where(Clip.state.in_(states))
    if recording_id is not None:
        query = query.where(Clip.recording_id == recording_id)
    return session.scalars(query).all()


def clip_link(session: Session, clip_id: int, transcript_id: int) -> ClipLink | None:
    """Where a clip lies in one version of the transcript."""
    return session.scalar(
        select(ClipLink).where(ClipLink.clip_id == clip_id, ClipLink.transcript_id == transcript_id)
    )


def put_clip_file(session: Session, row: ClipFile) -> None:
    """Put this file in the place of the clip's file of the same kind."""
    session.execute(delete(ClipFile).where(ClipFile.clip_id == row.clip_id, ClipFile.kind == row.kind))
    session.add(row)


# Stage runs


@dataclass(frozen=True, slots=True)
class StageKey:
    """What makes two runs of a stage the same work."""

    recording_sha256: str
    stage: str
    fingerprint: str


def is_done(session: Session, key: StageKey) -> bool:
    """Whether this very work was finished before and is the newest done of its stage."""
    newest = session.scalar(
        select(StageRun)
        .where(
            StageRun.recording_sha256 == key.recording_sha256,
            StageRun.stage == key.stage,
            StageRun.state == "done",
        )
        .order_by(StageRun.id.desc())
        .limit(1)
    )
    return newest is not None and newest.fingerprint == key.fingerprint


def begin(session: Session, key: StageKey) -> StageRun:
    """Note that an attempt starts."""
    attempts = session.scalar(
        select(func.max(StageRun.attempt)).where(
            StageRun.recording_sha256 == key.recording_sha256,
            StageRun.stage == key.stage,
            StageRun.fingerprint == key.fingerprint,
        )
    )
    run = StageRun(
        recording_sha256=key.recording_sha256,
        stage=key.stage,
        fingerprint=key.fingerprint,
        attempt=(attempts or 0) + 1,
    )
    session.add(run)
    session.flush()
    return run


def finish(session: Session, run_id: int, error: str = "") -> None:
    """Note how an attempt ended; an empty ``error`` is success."""
    run = session.get_one(StageRun, run_id)
    run.state = "failed" if error else "done"
    run.error = error
    run.finished_at = now()
    run.seconds = (run.finished_at - run.started_at).total_seconds()


def close_interrupted(session: Session) -> int:
    """Mark attempts that a stopped process left running as failed; how many there were."""
    ended = session.execute(
        update(StageRun)
        .where(StageRun.state == "running")
        .values(state="failed", error="interrupted: the program was stopped", finished_at=now())
        .returning(StageRun.id)
    )
    return len(ended.all())


def latest_runs(session: Session, hashes: Sequence[str] | None = None) -> dict[str, dict[str, StageRun]]:
    """The newest attempt of every stage, of these recordings only when some are named: hash -> stage -> run."""
    query = select(StageRun).order_by(StageRun.id)
    if hashes is not None:
        query = query.where(StageRun.recording_sha256.in_(hashes))
    found: dict[str, dict[str, StageRun]] = {}
    for run in session.scalars(query):
        found.setdefault(run.recording_sha256, {})[run.stage] = run
    return found
