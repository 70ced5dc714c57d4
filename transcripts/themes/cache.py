"""Vectors that were computed once, kept by the hash of their text."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np

from transcripts.themes.vectors import Lexicon, SentenceEmbedder, Vectors, nfc

_T = TypeVar("_T")
_AT_ONCE = 4096
"""So many texts are computed before their vectors are kept: what an interrupted run loses at most."""
_ASKED = 500
_PAGE = 16384
"""On SQLite's usual page of 4096 bytes a row would not fit with others, and the file would be three times as large."""

log = logging.getLogger(__name__)


class CachedEmbedder:
    """An embedder that remembers each text's vector by the text's SHA-256, in ``folder``/vectors.sqlite.

    The file may be deleted at any time and shared by processes. It holds no text, but a vector tells of its
    text: a withdrawal must ``forget``.
    """

    def __init__(self, embedder: SentenceEmbedder, folder: Path) -> None:
        self._embedder = embedder
        self._path = folder / "vectors.sqlite"
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        """The embedder's own name."""
        return self._embedder.name

    @property
    def dimension(self) -> int:
        """The embedder's own dimension."""
        return self._embedder.dimension

    @property
    def lexicon(self) -> Lexicon | None:
        """The embedder's own words."""
        return self._embedder.lexicon

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder itself; only texts never seen before are computed."""
        digests = [_digest(text) for text in texts]
        known = self._read(set(digests))
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        for some in _batches(new, _AT_ONCE):
            vectors = dict(zip(some, self._embedder.embed([new[digest] for digest in some]), strict=True))
            self._write(vectors)
            known |= vectors
        return np.stack([known[digest] for digest in digests]) if texts else self._embedder.embed([])

    def forget(self, texts: Sequence[str]) -> None:
        """Remove these texts' vectors, of every model."""
        digests = sorted((_digest(text),) for text in texts)

        def delete(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM vectors WHERE text_sha256 = ?", digests)

        self._with_file(delete)

    def _read(self, digests: set[bytes]) -> dict[bytes, Vectors]:
        model, size = self.name, 4 * self.dimension

        def select(connection: sqlite3.Connection) -> dict[bytes, Vectors]:
            found: dict[bytes, Vectors] = {}
            for some in _batches(sorted(digests), _ASKED):  # sorted: as the rows lie in the file
                query = (
                    "SELECT text_sha256, vector FROM vectors WHERE model = ? AND length(vector) = ?"  # noqa: S608
                    f" AND text_sha256 IN ({','.join('?' * len(some))})"
                )
                rows = connection.execute(query, (model, size, *some))
                found.update((digest, np.frombuffer(vector, dtype="<f4")) for digest, vector in rows)
            return found

        return self._with_file(select) if digests else {}

    def _write(self, vectors: dict[bytes, Vectors]) -> None:
        rows = [
            (self.name, digest, vector.astype("<f4").tobytes()) for digest, vector in sorted(vectors.items())
        ]

        def insert(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT OR REPLACE INTO vectors (model, text_sha256, vector) VALUES (?, ?, ?)", rows
            )

        self._with_file(insert)

    def _with_file(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do it in one transaction; where the file turns out to be damaged, in a new one."""
        with self._lock:
            try:
                return _transaction(self._path, work)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                log.warning("%s is damaged and is made anew", self._path)
                self._path.with_name(self._path.name + "-journal").unlink(missing_ok=True)
                self._path.unlink(missing_ok=True)
                return _transaction(self._path, work)


def _transaction(path: Path, work: Callable[[sqlite3.Connection], _T]) -> _T:
    with closing(sqlite3.connect(path, timeout=60)) as connection, connection:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(f"PRAGMA page_size = {_PAGE}")  # of a new file only
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, text_sha256 BLOB NOT NULL,"
            " vector BLOB NOT NULL, PRIMARY KEY (text_sha256, model)) WITHOUT ROWID"
        )
        return work(connection)


def _batches(items: Iterable[bytes], size: int) -> Iterator[list[bytes]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def _digest(text: str) -> bytes:
    return hashlib.sha256(nfc(text).encode()).digest()
