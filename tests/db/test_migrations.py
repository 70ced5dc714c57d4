"""The migrations make what the models declare, keep what is there, and survive being killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, func, inspect, select, text

from db import backup
from db.engine import DatabaseError, Sessions, check, current_revision, head_revision, open_database, sessions
from db.migrations import run
from db.migrations.__main__ import next_step
from db.models import Base, Person, Recording, Speaker, Theme, Turn, Word
from db.search import is_of_the_index

AnyRecording = Callable[..., Recording]
NEXT = "9999"


def differences(engine: Engine) -> list[Any]:
    options = {
        "compare_type": True,
        "include_name": lambda name, kind, _: not (kind == "table" and is_of_the_index(name)),
    }
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))


def shape(engine: Engine) -> dict[str, Any]:
    """All that alembic's comparison leaves out too: checks, and every constraint's name."""
    look = inspect(engine)
    return {
        table: {
            "columns": [(c["name"], repr(c["type"]), c["nullable"]) for c in look.get_columns(table)],
            "key": look.get_pk_constraint(table),
            "checks": {(c["name"], c["sqltext"]) for c in look.get_check_constraints(table)},
            "uniques": {(c["name"], *c["column_names"]) for c in look.get_unique_constraints(table)},
            "indexes": {(c["name"], *c["column_names"]) for c in look.get_indexes(table)},
            "foreign": {
                (c["name"], *c["constrained_columns"], c["referred_table"], c["options"].get("ondelete"))
                for c in look.get_foreign_keys(table)
            },
        }
        for table in Base.metadata.tables
    }


def test_the_migrations_make_what_the_models_declare(engine: Engine, tmp_path: Path) -> None:
    declared = create_engine(f"sqlite:///{tmp_path / 'declared.db'}")
    Base.metadata.create_all(declared)
    assert differences(engine) == []
    assert shape(engine) == shape(declared)
    declared.dispose()


def test_the_comparison_would_find_a_difference(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE themes ADD COLUMN mood TEXT"))
    assert [difference[0] for difference in differences(engine)] == ["remove_column"]


def test_every_constraint_has_a_name(engine: Engine) -> None:
    for table, held in shape(engine).items():
        names = [
            held["key"]["name"],
            *(c[0] for kind in ("checks", "uniques", "foreign") for c in held[kind]),
        ]
        assert None not in names, table


def test_down_to_nothing_and_up_again(engine: Engine) -> None:
    before = shape(engine)
    run.downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]
    assert current_revision(engine) is None
    run.bring_up_to_date(engine)
    assert shape(engine) == before
    assert check(engine) == []


def test_speakers_and_their_turns_come_through_the_step_to_persons_and_back(
    engine: Engine, making: Sessions, a_recording: AnyRecording
) -> None:
    with making.begin() as session:
        recording = a_recording()
        recording.speakers = [
            Speaker(number=2, name="Jean", role="interviewer", embedding=b"voice", person=Person(name="Jean"))
        ]
        recording.speakers[0].turns = [Turn(start_ms=0, end_ms=900)]
        session.add(recording)
    asked = text(
        "SELECT number, name, role, embedding, start_ms FROM speakers JOIN turns ON speaker_id = speakers.id"
    )
    run.downgrade(engine, "0003")
    with engine.connect() as connection:
        assert connection.execute(asked).all() == [(2, "Jean", "interviewer", b"voice", 0)]
    run.bring_up_to_date(engine)
    with making() as session:
        assert session.execute(asked).all() == [(2, "Jean", "interviewer", b"voice", 0)]
        (speaker,) = session.scalars(select(Speaker))
        assert (speaker.person, speaker.voiceprint, speaker.refused) == (None, True, [])
        assert speaker.encoder == "resemblyzer"
    assert check(engine) == []


def test_comments_reach_databases_that_keep_them() -> None:
    written = StringIO()
    options = {"as_sql": True, "output_buffer": written}
    context = MigrationContext.configure(dialect_name="postgresql", opts=options)
    with Operations.context(context):
        for step in reversed(list(ScriptDirectory.from_config(run.configuration()).walk_revisions())):
            step.module.upgrade()
    declared = [
        (table.name, column.name, column.comment.replace("'", "''"))
        for table in Base.metadata.tables.values()
        for column in table.columns
        if column.comment
    ]
    assert declared
    for table, column, comment in declared:
        assert any(
            f"COMMENT ON COLUMN {name} IS '{comment}'" in written.getvalue()
            for name in (f"{table}.{column}", f'{table}."{column}"')
        ), (table, column)


def test_a_copy_precedes_a_migration_and_data_survives_it(
    engine: Engine,
    making: Sessions,
    a_recording: AnyRecording,
    with_next_migration: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    with making.begin() as session:
        session.add(a_recording())
    before = head_revision()
    # The batch makes the table anew, which with foreign keys on would empty every table below it.
    with_next_migration(
        """
        with op.batch_alter_table("recordings") as batch:
            batch.add_column(sa.Column("mood", sa.Text(), nullable=False, server_default="calm"))
            batch.alter_column("container", type_=sa.String(80))
        """
    )
    open_database(tmp_path / "stories.db").dispose()

    [copy] = backup.copies(tmp_path / "stories.db")
    assert copy.name.startswith(f"stories.db.before-{NEXT}-")
    with contextlib.closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT version_num FROM alembic_version").fetchone() == (before,)
        assert kept.execute("SELECT count(*) FROM words").fetchone() == (3,)
        assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert kept.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert current_revision(engine) == NEXT
    assert check(engine) == []
    with making() as session:
        assert session.scalar(select(func.count()).select_from(Word)) == 3
        assert session.scalar(text("SELECT mood FROM recordings")) == "calm"
        assert session.scalar(text("PRAGMA foreign_keys")) == 1


def test_neither_a_new_database_nor_one_at_the_head_is_copied(tmp_path: Path) -> None:
    open_database(tmp_path / "stories.db").dispose()
    open_database(tmp_path / "stories.db").dispose()
    assert backup.copies(tmp_path / "stories.db") == []


def test_only_the_newest_copies_are_kept(engine: Engine, tmp_path: Path) -> None:
    database = tmp_path / "stories.db"
    made = [backup.copy(database, f"{9 - n:04}") for n in range(backup.KEPT + 2)]
    assert backup.copies(database) == made[: -backup.KEPT - 1 : -1]
    assert [path.name for path in tmp_path.iterdir() if "copying" in path.name] == []


def test_a_copy_holds_what_only_the_log_holds(engine: Engine, making: Sessions, tmp_path: Path) -> None:
    with making.begin() as session:
        session.add(Theme(key="care", name="Care"))
    copy = backup.copy(tmp_path / "stories.db", NEXT)
    with contextlib.closing(sqlite3.connect(copy)) as kept:
        assert kept.execute("SELECT key FROM themes").fetchall() == [("care",)]


def test_without_a_copy_nothing_is_migrated(
    engine: Engine, tmp_path: Path, with_next_migration: Callable[[str], Path]
) -> None:
    before = head_revision()
    with_next_migration("op.add_column('themes', sa.Column('mood', sa.Text()))")
    (tmp_path / ".stories.db.copying").mkdir()
    with pytest.raises(DatabaseError, match=r"No backup copy of .* so it was not migrated"):
        open_database(tmp_path / "stories.db")
    assert current_revision(engine) == before


BREAKS = [
    "op.add_column('themes', sa.Column('mood', sa.Text()))\nraise RuntimeError('no')",
    "op.add_column('themes', sa.Column('mood', sa.Text()))\nop.execute('DELETE FROM recordings')",
]


@pytest.mark.parametrize("body", BREAKS, ids=["it fails", "it leaves words without a recording"])
def test_a_migration_that_goes_wrong_is_taken_back(
    body: str,
    engine: Engine,
    making: Sessions,
    a_recording: AnyRecording,
    tmp_path: Path,
    with_next_migration: Callable[[str], Path],
) -> None:
    with making.begin() as session:
        session.add(a_recording())
    before = head_revision()
    with_next_migration(body)
    with pytest.raises((RuntimeError, DatabaseError), match=r"no|points at a row of"):
        open_database(tmp_path / "stories.db")
    assert current_revision(engine) == before
    assert differences(engine) == []
    with making() as session:
        assert session.scalar(select(func.count()).select_from(Recording)) == 1


def test_the_tool_writes_the_next_step(
    with_next_migration: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_next_migration(
        "op.drop_index(op.f('ix_turns_speaker_id'), 'turns')\nop.drop_column('stage_runs', 'started_at')"
    )
    step = next_step("what changes")
    assert step.name == "10000_what_changes.py"
    written = step.read_text()
    assert f"down_revision = '{NEXT}'" in written
    assert "create_index(batch_op.f('ix_turns_speaker_id'), ['speaker_id']" in written
    assert "sa.Column('started_at', sa.DateTime(timezone=True)" in written
    assert "search_index" not in written


OPENER = """
    import os, sys, traceback
    from db.engine import open_database, sessions
    from db.migrations import run
    from db.models import Theme
    run.LOCATION = sys.argv[1] or run.LOCATION
    run.head()

    def opened(path, key):
        if pid := os.fork():
            return pid
        try:
            with sessions(open_database(path)).begin() as session:
                session.add(Theme(key=key, name="here"))
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    for line in sys.stdin:
        path, count = line.rsplit(maxsplit=1)
        pids = [opened(path, f"theme-{n}") for n in range(int(count))]
        print(*pids, flush=True)
        sys.stdin.readline()
        print(*(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids), flush=True)
