"""The collection as a REFI-QDA project, for the programs that analysts use, and what they coded back again.

A recording is an audio or video source with its transcript: both ends of every word are sync points. A passage with
themes is selected twice, in the transcript and on the media, to the millisecond. A story is a case; who tells it, and
when, are its variables. Everything that leaves was let through by the gate.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import cast

from sqlalchemy.orm import Session

from db import models, store
from media.files import atomic_path
from pipeline import codebook, coding, looks, mapping, overview
from pipeline.collection import Collection
from pipeline.gate import Decision, Purpose, decide
from transcripts.formats.places import LaidOut, Place, lay_out
from transcripts.formats.refi import (
    Case,
    Coding,
    Kind,
    Note,
    Project,
    Selection,
    Source,
    SyncPoint,
    Transcript,
    TranscriptSelection,
    User,
    Variable,
    VariableValue,
    guid,
)
from transcripts.formats.refi.archive import INTERNAL, pack
from transcripts.themes.codebook import Codebook
from transcripts.themes.codes import code_guid, to_codes, to_notes

ORIGIN = f"stories {version('stories')}"

MACHINE = User(guid("user", "machine"), "stories")
"""Codes what is proposed; a coding by anybody else is somebody's word."""

VARIABLES = {
    "storyteller": "Text",
    "role": "Text",
    "sector": "Text",
    "place": "Text",
    "phase": "Text",
    "told on": "Date",
    "method": "Text",
    "language": "Text",
    "consent": "Text",
}
"""What is told of a story, and its type in the standard."""

_NOT_ANONYMOUS = frozenset({"storyteller", "place", "told on"})
"""A role, a small place and a day together can name somebody."""
_NAME_CHARS = 60


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A recording that does not go out, and why."""

    recording: str
    reason: str


@dataclass(frozen=True, slots=True)
class Packed:
    """A project, the file of each ``internal://`` path, what was left out, and what is to be known about the rest."""

    project: Project
    media: dict[str, Path]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...]

    @property
    def codings(self) -> int:
        """How many passages are coded, each theme counted."""
        return sum(len(s.codings) for source in self.project.sources for s in source.selections)


@dataclass(frozen=True, slots=True)
class Coded:
    """A coding of a project, laid on the words of this collection.

    ``theme`` is the code's GUID in the project. ``proposed``: it is the program's own proposal. ``exact``: the text
    that was coded is the text as it is here; otherwise the words were found by their time.
    """

    recording_id: int
    recording: str
    code: str
    first_word: str
    last_word: str
    start_ms: int
    end_ms: int
    quote: str
    by: str
    proposed: bool
    exact: bool


def export_project(collection: Collection, target: Path, *, with_media: bool = True) -> Packed:
    """Write the collection as a ``.qdpx``, whole or not at all; media are linked, not held, unless ``with_media``.

    Raises:
        CodebookError: themes.yaml is no codebook.
    """
    packed = project_of(collection, with_media=with_media)
    with atomic_path(target) as made, made.open("wb") as out:
        pack(packed.project, packed.media, out)
    return packed


def project_of(collection: Collection, *, with_media: bool = True) -> Packed:
    """The collection as a project.

    Of an anonymous story no name goes out: not in the variables, the names of files and speakers, or the notes, and a
    word of the transcript that is one of the names is hidden. A withdrawn story stays here.

    Raises:
        CodebookError: themes.yaml is no codebook.
    """
    book = codebook.standing(collection).book
    making = _Making(collection, book, with_media)
    with collection.sessions() as session:
        for recording in store.recordings(session):
            decision = decide(store.consent_scope(recording), Purpose.EXPORT)
            if decision.allowed:
                making.add(session, recording, decision)
            else:
                making.left_out.append(LeftOut(overview.name_of(recording), decision.reason))
    return making.packed()


