"""Themes from another file laid on the codebook that is there, and what that changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from transcripts.errors import CodebookError
from transcripts.themes.codebook import KEY, Codebook, Placed, Theme, checked, slug


@dataclass(frozen=True, slots=True)
class Incoming:
    """A theme as another file tells it. None: the file does not say, so what is there stays.

    ``parent`` is the place of the theme above it in the same file; it counts only when ``parent_told``.
    """

    name: str
    line: int | None = None
    key: str | None = None
    description: str | None = None
    examples: tuple[str, ...] | None = None
    colour: str | None = None
    notes: str | None = None
    parent: int | None = None
    parent_told: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one theme: its key, its name afterwards (before, when removed), and what changes in words."""

    kind: Literal["added", "renamed", "changed", "removed"]
    key: str
    name: str
    what: str = ""


def merged(before: Codebook, incoming: Sequence[Incoming], path: Path, *, keep: bool = False) -> Codebook:
    """The codebook as the file wants it; with ``keep``, themes that the file does not have stay.

    A theme is the same one when the file says its key, else when it has its name. A new one gets a key made from its
    name, never one that another theme has or had. Themes stay in their order; new ones follow in the file's.

    Raises:
        CodebookError: the file has no theme, or what it says is no codebook; names the line.
    """
    if not incoming:
        raise CodebookError(path, None, "holds no theme, so it cannot be the codebook")
    keys = theme_keys(before, incoming, path)
    olds = {theme.key: theme for theme in before.themes}
    there = {*keys, *(olds if keep else ())}
    placed = {
        key: Placed(_laid(one, key, olds.get(key), keys, there), one.line, one.line)
        for key, one in zip(keys, incoming, strict=True)
    }
    if len(placed) < len(keys):
        twice = next(place for place, key in enumerate(keys) if key in keys[:place])
        raise CodebookError(path, incoming[twice].line, f'there are two themes with the key "{keys[twice]}"')
    kept = [placed.pop(key, Placed(old)) for key, old in olds.items() if key in there]
    return checked([*kept, *placed.values()], path)


def theme_keys(before: Codebook, incoming: Sequence[Incoming], path: Path) -> list[str]:
    """The key of each theme of a file, as ``merged`` gives it.

    Raises:
        CodebookError: a key that the file says cannot be one; names the line.
    """
    for one in incoming:
        if one.key is not None and not KEY.fullmatch(one.key):
            what = f'the key "{one.key}" must be small letters, digits and single hyphens'
            raise CodebookError(path, one.line, what)
    taken = {one.key for one in incoming if one.key is not None}
    by_name = {theme.name.casefold(): theme.key for theme in before.themes}
    keys: list[str] = []
    for one in incoming:
        key = one.key
        if key is None:
            key = by_name.get(one.name.casefold())
            if key is None or key in taken:
                key = _new_key(one.name, taken | {theme.key for theme in before.themes})
            taken.add(key)
        keys.append(key)
    return keys


def compare(before: Codebook, after: Codebook) -> tuple[Change, ...]:
    """What differs, theme by theme: as they stand afterwards, then those that are gone."""
    olds = {theme.key: theme for theme in before.themes}
    changes: list[Change] = []
    for theme in after.themes:
        old = olds.pop(theme.key, None)
        if old is None:
            changes.append(Change("added", theme.key, theme.name))
            continue
        if old.name != theme.name:
            changes.append(Change("renamed", theme.key, theme.name, f'was "{old.name}"'))
        fields = ("description", "examples", "colour", "parent", "notes")
        different = [name for name in fields if getattr(old, name) != getattr(theme, name)]
        if different:
            changes.append(Change("changed", theme.key, theme.name, ", ".join(different)))
    changes += [Change("removed", old.key, old.name) for old in olds.values()]
    return tuple(changes)


def renamed(book: Codebook, key: str, name: str, path: Path) -> Codebook:
    """The codebook with another name for the theme of this key; the key and every link to it stay.

    Raises:
        CodebookError: another theme has the name.
        KeyError: there is no such theme.
    """
    named = replace(book[key], name=name)
    return checked([Placed(named if theme.key == key else theme) for theme in book.themes], path)


def _new_key(name: str, taken: set[str]) -> str:
    base = slug(name) or "theme"
    number = 1
    while (key := base if number == 1 else f"{base}-{number}") in taken:
        number += 1
    return key


def _laid(one: Incoming, key: str, old: Theme | None, keys: Sequence[str], there: set[str]) -> Theme:
    was = old or Theme(key, one.name)
    parent = was.parent if was.parent in there else None
    if one.parent_told:
        parent = keys[one.parent] if one.parent is not None else None
    return Theme(
        key=key,
        name=one.name,
        description=was.description if one.description is None else one.description,
        examples=was.examples if one.examples is None else one.examples,
        colour=was.colour if one.colour is None else one.colour or None,
        parent=parent,
        notes=was.notes if one.notes is None else one.notes,
    )
