"""Writes the next migration: ``python -m db.migrations "what changes"``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from db.engine import open_database
from db.migrations import run


def next_step(message: str) -> Path:
    """Write the step from the last revision to the tables declared, beside the others."""
    with tempfile.TemporaryDirectory() as scratch:
        engine = open_database(Path(scratch) / "head.db")
        number = f"{int(run.head()) + 1:04d}"
        try:
            with engine.connect() as connection:
                config = run.configuration(connection)
                config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
                made = command.revision(config, message, autogenerate=True, rev_id=number)
        finally:
            engine.dispose()
    if made is None or isinstance(made, list):
        raise RuntimeError("Alembic wrote no single step")
    return Path(made.path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit('usage: python -m db.migrations "what changes"')
    print(next_step(sys.argv[1]))
