"""REFI-QDA from bytes: what the standard asks for is held, what we do not support is named with its line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypedDict, TypeVar

from transcripts.formats.refi import (
    CODEBOOK_NAMESPACE,
    EDGES,
    PROJECT_NAMESPACE,
    SELECTIONS,
    SOURCES,
    VARIABLE_TYPES,
    Case,
    Code,
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
)
from transcripts.formats.refi.markup import Element, Malformed, parse

_GUID = re.compile(r"\{?([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\}?")
_RGB = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_KINDS = {name: kind for kind, name in SOURCES.items()}

T = TypeVar("T")
Texts = Callable[[str], str | None]
"""Gives the text of a path of the project, or None when it is not in the archive.

Raises:
    Malformed: it is there and cannot be read.
"""


@dataclass(frozen=True, slots=True)
class ReadCode:
    """A code and where it stands: its line, and the place of the code above it in the same list."""

    code: Code
    line: int
    parent: int | None


@dataclass(frozen=True, slots=True)
class ReadCodebook:
    """The codes, each before those under it, and what was left out, in words and with the line."""

    codes: tuple[ReadCode, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReadProject:
    """A project, its codes with their lines, and what was left out, in words and with the line."""

    project: Project
    codes: tuple[ReadCode, ...]
    problems: tuple[str, ...]


def read_codebook(data: bytes) -> ReadCodebook:
    """The codes of a ``.qdc``.

    Raises:
        Malformed: it is not a REFI-QDA codebook.
    """
    reader = _Reader(lambda _path: None)
    root = parse(data, CODEBOOK_NAMESPACE, "CodeBook")
    parts = reader.parts(root, "Codes", "Sets")
    for element in parts["Sets"]:
        reader.left_out(element, "sets of codes are not supported")
    reader.codes(parts["Codes"])
    return ReadCodebook(tuple(reader.listed), tuple(reader.problems))


def read_project(data: bytes, texts: Texts) -> ReadProject:
    """The project of a ``project.qde``; ``texts`` fetches what lies beside it.

    What refers to something that is not there is left out and named; so is a selection outside of its text.

    Raises:
        Malformed: it is not a REFI-QDA project, or misses what the standard requires.
    """
    reader = _Reader(texts)
    root = parse(data, PROJECT_NAMESPACE, "Project")
    return reader.project(root)


class _Selected(TypedDict):
    guid: str
    name: str
    description: str
    codings: tuple[Coding, ...]
    notes: tuple[str, ...]
    user: str | None
    created: datetime | None


class _Reader:
    """Reads one document. A GUID that names nothing known here makes its reference fall out, with a problem."""

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self.problems: list[str] = []
        self.listed: list[ReadCode] = []
        self._known: dict[str, set[str]] = {
            kind: set() for kind in ("user", "code", "variable", "note", "source", "selection")
        }
        self._as_one = False

    # The whole

    def project(self, root: Element) -> ReadProject:
        """All of it; what others refer to first."""
        parts = self.parts(
            root,
            *("Users", "CodeBook", "Variables", "Cases", "Sources", "Notes", "Description", "NoteRef"),
            *("Links", "Sets", "Graphs"),
        )
        for name in ("Links", "Sets", "Graphs"):
            for element in parts[name]:
                self.left_out(element, f"{name.lower()} are not supported")
        origin = root.attributes.get("origin", "")
        # ATLAS.ti counts a line break as one position and writes two characters.
        self._as_one = "atlas" in origin.lower()
        users = tuple(self._each(parts["Users"], "User", self._user))
        for group in parts["Notes"]:
            for element in group.children:
                self._new(element, "note")
        for book in parts["CodeBook"]:
            self.codes(self.parts(book, "Codes")["Codes"])
        variables = tuple(self._each(parts["Variables"], "Variable", self._variable))
        notes = tuple(self._each(parts["Notes"], "Note", self._note))
        sources = tuple(source for group in parts["Sources"] for source in self._sources(group))
        cases = tuple(self._each(parts["Cases"], "Case", self._case))
        project = Project(
            name=self._required(root, "name"),
            origin=origin,
            users=users,
            codes=_tree(self.listed),
            variables=variables,
            cases=cases,
            sources=sources,
            notes=notes,
            description=_text(parts["Description"]),
            user=self._reference(root, "creatingUserGUID", "user"),
            created=self._moment(root, "creationDateTime"),
            base_path=root.attributes.get("basePath"),
        )
        return ReadProject(project, tuple(self.listed), tuple(self.problems))

    # Parts

    def codes(self, groups: list[Element]) -> None:
        """List the codes of the groups, each before those under it."""
        for group in groups:
            for element in self.parts(group, "Code")["Code"]:
                self._code(element, None)

    def _code(self, element: Element, parent: int | None) -> None:
        parts = self.parts(element, "Description", "NoteRef", "Code")
        codable = element.attributes.get("isCodable", "true").strip() not in ("false", "0")
        code = Code(
            guid=self._new(element, "code"),
            name=self._required(element, "name"),
            description=_text(parts["Description"]),
            colour=self._colour(element),
            codable=codable,
            notes=self._note_refs(parts["NoteRef"]),
        )
        place = len(self.listed)
        self.listed.append(ReadCode(code, element.line, parent))
        for child in parts["Code"]:
            self._code(child, place)

    def _user(self, element: Element) -> User:
        return User(self._new(element, "user"), element.attributes.get("name", ""))

    def _variable(self, element: Element) -> Variable:
        kind = self._required(element, "typeOfVariable")
        if kind not in VARIABLE_TYPES:
            raise Malformed(element.line, f'there is no type of variable "{kind}"')
        return Variable(
            guid=self._new(element, "variable"),
            name=self._required(element, "name"),
            type=kind,
            description=_text(self.parts(element, "Description")["Description"]),
        )

    def _note(self, element: Element) -> Note:
        parts = self.parts(element, "Description", "PlainTextContent")
        return Note(
            guid=self._guid(element, "guid"),
            text=self._plain_text(element, parts) or "",
            name=element.attributes.get("name", ""),
            description=_text(parts["Description"]),
            user=self._reference(element, "creatingUser", "user"),
            created=self._moment(element, "creationDateTime"),
        )

    def _case(self, element: Element) -> Case:
        parts = self.parts(element, "Description", "CodeRef", "VariableValue", "SourceRef", "SelectionRef")
        return Case(
            guid=self._guid(element, "guid"),
            name=element.attributes.get("name", ""),
            description=_text(parts["Description"]),
            codes=self._references(parts["CodeRef"], "code"),
            values=tuple(self._values(parts["VariableValue"])),
            sources=self._references(parts["SourceRef"], "source"),
            selections=self._references(parts["SelectionRef"], "selection"),
        )

    def _values(self, elements: list[Element]) -> Iterator[VariableValue]:
        for element in elements:
            parts = self.parts(element, "VariableRef", *(f"{kind}Value" for kind in VARIABLE_TYPES))
            if len(parts["VariableRef"]) != 1:
                raise Malformed(element.line, "a value must name one variable")
            variable = self._reference(parts["VariableRef"][0], "targetGUID", "variable")
            if variable is not None:
                given = [value for kind in VARIABLE_TYPES for value in parts[f"{kind}Value"]]
                yield VariableValue(variable, _text(given[:1]))

    def _sources(self, group: Element) -> Iterator[Source]:
        for element in group.children:
            if element.name in _KINDS:
                yield self._source(element, _KINDS[element.name])
            else:
                name = element.attributes.get("name", "without a name")
                self.left_out(element, f'<{element.name}> "{name}" is no text, sound or film')

    def _source(self, element: Element, kind: Kind) -> Source:
        selection = SELECTIONS[kind]
        own = ("PlainTextContent",) if kind == "text" else ("Transcript",)
        parts = self.parts(element, "Description", *own, selection, "Coding", "NoteRef", "VariableValue")
        text = self._plain_text(element, parts) if kind == "text" else None
        length = len(text) if text is not None else None
        return Source(
            guid=self._new(element, "source"),
            kind=kind,
            name=element.attributes.get("name", ""),
            path=element.attributes.get("path") if kind != "text" else None,
            text=text,
            transcripts=tuple(self._transcript(part) for part in parts.get("Transcript", ())),
            selections=tuple(self._selections(parts[selection], EDGES[kind], length)),
            codings=tuple(self._codings(parts["Coding"])),
            values=tuple(self._values(parts["VariableValue"])),
            description=_text(parts["Description"]),
            notes=self._note_refs(parts["NoteRef"]),
            user=self._reference(element, "creatingUser", "user"),
            created=self._moment(element, "creationDateTime"),
        )

    def _transcript(self, element: Element) -> Transcript:
        parts = self.parts(
            element, "Description", "PlainTextContent", "SyncPoint", "TranscriptSelection", "NoteRef"
        )
        text = self._plain_text(element, parts)
        length = len(text) if text is not None else None
        points = [self._sync_point(point, length) for point in parts["SyncPoint"]]
        return Transcript(
            guid=self._guid(element, "guid"),
            text=text or "",
            name=element.attributes.get("name", ""),
            sync_points=tuple(points),
            selections=tuple(
                self._transcript_selections(parts["TranscriptSelection"], {point.guid for point in points})
            ),
            description=_text(parts["Description"]),
            notes=self._note_refs(parts["NoteRef"]),
            user=self._reference(element, "creatingUser", "user"),
            created=self._moment(element, "creationDateTime"),
        )

    def _sync_point(self, element: Element, length: int | None) -> SyncPoint:
        position = self._number(element, "position")
        if position is not None and (position < 0 or (length is not None and position > length)):
            self.left_out(element, f"the position {position} lies outside of the transcript")
            position = None
        return SyncPoint(self._guid(element, "guid"), position, self._number(element, "timeStamp"))

    def _selections(
        self, elements: list[Element], edges: tuple[str, str], length: int | None
    ) -> Iterator[Selection]:
        for element in elements:
            start, end = (self._number(element, edge) for edge in edges)
            if start is None or end is None:
                raise Malformed(element.line, f"<{element.name}> has no {edges[0]} or no {edges[1]}")
            if not 0 <= start <= end or (length is not None and end > length):
                self.left_out(element, f"<{element.name}> from {start} to {end} lies outside of its source")
                continue
            yield Selection(start=start, end=end, **self._selected(element))

    def _transcript_selections(
        self, elements: list[Element], points: set[str]
    ) -> Iterator[TranscriptSelection]:
        for element in elements:
            first, last = (
                self._guid(element, name) if name in element.attributes else None
                for name in ("fromSyncPoint", "toSyncPoint")
            )
            if any(point is not None and point not in points for point in (first, last)):
                self.left_out(element, "it names a sync point that the transcript does not have")
                continue
            yield TranscriptSelection(first=first, last=last, **self._selected(element))

    def _selected(self, element: Element) -> _Selected:
        """What every selection has."""
        parts = self.parts(element, "Description", "Coding", "NoteRef")
        return {
            "guid": self._new(element, "selection"),
            "name": element.attributes.get("name", ""),
            "description": _text(parts["Description"]),
            "codings": tuple(self._codings(parts["Coding"])),
            "notes": self._note_refs(parts["NoteRef"]),
            "user": self._reference(element, "creatingUser", "user"),
            "created": self._moment(element, "creationDateTime"),
        }

    def _codings(self, elements: list[Element]) -> Iterator[Coding]:
        for element in elements:
            parts = self.parts(element, "CodeRef", "NoteRef")
            if len(parts["CodeRef"]) != 1:
                raise Malformed(element.line, "a <Coding> must name one code")
            code = self._reference(parts["CodeRef"][0], "targetGUID", "code")
            if code is not None:
                yield Coding(
                    guid=self._guid(element, "guid"),
                    code=code,
                    user=self._reference(element, "creatingUser", "user"),
                    created=self._moment(element, "creationDateTime"),
                    notes=self._note_refs(parts["NoteRef"]),
                )

    # Texts

    def _plain_text(self, element: Element, parts: dict[str, list[Element]]) -> str | None:
        """The text that stands in the element or lies beside the project; None when it lies elsewhere."""
        if parts["PlainTextContent"]:
            return self._counted(_text(parts["PlainTextContent"]))
        path = element.attributes.get("plainTextPath", "").strip()
        if not path:
            raise Malformed(element.line, f"<{element.name}> has neither a text nor a plainTextPath")
        text = self._texts(path)
        if text is None:
            self.left_out(element, f'its text "{path}" is not in the archive')
            return None
        return self._counted(text)

    def _counted(self, text: str) -> str:
        return text.replace("\r\n", "\n") if self._as_one else text

    # Attributes and references

    def parts(self, element: Element, *known: str) -> dict[str, list[Element]]:
        """The element's children by name; one that is not known here is left out, with a problem."""
        found: dict[str, list[Element]] = {name: [] for name in known}
        for child in element.children:
            if child.name in found:
                found[child.name].append(child)
            else:
                self.left_out(child, f"<{child.name}> in <{element.name}> is not known")
        return found

    def left_out(self, element: Element, why: str) -> None:
        """Note that the element is left out."""
        self.problems.append(f"line {element.line}: {why}; left out")

    def _each(self, groups: list[Element], name: str, read: Callable[[Element], T]) -> Iterator[T]:
        for group in groups:
            for element in self.parts(group, name)[name]:
                yield read(element)

    def _required(self, element: Element, attribute: str) -> str:
        value = element.attributes.get(attribute, "")
        if not value.strip():
            raise Malformed(element.line, f"<{element.name}> has no {attribute}")
        return value

    def _guid(self, element: Element, attribute: str) -> str:
        match = _GUID.fullmatch(self._required(element, attribute).strip())
        if not match:
            raise Malformed(
                element.line,
                f'the {attribute} "{element.attributes[attribute]}" of <{element.name}> is no GUID',
            )
        return match[1].lower()

    def _new(self, element: Element, kind: str) -> str:
        """The GUID of something that others refer to; two of a kind cannot share one."""
        found = self._guid(element, "guid")
        if found in self._known[kind] and kind != "selection":
            raise Malformed(element.line, f"the guid {found} was given to another {kind} before")
        self._known[kind].add(found)
        return found

    def _reference(self, element: Element, attribute: str, kind: str) -> str | None:
        if not element.attributes.get(attribute, "").strip():
            if element.name.endswith("Ref"):
                raise Malformed(element.line, f"<{element.name}> has no {attribute}")
            return None
        target = self._guid(element, attribute)
        if target in self._known[kind]:
            return target
        self.left_out(element, f"there is no {kind} {target}")
        return None

    def _note_refs(self, elements: Iterable[Element]) -> tuple[str, ...]:
        return self._references(elements, "note")

    def _references(self, elements: Iterable[Element], kind: str) -> tuple[str, ...]:
        targets = (self._reference(element, "targetGUID", kind) for element in elements)
        return tuple(target for target in targets if target is not None)

    def _number(self, element: Element, attribute: str) -> int | None:
        value = element.attributes.get(attribute, "").strip()
        if not value:
            return None
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
            raise Malformed(element.line, f'the {attribute} "{value}" of <{element.name}> is no whole number')
        return int(value)

    def _colour(self, element: Element) -> str | None:
        value = element.attributes.get("color", "").strip()
        if not value:
            return None
        if not _RGB.fullmatch(value):
            self.left_out(element, f'the colour "{value}" is not written as #rrggbb')
            return None
        digits = value[1:].lower()
        return f"#{digits if len(digits) == 6 else ''.join(digit * 2 for digit in digits)}"

    def _moment(self, element: Element, attribute: str) -> datetime | None:
        value = element.attributes.get(attribute, "").strip()
        if not value:
            return None
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.left_out(element, f'the {attribute} "{value}" is no date and time')
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _tree(listed: list[ReadCode]) -> tuple[Code, ...]:
    """The codes as a tree; in the list each stands before those under it."""
    under: dict[int | None, list[Code]] = {}
    for place in range(len(listed) - 1, -1, -1):
        read = listed[place]
        whole = replace(read.code, codes=tuple(reversed(under.pop(place, []))))
        under.setdefault(read.parent, []).append(whole)
    return tuple(reversed(under.pop(None, [])))


def _text(elements: Iterable[Element]) -> str:
    return "".join(element.text for element in elements)
