"""What the engines that run a Whisper do alike, whatever computes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from transcripts.engines import Progress, RecogniserOptions, Recognition, given
from transcripts.engines.recognising import Loaded, recognise
from transcripts.formats.reading import Line
from transcripts.model import Word
from transcripts.span import Span


class WhisperEngine(ABC):
    """A recogniser that runs a Whisper in this process; one thread at a time uses the model."""

    name: str

    @staticmethod
    @abstractmethod
    def load(model: str, device: str | None) -> Loaded:
        """The model, from this process's memory when it was the last one used."""

    def transcribe(
        self, path: Path, options: RecogniserOptions, progress: Progress | None = None
    ) -> Recognition:
        """Recognise the whole file; see ``engines.Recogniser``."""
        return recognise(
            self.name, partial(self.load, options.model, options.device), path, options, progress
        )

    def align(
        self,
        path: Path,
        lines: Sequence[Line],
        options: RecogniserOptions,
        progress: Progress | None = None,
    ) -> Recognition:
        """Find a given text's words; see ``engines.Recogniser``."""
        load = partial(self.load, options.model, options.device)
        return given.align(self.name, load, path, lines, options, progress)

    def align_segment(
        self, path: Path, span: Span, text: str, options: RecogniserOptions
    ) -> tuple[Word, ...]:
        """Find a corrected text's words; see ``engines.Recogniser``."""
        return given.align_segment(
            partial(self.load, options.model, options.device), path, span, text, options
        )
