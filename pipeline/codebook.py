"""The collection's codebook: its file, changed only whole, and what it said before.

Every change that the program makes keeps the file as it was, in ``.stories/codebook``, named by the moment and by its
hash; so a change can be looked at later, and taken back.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from db import models, store
from media.files import atomic_path
from pipeline.collection import Collection
from pipeline.errors import ConfigError, NotFound
from transcripts.errors import CodebookError
from transcripts.themes import codebook as codebooks
from transcripts.themes.codebook import Codebook, near
from transcripts.themes.rewriting import rewritten

_MOMENT = "%Y%m%dT%H%M%S%fZ"


@dataclass(frozen=True, slots=True)
class Standing:
    """The file as it is now; no bytes and no theme where there is none yet."""

    path: Path
    data: bytes
    book: Codebook


@dataclass(frozen=True, slots=True)
class Version:
    """What the codebook said until ``until``; ``themes`` is None when it cannot be read."""

    name: str
    until: datetime
    themes: int | None
    path: Path


def path_of(collection: Collection) -> Path:
    """Where the collection's codebook lies."""
    return collection.root / collection.settings.themes.codebook


def standing(collection: Collection) -> Standing:
    """The codebook as it is now.

    Raises:
        CodebookError: there is a file, and it is no codebook.
    """
    path = path_of(collection)
    if not path.exists():
        return Standing(path, b"", Codebook(()))
    data = codebooks.read_bytes(path)
    return Standing(path, data, codebooks.loads(data, path))


def change(collection: Collection, before: Standing, after: Codebook) -> None:
    """Make the codebook say ``after``, with the comments of its file; the file as it was is kept.

    Raises:
        CodebookError: the file cannot be rewritten without saying something else.
        ConfigError: somebody changed the file since ``before`` was read.
    """
    _put(collection, before, rewritten(before.data, after, before.path))


def versions(collection: Collection) -> list[Version]:
    """What the codebook said before, newest first."""
    found = sorted(_folder(collection).glob("*.yaml"), reverse=True)
    return [_version(path) for path in found]


def restore(collection: Collection, name: str) -> Version:
    """Make the codebook what it was in the version of this name, or of a name that begins so.

    Raises:
        CodebookError: that version is no codebook.
        NotFound: there is no such version, or there are several.
    """
    hits = [version for version in versions(collection) if version.name.startswith(name)]
    if len(hits) != 1:
        what = "There is no version" if not hits else "There are several versions"
        raise NotFound(f"{what} '{name}' of the codebook; `stories themes versions` lists all.")
    data = codebooks.read_bytes(hits[0].path)
    codebooks.loads(data, hits[0].path)
    path = path_of(collection)
    # What is there now may be broken: that is a reason to go back.
    _put(collection, Standing(path, path.read_bytes() if path.exists() else b"", Codebook(())), data)
    return hits[0]


def theme_key(book: Codebook, wanted: str) -> str:
    """The key of the theme that is called by its key or its name.

    Raises:
        NotFound: there is none.
    """
    for theme in book.themes:
        if wanted in (theme.key, theme.name) or theme.name.casefold() == wanted.casefold():
            return theme.key
    hint = near(wanted, [theme.key for theme in book.themes])
    raise NotFound(f"The codebook has no theme '{wanted}'{hint}; `stories themes list` shows all.")


def passages_by_theme(collection: Collection) -> dict[str, int]:
    """How many passages of the current transcripts each theme is proposed or accepted for, by key."""
    query = (
        select(models.Theme.key, func.count())
        .join(models.PassageTheme, models.PassageTheme.theme_id == models.Theme.id)
        .join(models.Passage, models.Passage.id == models.PassageTheme.passage_id)
        .join(models.Transcript, models.Transcript.id == models.Passage.transcript_id)
        .where(models.Transcript.current.is_(True), models.PassageTheme.state.in_(store.SHOWN))
        .group_by(models.Theme.key)
    )
    with collection.sessions() as session:
        return {row[0]: row[1] for row in session.execute(query)}


def sync(session: Session, book: Codebook) -> dict[str, int]:
    """Bring the themes' rows in step with the codebook; what is no longer in it retires. Key -> row's number."""
    rows = {row.key: row for row in store.themes(session, retired=True)}
    for row in rows.values():
        row.retired = True
    for position, theme in enumerate(book.themes):
        row = rows.get(theme.key) or models.Theme(key=theme.key)
        row.name, row.description, row.examples = theme.name, theme.description, list(theme.examples)
        row.colour, row.parent, row.position, row.retired = theme.colour, theme.parent, position, False
        session.add(row)
        rows[theme.key] = row
    session.flush()
    return {key: row.id for key, row in rows.items()}


def _put(collection: Collection, before: Standing, data: bytes) -> None:
    folder = _folder(collection)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        now = before.path.read_bytes() if before.path.exists() else b""
        if now != before.data:
            raise ConfigError(f"{before.path} was changed in the meantime; nothing was written, do it again.")
        if now == data:
            return
        if now:
            _write(folder / f"{datetime.now(UTC):{_MOMENT}}-{hashlib.sha256(now).hexdigest()[:12]}.yaml", now)
        _write(before.path, data)
    with collection.sessions.begin() as session:
        sync(session, codebooks.loads(data, before.path))


def _write(path: Path, data: bytes) -> None:
    with atomic_path(path) as made:
        made.write_bytes(data)


def _folder(collection: Collection) -> Path:
    return collection.root / ".stories" / "codebook"


def _version(path: Path) -> Version:
    try:
        themes = len(codebooks.load(path).themes)
    except CodebookError:
        themes = None
    until = datetime.strptime(path.stem.partition("-")[0], _MOMENT).replace(tzinfo=UTC)
    return Version(path.stem, until, themes, path)