"""


class Opener:
    """Starts processes that each open a database and add a theme to it, by forking one that is warm."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.to, self.of = process.stdin, process.stdout

    def start(self, path: Path, count: int) -> list[int]:
        self.to.write(f"{path} {count}\n")
        self.to.flush()
        return self._numbers()

    def exit_statuses(self) -> list[int]:
        # Only now are they waited for: until then a number is nobody else's, and may be killed.
        self.to.write("\n")
        self.to.flush()
        return self._numbers()

    def _numbers(self) -> list[int]:
        return [int(number) for number in self.of.readline().split()]


@pytest.mark.parametrize("existing", [False, True], ids=["new", "behind"])
def test_processes_may_open_a_database_at_once(
    existing: bool,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    with_next_migration: Callable[[str], Path],
) -> None:
    paths = [tmp_path / f"{n}.db" for n in range(3)]
    location: Path | str = ""
    if existing:
        for path in paths:
            open_database(path).dispose()
        location = with_next_migration("op.add_column('themes', sa.Column('mood', sa.Text()))")
    opener = Opener(start(OPENER, location))
    for path in paths:
        opener.start(path, 5)
        assert opener.exit_statuses() == [0] * 5
        engine = open_database(path)
        with sessions(engine)() as session:
            assert sorted(session.scalars(select(Theme.key))) == [f"theme-{n}" for n in range(5)]
        assert current_revision(engine) == (NEXT if existing else head_revision())
        assert len(backup.copies(path)) == (1 if existing else 0)
        assert check(engine) == []
        engine.dispose()


