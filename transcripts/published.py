"""Files of packages that are read only when they are the ones that were published."""

from __future__ import annotations

import hashlib
from pathlib import Path


class NotPublished(Exception):
    """The file is another, or cannot be read; the message is the file and what was found instead."""


def read_published(path: Path, what: str, sha256: str) -> bytes:
    """The file's bytes.

    Args:
        path: the file.
        what: the name of what it should hold, for the message.
        sha256: its digest as published.

    Raises:
        NotPublished: its digest is another, or it cannot be read.
    """
    try:
        content = path.read_bytes()
        found = hashlib.sha256(content).hexdigest()
    except OSError as error:
        content, found = b"", error.strerror or "unreadable"
    if found != sha256:
        raise NotPublished(f"{path} is not the published {what} (SHA-256 {found})")
    return content
