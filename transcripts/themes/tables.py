"""The codebook as a table (CSV) for spreadsheets and back, and as Markdown for people.

A row is a theme; examples stand in one cell, a line each. Markdown is written only: it is prose, and a reader of it
would have to guess what is a description and what a note.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from transcripts.errors import CodebookError
from transcripts.themes.changes import Incoming
from transcripts.themes.codebook import COLOUR, FIELDS, Codebook, Theme, clean, decoded, near
from transcripts.themes.lists import listed, unlisted

_OTHER_NAMES = {
    "tag": "name",
    "code": "name",
    "theme": "name",
    "path": "name",
    "definition": "description",
    "color": "colour",
    "memo": "notes",
    "note": "notes",
    "example": "examples",
}
"""What other programs call the columns."""

_MARKS = re.compile(r"([\\`*_\[\]<>#|])")


def write_csv(book: Codebook) -> str:
    """The codebook as a table with a column for each of FIELDS."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(FIELDS)
    for theme in book.themes:
        table.writerow(
            listed(theme.examples) if field == "examples" else getattr(theme, field) or "" for field in FIELDS
        )
    return out.getvalue()


def read_csv(data: bytes, path: Path) -> tuple[list[Incoming], list[str]]:
    """The themes of a table, and what was left out, in words.

    The first line names the columns; ``name`` is needed. A column that is missing says nothing, an empty cell says
    that there is nothing. Commas, semicolons and tabs are understood, and what Taguette and others call the columns.

    Raises:
        CodebookError: it is no such table; names the line.
    """
    try:
        text, problems = decoded(data, path), []
    except CodebookError:
        # Spreadsheets on Windows still save in the code page.
        text, problems = (
            data.decode("cp1252", errors="replace"),
            ["is not UTF-8; it was read as Windows-1252"],
        )
    rows = list(_rows(text, path))
    if not rows:
        raise CodebookError(path, 1, "is empty: its first line must name the columns")
    columns = _columns(rows[0][1], path, problems)
    read = [_Row(path, line, _cells(path, line, columns, row)) for line, row in rows[1:] if any(row)]
    return _with_parents(read), problems


def write_markdown(book: Codebook, title: str = "Codebook") -> str:
    """The codebook for people: a heading for each theme, deeper under its parent."""
    lines = [f"# {_escaped(title)}"]

    def section(theme: Theme, depth: int) -> None:
        lines.extend(["", f"{'#' * min(depth, 6)} {_escaped(theme.name)}", "", f"`{theme.key}`"])
        if theme.description:
            lines.extend(["", _escaped(theme.description)])
        if theme.examples:
            lines.extend(["", "Examples:", ""])
            lines.append(_escaped(listed(theme.examples, "- "), bullets=True))
        if theme.notes:
            lines.extend(["", "Notes:", "", _escaped(theme.notes)])
        for child in book.under(theme.key):
            section(child, depth + 1)

    for theme in book.under(None):
        section(theme, 2)
    return "\n".join(lines) + "\n"


class _Row:
    """A row by column; a column that the table does not have is None."""

    def __init__(self, path: Path, line: int, cells: dict[str, str]) -> None:
        self._path, self.line, self._cells = path, line, cells
        self.name = cells["name"]
        self.key = cells.get("key") or None
        self.parent = cells.get("parent")
        if not self.name:
            raise CodebookError(path, line, "a theme needs a name")

    def incoming(self, parent: int | None) -> Incoming:
        examples = self._cells.get("examples")
        return Incoming(
            name=self.name,
            line=self.line,
            key=self.key,
            description=self._cells.get("description"),
            examples=None if examples is None else unlisted(examples),
            colour=self._colour(),
            notes=self._cells.get("notes"),
            parent=parent,
            parent_told=self.parent is not None,
        )

    def _colour(self) -> str | None:
        colour = self._cells.get("colour")
        if colour and not COLOUR.fullmatch(colour):
            raise CodebookError(self._path, self.line, f'the colour "{colour}" must look like #2f6f8f')
        return colour.lower() if colour is not None else None


def _with_parents(rows: Sequence[_Row]) -> list[Incoming]:
    """Each row with the place of the one above it, which is named by its key or by its name."""
    by_key = {row.key: place for place, row in enumerate(rows) if row.key}
    by_name = {row.name.casefold(): place for place, row in enumerate(rows)}
    found: list[Incoming] = []
    for row in rows:
        place = by_key.get(row.parent or "", by_name.get((row.parent or "").casefold()))
        if row.parent and place is None:
            hint = near(row.parent, [*by_key, *(other.name for other in rows)])
            raise CodebookError(row._path, row.line, f'the parent "{row.parent}" is not in the table{hint}')
        found.append(row.incoming(place if row.parent else None))
    return found


def _rows(text: str, path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows, each with the line that it begins on."""
    header = text.partition("\n")[0]
    table = csv.reader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count), strict=True)
    line = 1
    try:
        for row in table:
            yield line, [clean(cell) for cell in row]
            line = table.line_num + 1
    except csv.Error as error:
        raise CodebookError(path, max(line, table.line_num), f"is not CSV: {error}") from error


def _columns(header: list[str], path: Path, problems: list[str]) -> list[str]:
    columns: list[str] = []
    for cell in header:
        name = cell.lower()
        name = name if name in FIELDS else _OTHER_NAMES.get(name, "")
        if name and name in columns:
            raise CodebookError(path, 1, f'two columns hold the {name}; "{cell}" is the second')
        if not name and cell:
            problems.append(f'line 1: the column "{cell}" is not known{near(cell.lower(), FIELDS)}; left out')
        columns.append(name)
    if "name" not in columns:
        raise CodebookError(path, 1, f"no column is called name; there can be {', '.join(FIELDS)}")
    return columns


def _cells(path: Path, line: int, columns: list[str], row: list[str]) -> dict[str, str]:
    if any(row[len(columns) :]):
        raise CodebookError(
            path, line, f"has {len(row)} cells, but the first line names {len(columns)} columns"
        )
    padded = [*row, *[""] * (len(columns) - len(row))]
    return {name: cell for name, cell in zip(columns, padded, strict=False) if name}


def _escaped(text: str, *, bullets: bool = False) -> str:
    """The text as Markdown shows it as it is."""
    escaped = _MARKS.sub(r"\\\1", text)
    return escaped if bullets else re.sub(r"^(\s*)([-+]|\d+\.)(\s)", r"\1\\\2\3", escaped, flags=re.MULTILINE)
