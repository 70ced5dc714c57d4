"""REFI-QDA to bytes: elements and attributes in the order of the schemas, one element a line."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO
from xml.sax.saxutils import XMLGenerator
from xml.sax.xmlreader import AttributesImpl

from transcripts.formats.refi import (
    CODEBOOK_NAMESPACE,
    EDGES,
    PROJECT_NAMESPACE,
    SELECTIONS,
    SOURCES,
    Case,
    Code,
    Coding,
    Kind,
    Note,
    Project,
    Selection,
    Source,
    Transcript,
    TranscriptSelection,
    VariableValue,
)

_UNWRITABLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold."""


def write_codebook(codes: Iterable[Code], origin: str) -> bytes:
    """A ``.qdc``. A codebook has no notes, so those of the codes are left out."""
    out = io.BytesIO()
    writer = _Writer(out)
    with writer.element("CodeBook", {"xmlns": CODEBOOK_NAMESPACE, "origin": origin}), writer.element("Codes"):
        for code in codes:
            writer.code(code, with_notes=False)
    writer.end()
    return out.getvalue()


def write_project(project: Project, out: BinaryIO) -> None:
    """The ``project.qde`` of a project; its texts are to lie beside it under ``text_path``."""
    writer = _Writer(out)
    attributes = {
        "xmlns": PROJECT_NAMESPACE,
        "name": project.name,
        "origin": project.origin or None,
        "creatingUserGUID": project.user,
        "creationDateTime": _moment(project.created),
        "basePath": project.base_path,
    }
    with writer.element("Project", attributes):
        writer.project(project)
    writer.end()


def text_path(guid: str) -> str:
    """Where the text of the source, transcript or note of this GUID lies."""
    return f"internal://{guid}.txt"


