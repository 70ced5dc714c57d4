"""Connections are what they should be, and what cannot be opened is told in one sentence."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from db import engine as engine_module
from db.engine import DatabaseError, Sessions, check, current_revision, head_revision, open_database
from db.models import Recording, Theme, Transcript, Word
from db.search import SearchRow, index_transcript, rebuild_index, search

AnyRecording = Callable[..., Recording]


@pytest.mark.parametrize(
    ("pragma", "value"),
    [("journal_mode", "wal"), ("foreign_keys", 1), ("busy_timeout", 30_000), ("synchronous", 1)],
)
def test_every_connection_is_prepared(engine: Engine, pragma: str, value: object) -> None:
    with engine.connect() as one, engine.connect() as other:
        assert one.scalar(text(f"PRAGMA {pragma}")) == value
        assert other.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_new_database_is_at_the_head_and_sound(engine: Engine) -> None:
    assert current_revision(engine) == head_revision()
    assert check(engine) == []


def test_a_row_cannot_point_at_nothing(making: Sessions) -> None:
    with pytest.raises(IntegrityError, match="FOREIGN KEY"), making.begin() as session:
        session.add(Transcript(recording_id=7, version=1, engine="whisper", model="demo", language="en"))


def test_what_hangs_on_a_recording_goes_with_it(making: Sessions, a_recording: AnyRecording) -> None:
    with making.begin() as session:
        session.add(a_recording())
    with making.begin() as session:
        session.execute(delete(Recording))
    with making() as session:
        assert session.scalar(select(func.count()).select_from(Word)) == 0


def test_rows_stay_readable_after_the_commit(making: Sessions, a_recording: AnyRecording) -> None:
    with making.begin() as session:
        recording = a_recording()
        session.add(recording)
    assert recording.id == 1
    assert recording.container == "mp3"


def test_a_writing_session_that_fails_leaves_nothing(making: Sessions) -> None:
    with contextlib.suppress(RuntimeError), making.begin() as session:
        session.add(Theme(key="care", name="Care"))
        session.flush()
        raise RuntimeError
    with making() as session:
        assert session.scalars(select(Theme)).all() == []


def test_a_reading_session_sees_one_moment(making: Sessions) -> None:
    with making() as reading:
        assert reading.scalars(select(Theme.key)).all() == []
        with making.begin() as writing:
            writing.add(Theme(key="care", name="Care"))
        assert reading.scalars(select(Theme.key)).all() == []
    with making() as later:
        assert later.scalars(select(Theme.key)).all() == ["care"]


def test_what_a_writing_session_read_stays_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.05)
    engine = open_database(tmp_path / "stories.db")
    making = engine_module.sessions(engine)
    with making.begin() as first:
        assert first.scalars(select(Theme)).all() == []
        with pytest.raises(OperationalError, match="locked"), making.begin() as second:
            second.scalars(select(Theme))
    engine.dispose()


def _text_file(path: Path) -> str:
    path.write_text("not a database, but long enough to be looked at as one. " * 100)
    return str(path)


def _other_program(path: Path) -> str:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    return str(path)


def _newer(path: Path) -> str:
    open_database(path).dispose()
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'abcd'")
    return str(path)


def _folder(path: Path) -> str:
    path.mkdir()
    return str(path)


def _behind_and_read_only(path: Path) -> str:
    sqlite3.connect(path).close()
    return f"sqlite:///file:{path}?mode=ro&uri=true"


CANNOT_BE_OPENED = [
    (_text_file, r"stories\.db is no database"),
    (_other_program, r"stories\.db holds tables of another program"),
    (_newer, r"stories\.db was written by a newer version of this program \(its revision is abcd"),
    (_folder, r"stories\.db is a folder"),
    (_behind_and_read_only, r"stories\.db.* cannot be (written to|opened)"),
    (lambda path: str(path / "deeper.db"), r"The folder .*stories\.db for the database does not exist"),
    (lambda path: "no address://", r"'no address://' is no database address"),
    (lambda path: "nosuchbase://host/stories", r"no driver for 'nosuchbase'"),
]


@pytest.mark.parametrize(("prepare", "sentence"), CANNOT_BE_OPENED)
def test_what_cannot_be_opened_is_told_and_left_alone(
    tmp_path: Path, prepare: Callable[[Path], str], sentence: str
) -> None:
    path = tmp_path / "stories.db"
    address = prepare(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(DatabaseError, match=sentence) as caught:
        open_database(address)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert (path.read_bytes() if path.is_file() else None) == before


def test_a_locked_database_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "stories.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(DatabaseError, match="is being written by another program"):
            open_database(path)


def test_a_damaged_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    open_database(path).dispose()
    whole = path.read_bytes()
    # The page size stays readable; the list of tables does not.
    path.write_bytes(whole[:100] + b"\xff" * 3996 + whole[4096:])
    with pytest.raises(DatabaseError, match=r"is damaged; put the newest copy"):
        open_database(path)


NOBODY = 65534


CLOSED = [(0o555, 0o755, "cannot be opened"), (0o755, 0o000, "may not be opened")]


@pytest.mark.parametrize(("folder_mode", "above_mode", "sentence"), CLOSED)
def test_a_folder_that_is_closed_is_told(
    folder_mode: int, above_mode: int, sentence: str, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """In a process whom permissions stop, which root's are not."""
    code = """
        import os, sys
        from db.engine import DatabaseError, open_database
        if os.geteuid() == 0:
            os.setuid(int(sys.argv[2]))
        try:
            open_database(sys.argv[1])
        except DatabaseError as error:
            print(error)
    """
    with tempfile.TemporaryDirectory() as above:
        folder = Path(above) / "closed"
        folder.mkdir()
        folder.chmod(folder_mode)
        Path(above).chmod(above_mode)
        told, trouble = start(code, folder / "stories.db", NOBODY).communicate()
        Path(above).chmod(0o700)
        folder.chmod(0o700)
    assert re.search(rf"closed/stories\.db {sentence}; make the file and its folder", told), told + trouble


