"""The intake: one line a recording, kept by people in a spreadsheet and read forgivingly.

What cannot be understood is reported with its line and treated with the greatest care: a consent that is not known
is ``internal``. Problems never stop a batch.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from sqlalchemy.orm import Session

from db import models, store
from pipeline.errors import IntakeError
from pipeline.names import nfc, slugify

COLUMNS = (
    "file",
    "story",
    "storyteller",
    "role",
    "sector",
    "place",
    "phase",
    "date",
    "method",
    "language",
    "consent",
    "notes",
)
OPTIONAL = ("transcript",)
"""Columns that nobody misses."""
METHODS = ("self-recorded", "interview")
CONSENTS = ("public", "anonymous", "internal")


@dataclass(frozen=True, slots=True)
class IntakeLine:
    """One line as understood; ``line`` counts from 1 and includes the header."""

    line: int
    file: str
    story: str = ""
    storyteller: str = ""
    role: str = ""
    sector: str = ""
    place: str = ""
    phase: str = ""
    told_on: date | None = None
    method: str = ""
    language: str = ""
    consent: str = "internal"
    notes: str = ""
    transcript: str = ""


@dataclass(frozen=True, slots=True)
class Intake:
    """All lines, and what could not be understood."""

    lines: tuple[IntakeLine, ...] = ()
    problems: tuple[str, ...] = ()
    by_file: dict[str, IntakeLine] = field(default_factory=dict)

    def find(self, path: Path, recordings: Path) -> IntakeLine | None:
        """The line of a file: by its path under ``recordings``, else by its name alone."""
        if path.is_relative_to(recordings):
            line = self.by_file.get(_key(path.relative_to(recordings).as_posix()))
            if line is not None:
                return line
        return self.by_file.get(_key(path.name))

    def without_file(self, found: Iterable[IntakeLine]) -> list[IntakeLine]:
        """The lines that none of the files found belongs to."""
        there = {line.line for line in found}
        return [line for line in self.lines if line.line not in there]


def read(path: Path) -> Intake:
    """Read the intake; a missing file is an empty one, with a problem that says so.

    Raises:
        IntakeError: when the file is not a table with a ``file`` column.
    """
    if not path.is_file():
        return Intake(problems=(f"{path.name} is missing: recordings are processed, none can be published.",))
    text = _decoded(path.read_bytes())
    header, _, _ = text.partition("\n")
    rows = csv.DictReader(io.StringIO(text), delimiter=_delimiter(header), restkey="more")
    columns = [nfc(name or "").strip().lower() for name in rows.fieldnames or ()]
    if "file" not in columns:
        raise IntakeError(
            f"{path} has no column 'file'; its first line must name the columns {', '.join(COLUMNS)}."
        )
    rows.fieldnames = columns
    return _understood(path.name, columns, rows)


def apply(session: Session, recording: models.Recording, line: IntakeLine | None) -> None:
    """Join a recording with its intake line: storyteller, story, and the consent log when it says something new."""
    if line is None:
        return
    story_key = slugify(line.story) or slugify(Path(line.file).stem) or f"line-{line.line}"
    story = store.story_by_key(session, story_key)
    if story is None:
        story = models.Story(key=story_key, title=line.story or Path(line.file).stem)
        session.add(story)
    story.title = line.story or Path(line.file).stem
    story.phase, story.told_on, story.method = line.phase, line.told_on, line.method
    story.language, story.notes = line.language, line.notes
    story.storyteller = _storyteller(session, line, story_key)
    recording.story = story
    session.flush()
    store.record_consent(story, line.consent, "intake", f"intake line {line.line}")


def _storyteller(session: Session, line: IntakeLine, story_key: str) -> models.Storyteller:
    key = slugify(line.storyteller)
    if not key or key.startswith("anonym"):
        key = f"anonymous-{story_key}"
    teller = store.storyteller_by_key(session, key)
    if teller is None:
        teller = models.Storyteller(key=key, name=line.storyteller)
        session.add(teller)
    teller.name = line.storyteller
    teller.role, teller.sector, teller.place = line.role, line.sector, line.place
    return teller


def _understood(name: str, columns: list[str], rows: csv.DictReader[str]) -> Intake:
    lines: list[IntakeLine] = []
    problems = [f"{name}: the column '{column}' is missing." for column in COLUMNS if column not in columns]
    by_file: dict[str, IntakeLine] = {}
    for row in rows:
        values = {key: nfc(row.get(key) or "").strip() for key in (*COLUMNS, *OPTIONAL)}
        if not any(values.values()) or values["file"].startswith("#"):
            continue
        line, found = _line(name, rows.line_num, values)
        problems += found
        if line is None:
            continue
        earlier = by_file.get(_key(line.file))
        if earlier is not None:
            problems.append(
                f"{name} line {line.line}: '{line.file}' is on line {earlier.line} already; that line counts."
            )
            continue
        lines.append(line)
        by_file[_key(line.file)] = line
    return Intake(tuple(lines), tuple(problems), by_file)


def _line(name: str, number: int, values: dict[str, str]) -> tuple[IntakeLine | None, list[str]]:
    place = f"{name} line {number}"
    if not values["file"]:
        return None, [f"{place}: no file is named, so the line is left out."]
    problems: list[str] = []
    told_on = None
    if values["date"]:
        try:
            told_on = date.fromisoformat(values["date"])
        except ValueError:
            problems.append(
                f"{place}: the date '{values['date']}' is not of the form 2020-05-31; it is left out."
            )
    method = values["method"].lower().replace(" ", "-")
    if method and method not in METHODS:
        problems.append(
            f"{place}: the method '{values['method']}' is not {' or '.join(METHODS)}; it is left out."
        )
        method = ""
    consent = values["consent"].lower()
    if consent not in CONSENTS:
        said = f"the consent '{values['consent']}' is not known" if consent else "no consent is given"
        problems.append(f"{place}: {said}, so it counts as internal; write {', '.join(CONSENTS)}.")
        consent = "internal"
    line = IntakeLine(
        line=number,
        file=values["file"],
        story=values["story"],
        storyteller=values["storyteller"],
        role=values["role"],
        sector=values["sector"],
        place=values["place"],
        phase=values["phase"],
        told_on=told_on,
        method=method,
        language=values["language"].lower(),
        consent=consent,
        notes=values["notes"],
        transcript=values["transcript"],
    )
    return line, problems


def _key(file: str) -> str:
    return unicodedata.normalize("NFC", file).replace("\\", "/").removeprefix("recordings/").casefold()


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        # Spreadsheets on Windows still save in the code page.
        return data.decode("cp1252", errors="replace")


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)
