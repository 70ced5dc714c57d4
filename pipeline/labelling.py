"""The proposals of the whole collection, kept in step with the codebook and with what editors said.

A theme's score depends on all passages, and on every coding: so once something changed, all are scored again. Where
passages begin and end does not change here; the stage ``themes`` finds that. Sentences' vectors are cached, so this
takes moments, and when nothing changed nothing is done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

from filelock import FileLock
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from db import models, store
from pipeline import codebook, overview
from pipeline.collection import Collection
from pipeline.fingerprint import fingerprint
from transcripts.span import Span
from transcripts.themes.codebook import Codebook
from transcripts.themes.embed import CachedEmbedder, SentenceEmbedder, Vectors, load
from transcripts.themes.label import Ground, Judged, Labelled, ground, split_vectors

VERSION = 3


@dataclass(frozen=True, slots=True)
class Said:
    """What somebody said of a theme, in a recording's time."""

    theme: str
    accepted: bool
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """A passage as it lies in the database."""

    id: int
    recording_id: int
    recording: str
    story: str
    ordinal: int
    start_ms: int
    end_ms: int
    quote: str
    sentences: tuple[tuple[str, str, int, int, str], ...]
    shown: frozenset[str]
    """The keys of themes that are proposed or accepted now."""

    @property
    def texts(self) -> list[str]:
        """Its sentences."""
        return [one[4] for one in self.sentences] or [self.quote]


@dataclass(frozen=True, slots=True)
class Change:
    """A passage whose themes are others than before."""

    passage_id: int
    recording_id: int
    recording: str
    number: int
    start_ms: int
    before: tuple[str, ...]
    after: tuple[str, ...]
    because: str
    """The sentence that weighed most for what is new, else the quote."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What came of it: the passages that were looked at, the codings on them, and what changed."""

    passages: int
    codings: int
    changes: tuple[Change, ...] = ()
    written: bool = False
    """Whether scores were written; they may differ where no theme does."""


@dataclass(frozen=True)
class Desk:
    """All passages of the collection, what was said of them, and the codebook."""

    collection: Collection
    book: Codebook
    passages: tuple[Held, ...]
    said: dict[int, list[Said]]
    """By recording, oldest first."""

    @cached_property
    def embedder(self) -> SentenceEmbedder:
        """The sentence model, loaded only when something is to be weighed."""
        return embedder_of(self.collection)

    @cached_property
    def vectors(self) -> list[Vectors]:
        """The vectors of each passage's sentences."""
        return split_vectors([one.texts for one in self.passages], self.embedder)

    @cached_property
    def ground(self) -> Ground:
        """The passages against the codebook."""
        return ground(self.vectors, [one.texts for one in self.passages], self.book, self.embedder)

    @cached_property
    def laid(self) -> list[dict[str, bool]]:
        """What was said of each passage: theme -> whether it fits."""
        return [_laid(one, self.said.get(one.recording_id, [])) for one in self.passages]

    @property
    def codings(self) -> int:
        """How many codings lie on these recordings."""
        return sum(len(found) for found in self.said.values())

    def judged(self, *, without: str | None = None) -> list[Judged]:
        """What can be learned from, but for what was said of one story."""
        return [
            Judged(place, _keys(says, True), _keys(says, False))
            for place, says in enumerate(self.laid)
            if says and self.passages[place].story != without
        ]

    def labelled(self, judged: Sequence[Judged]) -> Labelled:
        """The passages' scores."""
        return self.ground.labelled(judged)

    @cached_property
    def fingerprint(self) -> str:
        """Of everything that the proposals follow from."""
        return fingerprint(
            "labelling",
            VERSION,
            self.book.fingerprint,
            self.collection.settings.themes.embeddings,
            [(one.id, one.quote) for one in self.passages],
            [
                (recording, one.theme, one.accepted, one.start_ms, one.end_ms)
                for recording, said in self.said.items()
                for one in said
            ],
        )


def embedder_of(collection: Collection) -> SentenceEmbedder:
    """What makes vectors of sentences here, with its cache.

    Raises:
        EmbeddingsUnavailable: the sentence model is not installed.
    """
    return CachedEmbedder(load(collection.settings.themes.embeddings), collection.derived / "embeddings")


def desk_of(collection: Collection) -> Desk:
    """Everything that themes are judged by.

    Raises:
        CodebookError: themes.yaml is no codebook.
    """
    book = codebook.standing(collection).book
    with collection.sessions() as session:
        passages, said = _passages(session), _said(session)
    return Desk(collection, book, passages, said)


def settle(collection: Collection) -> Settled:
    """Bring every proposal in step; says which passages have other themes now.

    Raises:
        CodebookError: themes.yaml is no codebook.
        EmbeddingsUnavailable: the sentence model is not installed.
    """
    collection.derived.mkdir(exist_ok=True)
    with FileLock(collection.derived / ".themes.lock"):
        desk = desk_of(collection)
        settled = Settled(len(desk.passages), desk.codings)
        with collection.sessions() as session:
            newest = session.scalar(select(models.Labelling).order_by(models.Labelling.id.desc()).limit(1))
        if not desk.passages or not desk.book.themes:
            return settled
        if newest is not None and newest.fingerprint == desk.fingerprint:
            return settled
        changes, rows = _weighed(desk)
        with collection.sessions.begin() as session:
            _write(session, desk, rows)
            session.add(
                models.Labelling(
                    fingerprint=desk.fingerprint,
                    passages=settled.passages,
                    codings=settled.codings,
                    changed=len(changes),
                )
            )
    return Settled(settled.passages, settled.codings, tuple(changes), written=True)