def test_without_migrating_a_missing_database_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="There is no database"):
        open_database(tmp_path / "stories.db", migrate=False)
    assert list(tmp_path.iterdir()) == []


def test_without_migrating_a_database_behind_is_opened_and_named(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    path.touch()
    engine = open_database(path, migrate=False)
    assert current_revision(engine) is None
    assert check(engine) == [f"The database is at revision none; this program works with {head_revision()}."]
    engine.dispose()


def test_a_database_in_memory(a_recording: AnyRecording) -> None:
    engine = open_database("sqlite://")
    with engine_module.sessions(engine).begin() as session:
        session.add(a_recording())
    assert check(engine) == []
    engine.dispose()


@pytest.mark.parametrize("name", ["a b.db", "100%.db", "o'neil?#.db", "日記.db", "-rf.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    open_database(tmp_path / name).dispose()
    assert (tmp_path / name).stat().st_size > 0


def test_check_finds_rows_that_point_at_nothing(engine: Engine, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "stories.db")) as careless, careless:
        careless.execute("INSERT INTO turns (speaker_id, start_ms, end_ms) VALUES (5, 0, 1)")
    assert check(engine) == ["Row 1 of turns points at a row of speakers that is not there."]


def test_check_finds_an_index_that_lost_lines(
    engine: Engine, making: Sessions, a_recording: AnyRecording
) -> None:
    with making.begin() as session:
        recording = a_recording()
        session.add(recording)
        session.flush()
        index_transcript(
            session, recording.id, recording.transcripts[0].id, [SearchRow("0", 0, 9, "", "tea")]
        )
        session.execute(text("INSERT INTO search_index (search_index) VALUES ('delete-all')"))
    assert [complaint for complaint in check(engine) if "search index" in complaint]
    with making.begin() as session:
        rebuild_index(session)
        assert len(search(session, "tea")) == 1
    assert check(engine) == []


def test_check_finds_damage(
    engine: Engine, making: Sessions, a_recording: AnyRecording, tmp_path: Path
) -> None:
    with making.begin() as session:
        session.add_all(a_recording(f"{n:064}") for n in range(300))
    engine.dispose()
    path = tmp_path / "stories.db"
    # An index entry that is no longer the row's: the file stays well-formed.
    whole = path.read_bytes()
    places = [match.start() for match in re.finditer(f"{7:064}".encode(), whole)]
    path.write_bytes(whole[: places[-1]] + b"x" * 64 + whole[places[-1] + 64 :])
    assert any("damaged" in complaint for complaint in check(engine))
