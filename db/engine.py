"""Opens a collection's database: connected rightly, backed up, brought up to date.

On SQLite every connection enforces foreign keys, waits for locks and writes ahead (WAL). SQLAlchemy begins
each transaction itself, because Python's driver begins none before reading or changing the schema:
``sessions()`` reads from one snapshot, ``sessions.begin()`` takes the write lock with its first statement, so
what it reads stays true until it commits.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker

from db import search
from db.errors import DatabaseError, told
from db.migrations import run

__all__ = [
    "DatabaseError",
    "Sessions",
    "check",
    "current_revision",
    "head_revision",
    "open_database",
    "sessions",
]

BUSY_TIMEOUT_S = 30.0
"""How long a connection waits for another one's lock."""


class Sessions(sessionmaker[Session]):
    """Makes sessions: ``with sessions() as session`` to read, ``with sessions.begin() as session`` to write.

    The second commits at its end. On SQLite it holds the one write lock from its first statement on, even
    a query: keep it short, and never open one inside another.
    """

    @contextlib.contextmanager
    def begin(self) -> Iterator[Session]:
        """A session in a transaction that commits, or rolls back when the block raises."""
        bind = self.kw["bind"].execution_options(sqlite_begin="IMMEDIATE")
        with self(bind=bind) as session, session.begin():
            yield session


def sessions(engine: Engine) -> Sessions:
    """What makes sessions of this database; rows stay readable after a commit."""
    return Sessions(engine, expire_on_commit=False)


def open_database(url_or_path: str | Path | URL, *, migrate: bool = True) -> Engine:
    """Open a database by path or SQLAlchemy URL; made when missing, migrated to what this program knows.

    An existing SQLite database that is behind is first copied beside itself, as
    ``NAME.before-REVISION-TIME``. Without ``migrate`` nothing is made or changed: the database may be behind,
    but must be there.

    Raises:
        DatabaseError: when it cannot be opened or migrated, is another program's, or is newer than this one.
    """
    engine = _engine(_url(url_or_path), must_exist=not migrate)
    try:
        with told(engine.url):
            run.require_known(engine)
            if migrate:
                _write_ahead(engine)
                run.bring_up_to_date(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def current_revision(engine: Engine) -> str | None:
    """The revision the database is at; None when nothing was ever migrated.

    Raises:
        DatabaseError: when it cannot be read.
    """
    with told(engine.url), engine.connect() as connection:
        return run.current(connection)


def head_revision() -> str:
    """The revision that this program works with."""
    return run.head()


def check(engine: Engine) -> list[str]:
    """What is wrong with the database, a sentence each; empty when it is sound. Reads all of it."""
    try:
        with told(engine.url), engine.connect() as connection:
            return _complaints(connection)
    except DatabaseError as error:
        return [str(error)]


def _complaints(connection: Connection) -> list[str]:
    at, head = run.current(connection), run.head()
    found = (
        [] if at == head else [f"The database is at revision {at or 'none'}; this program works with {head}."]
    )
    if connection.dialect.name != "sqlite":
        return found
    damage = [line for line in connection.scalars(text("PRAGMA integrity_check")) if line != "ok"]
    found += [f"The database file is damaged: {line}." for line in damage]
    found += run.dangling(connection)
    if at == head and not damage and not search.index_is_sound(connection):
        found.append("The search index does not agree with the transcripts; it has to be built again.")
    return found


def _url(url_or_path: str | Path | URL) -> URL:
    if isinstance(url_or_path, URL):
        return url_or_path
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        return URL.create("sqlite", database=str(Path(url_or_path).absolute()))
    try:
        return make_url(url_or_path)
    except ArgumentError as error:
        raise DatabaseError(
            f"'{url_or_path}' is no database address; give a file name or an SQLAlchemy URL."
        ) from error


def _engine(url: URL, *, must_exist: bool) -> Engine:
    is_sqlite = url.get_backend_name() == "sqlite"
    if is_sqlite:
        with told(url):
            _require_place(url, must_exist=must_exist)
    try:
        engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S} if is_sqlite else {})
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise DatabaseError(
            f"There is no driver for '{url.drivername}' databases here ({error}); install it, or use SQLite."
        ) from error
    if is_sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _require_place(url: URL, *, must_exist: bool) -> None:
    """Name what SQLite would only call "unable to open database file"."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    path = Path(url.database)
    if path.is_dir():
        raise DatabaseError(
            f"{path} is a folder, not a database; name a file in it, such as {path / 'stories.db'}."
        )
    if not path.parent.is_dir():
        raise DatabaseError(f"The folder {path.parent} for the database does not exist; make it first.")
    if must_exist and not path.exists():
        raise DatabaseError(f"There is no database {path} yet; processing recordings makes it.")


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    # The driver must begin nothing by itself: see _begin.
    connection.isolation_level = None
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _write_ahead(engine: Engine) -> None:
    """Switch an SQLite file to WAL, which it then keeps; not before it is known to be ours."""
    if engine.dialect.name != "sqlite":
        return
    with contextlib.closing(engine.raw_connection()) as connection:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while not _switched(connection.cursor()):
            if time.monotonic() > deadline:
                raise DatabaseError(f"The database {engine.url.database} is being opened by another program.")
            time.sleep(0.02)


def _switched(cursor: Any) -> bool:
    try:
        cursor.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError as error:
        # SQLite does not wait for its busy timeout when two connections switch a file at once.
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise
    return True


def _begin(connection: Connection) -> None:
    mode = connection.get_execution_options().get("sqlite_begin", "DEFERRED")
    connection.exec_driver_sql(f"BEGIN {mode}")
