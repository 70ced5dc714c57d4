"""What the list of recordings shows: read from the database in a handful of queries, whatever its size."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, selectinload

from db import models, store
from pipeline import gate
from pipeline.gate import Decision, Purpose
from pipeline.overview import STAGES

PAGE = 50
DOING = {
    "normalise": "preparing sound and picture",
    "transcribe": "writing down what is said",
    "speakers": "finding who speaks",
    "corrections": "applying the correction list",
    "themes": "finding themes",
    "clips": "looking for clips",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One recording as the list shows it."""

    id: int
    title: str
    file: str
    storyteller: str
    about: str
    phase: str
    kind: str
    duration_ms: int
    has_poster: bool
    withdrawn: str
    failures: tuple[str, ...]
    running: str
    stages_done: int
    waiting: int
    approved: int

    @property
    def finished(self) -> bool:
        """Whether every stage is done."""
        return self.stages_done == len(STAGES)


@dataclass(frozen=True, slots=True)
class Totals:
    """The collection in a few figures."""

    recordings: int
    duration_ms: int
    waiting: int
    failed: int


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the list, and what stands around it."""

    cards: tuple[Card, ...]
    totals: Totals
    phases: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    page: int
    pages: int


def page_of(session: Session, *, phase: str = "", page: int = 1) -> Listing:
    """Page ``page`` (from 1) of the recordings of ``phase``, of all phases when it is empty."""
    counted = select(func.count(models.Recording.id)).outerjoin(models.Recording.story).where(*_of(phase))
    pages = max(1, -(-(session.scalar(counted) or 0) // PAGE))
    page = min(max(page, 1), pages)
    failed = _newest_failures(session)
    return Listing(
        cards=_cards(session, _recordings(session, phase, page)),
        totals=_totals(session, failed),
        phases=tuple(
            session.scalars(
                select(models.Story.phase)
                .where(models.Story.phase != "")
                .distinct()
                .order_by(models.Story.phase)
            )
        ),
        problems=tuple(
            (path, problem)
            for path, problem in session.execute(
                select(models.SourceFile.path, models.SourceFile.problem)
                .where(models.SourceFile.problem != "")
                .order_by(models.SourceFile.path)
            )
        ),
        page=page,
        pages=pages,
    )


def title_of(recording: models.Recording) -> str:
    """The story's title, else the name of the file."""
    if recording.story is not None and recording.story.title:
        return recording.story.title
    return PurePosixPath(file_of(recording)).stem or f"Recording {recording.id}"


def file_of(recording: models.Recording) -> str:
    """The recording's first file; empty when all are gone."""
    return recording.files[0].path if recording.files else ""


def storyteller_of(recording: models.Recording, decision: Decision) -> str:
    """The storyteller's name; not that of one who stays anonymous."""
    person = recording.story.storyteller if recording.story else None
    if person is None:
        return ""
    return "Anonymous storyteller" if decision.pseudonymise else person.name


def about_storyteller(recording: models.Recording) -> str:
    """Role, sector and place in one line."""
    person = recording.story.storyteller if recording.story else None
    return " · ".join(filter(None, (person.role, person.sector, person.place))) if person else ""


def may_work(recording: models.Recording) -> Decision:
    """Whether the recording may be looked at and corrected at all."""
    return gate.decide(store.consent_scope(recording), Purpose.WORK)


def failures_of(runs: Iterable[models.StageRun]) -> tuple[str, ...]:
    """Why the newest attempts failed, each as a sentence."""
    return tuple(run.error or f"{run.stage} failed without a reason" for run in runs if run.state == "failed")


def _of(phase: str) -> list[ColumnElement[bool]]:
    return [models.Story.phase == phase] if phase else []


def _recordings(session: Session, phase: str, page: int) -> Sequence[models.Recording]:
    return session.scalars(
        select(models.Recording)
        .outerjoin(models.Recording.story)
        .where(*_of(phase))
        .options(
            selectinload(models.Recording.files),
            selectinload(models.Recording.renditions),
            selectinload(models.Recording.story).selectinload(models.Story.storyteller),
            selectinload(models.Recording.story).selectinload(models.Story.consents),
        )
        .order_by(models.Story.phase, models.Story.title, models.Recording.id)
        .offset((page - 1) * PAGE)
        .limit(PAGE)
    ).all()


def _cards(session: Session, recordings: Sequence[models.Recording]) -> tuple[Card, ...]:
    runs = store.latest_runs(session, [recording.sha256 for recording in recordings])
    clips = _clip_counts(session, [recording.id for recording in recordings])
    return tuple(
        _card(recording, runs.get(recording.sha256, {}), clips.get(recording.id, {}))
        for recording in recordings
    )


def _card(recording: models.Recording, runs: dict[str, models.StageRun], clips: dict[str, int]) -> Card:
    decision = may_work(recording)
    named = decision.allowed
    return Card(
        id=recording.id,
        title=title_of(recording) if named else "A story that was taken back",
        file=file_of(recording) if named else "",
        storyteller=storyteller_of(recording, decision) if named else "",
        about=about_storyteller(recording) if named else "",
        phase=recording.story.phase if recording.story else "",
        kind=recording.kind,
        duration_ms=recording.duration_ms,
        has_poster=any(rendition.kind == "poster" for rendition in recording.renditions),
        withdrawn="" if decision.allowed else decision.reason,
        failures=failures_of(runs.values()),
        running=next((DOING.get(name, name) for name, run in runs.items() if run.state == "running"), ""),
        stages_done=sum(stage in runs and runs[stage].state == "done" for stage in STAGES),
        waiting=clips.get("proposed", 0) + clips.get("needs review", 0),
        approved=clips.get("approved", 0),
    )


def _clip_counts(session: Session, recording_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    counts: dict[int, dict[str, int]] = defaultdict(dict)
    for recording_id, state, count in session.execute(
        select(models.Clip.recording_id, models.Clip.state, func.count())
        .where(models.Clip.recording_id.in_(recording_ids))
        .group_by(models.Clip.recording_id, models.Clip.state)
    ):
        counts[recording_id][state] = count
    return counts


def _newest_failures(session: Session) -> int:
    newest = (
        select(func.max(models.StageRun.id))
        .join(models.Recording, models.Recording.sha256 == models.StageRun.recording_sha256)
        .group_by(models.StageRun.recording_sha256, models.StageRun.stage)
    )
    return (
        session.scalar(
            select(func.count(models.StageRun.recording_sha256.distinct())).where(
                models.StageRun.id.in_(newest), models.StageRun.state == "failed"
            )
        )
        or 0
    )


def _totals(session: Session, failed: int) -> Totals:
    recordings, duration_ms = session.execute(
        select(func.count(models.Recording.id), func.coalesce(func.sum(models.Recording.duration_ms), 0))
    ).one()
    waiting = session.scalar(
        select(func.count(models.Clip.id)).where(models.Clip.state.in_(("proposed", "needs review")))
    )
    return Totals(recordings, duration_ms, waiting or 0, failed)
