"""The stages of a recording's journey: each reads rows, makes one call into a room, and says what to write.

A stage never holds a database session while ffmpeg or a model runs. What it found is handed back as a function
that writes it, so that the rows and the note that the stage is done are one transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session

from pipeline.collection import Collection

Progress = Callable[[float], None]
"""Told the share of the stage that is done, 0 to 1."""

Write = Callable[[Session], None]
"""Writes what a stage found."""


@dataclass(frozen=True, slots=True)
class Work:
    """One recording on its way through the stages; ``transcript`` is the one that the intake names, if any."""

    collection: Collection
    recording_id: int
    sha256: str
    kind: str
    duration_ms: int
    name: str
    transcript: str = ""


class Stage(Protocol):
    """One step of the journey."""

    @property
    def name(self) -> str:
        """As ``status`` shows it."""
        ...

    def fingerprint(self, work: Work, upstream: str) -> str:
        """Of the settings and inputs; ``upstream`` is the fingerprint of the stage before."""
        ...

    def intact(self, work: Work) -> bool:
        """Whether what the stage made earlier is still there."""
        ...

    def run(self, work: Work, progress: Progress) -> Write:
        """Do the slow work; the function given back writes what was found."""
        ...