@dataclass
class _Making:
    """A project on the way: one recording after the other."""

    collection: Collection
    book: Codebook
    with_media: bool
    sources: list[Source] = field(default_factory=list)
    cases: dict[int, Case] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    media: dict[str, Path] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    names: Counter[str] = field(default_factory=Counter)
    users: dict[str, User] = field(default_factory=dict)
    """Editors, by name."""
    linked: bool = False
    """Whether a source is to be found from the collection's folder."""

    def packed(self) -> Packed:
        """What was made."""
        now = _seconds(datetime.now(UTC))
        project = Project(
            name=self.collection.settings.collection.title,
            origin=ORIGIN,
            users=(MACHINE, *self.users.values()),
            codes=to_codes(self.book, notes_beside=True),
            variables=tuple(Variable(_variable(name), name, kind) for name, kind in VARIABLES.items()),
            cases=tuple(self.cases.values()),
            sources=tuple(self.sources),
            notes=(*to_notes(self.book, MACHINE.guid, now), *self.notes),
            user=MACHINE.guid,
            created=now,
            base_path=str(self.collection.root) if self.linked else None,
        )
        return Packed(project, self.media, tuple(self.left_out), tuple(self.remarks))

    def add(self, session: Session, recording: models.Recording, decision: Decision) -> None:
        """Add a recording and its story; one that has no media or no transcript yet is left out."""
        told = overview.name_of(recording)
        rendition = next((one for one in recording.renditions if one.kind == "web"), None)
        row = store.current_transcript(session, recording.id)
        if rendition is None or row is None:
            self.left_out.append(LeftOut(told, "it has no transcript yet; run `stories process`"))
            return
        key = guid("recording", recording.sha256)
        name = self._named(_file_name(recording, Path(rendition.path).suffix, decision))
        transcript, selections = self._transcript(session, recording, row, name, decision)
        self.sources.append(
            Source(
                guid=key,
                kind=cast("Kind", recording.kind),
                name=name,
                path=self._path(key, rendition, told),
                transcripts=(transcript,),
                selections=selections,
                notes=self._note(recording, decision),
                user=MACHINE.guid,
                created=_seconds(recording.added_at),
            )
        )
        self._case(recording, decision, key)

    def _path(self, key: str, rendition: models.Rendition, name: str) -> str:
        """Where the media lie: the web rendition, which has the recording's timeline and none of its metadata."""
        file = self.collection.absolute(rendition.path)
        if self.with_media and file.is_file():
            path = f"{INTERNAL}{key}{file.suffix}"
            self.media[path] = file
            return path
        if not file.is_file():
            self.remarks.append(f"{name}: {rendition.path} is not there; run `stories process`.")
        self.linked = True
        return f"relative:///{rendition.path}"

    def _transcript(
        self,
        session: Session,
        recording: models.Recording,
        row: models.Transcript,
        name: str,
        decision: Decision,
    ) -> tuple[Transcript, tuple[Selection, ...]]:
        laid = laid_out(session, recording, row, decision)
        if laid.hidden:
            self.remarks.append(
                f"{overview.name_of(recording)}: names are hidden in the text ({laid.hidden} words); they can still be "
                "heard."
            )
        created = _seconds(row.created_at)
        spans = list(self._coded(session, recording, row, laid))
        transcript = Transcript(
            guid=guid("transcript", recording.sha256, row.version),
            text=laid.text,
            name=f"{name}.txt",
            sync_points=tuple(
                point for place in laid.places for point in _sync_points(recording, row, place)
            ),
            selections=tuple(
                TranscriptSelection(
                    guid=_selection(recording, row, span.first.word, span.last.word, "text"),
                    first=_point(recording, row, span.first.word, "start"),
                    last=_point(recording, row, span.last.word, "end"),
                    name=looks.shortened(span.quote, _NAME_CHARS),
                    description=span.described,
                    codings=_codings(recording, row, span, "text", created),
                    user=MACHINE.guid,
                    created=created,
                )
                for span in spans
            ),
            user=MACHINE.guid,
            created=created,
        )
        selections = tuple(
            Selection(
                guid=_selection(recording, row, span.first.word, span.last.word, "media"),
                start=span.start_ms,
                end=span.end_ms,
                name=looks.shortened(span.quote, _NAME_CHARS),
                description=span.described,
                codings=_codings(recording, row, span, "media", created),
                user=MACHINE.guid,
                created=created,
            )
            for span in spans
        )
        return transcript, selections

    def _coded(
        self, session: Session, recording: models.Recording, row: models.Transcript, laid: LaidOut
    ) -> Iterator[_Span]:
        """What is proposed of passages, and what editors accepted, where it stands in the text."""
        themes = {theme.key: theme for theme in self.book.themes}
        name = overview.name_of(recording)
        for labelled in _labelled(session, row):
            gone = [one.theme for one in labelled.labels if one.theme not in themes]
            labels = [one for one in labelled.labels if one.theme in themes]
            if gone:
                self.remarks.append(
                    f"{name}: a passage is labelled {', '.join(gone)}, which the codebook does not have; run "
                    "`stories process`."
                )
            edges = laid.between(labelled.first_word, labelled.last_word) or laid.heard(
                labelled.start_ms, labelled.end_ms
            )
            if edges is None and labels:
                self.remarks.append(
                    f"{name}: the words of a passage are no longer there; run `stories process`."
                )
            elif edges and labels:
                said = "; ".join(f"{themes[one.theme].name}: {one.told}" for one in labels)
                users = tuple((one.theme, self._user(one.author)) for one in labels)
                yield _Span(*edges, laid.text[edges[0].start : edges[1].end], said, users)

    def _user(self, author: str | None) -> str:
        """The GUID of who codes; None: the program itself."""
        if author is None:
            return MACHINE.guid
        user = self.users.setdefault(author, User(guid("user", "editor", author), author))
        return user.guid

    def _case(self, recording: models.Recording, decision: Decision, source: str) -> None:
        story = recording.story
        if story is None:
            return
        case = self.cases.get(story.id)
        if case is None:
            name = f"Anonymous {recording.sha256[:8]}" if decision.pseudonymise else story.title
            case = Case(
                guid=guid("case", recording.sha256),
                name=self._named(name),
                values=tuple(_values(story, decision)),
            )
        self.cases[story.id] = Case(case.guid, case.name, values=case.values, sources=(*case.sources, source))

    def _note(self, recording: models.Recording, decision: Decision) -> tuple[str, ...]:
        story = recording.story
        if story is None or not story.notes or decision.pseudonymise:
            return ()
        key = guid("note", recording.sha256)
        created = _seconds(recording.added_at)
        name = self._named(f"{story.title}: notes")
        self.notes.append(Note(key, story.notes, name, user=MACHINE.guid, created=created))
        return (key,)

    def _named(self, name: str) -> str:
        """The name, with a number when it was given before: several programs need names that differ."""
        self.names[name.casefold()] += 1
        count = self.names[name.casefold()]
        if count == 1:
            return name
        stem, dot, suffix = name.rpartition(".") if re.search(r"\.\w{2,4}$", name) else (name, "", "")
        return self._named(f"{stem} ({count}){dot}{suffix}")


