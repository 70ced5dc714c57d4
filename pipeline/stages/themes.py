"""Themes: where the subject changes, and which themes of the codebook each passage speaks of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db import models, store
from pipeline import mapping
from pipeline.fingerprint import fingerprint, of_file
from pipeline.stages import Progress, Work, Write
from transcripts.errors import CodebookError
from transcripts.model import Passage, Transcript
from transcripts.themes import codebook as codebooks
from transcripts.themes.boundaries import passages
from transcripts.themes.codebook import Codebook
from transcripts.themes.embed import CachedEmbedder, load
from transcripts.themes.label import label

VERSION = 1


@dataclass(frozen=True, slots=True)
class Themes:
    """Passages, each scored for every theme."""

    name: str = "themes"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the codebook, what makes vectors of sentences, and the transcript's revision."""
        settings = work.collection.settings.themes
        return fingerprint(
            self.name,
            VERSION,
            upstream,
            _codebook_identity(codebook_path(work)),
            settings.embeddings,
            _revision(work),
        )

    def intact(self, work: Work) -> bool:
        """Passages are rows: they are there when the stage is done."""
        return True

    def run(self, work: Work, progress: Progress) -> Write:
        """Find boundaries, then score.

        Raises:
            CodebookError: when themes.yaml is not a codebook.
            EmbeddingsUnavailable: when the sentence model is not installed.
        """
        book = codebooks.load(codebook_path(work))
        transcript, transcript_id = _current(work)
        embedder = CachedEmbedder(
            load(work.collection.settings.themes.embeddings), work.collection.derived / "embeddings"
        )
        progress(0.1)
        found = passages(transcript, embedder)
        progress(0.7)
        labelled = label(found, book, embedder)
        progress(1.0)

        def write(session: Session) -> None:
            ids = sync_codebook(session, book)
            if transcript_id is not None:
                _replace_passages(session, transcript_id, labelled, ids)

        return write


def codebook_path(work: Work) -> Path:
    """Where the collection's codebook lies."""
    return work.collection.root / work.collection.settings.themes.codebook


def sync_codebook(session: Session, book: Codebook) -> dict[str, int]:
    """Bring the themes' rows in step with the codebook; what is no longer in it retires. Key -> row's number."""
    rows = {row.key: row for row in store.themes(session, retired=True)}
    for row in rows.values():
        row.retired = True
    for position, theme in enumerate(book.themes):
        row = rows.get(theme.key) or models.Theme(key=theme.key)
        row.name, row.description, row.examples = theme.name, theme.description, list(theme.examples)
        row.colour, row.parent, row.position, row.retired = theme.colour, theme.parent, position, False
        session.add(row)
        rows[theme.key] = row
    session.flush()
    return {key: row.id for key, row in rows.items()}


def _codebook_identity(path: Path) -> str:
    try:
        return codebooks.load(path).fingerprint
    except CodebookError:
        return of_file(path)


def _revision(work: Work) -> list[int]:
    with work.collection.sessions() as session:
        row = store.current_transcript(session, work.recording_id)
        return [row.version, row.revision] if row else []


def _current(work: Work) -> tuple[Transcript, int | None]:
    with work.collection.sessions() as session:
        row = store.current_transcript(session, work.recording_id)
        if row is None:
            return Transcript("", ()), None
        return mapping.current_transcript(session, row), row.id


def _replace_passages(
    session: Session, transcript_id: int, found: tuple[Passage, ...], ids: dict[str, int]
) -> None:
    session.execute(delete(models.Passage).where(models.Passage.transcript_id == transcript_id))
    for ordinal, passage in enumerate(found):
        session.add(
            models.Passage(
                transcript_id=transcript_id,
                ordinal=ordinal,
                first_word=passage.segments[0].words[0].id,
                last_word=passage.segments[-1].words[-1].id,
                start_ms=passage.span.start_ms,
                end_ms=passage.span.end_ms,
                quote=passage.text,
                unsure=passage.unsure,
                themes=[
                    models.PassageTheme(
                        theme_id=ids[score.theme],
                        score=score.score,
                        state="proposed" if score.theme == passage.theme else "scored",
                    )
                    for score in passage.scores
                ],
            )
        )
