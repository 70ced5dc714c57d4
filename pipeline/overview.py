"""What stands where: the collection and its recordings as plain data, for commands, review and reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models, store
from pipeline.errors import NotFound
from pipeline.gate import Purpose, decide

STAGES = ("normalise", "transcribe", "speakers", "corrections", "themes", "clips")


@dataclass(frozen=True, slots=True)
class Standing:
    """One recording: how far it is, what went wrong, and whom it waits for."""

    id: int
    name: str
    sha256: str
    kind: str
    duration_ms: int
    story: str
    storyteller: str
    phase: str
    consent: str
    publishable: bool
    stages: dict[str, str]
    error: str
    clips: dict[str, int]
    words: int
    waits_for: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A file that is no recording, and why."""

    path: str
    reason: str


def standings(session: Session) -> list[Standing]:
    """Every recording, in the order of its file's name."""
    runs = store.latest_runs(session)
    words = _word_counts(session)
    return [
        _standing(recording, runs.get(recording.sha256, {}), words.get(recording.id, 0))
        for recording in store.recordings(session)
    ]


def problems(session: Session) -> list[Problem]:
    """Every file that could not be taken in."""
    return [Problem(row.path, row.problem) for row in store.source_files(session) if row.problem]


def name_of(recording: models.Recording) -> str:
    """The path people know the recording by."""
    return recording.files[0].path if recording.files else recording.sha256[:12]


def find_recording(session: Session, wanted: str) -> models.Recording:
    """The recording meant by a number, a path, a file's name, a story, or the start of a name or a hash.

    Raises:
        NotFound: when none or several are meant; the sentence lists them.
    """
    every = store.recordings(session)
    for test in _meanings(wanted):
        hits = [recording for recording in every if test(recording)]
        if len(hits) == 1:
            return hits[0]
        if hits:
            names = ", ".join(name_of(recording) for recording in hits)
            raise NotFound(f"'{wanted}' could be any of {names}; name one of them.")
    raise NotFound(f"There is no recording '{wanted}'; `stories status` lists all.")


def _meanings(wanted: str) -> Iterator[Callable[[models.Recording], bool]]:
    yield lambda recording: wanted.isdigit() and recording.id == int(wanted)
    yield lambda recording: any(file.path == wanted for file in recording.files)
    yield lambda recording: any(_base(file.path) == _base(wanted) for file in recording.files)
    yield lambda recording: any(_stem(file.path) == wanted for file in recording.files)
    yield (
        lambda recording: (
            recording.story is not None
            and wanted
            in (
                recording.story.key,
                recording.story.title,
            )
        )
    )
    yield lambda recording: any(_stem(file.path).startswith(wanted) for file in recording.files)
    yield lambda recording: len(wanted) >= 6 and recording.sha256.startswith(wanted.lower())


def _base(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _stem(path: str) -> str:
    return _base(path).rsplit(".", 1)[0]


def _word_counts(session: Session) -> dict[int, int]:
    rows = session.execute(
        select(models.Transcript.recording_id, func.count().label("words"))
        .join(models.Word, models.Word.transcript_id == models.Transcript.id)
        .where(models.Transcript.current.is_(True))
        .group_by(models.Transcript.recording_id)
    )
    return {row.recording_id: row.words for row in rows}


def _standing(recording: models.Recording, runs: dict[str, models.StageRun], words: int) -> Standing:
    stages = {stage: runs[stage].state if stage in runs else "" for stage in STAGES}
    failed = [runs[stage].error for stage in STAGES if stages[stage] == "failed"]
    decision = decide(store.consent_scope(recording), Purpose.PUBLISH)
    clips: dict[str, int] = {}
    for clip in recording.clips:
        clips[clip.state] = clips.get(clip.state, 0) + 1
    story = recording.story
    return Standing(
        id=recording.id,
        name=name_of(recording),
        sha256=recording.sha256,
        kind=recording.kind,
        duration_ms=recording.duration_ms,
        story=story.title if story else "",
        storyteller=story.storyteller.name if story and story.storyteller else "",
        phase=story.phase if story else "",
        consent=store.consent_scope(recording) or "",
        publishable=decision.allowed,
        stages=stages,
        error=failed[0] if failed else "",
        clips=clips,
        words=words,
        waits_for=_waits_for(stages, clips, recording, decision.allowed),
    )


def _waits_for(
    stages: dict[str, str], clips: dict[str, int], recording: models.Recording, publishable: bool
) -> str:
    if "failed" in stages.values():
        return "a producer: see what failed"
    if any(state != "done" for state in stages.values()):
        return "stories process"
    if recording.story is None:
        return "a line in intake.csv"
    waiting = clips.get("proposed", 0) + clips.get("needs review", 0)
    if waiting and publishable:
        return f"an editor: {waiting} clip{'s' if waiting > 1 else ''} to look at"
    if not publishable:
        return "nobody: not to be published"
    return "nobody: everything is decided"


def doubt(session: Session, recording: models.Recording) -> str:
    """Why the recording's speakers may not be those who spoke, in a sentence; empty where there is no reason."""
    heard = store.speech(session, recording.id)
    if heard is None:
        return ""
    if not recording.speakers:
        return "No speaker could be told apart: nobody is heard to speak."
    if not heard.uncertain:
        return ""
    return (
        f"{heard.uncertain} If you know how many speak: `stories process --speakers N {name_of(recording)}`."
    )
