"""Files that are there whole or not at all.

A temporary file lies beside its target, is named ``.STEM.TOKEN.part.SUFFIX`` and is locked while it is
written. When a process is killed its lock goes with it; whoever makes the same target next removes what was
left.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_MARK = ".part"
_LONGEST_STEM = 40


@contextlib.contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary path beside ``target``, with its suffix, that becomes ``target`` when the block succeeds.

    It is flushed to the disk and renamed; when the block raises it is removed and ``target`` stays as it was.
    """
    with scratch_path(target, target.suffix) as temporary:
        yield temporary
        _flush(temporary)
        temporary.replace(target)
        _flush(target.parent)


@contextlib.contextmanager
def scratch_path(target: Path, suffix: str) -> Iterator[Path]:
    """A temporary path beside ``target`` that is removed at the end of the block."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(target)
    temporary = target.parent / f"{_prefix(target)}{secrets.token_hex(4)}{_MARK}{suffix}"
    with _locked(temporary):
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)


def _prefix(target: Path) -> str:
    return f".{target.stem[:_LONGEST_STEM]}."


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("xb") as file:
        with contextlib.suppress(OSError):  # a file system without locks: the file is only not tidied up
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove_left_over(target: Path) -> None:
    prefix = _prefix(target)
    for path in target.parent.iterdir():
        if path.name.startswith(prefix) and Path(path.stem).suffix == _MARK:
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    # A lock that is held, or cannot be asked for, means that somebody may still be writing.
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
