"""Clips: excerpts worth a look, proposed for editors to decide on."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from db import models, store
from pipeline import excerpts, mapping
from pipeline.fingerprint import fingerprint
from pipeline.stages import Progress, Work, Write
from transcripts.clips import propose
from transcripts.model import ClipProposal, Passage, ThemeScore, Transcript
from transcripts.span import Span

VERSION = 3


@dataclass(frozen=True, slots=True)
class Clips:
    """Whole sentences of the storyteller on one theme, edges in silence."""

    name: str = "clips"

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the bounds of a clip, of who tells, of what an editor gave to other speakers, and of the themes."""
        return fingerprint(
            self.name,
            VERSION,
            upstream,
            work.collection.settings.clips.model_dump(),
            *_who_says_what(work),
            _themes(work),
        )

    def intact(self, work: Work) -> bool:
        """Proposals are rows: they are there when the stage is done."""
        return True

    def run(self, work: Work, progress: Progress) -> Write:
        """Propose from what is in the database."""
        settings = work.collection.settings.clips
        with work.collection.sessions() as session:
            row = store.current_transcript(session, work.recording_id)
            transcript = mapping.current_transcript(session, row) if row else Transcript("", ())
            found = _passages(row, transcript) if row else ()
            heard = store.speech(session, work.recording_id)
            speech = mapping.spans_from_json(heard.spans) if heard else ()
            tellers = mapping.tellers(session.get_one(models.Recording, work.recording_id))
        proposals = propose(
            found,
            speech,
            tellers=tellers,
            duration_ms=work.duration_ms,
            min_ms=round(settings.min_s * 1000),
            max_ms=round(settings.max_s * 1000),
        )[: settings.most]
        progress(1.0)

        def write(session: Session) -> None:
            _replace_proposals(session, work, proposals)

        return write


def _who_says_what(work: Work) -> tuple[list[int] | None, list[int]]:
    """The speakers whose words can become clips, and the revisions that gave words to other speakers."""
    with work.collection.sessions() as session:
        tellers = mapping.tellers(session.get_one(models.Recording, work.recording_id))
        row = store.current_transcript(session, work.recording_id)
        journal = store.journal(session, row.id) if row else ()
    given = [entry.revision for entry in journal if entry.kind == "assign-speaker"]
    return None if tellers is None else sorted(tellers), given


def _passages(row: models.Transcript, transcript: Transcript) -> tuple[Passage, ...]:
    found = (
        Passage(
            segments=excerpts.segments_between(transcript, passage.first_word, passage.last_word),
            scores=tuple(ThemeScore(score.theme.key, score.score) for score in passage.themes),
            proposed=_shown(passage),
        )
        for passage in row.passages
    )
    return tuple(passage for passage in found if passage.segments)


def _shown(passage: models.Passage) -> tuple[str, ...]:
    """The themes of a passage, an editor's word before the machine's, then the better score."""
    wanted = [one for one in passage.themes if one.state in store.SHOWN]
    wanted.sort(key=lambda one: (one.state != "accepted", -one.score))
    return tuple(one.theme.key for one in wanted)


def _themes(work: Work) -> list[tuple[str, str, str, float]]:
    """The theme that a clip of each passage would have, and how well it fits."""
    with work.collection.sessions() as session:
        row = store.current_transcript(session, work.recording_id)
        found = []
        for passage in row.passages if row else ():
            theme = next(iter(_shown(passage)), "")
            score = next((one.score for one in passage.themes if one.theme.key == theme), 0.0)
            found.append((passage.first_word, passage.last_word, theme, score))
        return found


def _replace_proposals(session: Session, work: Work, proposals: tuple[ClipProposal, ...]) -> None:
    """Put these in the place of earlier proposals that nobody touched; what somebody decided on stays."""
    row = store.current_transcript(session, work.recording_id)
    wanted = {
        excerpts.slug_for(
            work.sha256, one.segments[0].words[0].id, one.segments[-1].words[-1].id, one.theme
        ): one
        for one in proposals
    }
    kept: list[Span] = []
    for clip in store.clips(session, recording_id=work.recording_id):
        untouched = clip.state == "proposed" and clip.origin == "proposed"
        if untouched and clip.slug not in wanted:
            session.delete(clip)
        elif not untouched:
            kept.append(Span(clip.start_ms, clip.end_ms))
    session.flush()
    themes = {theme.key: theme.id for theme in store.themes(session, retired=True)}
    for slug, proposal in wanted.items():
        if row is None or any(
            proposal.span.overlap_ms(span) * 2 > proposal.span.duration_ms for span in kept
        ):
            continue
        clip = store.clip(session, slug) or models.Clip(slug=slug, recording_id=work.recording_id)
        clip.theme_id = themes.get(proposal.theme or "")
        clip.title = clip.title or excerpts.title_of(proposal.segments)
        clip.start_ms, clip.end_ms = proposal.span.start_ms, proposal.span.end_ms
        clip.score, clip.reasons = proposal.score, list(proposal.reasons)
        session.add(clip)
        session.flush()
        _link(session, clip, row, proposal)


def _link(session: Session, clip: models.Clip, row: models.Transcript, proposal: ClipProposal) -> None:
    fresh = excerpts.link(row, proposal.segments)
    held = store.clip_link(session, clip.id, row.id)
    if held is None:
        fresh.clip_id = clip.id
        session.add(fresh)
        return
    for field in ("revision", "first_word", "last_word", "start_ms", "end_ms", "quote", "state"):
        setattr(held, field, getattr(fresh, field))
