"""Sentences as vectors: what boundaries and labels are computed from.

The default is all-MiniLM-L6-v2 from an ordinary package, by onnxruntime, see ``minilm``. Any other
sentence-transformers model works by name or path with that library installed. ``cache`` keeps what was computed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transcripts.errors import EmbeddingsUnavailable
from transcripts.themes.cache import CachedEmbedder
from transcripts.themes.minilm import MINILM, minilm
from transcripts.themes.vectors import Lexicon, SentenceEmbedder, Vectors, cores, nfc
from transcripts.threads import torch_threads

__all__ = ["MINILM", "CachedEmbedder", "Lexicon", "SentenceEmbedder", "Vectors", "load", "minilm"]

_PARTS = (".safetensors", ".bin", ".json", ".txt", ".model")
"""What decides a model's vectors; a folder's other files are read by people."""


def load(
    name_or_path: str = MINILM, *, device: str | None = None, threads: int | None = None
) -> SentenceEmbedder:
    """The embedder of that name, or in that folder.

    Args:
        name_or_path: a published sentence-transformers model, or a folder with one.
        device: what the library computes on, as torch names it; None for its own choice. The default model
            computes on the processor.
        threads: how many to compute with; None for ``vectors.cores``.

    Raises:
        EmbeddingsUnavailable: it is missing, damaged or out of reach; the message says what to run.
    """
    if name_or_path in (MINILM, f"sentence-transformers/{MINILM}"):
        return minilm(threads)
    return _LibraryModel(name_or_path, device, threads or cores())


class _LibraryModel:
    """Any model that sentence-transformers can load."""

    lexicon = None

    def __init__(self, name_or_path: str, device: str | None, threads: int) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise EmbeddingsUnavailable(
                f'the sentence model "{name_or_path}" needs a library that is not installed: '
                f"run `pip install sentence-transformers`, or leave the setting out to use {MINILM}"
            ) from error
        try:
            self._model = SentenceTransformer(name_or_path, device=device)
        except Exception as error:  # the library lets through what torch, safetensors and others raise
            raise EmbeddingsUnavailable(
                f'the sentence model "{name_or_path}" cannot be loaded ({_first_line(error)}): name a folder '
                f"that holds it, connect to the network, or leave the setting out to use {MINILM}"
            ) from error
        self._threads = threads
        self.name = _identity(name_or_path)
        self.dimension = self._encode(["a"]).shape[1]

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return np.empty((0, self.dimension), dtype=np.float32)
        return self._encode([nfc(text) for text in texts])

    def _encode(self, texts: list[str]) -> Vectors:
        with torch_threads(self._threads):
            rows = self._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(rows, dtype=np.float32)


def _identity(name_or_path: str) -> str:
    """A published model's name says what it is; a folder's does not, so its contents' digest is added."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        return name_or_path
    contents = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in _PARTS and path.is_file():
            contents.update(hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest())
            with path.open("rb") as file:
                contents.update(hashlib.file_digest(file, "sha256").digest())
    return f"{folder.resolve().name}@{contents.hexdigest()[:8]}"


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