def test_threads_may_open_databases_at_once(tmp_path: Path) -> None:
    troubles: list[BaseException] = []

    def open_one(name: str) -> None:
        try:
            open_database(tmp_path / name).dispose()
        except BaseException as trouble:  # noqa: BLE001 - a thread's trouble is told by the test
            troubles.append(trouble)

    names = ["one.db", "one.db", "two.db", "three.db"]
    threads = [threading.Thread(target=open_one, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert troubles == []


def test_killed_in_the_middle_of_a_migration(
    engine: Engine,
    making: Sessions,
    a_recording: AnyRecording,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    with_next_migration: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with making.begin() as session:
        session.add(a_recording())
    engine.dispose()
    path, before, shape_before = tmp_path / "stories.db", head_revision(), shape(engine)
    engine.dispose()
    location = with_next_migration(
        """
        op.execute("DELETE FROM words")
        op.add_column("themes", sa.Column("mood", sa.Text()))
        # Enough pages that some go to disk before the commit.
        op.execute("PRAGMA cache_spill = 10")
        op.execute(
            "CREATE TABLE bulk AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000)"
            " SELECT i, hex(randomblob(200)) AS noise FROM n"
        )
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    opener = Opener(start(OPENER, location))
    opener.start(path, 1)
    assert opener.exit_statuses() == [-signal.SIGKILL]

    monkeypatch.undo()
    reopened = open_database(path)
    assert current_revision(reopened) == before
    assert shape(reopened) == shape_before
    assert check(reopened) == []
    with sessions(reopened)() as session:
        assert session.scalar(select(func.count()).select_from(Word)) == 3
    assert len(backup.copies(path)) == 1
    reopened.dispose()


def test_killed_at_any_moment_of_making_a_database(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    chance = random.Random(3)
    opener = Opener(start(OPENER, ""))
    for round_ in range(12):
        path = tmp_path / f"{round_}.db"
        [pid] = opener.start(path, 1)
        time.sleep(chance.uniform(0.0, 0.12))
        os.kill(pid, signal.SIGKILL)
        assert opener.exit_statuses() in ([-signal.SIGKILL], [0])
        engine = open_database(path)
        assert check(engine) == []
        assert differences(engine) == []
        engine.dispose()


def test_a_copy_that_was_broken_off_is_cleared_away(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / ".stories.db.copying").write_bytes(b"half")
    (tmp_path / ".stories.db.copying-journal").write_bytes(b"half")
    backup.copy(tmp_path / "stories.db", NEXT)
    assert not list(tmp_path.glob(".stories.db.copying*"))
