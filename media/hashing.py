"""A recording is its bytes: the SHA-256 of a file, read in pieces."""

from __future__ import annotations

import hashlib
from pathlib import Path

from media.process import Progress

_PIECE_BYTES = 1 << 20


def sha256_file(path: Path, progress: Progress | None = None) -> str:
    """The SHA-256 of the file's bytes, in 64 lower-case hexadecimal digits.

    Raises:
        OSError: when the file cannot be read.
    """
    total, read, digest = path.stat().st_size, 0, hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
            read += len(piece)
            if progress:
                progress(min(1.0, read / max(total, 1)))
    return digest.hexdigest()