def laid_out(
    session: Session, recording: models.Recording, row: models.Transcript, decision: Decision
) -> LaidOut:
    """The transcript's text as it goes out, with the place of each word."""
    transcript = mapping.current_transcript(session, row)
    names = mapping.speaker_names(recording, pseudonymise=decision.pseudonymise)
    return lay_out(transcript, names, _hidden(recording) if decision.pseudonymise else frozenset())


def codings_of(collection: Collection, project: Project) -> tuple[list[Coded], list[str]]:
    """The codings of a project on recordings of this collection, laid on their words; and what could not be, in words.

    A recording is known by its source's GUID, else by the name of its file. A coding is found by its place in the text
    where that is the text as it is here, else by its time. The same passage coded in the text and on the media is one.
    """
    reading = _Reading({user.guid: user for user in project.users}, project.user)
    with collection.sessions() as session:
        recordings = store.recordings(session)
        by_guid = {guid("recording", one.sha256): one for one in recordings}
        stems = Counter(_stem(overview.name_of(one)) for one in recordings)
        by_stem = {_stem(overview.name_of(one)): one for one in recordings}
        for source in project.sources:
            stem = _stem(source.name)
            named = by_stem.get(stem) if stems[stem] == 1 else None
            reading.source(session, source, by_guid.get(source.guid) or named)
    return list(reading.found.values()), reading.problems