def _weighed(desk: Desk) -> tuple[list[Change], list[dict[str, Any]]]:
    """What changes, and every passage's scores as rows with the theme's key."""
    found = desk.labelled(desk.judged())
    changes: list[Change] = []
    rows: list[dict[str, Any]] = []
    for place, passage in enumerate(desk.passages):
        says, proposed = desk.laid[place], found.proposed(place)
        shown = tuple(key for key in proposed if says.get(key) is not False)
        shown += tuple(key for key in sorted(_keys(says, True)) if key not in shown)
        for score in found.theme_scores(place):
            state = _state(says.get(score.theme), score.theme in proposed)
            why = _why(found, place, score.theme, passage) if state != "scored" else []
            rows.append(
                {"passage": passage.id, "key": score.theme, "score": score.score, "state": state, "why": why}
            )
        if passage.shown != frozenset(shown):
            new = next((key for key in shown if key not in passage.shown), None)
            because = passage.texts[found.why(place, new, 1)[0][0]] if new else passage.quote
            changes.append(
                Change(
                    passage.id,
                    passage.recording_id,
                    passage.recording,
                    passage.ordinal + 1,
                    passage.start_ms,
                    tuple(sorted(passage.shown)),
                    shown,
                    because,
                )
            )
    return changes, rows


def _write(session: Session, desk: Desk, rows: list[dict[str, Any]]) -> None:
    """Put the scores in place; a passage that was found anew in the meantime is left to the next time."""
    there = set(session.scalars(select(models.Passage.id)))
    themes = codebook.sync(session, desk.book)
    written = [row for row in rows if row["passage"] in there]
    passages = {row["passage"] for row in written}
    for some in _batched(sorted(passages), 500):
        session.execute(delete(models.PassageTheme).where(models.PassageTheme.passage_id.in_(some)))
    if written:
        session.execute(
            insert(models.PassageTheme),
            [
                {
                    "passage_id": row["passage"],
                    "theme_id": themes[row["key"]],
                    "score": row["score"],
                    "state": row["state"],
                    "why": row["why"],
                }
                for row in written
            ],
        )
    shown = {row["passage"] for row in written if row["state"] in store.SHOWN}
    session.execute(
        update(models.Passage),
        [{"id": one, "unsure": one not in shown} for one in sorted(passages)],
    )


def _passages(session: Session) -> tuple[Held, ...]:
    """Every passage of the current transcripts, in the order of recordings and time."""
    shown: defaultdict[int, set[str]] = defaultdict(set)
    states = select(models.PassageTheme.passage_id, models.Theme.key).join(
        models.Theme, models.Theme.id == models.PassageTheme.theme_id
    )
    for passage_id, key in session.execute(states.where(models.PassageTheme.state.in_(store.SHOWN))):
        shown[passage_id].add(key)
    found: list[Held] = []
    for recording in store.recordings(session):
        row = next((one for one in recording.transcripts if one.current), None)
        name, story = (
            overview.name_of(recording),
            recording.story.key if recording.story else recording.sha256,
        )
        found += [
            Held(
                one.id,
                recording.id,
                name,
                story,
                one.ordinal,
                one.start_ms,
                one.end_ms,
                one.quote,
                tuple(tuple(sentence) for sentence in one.sentences),
                frozenset(shown[one.id]),
            )
            for one in (row.passages if row else ())
        ]
    return tuple(found)


def _said(session: Session) -> dict[int, list[Said]]:
    """What was said of the current transcripts' words, by recording; the newest word last."""
    query = (
        select(models.Coding, models.Theme.key, models.Transcript.recording_id)
        .join(models.Theme, models.Theme.id == models.Coding.theme_id)
        .join(models.Transcript, models.Transcript.id == models.Coding.transcript_id)
        .where(models.Transcript.current.is_(True))
        .order_by(models.Coding.made_at, models.Coding.id)
    )
    found: dict[int, list[Said]] = {}
    for coding, key, recording_id in session.execute(query):
        said = Said(key, coding.state == "accepted", coding.start_ms, coding.end_ms)
        found.setdefault(recording_id, []).append(said)
    return found


def _laid(passage: Held, said: Sequence[Said]) -> dict[str, bool]:
    """What was said of at least half of a passage; of one theme, what was said of words most like the passage's."""
    found: dict[str, tuple[float, bool]] = {}
    span = Span(passage.start_ms, passage.end_ms)
    for one in said:
        shared = span.overlap_ms(Span(one.start_ms, one.end_ms))
        if shared <= 0 or 2 * shared < span.duration_ms:
            continue
        likeness = shared / (max(one.end_ms, passage.end_ms) - min(one.start_ms, passage.start_ms))
        if likeness >= found.get(one.theme, (0.0, False))[0]:
            found[one.theme] = (likeness, one.accepted)
    return {theme: accepted for theme, (_, accepted) in found.items()}


def _keys(says: dict[str, bool], fits: bool) -> frozenset[str]:
    return frozenset(key for key, accepted in says.items() if accepted is fits)


def _state(says: bool | None, proposed: bool) -> str:
    if says is not None:
        return "accepted" if says else "rejected"
    return "proposed" if proposed else "scored"


def _why(found: Labelled, place: int, key: str, passage: Held) -> list[list[Any]]:
    weighed = found.why(place, key) if passage.sentences else []
    return [[passage.sentences[one][0], passage.sentences[one][1], share] for one, share in weighed]


def _batched(items: Iterable[int], size: int) -> Iterator[list[int]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
