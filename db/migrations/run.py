"""Runs the migrations: safe against other processes, against being killed, against a newer program.

The key fact: one transaction, begun with the write lock, holds the look at the revision, the backup copy,
every step and the check of the foreign keys. Killed anywhere, the database is as it was and the next opening
does it all again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect, text

from db import backup
from db.errors import DatabaseError, name_of

LOCATION = "db:migrations"
"""Where the steps are, as package and folder; found in a checkout and in an installed wheel alike."""

POSTGRESQL_LOCK = 7_305_809_126
"""Any number that no other program locks in the same PostgreSQL database."""

# Alembic's ``op`` and ``context`` are one for the whole process.
_one_at_a_time = threading.Lock()


def configuration(connection: Connection | None = None) -> Config:
    """Alembic's configuration for the migrations of this package, run over ``connection``."""
    config = Config()
    config.set_main_option("script_location", LOCATION)
    config.attributes["connection"] = connection
    return config


def head() -> str:
    """The revision of the last step."""
    revision = ScriptDirectory.from_config(configuration()).get_current_head()
    if revision is None:
        raise DatabaseError("This program is installed without its database migrations; install it again.")
    return revision


def current(connection: Connection) -> str | None:
    """The revision that the database is at; None when it never was migrated."""
    return MigrationContext.configure(connection).get_current_revision()


def require_known(engine: Engine) -> None:
    """Refuse a database that another or a newer program wrote.

    Raises:
        DatabaseError: when this program does not know the database's revision.
    """
    with engine.connect() as connection:
        _require_known(connection)


def bring_up_to_date(engine: Engine) -> None:
    """Migrate the database to the head, after a backup copy when it is an SQLite file that holds something.

    Raises:
        DatabaseError: when this program does not know the database's revision, or cannot copy it.
    """
    with engine.connect() as connection:
        _require_known(connection)
        if current(connection) == head():
            return
    with _one_at_a_time, _alone(engine) as connection:
        # Another process may have been quicker while this one waited for the lock.
        _require_known(connection)
        before = current(connection)
        if before == head():
            return
        if before is not None:
            _back_up(connection)
        command.upgrade(configuration(connection), "head")
        if complaints := dangling(connection):
            raise DatabaseError(f"The migration was taken back, it would break the database: {complaints[0]}")


def downgrade(engine: Engine, revision: str) -> None:
    """Take steps back down to ``revision`` ("base": all of them). Makes no copy."""
    with _one_at_a_time, _alone(engine) as connection:
        command.downgrade(configuration(connection), revision)


def dangling(connection: Connection) -> list[str]:
    """The rows that point at rows which are not there, a sentence each."""
    if connection.dialect.name != "sqlite":
        return []
    return [
        f"Row {row} of {table} points at a row of {parent} that is not there."
        for table, row, parent, _ in connection.execute(text("PRAGMA foreign_key_check"))
    ]


def _require_known(connection: Connection) -> None:
    revision = current(connection)
    where = name_of(connection.engine.url)
    if revision is None:
        # Going down to the base leaves alembic's own table, empty.
        if set(inspect(connection).get_table_names()) - {"alembic_version"}:
            raise DatabaseError(
                f"{where} holds tables of another program; name another database in the settings."
            )
        return
    try:
        ScriptDirectory.from_config(configuration()).get_revision(revision)
    except CommandError as error:
        raise DatabaseError(
            f"{where} was written by a newer version of this program (its revision is {revision}, this one "
            f"knows {head()}); install the newer version."
        ) from error


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction that nobody else's write can come into."""
    writing = engine.execution_options(sqlite_begin="IMMEDIATE")
    with writing.connect() as connection, _foreign_keys_off(connection), connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": POSTGRESQL_LOCK})
        yield connection


@contextlib.contextmanager
def _foreign_keys_off(connection: Connection) -> Iterator[None]:
    """SQLite alters a table by making it anew; dropping the old one would empty what points at it."""
    if connection.dialect.name != "sqlite":
        yield
        return
    driver = connection.connection.cursor()
    # Only outside a transaction does the pragma do anything, and SQLAlchemy would begin one.
    driver.execute("PRAGMA foreign_keys = OFF")
    try:
        yield
    finally:
        driver.execute("PRAGMA foreign_keys = ON")
        driver.close()


def _back_up(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    file = connection.execute(text("SELECT file FROM pragma_database_list WHERE name = 'main'")).scalar_one()
    if not file:
        return
    try:
        backup.copy(Path(file), head())
    except OSError as error:
        raise DatabaseError(
            f"No backup copy of {file} could be written ({error.strerror}), so it was not migrated; "
            "make room and see that its folder can be written to."
        ) from error