@dataclass
class _Reading:
    """Codings on the way back to words."""

    users: dict[str, User]
    owner: str | None
    found: dict[tuple[object, ...], Coded] = field(default_factory=dict)
    twins: dict[str, tuple[Place, Place]] = field(default_factory=dict)
    """The words of our own selections on the media, known from their twins in the text."""
    problems: list[str] = field(default_factory=list)

    def source(self, session: Session, source: Source, recording: models.Recording | None) -> None:
        """Take in a source's codings."""
        codings = (
            len(source.codings)
            + sum(len(one.codings) for one in source.selections)
            + sum(len(one.codings) for transcript in source.transcripts for one in transcript.selections)
        )
        if not codings:
            return
        if recording is None:
            self._skip(source, codings, "it is no recording of this collection")
            return
        decision = decide(store.consent_scope(recording), Purpose.EXPORT)
        row = store.current_transcript(session, recording.id)
        if not decision.allowed or row is None:
            self._skip(source, codings, "it has no transcript here" if decision.allowed else decision.reason)
            return
        if source.codings:
            self._skip(source, len(source.codings), "the whole recording is coded, not a part of it")
        laid = laid_out(session, recording, row, decision)
        for transcript in source.transcripts:
            self._transcript(recording, row, transcript, laid)
        for selection in source.selections:
            if source.kind == "text":
                same = source.text == laid.text
                edges = laid.inside(selection.start, selection.end) if same else None
                self._take(recording, selection, edges, laid, exact=same)
            else:
                twin = self.twins.get(selection.guid)
                edges = twin or laid.heard(selection.start, selection.end)
                self._take(recording, selection, edges, laid, exact=twin is not None)

    def _transcript(
        self, recording: models.Recording, row: models.Transcript, transcript: Transcript, laid: LaidOut
    ) -> None:
        points = {point.guid: point for point in transcript.sync_points}
        same = transcript.text == laid.text
        for selection in transcript.selections:
            first, last = points.get(selection.first or ""), points.get(selection.last or "")
            edges = None
            if same and first and last and first.position is not None and last.position is not None:
                edges = laid.inside(first.position, last.position)
            elif first and last and first.time_ms is not None and last.time_ms is not None:
                edges = laid.heard(first.time_ms, last.time_ms)
            self._take(recording, selection, edges, laid, exact=same)
            if edges and same:
                self.twins[_selection(recording, row, edges[0].word, edges[1].word, "media")] = edges

    def _take(
        self,
        recording: models.Recording,
        selection: Selection | TranscriptSelection,
        edges: tuple[Place, Place] | None,
        laid: LaidOut,
        *,
        exact: bool,
    ) -> None:
        name = overview.name_of(recording)
        if edges is None and selection.codings:
            self.problems.append(
                f'{name}: the words of "{looks.shortened(selection.name, _NAME_CHARS) or selection.guid}" are not there'
            )
        if edges is None:
            return
        first, last = edges
        for one in selection.codings:
            user = self.users.get(one.user or selection.user or self.owner or "")
            key = (recording.id, one.code, first.word, last.word, user)
            self.found.setdefault(
                key,
                Coded(
                    recording_id=recording.id,
                    recording=name,
                    code=one.code,
                    first_word=first.word,
                    last_word=last.word,
                    start_ms=first.start_ms,
                    end_ms=last.end_ms,
                    quote=laid.text[first.start : last.end],
                    by=user.name if user else "",
                    proposed=user is not None and user.guid == MACHINE.guid,
                    exact=exact,
                ),
            )

    def _skip(self, source: Source, codings: int, reason: str) -> None:
        self.problems.append(f'"{source.name or source.guid}": {reason}; codings left out: {codings}')


def labels(collection: Collection) -> dict[tuple[int, str, str, str], str]:
    """The state of each label: (recording's number, theme's key, first word, last word) -> proposed or accepted."""
    found: dict[tuple[int, str, str, str], str] = {}
    with collection.sessions() as session:
        for recording in store.recordings(session):
            row = store.current_transcript(session, recording.id)
            for labelled in _labelled(session, row) if row else ():
                for label in labelled.labels:
                    key = (recording.id, label.theme, labelled.first_word, labelled.last_word)
                    found[key] = "proposed" if label.author is None else "accepted"
    return found


def take_over(collection: Collection, coded: Iterable[tuple[Coded, str]]) -> int:
    """Write codings that were made elsewhere, each with its theme's key, as somebody's word; how many.

    Raises:
        NotFound: a theme was never in the codebook.
    """
    by: dict[str, list[coding.Mark]] = {}
    with collection.sessions.begin() as session:
        codebook.sync(session, codebook.standing(collection).book)
        for one, theme in coded:
            row = store.current_transcript(session, one.recording_id)
            if row is None or one.proposed:
                continue
            mark = coding.Mark(
                row.id, theme, "accepted", one.first_word, one.last_word, one.start_ms, one.end_ms, one.quote
            )
            by.setdefault(one.by or "somebody", []).append(mark)
        for author, marks in by.items():
            coding.write(session, marks, author)
    return sum(len(marks) for marks in by.values())


