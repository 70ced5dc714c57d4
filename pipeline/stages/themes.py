"""Themes: where the subject changes, and which themes of the codebook each passage speaks of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sqlalchemy import delete
from sqlalchemy.orm import Session

from db import models, store
from pipeline import codebook, coding, labelling, mapping
from pipeline.fingerprint import fingerprint, of_file
from pipeline.stages import Progress, Work, Write
from transcripts.errors import CodebookError
from transcripts.model import Passage, Transcript
from transcripts.themes import codebook as codebooks
from transcripts.themes.boundaries import passages
from transcripts.themes.label import LONGEST_JOINED_MS, label

VERSION = 2


@dataclass(frozen=True, slots=True)
class Cuts:
    """Where editors' codings begin and end, by segment, and the stretches between that stay whole."""

    edges: frozenset[int] = frozenset()
    whole: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Themes:
    """Passages, each scored for every theme by the codebook alone; ``labelling`` weighs in the whole collection."""

    name: str = "themes"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the codebook, what makes vectors of sentences, and the transcript's revision."""
        settings = work.collection.settings.themes
        return fingerprint(
            self.name,
            VERSION,
            upstream,
            _codebook_identity(codebook.path_of(work.collection)),
            settings.embeddings,
            _revision(work),
        )

    def intact(self, work: Work) -> bool:
        """Whether passages begin and end where editors' codings do."""
        with work.collection.sessions() as session:
            row = store.current_transcript(session, work.recording_id)
            said = coding.of_recording(session, work.recording_id)
            if row is None or not said:
                return True
            here = [one for one in said if one.transcript_id == row.id]
            transcript = mapping.current_transcript(session, row)
            cut = {passage.first_word for passage in row.passages}
            edges = _cuts(transcript, here).edges
            return all(transcript.segments[edge].id in cut for edge in edges)

    def run(self, work: Work, progress: Progress) -> Write:
        """Find boundaries, then score.

        Raises:
            CodebookError: when themes.yaml is not a codebook.
            EmbeddingsUnavailable: when the sentence model is not installed.
        """
        book = codebooks.load(codebook.path_of(work.collection))
        transcript, transcript_id, cuts = _current(work)
        embedder = labelling.embedder_of(work.collection)
        progress(0.1)
        found = passages(transcript, embedder, edges=cuts.edges, whole=cuts.whole)
        progress(0.7)
        made = {transcript.segments[start].id for start, _ in cuts.whole}
        scored = label(found, book, embedder, made)
        progress(1.0)

        def write(session: Session) -> None:
            ids = codebook.sync(session, book)
            if transcript_id is not None:
                _replace_passages(session, transcript_id, scored, ids)

        return write


def _codebook_identity(path: Path) -> str:
    try:
        return codebooks.load(path).fingerprint
    except CodebookError:
        return of_file(path)


def _revision(work: Work) -> list[int]:
    with work.collection.sessions() as session:
        row = store.current_transcript(session, work.recording_id)
        return [row.version, row.revision] if row else []


def _current(work: Work) -> tuple[Transcript, int | None, Cuts]:
    """The transcript as it is now, and where editors' codings lie in it, once those of older words came along."""
    with work.collection.sessions.begin() as session:
        row = store.current_transcript(session, work.recording_id)
        if row is None:
            return Transcript("", ()), None, Cuts()
        transcript = mapping.current_transcript(session, row)
        return transcript, row.id, _cuts(transcript, coding.carried(session, row, transcript))


def _cuts(transcript: Transcript, codings: list[models.Coding]) -> Cuts:
    """Codings may overlap: what lies between two of their edges is a passage, when some coding is about it."""
    ranges = coding.segment_ranges(transcript, codings)
    ends = sorted({edge for pair in ranges for edge in pair})
    whole = [
        (start, end)
        for start, end in pairwise(ends)
        if any(first <= start and end <= last for first, last in ranges)
        and transcript.segments[end - 1].end_ms - transcript.segments[start].start_ms <= LONGEST_JOINED_MS
    ]
    return Cuts(frozenset(edge for edge in ends if 0 < edge < len(transcript.segments)), tuple(whole))


def _replace_passages(
    session: Session, transcript_id: int, found: Iterable[Passage], ids: dict[str, int]
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
                sentences=[
                    [one.words[0].id, one.words[-1].id, one.start_ms, one.end_ms, one.text]
                    for one in passage.segments
                ],
                unsure=passage.unsure,
                themes=[
                    models.PassageTheme(
                        theme_id=ids[score.theme],
                        score=score.score,
                        state="proposed" if score.theme in passage.proposed else "scored",
                    )
                    for score in passage.scores
                ],
            )
        )
