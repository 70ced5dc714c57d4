"""A codebook's file, rewritten to say something else: comments, order, quotes and layout stay."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString, SingleQuotedScalarString
from ruamel.yaml.util import load_yaml_guess_indent

from transcripts.errors import CodebookError
from transcripts.themes.codebook import FIELDS, Codebook, Theme, decoded, loads, slug

_QUOTED = (DoubleQuotedScalarString, SingleQuotedScalarString)
_WIDE = 1 << 20
"""Lines are left as long as they are."""


def rewritten(data: bytes, after: Codebook, path: Path) -> bytes:
    """The bytes of a codebook's file, changed so that they say ``after``; empty ``data`` makes a new file.

    Themes that are in both stay where they are. What is written is read back before it is given out.

    Raises:
        CodebookError: ``data`` is no codebook, or cannot be rewritten without saying something else.
    """
    if not data.strip():
        return _read_back(_dumped(CommentedMap(themes=_new(after)), YAML(), 4, 2), after, path)
    before = loads(data, path)
    text = decoded(data, path)
    yaml = YAML()
    yaml.preserve_quotes = True
    try:
        _, indent, offset = load_yaml_guess_indent(text, yaml=YAML())
        document = yaml.load(text)
    except YAMLError as error:
        raise CodebookError(path, None, "is written in a way that cannot be changed by program") from error
    _change(document["themes"], before, after)
    written = _dumped(document, yaml, indent or 2, offset or 0)
    if b"\r\n" in data:
        written = written.replace(b"\n", b"\r\n")
    return _read_back(written, after, path)


def _change(items: CommentedSeq, before: Codebook, after: Codebook) -> None:
    wanted = {theme.key: theme for theme in after.themes}
    for place in range(len(before.themes) - 1, -1, -1):
        theme = before.themes[place]
        if theme.key in wanted:
            comments = _taken(items[place])
            _set(items[place], theme, wanted.pop(theme.key))
            _given(items[place], comments)
        else:
            _remove(items, place)
    items.extend(_item(theme) for theme in wanted.values())


def _set(item: CommentedMap, old: Theme, new: Theme) -> None:
    if "key" not in item and slug(new.name) != new.key:
        item.insert(0, "key", new.key)
    for field in FIELDS:
        value = getattr(new, field)
        if value == getattr(old, field):
            continue
        if not value:
            _drop(item, field)
        elif field == "examples" and item.get("examples"):
            _refill(item["examples"], value)
        else:
            item[field] = _value(field, value, item.get(field))


def _item(theme: Theme) -> CommentedMap:
    item = CommentedMap()
    if slug(theme.name) != theme.key:
        item["key"] = theme.key
    for field in FIELDS[1:]:
        value = getattr(theme, field)
        if value:
            item[field] = _value(field, value)
    return item


def _new(book: Codebook) -> CommentedSeq:
    return CommentedSeq(_item(theme) for theme in book.themes)


def _value(field: str, value: Any, old: Any = None) -> Any:
    """The value as it is to be written: in quotes where it had them, colours always."""
    if field == "examples":
        return CommentedSeq(_value("", one) for one in value)
    if field == "colour":
        return DoubleQuotedScalarString(value)
    if "\n" in value:
        return LiteralScalarString(value)
    return type(old)(value) if isinstance(old, _QUOTED) else value


# Comments hang on what stands before them, so what goes hands them on.


def _refill(items: CommentedSeq, values: tuple[str, ...]) -> None:
    comments = _taken(items)
    for place, value in enumerate(values):
        if place >= len(items):
            items.append(_value("", value))
        elif items[place] != value:
            items[place] = _value("", value)
    while len(items) > len(values):
        del items[len(items) - 1]
    _given(items, comments)


def _drop(item: CommentedMap, field: str) -> None:
    place = list(item).index(field)
    comments = _taken(item[field]) if _holds(item[field]) else _taken_at(item, field)
    del item[field]
    if place:
        _given_at(item, list(item)[place - 1], comments)


def _remove(items: CommentedSeq, place: int) -> None:
    comments = _taken(items[place])
    del items[place]
    if place:
        _given(items[place - 1], comments)


def _taken(node: Any) -> str:
    """The comments after a node's last part, which it loses."""
    place = _last(node)
    return _taken(node[place]) if _holds(node[place]) else _taken_at(node, place)


def _given(node: Any, comments: str) -> None:
    _given_at(node, _last(node), comments)


def _last(node: Any) -> Any:
    return list(node)[-1] if isinstance(node, CommentedMap) else len(node) - 1


def _holds(value: Any) -> bool:
    """Whether comments after the value hang on its last part."""
    block = isinstance(value, CommentedMap | CommentedSeq) and not value.fa.flow_style()
    return block and len(value) > 0


def _slot(node: Any) -> int:
    return 2 if isinstance(node, CommentedMap) else 0


def _taken_at(node: Any, key: Any) -> str:
    tokens = node.ca.items.get(key)
    token = tokens[_slot(node)] if tokens else None
    if token is None:
        return ""
    # Up to its first line feed it is a remark on the line itself.
    remark, _, comments = str(token.value).partition("\n")
    if remark:
        token.value = f"{remark}\n"
    else:
        tokens[_slot(node)] = None
    return comments


def _given_at(node: Any, key: Any, comments: str) -> None:
    if _holds(node[key]):
        _given(node[key], comments)
    elif comments:
        tokens = node.ca.items.get(key)
        token = tokens[_slot(node)] if tokens else None
        if token is not None:
            token.value += comments
        else:
            node.ca.items.setdefault(key, [None] * 4)[_slot(node)] = _token(f"\n{comments}")


def _token(value: str) -> Any:
    from ruamel.yaml.error import CommentMark
    from ruamel.yaml.tokens import CommentToken

    return CommentToken(value, CommentMark(0), None)


def _dumped(document: CommentedMap, yaml: YAML, indent: int, offset: int) -> bytes:
    yaml.width = _WIDE
    yaml.allow_unicode = True
    yaml.indent(mapping=2, sequence=max(indent, offset + 2), offset=offset)
    out = io.BytesIO()
    yaml.dump(document, out)
    return out.getvalue()


def _read_back(written: bytes, after: Codebook, path: Path) -> bytes:
    read = loads(written, path)
    if {theme.key: theme for theme in read.themes} != {theme.key: theme for theme in after.themes}:
        raise CodebookError(path, None, "is written in a way that cannot be changed by program")
    return written