@dataclass(frozen=True, slots=True)
class _Label:
    """A theme of some words; ``author`` None: it is proposed. ``told`` is what is said of it in words."""

    theme: str
    author: str | None
    told: str


@dataclass(frozen=True, slots=True)
class _Labelled:
    """Words with their labels."""

    first_word: str
    last_word: str
    start_ms: int
    end_ms: int
    labels: list[_Label]


def _labelled(session: Session, row: models.Transcript) -> list[_Labelled]:
    """What is proposed of a transcript's passages and what editors accepted of its words, in order of time."""
    found: dict[tuple[str, str], _Labelled] = {}

    def add(place: models.Passage | models.Coding, label: _Label) -> None:
        words = (place.first_word, place.last_word)
        held = found.setdefault(words, _Labelled(*words, place.start_ms, place.end_ms, []))
        held.labels.append(label)

    for passage in row.passages:
        for one in passage.themes:
            if one.state == "proposed":
                add(passage, _Label(one.theme.key, None, f"proposed, {one.score:.2f}"))
    for said in coding.of_recording(session, row.recording_id):
        if said.transcript_id == row.id and said.state == "accepted":
            add(said, _Label(said.theme.key, said.author, "accepted"))
    return sorted(found.values(), key=lambda one: (one.start_ms, one.end_ms))


@dataclass(frozen=True, slots=True)
class _Span:
    """A coded passage: its first and last word, its quote, its labels in words, and (theme's key, coder) of each."""

    first: Place
    last: Place
    quote: str
    described: str
    labels: tuple[tuple[str, str], ...]

    @property
    def start_ms(self) -> int:
        return self.first.start_ms

    @property
    def end_ms(self) -> int:
        return max(self.first.start_ms, self.last.end_ms)


def _codings(
    recording: models.Recording, row: models.Transcript, span: _Span, where: str, created: datetime
) -> tuple[Coding, ...]:
    selection = _selection(recording, row, span.first.word, span.last.word, where)
    return tuple(
        Coding(guid("coding", selection, key), code_guid(key), user, created) for key, user in span.labels
    )


def _sync_points(
    recording: models.Recording, row: models.Transcript, place: Place
) -> tuple[SyncPoint, SyncPoint]:
    return (
        SyncPoint(_point(recording, row, place.word, "start"), place.start, place.start_ms),
        SyncPoint(_point(recording, row, place.word, "end"), place.end, place.end_ms),
    )


def _point(recording: models.Recording, row: models.Transcript, word: str, edge: str) -> str:
    return guid("word", recording.sha256, row.version, word, edge)


def _selection(recording: models.Recording, row: models.Transcript, first: str, last: str, where: str) -> str:
    return guid("passage", recording.sha256, row.version, first, last, where)


def _values(story: models.Story, decision: Decision) -> Iterator[VariableValue]:
    teller = story.storyteller
    told = {
        "storyteller": teller.name if teller else "",
        "role": teller.role if teller else "",
        "sector": teller.sector if teller else "",
        "place": teller.place if teller else "",
        "phase": story.phase,
        "told on": story.told_on.isoformat() if story.told_on else "",
        "method": story.method,
        "language": story.language,
        "consent": story.consents[-1].scope if story.consents else "",
    }
    for name, value in told.items():
        if value and not (decision.pseudonymise and name in _NOT_ANONYMOUS):
            yield VariableValue(_variable(name), value)


def _variable(name: str) -> str:
    return guid("variable", name)


def _hidden(recording: models.Recording) -> frozenset[str]:
    """The names of everybody in a recording, whole and in their parts."""
    teller = recording.story.storyteller if recording.story else None
    names = [teller.name] if teller else []
    names += [speaker.label for speaker in recording.speakers if speaker.label != speaker.pseudonym]
    parts = {part for name in names for part in _parts(name)}
    return frozenset(part for part in parts if len(part) > 1)


def _parts(name: str) -> Iterable[str]:
    for word in name.split():
        yield word.strip(".,")
        yield from re.split(r"[-–]", word.strip(".,"))


def _file_name(recording: models.Recording, suffix: str, decision: Decision) -> str:
    if decision.pseudonymise:
        return f"anonymous-{recording.sha256[:8]}{suffix}"
    return f"{Path(overview.name_of(recording)).stem}{suffix}"


def _stem(name: str) -> str:
    return Path(name).stem.casefold()


def _seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)
