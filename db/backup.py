"""Copies of a database, kept beside it before it is migrated: ``stories.db.before-REVISION-TIME``."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

KEPT = 5
"""How many copies are kept beside a database."""


def copy(database: Path, revision: str) -> Path:
    """Copy what is committed in an SQLite database, before it is brought to ``revision``; the copy's path.

    The copy is whole or not there at all. Older ones beyond KEPT are removed. The caller holds the database's
    write lock.

    Raises:
        OSError, sqlite3.Error: when the copy cannot be written.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    target = database.with_name(f"{database.name}.before-{revision}-{moment}")
    unfinished = database.with_name(f".{database.name}.copying")
    # Whoever died over a copy left a part of one; only the holder of the write lock comes here.
    _remove(unfinished)
    try:
        _copy_pages(database, unfinished)
        _sync(unfinished)
        unfinished.replace(target)
    except BaseException:
        _remove(unfinished)
        raise
    _sync(target.parent)
    for old in copies(database)[KEPT:]:
        _remove(old)
    return target


def copies(database: Path) -> list[Path]:
    """The copies beside a database, newest first."""
    prefix = f"{database.name}.before-"
    found = [
        path for path in database.parent.iterdir() if path.name.startswith(prefix) and path.name.endswith("Z")
    ]
    return sorted(found, key=lambda path: path.name.rpartition("-")[2], reverse=True)


def _copy_pages(source: Path, target: Path) -> None:
    address = f"file:{quote(str(source))}?mode=ro"
    with (
        contextlib.closing(sqlite3.connect(address, uri=True)) as held,
        contextlib.closing(sqlite3.connect(target)) as made,
    ):
        held.backup(made)
        # One file that needs no companions, so that it can be put back by hand.
        made.execute("PRAGMA journal_mode = DELETE")


def _remove(path: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
