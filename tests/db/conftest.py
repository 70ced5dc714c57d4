"""A database of one's own, a program with a migration more, and a process of its own to run things in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

import db.migrations
from db.engine import Sessions, open_database, sessions
from db.migrations import run
from db.models import Recording, Transcript, Word

ROOT = Path(__file__).parents[2]
NEXT = "9999"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "stories.db")
    yield engine
    engine.dispose()


@pytest.fixture
def making(engine: Engine) -> Sessions:
    return sessions(engine)


@pytest.fixture
def a_recording() -> Callable[[str], Recording]:
    def make(sha256: str = "a" * 64) -> Recording:
        words = [Word(ordinal=n, start_ms=n, end_ms=n + 1, text=" so", probability=1.0) for n in range(3)]
        transcript = Transcript(version=1, engine="whisper", model="demo", language="en", words=words)
        return Recording(
            sha256=sha256, kind="audio", container="mp3", bytes=1, duration_ms=9000, transcripts=[transcript]
        )

    return make


@pytest.fixture
def with_next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Make this process a newer program, whose last migration's upgrade is the body given."""

    def make(body: str) -> Path:
        folder = tmp_path / "newer program" / "migrations"
        package = Path(db.migrations.__file__).parent
        shutil.copytree(package, folder, ignore=shutil.ignore_patterns("__pycache__"))
        step = (
            "import os, signal, time\n"
            "import sqlalchemy as sa\n"
            "from alembic import op\n"
            f"revision, down_revision = {NEXT!r}, {run.head()!r}\n"
            f"def upgrade():\n{textwrap.indent(textwrap.dedent(body), '    ')}\n"
            "def downgrade():\n    pass\n"
        )
        (folder / "versions" / f"{NEXT}_next.py").write_text(step)
        monkeypatch.setattr(run, "LOCATION", str(folder))
        return folder

    return make


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a Python process that runs a piece of code with arguments in ``sys.argv``."""
    started: list[subprocess.Popen[str]] = []

    def begin(code: str, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()
