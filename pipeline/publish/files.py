"""Placing and taking away files of a site: whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES}


def write(target: Path, content: bytes | Path) -> None:
    """Puts bytes, or the file at a path (hard-linked where possible, else copied), at ``target`` at once."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as temporary:
        if isinstance(content, Path):
            _link_or_copy(content, temporary)
        else:
            temporary.write_bytes(content)
        _sync(temporary)
        temporary.replace(target)


def remove(target: Path, site: Path) -> None:
    """Removes a file (if it is there) and the folders that this leaves empty, up to the site's own."""
    temporary_path(target).unlink(missing_ok=True)
    target.unlink(missing_ok=True)
    for folder in target.parents:
        if folder == site or not _remove_if_empty(folder):
            return


def temporary_path(target: Path) -> Path:
    """Where ``target`` is made before it is renamed; one name, so that a killed run leaves nothing behind."""
    return target.with_name(f".{target.name}.stories-tmp")


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Holds the folder for this process; gives False when another process holds it. Ends with the process."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(handle)


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    temporary = temporary_path(target)
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
    finally:
        # also when it was renamed: renaming a link onto its own file leaves it in place
        temporary.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source.resolve(), target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        shutil.copyfile(source, target)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True
