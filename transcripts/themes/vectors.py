"""What every embedder gives, and what all of them agree on."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Unit rows: shape (n, dimension)."""

MOST_CORES = 4
"""More are not worth taking from what runs beside."""


class Lexicon(Protocol):
    """What words mean by themselves, wherever they stand."""

    @property
    def rows(self) -> NDArray[np.float16]:
        """Unit rows, one for each word or part of one: shape (words, dimension)."""

    def words(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's words, in their order."""


class SentenceEmbedder(Protocol):
    """Turns texts into vectors whose dot product is their cosine."""

    @property
    def name(self) -> str:
        """What tells this model's vectors from every other's."""

    @property
    def dimension(self) -> int:
        """The length of a vector."""

    @property
    def lexicon(self) -> Lexicon | None:
        """The model's own words, where they can be had."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One unit row for each text: float32, shape (len(texts), dimension)."""


def nfc(text: str) -> str:
    """The text with its accents composed: however it was typed, it is one text."""
    return unicodedata.normalize("NFC", text)


def cores() -> int:
    """How many threads a model may use: ``OMP_NUM_THREADS`` where it is set, else this process's cores, 4 at
    most."""
    asked = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(mine, MOST_CORES)
