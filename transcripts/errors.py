"""What can go wrong in this room, each with a sentence for the person at the keyboard.

TranscriptsError
├── AudioUnreadable        the speech rendition is missing, damaged or not 16 kHz mono
├── ModelUnavailable       a model's weights cannot be had here
├── ModelDamaged           the weights are there but are not a working checkpoint
├── DeviceUnavailable      the configured device does not exist on this machine
├── UnknownLanguage        the model cannot write down the configured language
├── CannotTranslate        the model makes no English text of another language
├── SpeakersUnavailable    the voice encoder is not installed
├── EmbeddingsUnavailable  the sentence embedder is not installed
├── CodebookError          the codebook cannot be read: file, line and what is wrong
├── ProjectUnreadable      a REFI-QDA project cannot be read: file, line and what is wrong
├── TranscriptUnreadable   an existing transcript cannot be read: file, line and what is wrong
└── CorrectionsError       the correction list cannot be read: file, line and what is wrong
"""

from __future__ import annotations

from pathlib import Path


class TranscriptsError(Exception):
    """Base of all errors of this room; ``str(error)`` is one sentence for a producer."""


class AudioUnreadable(TranscriptsError):
    """The speech rendition cannot be read as 16 kHz mono audio."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(f"{path.name}: {reason}; delete this file and process the recording again")


class ModelUnavailable(TranscriptsError):
    """A model's weights cannot be had on this machine.

    ``ways_out`` says what the reader can do instead.
    """

    def __init__(self, name: str, reason: str, ways_out: str) -> None:
        self.name, self.reason, self.ways_out = name, reason, ways_out
        super().__init__(f'the model "{name}" is not available ({reason}): {ways_out}')


class ModelDamaged(TranscriptsError):
    """A checkpoint exists but does not hold a working model."""

    def __init__(self, name: str, reason: str) -> None:
        self.name, self.reason = name, reason
        super().__init__(
            f'the model "{name}" is damaged or is not a Whisper checkpoint ({reason}): '
            "fetch the file again, or name another model"
        )


class DeviceUnavailable(TranscriptsError):
    """The configured device does not exist on this machine."""

    def __init__(self, device: str, reason: str) -> None:
        self.device, self.reason = device, reason
        super().__init__(
            f'the device "{device}" cannot be used ({reason}): leave the setting out to use what is there'
        )


class UnknownLanguage(TranscriptsError):
    """The model cannot write down the configured language."""

    def __init__(self, language: str, model: str, what_to_do: str) -> None:
        self.language, self.model = language, model
        super().__init__(f'the model "{model}" does not know the language "{language}": {what_to_do}')


class CannotTranslate(TranscriptsError):
    """The configured model makes no English text of another language."""

    def __init__(self, model: str, reason: str) -> None:
        self.model, self.reason = model, reason
        super().__init__(
            f'the model "{model}" cannot translate ({reason}): name another in stories.toml, such as "small" or '
            '"large-v3", or set translate = false'
        )


class SpeakersUnavailable(TranscriptsError):
    """Speakers cannot be told apart here; the message holds the one line to run."""


class EmbeddingsUnavailable(TranscriptsError):
    """Sentences cannot be embedded here; the message says what to run."""


class CodebookError(TranscriptsError):
    """The codebook cannot be read. ``line`` counts from 1; None when the whole file is meant."""

    def __init__(self, path: Path, line: int | None, what: str) -> None:
        self.path, self.line, self.what = path, line, what
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {what}")


class ProjectUnreadable(TranscriptsError):
    """A REFI-QDA project cannot be read. ``line`` counts from 1 in project.qde; None when the whole file is meant."""

    def __init__(self, path: Path, line: int | None, what: str) -> None:
        self.path, self.line, self.what = path, line, what
        where = f"{path}, project.qde line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {what}")


class TranscriptUnreadable(TranscriptsError):
    """An existing transcript cannot be read. ``line`` counts from 1; None when the whole file is meant."""

    def __init__(self, path: Path, line: int | None, what: str) -> None:
        self.path, self.line, self.what = path, line, what
        where = f"{path}, line {line}" if line is not None else f"{path}"
        super().__init__(f"{where}: {what}")


class CorrectionsError(TranscriptsError):
    """The correction list cannot be read. ``line`` counts from 1."""

    def __init__(self, path: Path, line: int, what: str) -> None:
        self.path, self.line, self.what = path, line, what
        super().__init__(f"{path}, line {line}: {what}")