class _Writer:
    def __init__(self, out: BinaryIO) -> None:
        self._xml = XMLGenerator(out, encoding="utf-8", short_empty_elements=True)
        self._xml.startDocument()
        self._depth = self._children = 0
        self._types: dict[str, str] = {}

    def end(self) -> None:
        """End the document."""
        self._xml.ignorableWhitespace("\n")
        self._xml.endDocument()

    @contextlib.contextmanager
    def element(self, name: str, attributes: Mapping[str, str | None] | None = None) -> Iterator[None]:
        """An element around what is written in the block; attributes that are None are left out."""
        self._open(name, attributes or {})
        before = self._children
        self._children, self._depth = 0, self._depth + 1
        yield
        self._depth -= 1
        if self._children:
            self._line()
        self._children = before + 1
        self._xml.endElement(name)

    def leaf(self, name: str, attributes: Mapping[str, str | None], text: str = "") -> None:
        """An element with nothing in it but text."""
        self._open(name, attributes)
        self._xml.characters(_plain(text))
        self._xml.endElement(name)
        self._children += 1

    def _open(self, name: str, attributes: Mapping[str, str | None]) -> None:
        if self._depth:
            self._line()
        given = {key: _plain(value) for key, value in attributes.items() if value is not None}
        self._xml.startElement(name, AttributesImpl(given))

    def _line(self) -> None:
        self._xml.ignorableWhitespace("\n" + " " * self._depth)

    # The standard's parts

    def project(self, project: Project) -> None:
        """What stands in <Project>, in the schema's order; an empty group is left out, as the schema asks."""
        self._types = {variable.guid: variable.type for variable in project.variables}
        with self._group("Users", project.users):
            for user in project.users:
                self.leaf("User", {"guid": user.guid, "name": user.name or None})
        with self._group("CodeBook", project.codes), self._group("Codes", project.codes):
            for code in project.codes:
                self.code(code, with_notes=True)
        with self._group("Variables", project.variables):
            for variable in project.variables:
                given = {"guid": variable.guid, "name": variable.name, "typeOfVariable": variable.type}
                with self.element("Variable", given):
                    self._description(variable.description)
        with self._group("Cases", project.cases):
            for case in project.cases:
                self._case(case)
        with self._group("Sources", project.sources):
            for source in project.sources:
                self._source(source)
        with self._group("Notes", project.notes):
            for note in project.notes:
                self._note(note)
        self._description(project.description)

    @contextlib.contextmanager
    def _group(self, name: str, members: tuple[object, ...]) -> Iterator[None]:
        with self.element(name) if members else contextlib.nullcontext():
            yield

    def code(self, code: Code, *, with_notes: bool) -> None:
        """A code and those under it."""
        given = {
            "guid": code.guid,
            "name": code.name,
            "isCodable": "true" if code.codable else "false",
            "color": code.colour,
        }
        with self.element("Code", given):
            self._description(code.description)
            if with_notes:
                self._references("NoteRef", code.notes)
            for child in code.codes:
                self.code(child, with_notes=with_notes)

    def _case(self, case: Case) -> None:
        with self.element("Case", {"guid": case.guid, "name": case.name or None}):
            self._description(case.description)
            self._references("CodeRef", case.codes)
            self._values(case.values)
            self._references("SourceRef", case.sources)
            self._references("SelectionRef", case.selections)

    def _source(self, source: Source) -> None:
        given = {
            "guid": source.guid,
            "name": source.name or None,
            "path": source.path,
            "plainTextPath": text_path(source.guid) if source.text is not None else None,
            **_made(source),
        }
        with self.element(SOURCES[source.kind], given):
            self._description(source.description)
            for transcript in source.transcripts:
                self._transcript(transcript)
            for selection in source.selections:
                self._selection(selection, source.kind)
            self._codings(source.codings)
            self._references("NoteRef", source.notes)
            self._values(source.values)

    def _transcript(self, transcript: Transcript) -> None:
        given = {
            "guid": transcript.guid,
            "name": transcript.name or None,
            "plainTextPath": text_path(transcript.guid),
            **_made(transcript),
        }
        with self.element("Transcript", given):
            self._description(transcript.description)
            for point in transcript.sync_points:
                self.leaf(
                    "SyncPoint",
                    {
                        "guid": point.guid,
                        "timeStamp": _number(point.time_ms),
                        "position": _number(point.position),
                    },
                )
            for selection in transcript.selections:
                self._transcript_selection(selection)
            self._references("NoteRef", transcript.notes)

    def _transcript_selection(self, selection: TranscriptSelection) -> None:
        given = {
            "guid": selection.guid,
            "name": selection.name or None,
            "fromSyncPoint": selection.first,
            "toSyncPoint": selection.last,
            **_made(selection),
        }
        with self.element("TranscriptSelection", given):
            self._coded(selection)

    def _selection(self, selection: Selection, kind: Kind) -> None:
        start, end = EDGES[kind]
        given = {
            "guid": selection.guid,
            "name": selection.name or None,
            start: str(selection.start),
            end: str(selection.end),
            **_made(selection),
        }
        with self.element(SELECTIONS[kind], given):
            self._coded(selection)

    def _coded(self, selection: Selection | TranscriptSelection) -> None:
        self._description(selection.description)
        self._codings(selection.codings)
        self._references("NoteRef", selection.notes)

    def _codings(self, codings: Iterable[Coding]) -> None:
        for coding in codings:
            with self.element("Coding", {"guid": coding.guid, **_made(coding)}):
                self._references("CodeRef", (coding.code,))
                self._references("NoteRef", coding.notes)

    def _note(self, note: Note) -> None:
        given = {
            "guid": note.guid,
            "name": note.name or None,
            "plainTextPath": text_path(note.guid),
            **_made(note),
        }
        with self.element("Note", given):
            self._description(note.description)

    def _values(self, values: Iterable[VariableValue]) -> None:
        for value in values:
            with self.element("VariableValue"):
                self._references("VariableRef", (value.variable,))
                if value.value:
                    self.leaf(f"{self._types[value.variable]}Value", {}, value.value)

    def _references(self, name: str, targets: Iterable[str]) -> None:
        for target in targets:
            self.leaf(name, {"targetGUID": target})

    def _description(self, text: str) -> None:
        if text:
            self.leaf("Description", {}, text)


def _made(
    value: Source | Transcript | Selection | TranscriptSelection | Coding | Note,
) -> dict[str, str | None]:
    return {"creatingUser": value.user, "creationDateTime": _moment(value.created)}


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)


def _plain(text: str) -> str:
    """The text as XML gives it back: line feeds, and no character that XML 1.0 cannot hold."""
    return _UNWRITABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
