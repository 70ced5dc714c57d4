"""The content of a collection's database, in a form that can be compared: no row numbers, no clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import select

from db import models, store
from pipeline.collection import Collection


def content(root: Path) -> dict[str, Any]:
    """Everything a collection knows, but for when, how often and in which order it was found."""
    collection = Collection.open(root)
    with collection.sessions() as session:
        done = {
            (run.recording_sha256, run.stage, run.fingerprint)
            for run in session.scalars(select(models.StageRun).where(models.StageRun.state == "done"))
        }
        found = {
            "files": {row.path: (row.sha256, row.bytes, row.problem) for row in store.source_files(session)},
            "recordings": {row.sha256: _recording(session, row) for row in store.recordings(session)},
            "themes": [
                (row.key, row.name, row.position, row.retired) for row in store.themes(session, retired=True)
            ],
            "done": sorted(done),
        }
    collection.engine.dispose()
    return found


def _recording(session: Any, row: models.Recording) -> dict[str, Any]:
    story = row.story
    heard = store.speech(session, row.id)
    return {
        "facts": (row.kind, row.container, row.duration_ms, row.width, row.height, row.rotation),
        "story": (
            story.key,
            story.title,
            story.phase,
            story.storyteller.key,
            [(line.scope, line.source) for line in story.consents],
        )
        if story
        else None,
        "renditions": [(one.kind, one.path, one.sha256, one.loudness_lufs) for one in row.renditions],
        "speech": (heard.spans, heard.overlaps) if heard else None,
        "speakers": [
            (one.number, one.name, one.role, one.speech_ms, one.embedding, _turns(one))
            for one in row.speakers
        ],
        "transcripts": [_transcript(one) for one in row.transcripts],
        "clips": {one.slug: _clip(one) for one in row.clips},
    }


def _turns(speaker: models.Speaker) -> list[tuple[int, int]]:
    return sorted((turn.start_ms, turn.end_ms) for turn in speaker.turns)


def _transcript(row: models.Transcript) -> dict[str, Any]:
    return {
        "version": (row.version, row.current, row.engine, row.model, row.language, row.revision),
        "segments": [
            (one.first_word, one.last_word, one.start_ms, one.end_ms, one.avg_logprob) for one in row.segments
        ],
        "words": [(one.ordinal, one.start_ms, one.end_ms, one.text, one.probability) for one in row.words],
        "edits": [(one.revision, one.kind, one.author, one.change, one.inverse) for one in row.edits],
        "translation": [(one.start_ms, one.end_ms, one.text) for one in row.translation],
        "attributions": [(one.first_word, one.last_word) for one in row.attributions],
        "passages": [
            (
                one.first_word,
                one.last_word,
                one.quote,
                one.unsure,
                sorted((score.theme.key, score.score, score.state) for score in one.themes),
            )
            for one in row.passages
        ],
    }


def _clip(row: models.Clip) -> tuple[Any, ...]:
    links = [
        (one.first_word, one.last_word, one.start_ms, one.end_ms, one.quote, one.state) for one in row.links
    ]
    return (
        row.theme.key if row.theme else "",
        row.title,
        row.start_ms,
        row.end_ms,
        row.state,
        row.score,
        links,
    )
