"""The codebook: the themes that passages are proposed for, read from YAML with the line of every mistake.

themes:
  - name: Carers                      # what people see
    key: carers                       # what is stored; made from the name when left out
    description: Unpaid care for a relative, partner or friend
    examples: [I looked after my mother, There was no time for a break]
    colour: "#2f6f8f"
    parent: relationships             # another theme's key
    notes: Ask Ruth whether young carers are meant too   # for the team; not read by the machine
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import yaml
from yaml.reader import ReaderError

from transcripts.errors import CodebookError

FIELDS = ("key", "name", "description", "examples", "colour", "parent", "notes")
"""What a theme can say, by the names that files use."""

KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme.

    ``key`` is what is stored wherever the theme is meant: another name changes no link. ``colour`` is ``#rrggbb``;
    ``parent`` is another theme's key; ``notes`` are for the team and say nothing about what passages fit.
    """

    key: str
    name: str
    description: str = ""
    examples: tuple[str, ...] = ()
    colour: str | None = None
    parent: str | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True)
class Placed:
    """A theme and where it stands: its own line and the one that names its parent, from 1; None in no file."""

    theme: Theme
    line: int | None = None
    parent_line: int | None = None


@dataclass(frozen=True, slots=True)
class Codebook:
    """The themes in the order of the file; their keys and names are unique."""

    themes: tuple[Theme, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the themes say; notes, comments and layout of the file do not count."""
        themes = [{k: v for k, v in asdict(theme).items() if k != "notes"} for theme in self.themes]
        content = json.dumps(themes, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode()).hexdigest()

    def __getitem__(self, key: str) -> Theme:
        """The theme of that key.

        Raises:
            KeyError: there is none.
        """
        for theme in self.themes:
            if theme.key == key:
                return theme
        raise KeyError(key)

    def under(self, parent: str | None) -> Iterator[Theme]:
        """The themes right under the one of that key; None: those that are under no other."""
        return (theme for theme in self.themes if theme.parent == parent)


def slug(name: str) -> str:
    """A key for a name: ASCII letters and digits joined by hyphens, empty when the name has none.

    >>> slug("Café & kindness")
    'cafe-kindness'
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


def clean(text: str) -> str:
    """Text as a codebook holds it: NFC, line feeds, no space at its edges."""
    return unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()


def load(path: Path) -> Codebook:
    """Read a codebook.

    Raises:
        CodebookError: the file cannot be read or says something that is not a codebook; names the line.
    """
    return loads(read_bytes(path), path)


def loads(data: bytes, path: Path) -> Codebook:
    """The codebook that a file of these bytes is; ``path`` is what errors call it.

    Raises:
        CodebookError: they say something that is not a codebook; names the line.
    """
    return _Reader(path).codebook(decoded(data, path))


def read_bytes(path: Path) -> bytes:
    """The bytes of a codebook's file.

    Raises:
        CodebookError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CodebookError(path, None, f"cannot be read ({reason.lower()})") from error


def decoded(data: bytes, path: Path) -> str:
    """The text of a codebook's file, with line feeds.

    Raises:
        CodebookError: it is not UTF-8; names the line.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CodebookError(path, line, "is not UTF-8 text: save it as UTF-8") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def checked(placed: Sequence[Placed], path: Path) -> Codebook:
    """A codebook of these themes; keys and names are unique, parents are there and no circle.

    Raises:
        CodebookError: one of that does not hold; names the line.
    """
    _check_unique(placed, path)
    _check_parents(placed, path)
    return Codebook(tuple(one.theme for one in placed))


def _check_unique(placed: Sequence[Placed], path: Path) -> None:
    names: dict[str, Placed] = {}
    keys: dict[str, Placed] = {}
    for one in placed:
        for seen, value, what in (
            (names, one.theme.name, "called"),
            (keys, one.theme.key, "with the key"),
        ):
            first = seen.setdefault(value.casefold(), one)
            if first is not one:
                before = f"; the other is on line {first.line}" if first.line is not None else ""
                raise CodebookError(path, one.line, f'there are two themes {what} "{value}"{before}')


def _check_parents(placed: Sequence[Placed], path: Path) -> None:
    by_key = {one.theme.key: one for one in placed}
    names = {one.theme.name.casefold(): one.theme.key for one in placed}
    for one in placed:
        parent = one.theme.parent
        if parent is not None and parent not in by_key:
            meant = names.get(parent.casefold())
            hint = f' (did you mean "{meant}"?)' if meant else near(parent, by_key)
            raise CodebookError(
                path, one.parent_line, f'the parent "{parent}" is not the key of a theme{hint}'
            )
    for one in placed:
        chain, above = [one.theme.key], one.theme.parent
        while above is not None and above not in chain:
            chain.append(above)
            above = by_key[above].theme.parent
        if above == one.theme.key:
            way = " under ".join(f'"{key}"' for key in [*chain, above])
            raise CodebookError(path, one.parent_line, f"a theme is its own ancestor: {way}")


class _Reader:
    """Walks YAML nodes rather than values, for a node knows its line. Text comes out in NFC."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def codebook(self, text: str) -> Codebook:
        root = self._root(text)
        fields = self._mapping(root, ("themes",), "the codebook")
        if "themes" not in fields:
            self._fail(root, "the codebook must have a list called `themes`")
        nodes = self._list(fields["themes"], "`themes`")
        if not nodes:
            self._fail(fields["themes"], "the codebook has no theme: add at least one under `themes`")
        return checked([self._theme(node) for node in nodes], self._path)

    def _root(self, text: str) -> yaml.Node:
        try:
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = f"is not YAML: {error.problem or error.context}"
            raise CodebookError(self._path, mark.line + 1 if mark else None, what) from error
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            what = f"is not YAML: it holds the character U+{error.character:04X}"
            raise CodebookError(self._path, line, what) from error
        if root is None:
            raise CodebookError(self._path, 1, "is empty: add a list called `themes`")
        return root

    def _theme(self, node: yaml.Node) -> Placed:
        fields = self._mapping(node, FIELDS, "a theme")
        if "name" not in fields:
            self._fail(node, "a theme needs a `name`")
        name = self._text(fields["name"], "name")
        theme = Theme(
            key=self._key(node, fields, name),
            name=name,
            description=self._optional(fields, "description") or "",
            examples=tuple(self._examples(fields)),
            colour=self._colour(fields),
            parent=self._optional(fields, "parent"),
            notes=self._optional(fields, "notes") or "",
        )
        return Placed(theme, _line(node), _line(fields.get("parent", node)))

    def _optional(self, fields: dict[str, yaml.Node], name: str) -> str | None:
        return self._text(fields[name], name) if name in fields else None

    def _key(self, node: yaml.Node, fields: dict[str, yaml.Node], name: str) -> str:
        key = self._text(fields["key"], "key") if "key" in fields else slug(name)
        if not key:
            self._fail(node, f'no key can be made from the name "{name}": add a `key` such as my-theme')
        if not KEY.fullmatch(key):
            self._fail(fields["key"], f'the key "{key}" must be small letters, digits and single hyphens')
        return key

    def _examples(self, fields: dict[str, yaml.Node]) -> Iterator[str]:
        if "examples" in fields:
            for node in self._list(fields["examples"], "`examples`"):
                yield self._text(node, "an example")

    def _colour(self, fields: dict[str, yaml.Node]) -> str | None:
        if "colour" not in fields:
            return None
        colour = self._text(fields["colour"], "colour", 'such as "#2f6f8f", in quotes')
        if not COLOUR.fullmatch(colour):
            self._fail(fields["colour"], f'the colour "{colour}" must look like "#2f6f8f", in quotes')
        return colour.lower()

    def _mapping(self, node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} must be written as `field: value` lines")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                fields_known = ", ".join(known)
                self._fail(key, f'{what} has no field "{name}"{near(name, known)}; it has: {fields_known}')
            if name in fields:
                self._fail(key, f'the field "{name}" is written twice')
            fields[name] = value
        return {name: value for name, value in fields.items() if not _is_null(value)}

    def _list(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} must be a list: one line each, beginning with a hyphen")
        return list(node.value)

    def _text(self, node: yaml.Node, what: str, hint: str = "") -> str:
        text = clean(node.value) if isinstance(node, yaml.ScalarNode) else ""
        if not text or _is_null(node):
            self._fail(node, f"{what} must be text{f', {hint}' if hint else ''}")
        return text

    def _fail(self, node: yaml.Node, what: str) -> NoReturn:
        raise CodebookError(self._path, _line(node), what)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def near(word: str, words: Iterable[str]) -> str:
    """A suggestion to end a sentence with, empty when nothing is near."""
    close = difflib.get_close_matches(word, list(words), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
