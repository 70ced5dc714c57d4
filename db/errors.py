"""What can go wrong with a database, told in one sentence."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError


class DatabaseError(Exception):
    """``str(error)`` is one sentence for a producer: what is wrong, where, what to do."""


SQLITE_TROUBLES = {
    sqlite3.SQLITE_BUSY: "is being written by another program; close that one, or wait and try again",
    sqlite3.SQLITE_LOCKED: "is in use by another part of this program; wait and try again",
    sqlite3.SQLITE_READONLY: "cannot be written to; make the file and its folder writable",
    sqlite3.SQLITE_PERM: "may not be opened; make the file and its folder readable and writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; make the file and its folder readable and writable",
    sqlite3.SQLITE_NOTADB: "is no database; move the file away, or name another database in the settings",
    sqlite3.SQLITE_CORRUPT: "is damaged; put the newest copy of it (NAME.before-…) in its place",
    sqlite3.SQLITE_FULL: "cannot grow, the disk is full; make room and try again",
    sqlite3.SQLITE_IOERR: "cannot be read or written; check the disk that it lies on",
}
"""By SQLite's primary result codes."""


@contextlib.contextmanager
def told(url: URL) -> Iterator[None]:
    """Turn what the driver raises about the database at ``url`` into a DatabaseError."""
    try:
        yield
    except (DBAPIError, sqlite3.Error, PermissionError) as error:
        raise DatabaseError(_sentence(url, error)) from error


def name_of(url: URL) -> str:
    """What people call the database: its file, or its address without the password."""
    if url.get_backend_name() == "sqlite":
        return url.database or "in memory"
    return url.render_as_string(hide_password=True)


def _sentence(url: URL, error: DBAPIError | sqlite3.Error | PermissionError) -> str:
    name = name_of(url)
    cause = error.orig if isinstance(error, DBAPIError) else error
    # A trouble the driver found by itself, not SQLite, has no code.
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)
    if isinstance(cause, PermissionError):
        code = sqlite3.SQLITE_PERM
    trouble = SQLITE_TROUBLES.get(code & 0xFF)
    reason = " ".join(str(cause).split())
    if trouble is None:
        return f"The database {name} cannot be used ({reason}); check its address and that it is running."
    return f"The database {name} {trouble} ({reason})."
