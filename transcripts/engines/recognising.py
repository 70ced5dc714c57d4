"""What every Whisper does with a recording: find speech, hear it in windows, put the words in order.

The model never hears long silence, where Whisper is known to invent text, and what it writes wholly outside speech is
dropped. Memory does not grow with the recording.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from transcripts import audio
from transcripts.engines import (
    Progress,
    RecognisedSegment,
    RecogniserOptions,
    Recognition,
    SegmentMeasures,
)
from transcripts.engines.hearing import Features, hear
from transcripts.engines.listening import (
    UNDETERMINED,
    ModelFacts,
    fitting,
    language_given,
    likeliest,
    other_languages,
    spread,
)
from transcripts.engines.straighten import heard, in_order, trimmed
from transcripts.engines.translating import LANGUAGE, require_translation
from transcripts.engines.values import MS_A_STATE, Decoded, Search, TimedWord
from transcripts.engines.windows import WINDOW_MS, windows
from transcripts.errors import DeviceUnavailable
from transcripts.model import Segment, Transcript, Word
from transcripts.sentences import resegment
from transcripts.span import Span
from transcripts.speech import speech_spans

LANGUAGE_WINDOWS = 5
LONGEST_SPEECH_MS = WINDOW_MS - 1_000

Task = Literal["transcribe", "translate"]
"""To write what is said as it is said, or in English."""

one_at_a_time = threading.RLock()


@dataclass(slots=True)
class Loaded(ABC):
    """A model in memory.

    ``plain``: built in, given no prompt; ``place``: the device it computes on; ``batch``: windows at once.
    """

    facts: ModelFacts
    name: str
    sha256: str
    plain: bool
    place: str
    batch: int

    @abstractmethod
    def features(self, sounds: Sequence[audio.Samples]) -> Features:
        """Windows, encoded."""

    @abstractmethod
    def joined(self, parts: Sequence[Features]) -> Features:
        """The features of several batches as those of one."""

    @abstractmethod
    def chances(self, features: Features) -> list[dict[str, float]]:
        """The probability of each language, by its code, in each window; empty where the model knows only one."""

    @abstractmethod
    def ear(self, language: str, vocabulary: Sequence[str], task: Task = "transcribe") -> WhisperEar:
        """The model, listening in one language; ``UNDETERMINED`` where there is nothing to hear."""


class WhisperEar(ABC):
    """A model that listens in one language; see ``hearing.Ear``.

    ``start`` are the tokens before every text, ``primed`` the same behind the ``terms`` of the vocabulary that fit.
    """

    def __init__(self, loaded: Loaded, language: str, vocabulary: Sequence[str], task: Task) -> None:
        from whisper.tokenizer import get_tokenizer

        self._model, self.batch, facts = loaded, loaded.batch, loaded.facts
        spoken = None if language == UNDETERMINED else language
        self.tokenizer = tokenizer = get_tokenizer(
            facts.multilingual, num_languages=facts.languages, language=spoken, task=task
        )
        self.terms = fitting(facts, vocabulary)
        self.prompted = bool(self.terms)
        prompt = [tokenizer.sot_prev, *tokenizer.encode(f" {', '.join(self.terms)}.")] if self.terms else []
        self.start = tuple(tokenizer.sot_sequence)
        self.primed = (*prompt, *self.start)

    def features(self, sounds: Sequence[audio.Samples]) -> Features:
        """Encode some windows."""
        return self._model.features(sounds)

    def one(self, features: Features, row: int) -> Features:
        """One window's features."""
        return features[row : row + 1]

    def joined(self, parts: Sequence[Features]) -> Features:
        """The features of several batches as those of one."""
        return self._model.joined(parts)

    @abstractmethod
    def decode(self, features: Features, search: Search, seed: int, prompted: bool) -> list[Decoded]:
        """Decode with or without the vocabulary before the text."""

    @abstractmethod
    def align(
        self, features: Features, texts: Sequence[Sequence[int]], states: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Words with times from the same features."""

    def languages(self, features: Features) -> list[tuple[str, float]]:
        """What each window sounds like."""
        return [likeliest(one) for one in self._model.chances(features)]

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say."""
        return str(self.tokenizer.decode(list(tokens)))

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text; what looks like a special token is text as well."""
        return list(self.tokenizer.encode(text, disallowed_special=()))

    def is_time(self, token: int) -> bool:
        """Whether a token is a timestamp."""
        return token >= int(self.tokenizer.timestamp_begin)

    def time_ms(self, token: int) -> int:
        """The time of a timestamp, from the start of the window."""
        return (token - int(self.tokenizer.timestamp_begin)) * MS_A_STATE

    def smaller(self, error: Exception) -> bool:
        """Halve the batch when it was memory that ran out.

        Raises:
            DeviceUnavailable: when a single window is too much.
        """
        if not memory_ran_out(error):
            return False
        if self.batch == 1:
            raise DeviceUnavailable(self._model.place, "its memory is too small for this model") from error
        self.batch //= 2
        return True


def memory_ran_out(error: Exception) -> bool:
    """Whether that is what a library's error says."""
    told = str(error).lower()
    return isinstance(error, MemoryError) or "alloc" in told or "out of memory" in told


def recognise(
    engine: str,
    load: Callable[[], Loaded],
    path: Path,
    options: RecogniserOptions,
    progress: Progress | None,
) -> Recognition:
    """Hear the whole file with the model that ``load`` gives; see ``engines.Recogniser``.

    One thread at a time uses a model.
    """
    duration = audio.duration_ms(path)
    speech = speech_spans(path, longest_ms=LONGEST_SPEECH_MS)
    tell = Forward(progress or (lambda _: None))
    with one_at_a_time:
        loaded = load()
        if options.translate:
            require_translation(loaded.name, loaded.sha256, loaded.facts.multilingual)
        parts = windows(speech, duration)
        language, probability, known = language_of(loaded, path, parts, options.language)
        ear = loaded.ear(language, () if loaded.plain else options.vocabulary)
        translate = options.translate and language not in (LANGUAGE, UNDETERMINED)
        # without the vocabulary: its terms may be of the language that is spoken
        interpreter = loaded.ear(language, (), "translate") if translate else None
        said = hear(
            ear, path, parts, speech, beams=options.beam_size, seed=options.seed, tell=tell, interpreter=interpreter,
            known=known,
        )  # fmt: skip
    tell(duration)
    found = heard(said.segments, speech)
    words = in_order(trimmed([word for segment in found for word in segment.words], speech), duration)
    sentences = resegment(words)
    return Recognition(
        transcript=Transcript(language, sentences),
        language=language,
        language_probability=probability,
        engine=engine,
        model=loaded.name,
        model_sha256=loaded.sha256,
        measures=tuple(_measures(found, words, sentences)),
        prompted=ear.terms,
        other_languages=other_languages(said.languages, language),
        translation=said.translation,
    )


class Forward:
    """Passes progress on, but never backwards and never twice the same."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, -1

    def __call__(self, done_ms: int) -> None:
        """Tell how many milliseconds are done."""
        if done_ms > self._done:
            self._done = done_ms
            self._progress(done_ms)


class Tongue(NamedTuple):
    """The language to write, how sure that is, and the windows that were encoded to find out."""

    language: str
    probability: float
    known: dict[Span, Features]


def language_of(loaded: Loaded, path: Path, parts: Sequence[Span], wanted: str | None) -> Tongue:
    """The language to write: as asked for, or heard in several windows."""
    given = language_given(loaded.facts, loaded.name, wanted)
    if given is not None:
        return Tongue(*given, {})
    if not parts:
        return Tongue(UNDETERMINED, 0.0, {})
    some = spread(parts, LANGUAGE_WINDOWS)
    chances: list[dict[str, float]] = []
    known: dict[Span, Features] = {}
    for first in range(0, len(some), loaded.batch):
        batch = some[first : first + loaded.batch]
        features = loaded.features([audio.load(path, one.start_ms, one.end_ms) for one in batch])
        chances += loaded.chances(features)
        known |= {span: features[row : row + 1] for row, span in enumerate(batch)}
    means = {code: sum(one[code] for one in chances) / len(chances) for code in chances[0]}
    return Tongue(*likeliest(means), known)


def _measures(
    found: Sequence[RecognisedSegment], words: Sequence[Word], sentences: Sequence[Segment]
) -> Iterator[SegmentMeasures]:
    """Those of each sentence: the worst of the decodings its words came from; ``words`` are those of ``found``."""
    each = (segment.measures for segment in found for _ in segment.words)
    by_word = dict(zip((word.id for word in words), each, strict=True))
    for sentence in sentences:
        yield SegmentMeasures.worst(by_word[word.id] for word in sentence.words)
