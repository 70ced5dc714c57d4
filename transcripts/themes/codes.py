"""Themes as the codes of REFI-QDA, and back.

A code has a name, a colour, a description and codes under it. What else a theme has stands in the description, each
part under its own word, and is found there again:

    Small things that people did for each other

    Examples:
    - A neighbour brought soup

    Notes:
    Ask Ruth whether advice counts
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from transcripts.formats.refi import Code, Note, guid
from transcripts.formats.refi.reading import ReadCode
from transcripts.themes.changes import Incoming
from transcripts.themes.codebook import Codebook, Theme, clean, slug
from transcripts.themes.lists import listed, unlisted

_PARTS = re.compile(
    r"(?P<description>.*?)"
    r"(?:(?:\A|\n\n)Examples:\n(?P<examples>- .*?))?"
    r"(?:(?:\A|\n\n)Notes:\n(?P<notes>.*))?",
    re.DOTALL,
)


def code_guid(key: str) -> str:
    """The GUID of a theme's code: it follows from the key, so it outlives another name."""
    return guid("theme", key)


def note_guid(key: str) -> str:
    """The GUID of the note that holds a theme's notes."""
    return guid("theme", key, "notes")


def to_codes(book: Codebook, *, notes_beside: bool = False) -> tuple[Code, ...]:
    """The codebook as a tree of codes; ``notes_beside``: its notes are those of ``to_notes``, as a project can."""

    def under(parent: str | None) -> Iterator[Code]:
        for theme in book.under(parent):
            yield Code(
                guid=code_guid(theme.key),
                name=theme.name,
                description=described(theme, with_notes=not notes_beside),
                colour=theme.colour,
                notes=(note_guid(theme.key),) if notes_beside and theme.notes else (),
                codes=tuple(under(theme.key)),
            )

    return tuple(under(None))


def to_notes(book: Codebook, user: str | None = None, created: datetime | None = None) -> Iterator[Note]:
    """The themes' notes, as notes of a project by the user of that GUID."""
    for theme in book.themes:
        if theme.notes:
            yield Note(note_guid(theme.key), theme.notes, f"{theme.name}: notes", user=user, created=created)


def described(theme: Theme, *, with_notes: bool = True) -> str:
    """A theme's description, examples and notes as one text."""
    parts = [theme.description] if theme.description else []
    if theme.examples:
        parts.append("Examples:\n" + listed(theme.examples, "- "))
    if with_notes and theme.notes:
        parts.append(f"Notes:\n{theme.notes}")
    return "\n\n".join(parts)


def from_codes(
    codes: Sequence[ReadCode], before: Codebook, notes: Mapping[str, str] | None = None
) -> tuple[list[Incoming], list[str]]:
    """The themes that codes are, and what was changed on the way, in words and with the line.

    A code is the theme whose GUID it has. ``notes`` are the texts of a project's notes by GUID. Two codes of one name
    are told apart by the code above them.
    """
    keys = {code_guid(theme.key): theme.key for theme in before.themes}
    names = Counter(clean(read.code.name).casefold() for read in codes)
    found: list[Incoming] = []
    problems: list[str] = []
    for read in codes:
        name = clean(read.code.name)
        if names[name.casefold()] > 1 and read.parent is not None:
            name = f"{name} ({clean(codes[read.parent].code.name)})"
            problems.append(
                f'line {read.line}: the name "{read.code.name}" is there twice; it becomes "{name}"'
            )
        if not read.code.codable:
            problems.append(
                f'line {read.line}: "{name}" only holds other codes; here it is a theme as they are'
            )
        own = slug(name)
        description, examples, told = undescribed(read.code.description)
        beside = [(notes or {})[note].strip() for note in read.code.notes if note in (notes or {})]
        found.append(
            Incoming(
                name=name,
                line=read.line,
                key=keys.get(read.code.guid) or (own if own and code_guid(own) == read.code.guid else None),
                description=description,
                examples=examples,
                colour=read.code.colour,
                notes="\n\n".join(filter(None, [told, *beside])) or None,
                parent=read.parent,
            )
        )
    return found, problems


def undescribed(text: str) -> tuple[str, tuple[str, ...] | None, str | None]:
    """Description, examples and notes of a code's description; None for a part that it does not have."""
    parts = _PARTS.fullmatch(clean(text))
    assert parts is not None  # the pattern takes any text as a description
    examples = unlisted(parts["examples"], "- ") if parts["examples"] else None
    return parts["description"].strip(), examples, parts["notes"].strip() if parts["notes"] else None
