"""Recognisers: from a speech rendition to words with times. One module an engine.

Loading this package is cheap; an engine's libraries are imported when it transcribes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from transcripts.errors import ModelUnavailable
from transcripts.model import Transcript, TranslatedLine, Word
from transcripts.span import Span

if TYPE_CHECKING:
    from transcripts.formats.reading import Line

Progress = Callable[[int], None]
"""Told how many milliseconds of the recording are done, never fewer than before."""

WAYS_OUT = "name a file of weights as the model in stories.toml, or use --model demo"

BUILTIN_MODELS: dict[str, str] = {"demo": "demo.pt"}
"""The models that come with the project: name -> file in ``transcripts/engines/models``."""


@dataclass(frozen=True, slots=True)
class RecogniserOptions:
    """What a recogniser is asked for.

    ``language`` is a code ("sv") or an English name ("Swedish"), None to find it. ``vocabulary`` holds names
    and terms to expect, the most important first. ``device`` is torch's name, None for a GPU where there is
    one. ``translate`` asks for an English text besides, where another language is spoken.
    """

    model: str = "small"
    language: str | None = None
    vocabulary: tuple[str, ...] = ()
    beam_size: int = 5
    device: str | None = None
    seed: int = 0
    translate: bool = False


@dataclass(frozen=True, slots=True)
class SegmentMeasures:
    """How sure the recogniser was of a segment: the worst of the decodings its words came from.

    ``avg_logprob`` is the mean log-probability of a token (0 is certain); ``compression_ratio`` that of the
    text under zlib (repetition is high); ``no_speech_prob`` that the window held no speech, 0 to 1;
    ``temperature`` of the decoding kept, 0 when the first try was good.
    """

    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float
    temperature: float = 0.0

    @staticmethod
    def worst(measures: Iterable[SegmentMeasures]) -> SegmentMeasures:
        """Whatever is most doubtful in each; there must be at least one."""
        each = tuple(measures)
        return SegmentMeasures(
            min(m.avg_logprob for m in each),
            max(m.compression_ratio for m in each),
            max(m.no_speech_prob for m in each),
            max(m.temperature for m in each),
        )


@dataclass(frozen=True, slots=True)
class RecognisedSegment:
    """What one decoding gave, before sentences are made of it: at least one word."""

    words: tuple[Word, ...]
    measures: SegmentMeasures


@dataclass(frozen=True, slots=True)
class Recognition:
    """A transcript by a machine, and how it came about.

    ``transcript`` is cut into sentences, ``measures`` holds one for each. ``language_probability`` is 1 when
    the language was given or the model knows only one. ``prompted`` are the terms of the vocabulary that the
    model was really given: the rest did not fit, or the model takes no prompt. ``other_languages`` are codes of
    languages that a good part of the recording seems to be in besides. ``translation`` is the English text that was
    asked for: lines in order and apart from each other, in the same windows and nowhere but in speech; it has no
    measures, and knows nothing of the vocabulary. ``labels`` are of a given text only: who speaks in each segment, as
    its lines say, "" where they do not.
    """

    transcript: Transcript
    language: str
    language_probability: float
    engine: str
    model: str
    model_sha256: str
    measures: tuple[SegmentMeasures, ...]
    prompted: tuple[str, ...] = ()
    other_languages: tuple[str, ...] = ()
    translation: tuple[TranslatedLine, ...] = ()
    labels: tuple[str, ...] = ()


class Recogniser(Protocol):
    """An engine: turns a 16 kHz mono FLAC into words with times."""

    @property
    def name(self) -> str:
        """The engine's name, as ``load`` knows it."""
        ...

    def transcribe(
        self, path: Path, options: RecogniserOptions, progress: Progress | None = None
    ) -> Recognition:
        """Recognise the whole file; the same file and options give the same result.

        Raises:
            AudioUnreadable: the file cannot be read as 16 kHz mono.
            ModelUnavailable: the weights cannot be had here.
            ModelDamaged: the weights hold no working model.
            DeviceUnavailable: the device asked for does not exist.
            UnknownLanguage: the model cannot write the language asked for.
            CannotTranslate: a translation is asked of a model that makes none.
        """
        ...

    def align(
        self,
        path: Path,
        lines: Sequence[Line],
        options: RecogniserOptions,
        progress: Progress | None = None,
    ) -> Recognition:
        """Find when each word of a given text is said: the words stay as they are, all of them, in order.

        A word that the sound does not hold has a probability near zero and a time between its neighbours,
        perhaps none. No segment is of two speakers of the lines. ``no_speech_prob`` is 0 in all measures, and
        nothing is translated.

        Raises:
            AudioUnreadable, ModelUnavailable, ModelDamaged, DeviceUnavailable, UnknownLanguage: as above.
        """
        ...

    def align_segment(
        self, path: Path, span: Span, text: str, options: RecogniserOptions
    ) -> tuple[Word, ...]:
        """When each word of a text is said that somebody wrote down for a span; numbered from 0.

        Raises:
            AudioUnreadable, ModelUnavailable, ModelDamaged, DeviceUnavailable, UnknownLanguage: as above.
        """
        ...


def load(engine: str = "whisper") -> Recogniser:
    """The recogniser of that name; cheap, no model is loaded yet.

    Raises:
        ValueError: no engine has this name.
    """
    from transcripts.engines.faster_whisper import FasterWhisper
    from transcripts.engines.openai_whisper import OpenAIWhisper

    engines: dict[str, type[Recogniser]] = {"whisper": OpenAIWhisper, "faster-whisper": FasterWhisper}
    if engine not in engines:
        raise ValueError(f'no engine is called "{engine}"; there is: {", ".join(engines)}')
    return engines[engine]()


def builtin_path(name: str) -> Path:
    """Where the weights of a built-in model lie."""
    return Path(str(resources.files(__name__) / "models" / BUILTIN_MODELS[name]))


def resolve_model(name: str, known: Iterable[str] = ()) -> str:
    """What an engine's loader understands: a built-in's or a user's path, or one of the ``known`` names as it
    is.

    A file that bears a known name can be meant by ``./name``.

    Raises:
        ModelUnavailable: neither built in nor known, and no such file.
    """
    if name in BUILTIN_MODELS:
        return str(builtin_path(name))
    known = tuple(known)
    if name in known:
        return name
    path = Path(name).expanduser()
    if path.is_file():
        return str(path)
    looks_like_path = path.suffix or len(path.parts) > 1
    reason = "no such file" if looks_like_path else f"no model has this name; known: {', '.join(known)}"
    raise ModelUnavailable(name, reason, WAYS_OUT)
