"""REFI-QDA, the exchange standard of qualitative analysis, as values (Rotterdam Exchange Format Initiative,
"REFI-QDA Standard for Projects and Codebooks", version 1.5, 2019; Project.xsd and Codebook.xsd 1.0).

A project (``.qdpx``) is a zip archive: ``project.qde``, which is XML, and a folder ``sources`` with texts and media. A
codebook (``.qdc``) is XML alone. Names here are the standard's own.

The key fact: a position in a text counts Unicode code points from 0, a line feed is one; a time is integer
milliseconds from the start of the media. Spans are half-open, ``[start, end)``. A GUID is 36 lower-case characters.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

PROJECT_NAMESPACE = "urn:QDA-XML:project:1.0"
CODEBOOK_NAMESPACE = "urn:QDA-XML:codebook:1.0"

VARIABLE_TYPES = ("Text", "Boolean", "Integer", "Float", "Date", "DateTime")

_OURS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:stories:refi-qda")


def guid(*parts: object) -> str:
    """A GUID for what the parts name: the same parts give the same one, today and on another machine (RFC 4122, 5).

    >>> guid("theme", "grief") == guid("theme", "grief")
    True
    """
    return str(uuid.uuid5(_OURS, "\n".join(str(part) for part in parts)))


@dataclass(frozen=True, slots=True)
class User:
    """Somebody, or a program, that codes."""

    guid: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Code:
    """A code of the codebook with the codes under it. ``colour`` is ``#rrggbb``; ``notes`` are GUIDs of notes."""

    guid: str
    name: str
    description: str = ""
    colour: str | None = None
    codable: bool = True
    notes: tuple[str, ...] = ()
    codes: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A property that cases and sources can have; ``type`` is one of VARIABLE_TYPES."""

    guid: str
    name: str
    type: str = "Text"
    description: str = ""


@dataclass(frozen=True, slots=True)
class VariableValue:
    """The value of the variable of this GUID, in the lexical form of its XML Schema type."""

    variable: str
    value: str


@dataclass(frozen=True, slots=True)
class Case:
    """A unit of analysis; ``codes``, ``sources`` and ``selections`` are GUIDs."""

    guid: str
    name: str = ""
    description: str = ""
    codes: tuple[str, ...] = ()
    values: tuple[VariableValue, ...] = ()
    sources: tuple[str, ...] = ()
    selections: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coding:
    """The code of this GUID, given by a user."""

    guid: str
    code: str
    user: str | None = None
    created: datetime | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selection:
    """A span of a text source in code points, or of an audio or video source in milliseconds."""

    guid: str
    start: int
    end: int
    name: str = ""
    description: str = ""
    codings: tuple[Coding, ...] = ()
    notes: tuple[str, ...] = ()
    user: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class SyncPoint:
    """A position in a transcript, in code points, and when it is heard, in milliseconds. Either may be unknown."""

    guid: str
    position: int | None
    time_ms: int | None


@dataclass(frozen=True, slots=True)
class TranscriptSelection:
    """A span of a transcript from one sync point to another, both named by GUID."""

    guid: str
    first: str | None
    last: str | None
    name: str = ""
    description: str = ""
    codings: tuple[Coding, ...] = ()
    notes: tuple[str, ...] = ()
    user: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What is said in an audio or video source."""

    guid: str
    text: str
    name: str = ""
    sync_points: tuple[SyncPoint, ...] = ()
    selections: tuple[TranscriptSelection, ...] = ()
    description: str = ""
    notes: tuple[str, ...] = ()
    user: str | None = None
    created: datetime | None = None


Kind = Literal["text", "audio", "video"]

SOURCES: dict[Kind, str] = {"text": "TextSource", "audio": "AudioSource", "video": "VideoSource"}
SELECTIONS: dict[Kind, str] = {
    "text": "PlainTextSelection",
    "audio": "AudioSelection",
    "video": "VideoSelection",
}
"""The element of a source of each kind, and that of a selection in it."""
EDGES: dict[Kind, tuple[str, str]] = {
    "text": ("startPosition", "endPosition"),
    "audio": ("begin", "end"),
    "video": ("begin", "end"),
}
"""The attributes that say where such a selection starts and ends."""


@dataclass(frozen=True, slots=True)
class Source:
    """A document that is analysed.

    ``path`` says where an audio or video source lies: ``internal://NAME`` in the archive's ``sources``, ``relative://``
    to the project's base path, ``absolute://``; None: nowhere that is told. ``text`` is a text source's own.
    """

    guid: str
    kind: Kind
    name: str = ""
    path: str | None = None
    text: str | None = None
    transcripts: tuple[Transcript, ...] = ()
    selections: tuple[Selection, ...] = ()
    codings: tuple[Coding, ...] = ()
    values: tuple[VariableValue, ...] = ()
    description: str = ""
    notes: tuple[str, ...] = ()
    user: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """A memo; codes, sources, transcripts, selections and codings name it by GUID."""

    guid: str
    text: str
    name: str = ""
    description: str = ""
    user: str | None = None
    created: datetime | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """All of it. ``origin`` is the program that wrote it; ``base_path`` what ``relative://`` counts from."""

    name: str
    origin: str = ""
    users: tuple[User, ...] = ()
    codes: tuple[Code, ...] = ()
    variables: tuple[Variable, ...] = ()
    cases: tuple[Case, ...] = ()
    sources: tuple[Source, ...] = ()
    notes: tuple[Note, ...] = ()
    description: str = ""
    user: str | None = None
    created: datetime | None = None
    base_path: str | None = None

    def every_code(self) -> Iterator[Code]:
        """All codes, each before the codes under it."""
        return walk(self.codes)


def walk(codes: tuple[Code, ...]) -> Iterator[Code]:
    """All codes, each before the codes under it."""
    for code in codes:
        yield code
        yield from walk(code.codes)
