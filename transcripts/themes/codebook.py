"""The codebook: the themes that passages are proposed for, read from YAML with the line of every mistake.

themes:
  - name: Carers                      # what people see
    key: carers                       # what is stored; made from the name when left out
    description: Unpaid care for a relative, partner or friend
    examples: [I looked after my mother, There was no time for a break]
    colour: "#2f6f8f"
    parent: relationships             # another theme's key
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

import yaml

from transcripts.errors import CodebookError

_FIELDS = ("key", "name", "description", "examples", "colour", "parent")
_KEY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True, slots=True)
class Theme:
    """One theme. ``colour`` is ``#rrggbb``; ``parent`` is another theme's key."""

    key: str
    name: str
    description: str = ""
    examples: tuple[str, ...] = ()
    colour: str | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Codebook:
    """The themes in the order of the file; their keys and names are unique."""

    themes: tuple[Theme, ...]

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what the themes say; comments and layout of the file do not count."""
        content = json.dumps([asdict(theme) for theme in self.themes], sort_keys=True, ensure_ascii=False)
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


def slug(name: str) -> str:
    """A key for a name: ASCII letters and digits joined by hyphens, empty when the name has none.

    >>> slug("Café & kindness")
    'cafe-kindness'
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return "-".join(re.findall(r"[a-z0-9]+", plain))


def load(path: Path) -> Codebook:
    """Read a codebook.

    Raises:
        CodebookError: the file cannot be read or says something that is not a codebook; names the line.
    """
    return _Reader(path).codebook()


class _Reader:
    """Walks YAML nodes rather than values, for a node knows its line. Text comes out in NFC."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def codebook(self) -> Codebook:
        root = self._root()
        fields = self._mapping(root, ("themes",), "the codebook")
        if "themes" not in fields:
            self._fail(root, "the codebook must have a list called `themes`")
        nodes = self._list(fields["themes"], "`themes`")
        if not nodes:
            self._fail(fields["themes"], "the codebook has no theme: add at least one under `themes`")
        read = [(self._theme(node), node) for node in nodes]
        self._check_unique(read)
        self._check_parents(read)
        return Codebook(tuple(theme for theme, _ in read))

    def _root(self) -> yaml.Node:
        try:
            text = self._path.read_text(encoding="utf-8-sig")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CodebookError(self._path, None, f"cannot be read ({reason.lower()})") from error
        except UnicodeDecodeError as error:
            raise CodebookError(self._path, None, "is not UTF-8 text: save it as UTF-8") from error
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = f"is not YAML: {error.problem or error.context}"
            raise CodebookError(self._path, mark.line + 1 if mark else None, what) from error
        except yaml.YAMLError as error:
            raise CodebookError(self._path, None, f"is not YAML: {str(error).splitlines()[0]}") from error
        if root is None:
            raise CodebookError(self._path, None, "is empty: add a list called `themes`")
        return root

    def _theme(self, node: yaml.Node) -> Theme:
        fields = self._mapping(node, _FIELDS, "a theme")
        if "name" not in fields:
            self._fail(node, "a theme needs a `name`")
        name = self._text(fields["name"], "name")
        return Theme(
            key=self._key(node, fields, name),
            name=name,
            description=self._text(fields["description"], "description") if "description" in fields else "",
            examples=tuple(self._examples(fields)),
            colour=self._colour(fields),
            parent=self._text(fields["parent"], "parent") if "parent" in fields else None,
        )

    def _key(self, node: yaml.Node, fields: dict[str, yaml.Node], name: str) -> str:
        key = self._text(fields["key"], "key") if "key" in fields else slug(name)
        if not key:
            self._fail(node, f'no key can be made from the name "{name}": add a `key` such as my-theme')
        if not _KEY.fullmatch(key):
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
        if not _COLOUR.fullmatch(colour):
            self._fail(fields["colour"], f'the colour "{colour}" must look like "#2f6f8f", in quotes')
        return colour.lower()

    def _check_unique(self, read: list[tuple[Theme, yaml.Node]]) -> None:
        keys: set[str] = set()
        names: set[str] = set()
        for theme, node in read:
            if theme.name.casefold() in names:
                self._fail(node, f'there are two themes called "{theme.name}"')
            if theme.key in keys:
                self._fail(node, f'there are two themes with the key "{theme.key}"')
            names.add(theme.name.casefold())
            keys.add(theme.key)

    def _check_parents(self, read: list[tuple[Theme, yaml.Node]]) -> None:
        parents = {theme.key: theme.parent for theme, _ in read}
        for theme, node in read:
            if theme.parent is not None and theme.parent not in parents:
                self._fail(
                    node,
                    f'the parent "{theme.parent}" is not the key of a theme{_near(theme.parent, parents)}',
                )
        for theme, node in read:
            seen, above = {theme.key}, theme.parent
            while above is not None and above not in seen:
                seen.add(above)
                above = parents[above]
            if above == theme.key:
                self._fail(node, f'the theme "{theme.key}" is its own ancestor')

    def _mapping(self, node: yaml.Node, known: tuple[str, ...], what: str) -> dict[str, yaml.Node]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"{what} must be written as `field: value` lines")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in known:
                self._fail(
                    key, f'{what} has no field "{name}"{_near(name, known)}; it has: {", ".join(known)}'
                )
            if name in fields:
                self._fail(key, f'the field "{name}" is written twice')
            fields[name] = value
        return {name: value for name, value in fields.items() if not _is_null(value)}

    def _list(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"{what} must be a list: one line each, beginning with a hyphen")
        return list(node.value)

    def _text(self, node: yaml.Node, what: str, hint: str = "") -> str:
        text = unicodedata.normalize("NFC", node.value).strip() if isinstance(node, yaml.ScalarNode) else ""
        if not text or _is_null(node):
            self._fail(node, f"{what} must be text{f', {hint}' if hint else ''}")
        return text

    def _fail(self, node: yaml.Node, what: str) -> NoReturn:
        raise CodebookError(self._path, node.start_mark.line + 1, what)


def _is_null(node: yaml.Node) -> bool:
    return bool(node.tag == "tag:yaml.org,2002:null")


def _near(word: str, words: tuple[str, ...] | dict[str, str | None]) -> str:
    close = difflib.get_close_matches(word, words, n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""
