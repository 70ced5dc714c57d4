"""From windows of speech to words: decode in batches, and hear again what looks wrong.

This holds for every engine. Decoding side by side drops what Whisper's sliding window relies on: each window is sure of
itself only by its own measures. So a window with a low average log-probability, a repetitive text or impossible word
lengths is decoded again, alone, with Whisper's temperature fallback (Radford et al. 2022, section 4.5), and speech
that got no words, or one word for many, is heard once more by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from transcripts import audio
from transcripts.engines import RecognisedSegment, SegmentMeasures, translating
from transcripts.engines.values import MS_A_STATE, Decoded, Search, TimedWord
from transcripts.model import TranslatedLine, Word
from transcripts.span import Span

COMPRESSION_RATIO_LIMIT = 2.4
LOGPROB_LIMIT = -1.0
NO_SPEECH_LIMIT = 0.6
FALLBACK = (0.2, 0.4, 0.6, 0.8, 1.0)
BEST_OF = 5
ODD_SHARE = 0.3
"""A window is doubtful when this share of its words is impossibly short, long or unlikely."""
TIMELESS = 3
"""So is one with so many words in a row that have no time."""
SHORTEST_MS, LONGEST_MS, UNLIKELY = 20, 3_000, 0.15
PAUSE_MS = 200
MISSED_MS = 1_000
"""Speech without words from this length on is heard again."""
BETWEEN_WORDS_MS = 500
WORD_MS, LETTER_MS, LETTERS_A_DIGIT = 600, 120, 4
"""No word is said for longer than this and as much again for each of its letters."""

Features = Any
"""What an engine's encoder gives for a batch of windows; only the engine looks into it."""


class Ear(Protocol):
    """What an engine gives: it encodes, decodes and aligns windows of at most 30 s."""

    batch: int
    prompted: bool
    """Whether there is a vocabulary that ``decode`` may leave out."""

    def features(self, sounds: Sequence[audio.Samples]) -> Features:
        """Encode some windows."""
        ...

    def one(self, features: Features, row: int) -> Features:
        """The features of one of the windows, as a batch of one."""
        ...

    def joined(self, parts: Sequence[Features]) -> Features:
        """The features of several batches as those of one."""
        ...

    def decode(self, features: Features, search: Search, seed: int, prompted: bool) -> list[Decoded]:
        """The tokens of each window's text, timestamps included."""
        ...

    def align(
        self, features: Features, texts: Sequence[Sequence[int]], states: Sequence[int]
    ) -> list[list[TimedWord]]:
        """The words of each text with their times; ``states`` (20 ms each) hold sound in each window."""
        ...

    def languages(self, features: Features) -> list[tuple[str, float]]:
        """The language each window sounds like, and its probability; empty where the model knows only one."""
        ...

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say."""
        ...

    def tokens(self, text: str) -> list[int]:
        """The tokens of a text."""
        ...

    def is_time(self, token: int) -> bool:
        """Whether a token is a timestamp."""
        ...

    def time_ms(self, token: int) -> int:
        """The time of a timestamp, from the start of the window."""
        ...

    def smaller(self, error: Exception) -> bool:
        """Whether memory ran out and the batch was made smaller: try again."""
        ...


@dataclass(frozen=True, slots=True)
class Hearing:
    """All that was heard: segments in order of time; for each window its span, likeliest language and probability.

    ``translation`` are lines in order of time, of the windows that got words.
    """

    segments: tuple[RecognisedSegment, ...]
    languages: tuple[tuple[Span, str, float], ...] = ()
    translation: tuple[TranslatedLine, ...] = ()


@dataclass(frozen=True, slots=True)
class Text:
    """What was made of one window."""

    tokens: tuple[int, ...]
    measures: SegmentMeasures

    @property
    def repetitive(self) -> bool:
        """Whether it compresses too well."""
        return self.measures.compression_ratio > COMPRESSION_RATIO_LIMIT

    @property
    def unsure(self) -> bool:
        """Whether its tokens are too unlikely."""
        return self.measures.avg_logprob < LOGPROB_LIMIT

    @property
    def silent(self) -> bool:
        """Whether nobody seems to speak: Whisper's rule."""
        return self.unsure and self.measures.no_speech_prob > NO_SPEECH_LIMIT

    @property
    def doubtful(self) -> bool:
        """Whether another try is due."""
        return self.repetitive or (self.unsure and not self.silent)


def hear(
    ear: Ear,
    path: Path,
    windows: Sequence[Span],
    speech: Sequence[Span],
    *,
    beams: int,
    seed: int,
    tell: Callable[[int], None],
    interpreter: Ear | None = None,
    known: Mapping[Span, Features] | None = None,
) -> Hearing:
    """The segments said in all windows.

    ``speech`` are the stretches the windows were made of; ``tell`` hears how many milliseconds are done.
    ``interpreter`` is the same model asked to translate: it gets the features that ``ear`` made. ``known`` are windows
    that were encoded before.
    """
    listener = _Listener(ear, path, beams, seed, known)
    interpreting = _Listener(interpreter, path, beams, seed) if interpreter else None
    translated: list[TranslatedLine] = []
    languages: list[tuple[Span, str, float]] = []
    found: list[RecognisedSegment] = []
    waiting = list(windows)
    while waiting:
        batch = waiting[: ear.batch]
        try:
            heard, features = listener.windows(batch)
            lines = interpreting.lines(features, heard, speech) if interpreting else []
            told = ear.languages(features)
            del features
        except (MemoryError, RuntimeError) as error:
            if ear.smaller(error):
                continue
            raise
        translated += lines
        languages += [(span, *one) for span, one in zip(batch, told, strict=False)]
        again = [gap for window, words in heard for gap in _missed(window, words, speech)]
        for first in range(0, len(again), ear.batch):
            part, _ = listener.windows(again[first : first + ear.batch])
            heard += [(gap, words) for gap, words in part if _trusted(words)]
        heard = listener.filled(heard, speech)
        found += [_within(segment, window, speech) for window, segments in heard for segment in segments]
        waiting = waiting[len(batch) :]
        tell(batch[-1].end_ms)
    ordered = sorted(found, key=lambda segment: segment.words[0].start_ms)
    return Hearing(tuple(ordered), tuple(languages), tuple(translated))


class _Listener:
    def __init__(
        self, ear: Ear, path: Path, beams: int, seed: int, known: Mapping[Span, Features] | None = None
    ) -> None:
        self.ear, self.path, self.beams, self.seed = ear, path, beams, seed
        self._known = dict(known or {})

    def windows(self, spans: Sequence[Span]) -> tuple[list[tuple[Span, list[RecognisedSegment]]], Features]:
        features, found = self._first(spans)
        heard = []
        for row, (span, (text, words)) in enumerate(zip(spans, found, strict=True)):
            if text.measures.temperature == 0 and odd(words):
                heard.append((span, self._once_more(self.ear.one(features, row), span, text, words)))
            else:
                heard.append((span, self._segments(span, text, words)))
        return heard, features

    def filled(
        self, heard: Sequence[tuple[Span, list[RecognisedSegment]]], speech: Sequence[Span]
    ) -> list[tuple[Span, list[RecognisedSegment]]]:
        """The same, but where one word stands for what more were said in, the words heard there by themselves."""
        found = [(window, list(words)) for window, words in heard]
        for from_pause in (True, False):
            places = [
                (row, place)
                for row, (window, words) in enumerate(found)
                for place in _crowded(window, words, speech, from_pause=from_pause)
                if place != window
            ]
            for first in range(0, len(places), self.ear.batch):
                some = places[first : first + self.ear.batch]
                parts, _ = self.windows([place for _, place in some])
                for (row, place), (_, words) in zip(some, parts, strict=True):
                    window, before = found[row]
                    if _trusted(words) and not _crowded(place, words, speech, from_pause=False):
                        found[row] = (window, _replaced(before, place, words))
        return found

    def _first(self, spans: Sequence[Span]) -> tuple[Features, list[tuple[Text, list[TimedWord]]]]:
        features = self._features(spans)
        texts = self._texts(features, spans)
        words = self.ear.align(
            features, [self._words(text.tokens) for text in texts], [_states(one) for one in spans]
        )
        return features, list(zip(texts, words, strict=True))

    def _features(self, spans: Sequence[Span]) -> Features:
        """Of these windows, and forgotten where they were known: each is heard once."""
        known = {span: self._known.pop(span) for span in spans if span in self._known}
        unknown = [span for span in spans if span not in known]
        if unknown:
            fresh = self.ear.features([audio.load(self.path, one.start_ms, one.end_ms) for one in unknown])
            if not known:
                return fresh
            known |= {span: self.ear.one(fresh, row) for row, span in enumerate(unknown)}
        return self.ear.joined([known[span] for span in spans])

    def _once_more(
        self, features: Features, span: Span, text: Text, words: list[TimedWord]
    ) -> list[RecognisedSegment]:
        """A window whose words cannot be: in two parts, cut before what is odd; else warmer and warmer."""
        cut_ms = _before_what_is_odd(words)
        if cut_ms is not None:
            parts = [Span(span.start_ms, span.start_ms + cut_ms), Span(span.start_ms + cut_ms, span.end_ms)]
            _, found = self._first(parts)
            if not any(odd(said) or one.doubtful for one, said in found):
                return [
                    segment
                    for part, (one, said) in zip(parts, found, strict=True)
                    for segment in self._segments(part, one, said)
                ]
        return self._segments(span, *self._likelier(features, span, text, words))

    def lines(
        self,
        features: Features,
        heard: Sequence[tuple[Span, Sequence[RecognisedSegment]]],
        speech: Sequence[Span],
    ) -> list[TranslatedLine]:
        """The translation of windows that were heard: none where nothing was."""
        texts = self._texts(features, [span for span, _ in heard])
        return [
            line
            for (span, segments), text in zip(heard, texts, strict=True)
            if segments
            for line in translating.lines(self.ear, text.tokens, span, speech)
        ]

    def _texts(self, features: Features, spans: Sequence[Span]) -> list[Text]:
        """The text of each window, none where nobody seems to speak."""
        texts = self._measured(self.ear.decode(features, Search(self.beams), self.seed, True), 0.0)
        for row, text in enumerate(texts):
            if text.doubtful:
                texts[row] = self._again(self.ear.one(features, row), spans[row], text)
        return [replace(text, tokens=()) if text.silent else text for text in texts]

    def _words(self, tokens: Sequence[int]) -> list[int]:
        return [token for token in tokens if not self.ear.is_time(token)]

    def _measured(self, found: Sequence[Decoded], temperature: float) -> list[Text]:
        from whisper.utils import compression_ratio

        measured = []
        for one in found:
            text = self.ear.text(self._words(one.tokens)).strip()
            ratio = float(compression_ratio(text)) if text else 0.0
            measures = SegmentMeasures(one.avg_logprob, ratio, one.no_speech_prob, temperature)
            measured.append(Text(one.tokens, measures))
        return measured

    def _again(self, features: Features, span: Span, first: Text) -> Text:
        """Alone: without the vocabulary, then warmer and warmer; the first good one, else the likeliest."""
        tries = [first]
        for temperature in (0.0, *FALLBACK) if self.ear.prompted else FALLBACK:
            search = Search(self.beams, temperature, BEST_OF)
            found = self.ear.decode(features, search, self.seed + span.start_ms, temperature > 0)
            tries += self._measured(found, temperature)
            if not tries[-1].doubtful:
                return tries[-1]
        return max(tries, key=lambda one: (not one.repetitive, one.measures.avg_logprob))

    def _likelier(
        self, features: Features, span: Span, text: Text, words: list[TimedWord]
    ) -> tuple[Text, list[TimedWord]]:
        """Alone and warmer, until the words have possible lengths; else what has the fewest that have none."""
        found = [(text, words)]
        for temperature in FALLBACK:
            search = Search(self.beams, temperature, BEST_OF)
            drawn = self.ear.decode(features, search, self.seed + span.start_ms, False)
            text = self._measured(drawn, temperature)[0]
            words = self.ear.align(features, [self._words(text.tokens)], [_states(span)])[0]
            if text.doubtful:
                continue
            found.append((text, words))
            if not odd(words):
                break
        return min(found, key=lambda one: (len(_strange(one[1])), -one[0].measures.avg_logprob))

    def _segments(self, span: Span, text: Text, words: Sequence[TimedWord]) -> list[RecognisedSegment]:
        """The words of a window, parted where the text has a timestamp."""
        parts: list[list[Word]] = []
        lengths = list(self._lengths(text.tokens))
        taken = 0
        for word in words:
            if not parts or (lengths and taken >= lengths[0]):
                parts.append([])
                while lengths and taken >= lengths[0]:
                    lengths.pop(0)
            taken += word.tokens
            start = min(span.end_ms, span.start_ms + word.start_ms)
            end = min(span.end_ms, span.start_ms + max(word.start_ms, word.end_ms))
            parts[-1].append(Word("", start, end, word.text, word.probability))
        return [RecognisedSegment(tuple(part), text.measures) for part in parts if part]

    def _lengths(self, tokens: Sequence[int]) -> Iterator[int]:
        """After how many tokens of text a timestamp stands."""
        count = 0
        for token in tokens:
            if not self.ear.is_time(token):
                count += 1
            elif count:
                yield count


def odd(words: Sequence[TimedWord]) -> bool:
    """Whether too many of a window's words are impossible, or several in a row have no time at all.

    A text that the sound does not hold, as when a model falls back into what it wrote before, has no place to lie in.
    """
    run = longest = 0
    for word in words:
        run = run + 1 if word.end_ms - word.start_ms < SHORTEST_MS else 0
        longest = max(longest, run)
    return longest >= TIMELESS or (len(words) > 2 and len(_strange(words)) > ODD_SHARE * len(words))


def _before_what_is_odd(words: Sequence[TimedWord]) -> int | None:
    """The middle of the last pause before the first word without time, milliseconds from the window's start."""
    first = next((i for i, word in enumerate(words) if word.end_ms - word.start_ms < SHORTEST_MS), 0)
    for index in range(first, 0, -1):
        before, after = words[index - 1].end_ms, words[index].start_ms
        if after - before >= PAUSE_MS:
            return (before + after) // 2
    return None


def _states(span: Span) -> int:
    return max(1, span.duration_ms // MS_A_STATE)


def _strange(words: Sequence[TimedWord]) -> list[TimedWord]:
    """Words with no time at all, of seconds, or hardly likely."""
    return [
        word
        for word in words
        if word.end_ms - word.start_ms < SHORTEST_MS
        or (word.end_ms - word.start_ms > LONGEST_MS and word.probability < 0.5)
        or word.probability < UNLIKELY
    ]


def _missed(window: Span, found: Sequence[RecognisedSegment], speech: Sequence[Span]) -> list[Span]:
    """Stretches of a window's speech that got no words, when the window got some: silence was decided otherwise."""
    words = [word for segment in found for word in segment.words]
    if not words:
        return []
    gaps, after = [], window.start_ms
    for word in words:
        gaps.append((after, word.start_ms))
        after = max(after, word.end_ms)
    gaps.append((after, window.end_ms))
    missed = []
    for start, end in gaps:
        edge = BETWEEN_WORDS_MS if start > window.start_ms else 0
        free = Span(start, max(start, end))
        said = [part for span in speech if (part := span & free)]
        longest = max((part.duration_ms - edge for part in said), default=0)
        if longest >= MISSED_MS:
            missed.append(free)
    return missed


def _crowded(
    window: Span, found: Sequence[RecognisedSegment], speech: Sequence[Span], *, from_pause: bool
) -> list[Span]:
    """Where more is said in a word's time than the word, from the pause before it, or from its start, to the next.

    A decoder that lost its place leaves words out, and alignment lays their time into the next one.
    """
    words = [word for segment in found for word in segment.words]
    pauses = [
        (before.end_ms + after.start_ms) // 2
        for before, after in pairwise(words)
        if after.start_ms - before.end_ms >= PAUSE_MS
    ]
    places: list[Span] = []
    for word in words:
        most = _longest_ms(word.text)
        if word.end_ms - word.start_ms > most and _said_ms(word, speech) > most:
            earlier = [at for at in pauses if at <= word.start_ms] if from_pause else [word.start_ms]
            start = max(earlier, default=window.start_ms)
            end = min((at for at in pauses if at >= word.end_ms), default=window.end_ms)
            if not places or start >= places[-1].end_ms:
                places.append(Span(start, end))
    return places


def _said_ms(word: Word, speech: Sequence[Span]) -> int:
    time = Span(word.start_ms, word.end_ms)
    return sum(part.duration_ms for span in speech if (part := span & time))


def _longest_ms(word: str) -> int:
    letters = sum(LETTERS_A_DIGIT if sign.isdigit() else 1 for sign in word if sign.isalnum())
    return WORD_MS + LETTER_MS * letters


def _replaced(
    found: Sequence[RecognisedSegment], place: Span, fresh: Sequence[RecognisedSegment]
) -> list[RecognisedSegment]:
    """The segments with the words of a place taken by others, where those are more."""
    inside = [word for one in found for word in one.words if place.start_ms <= word.start_ms < place.end_ms]
    if sum(len(one.words) for one in fresh) <= len(inside):
        return list(found)
    kept = []
    for one in found:
        before = tuple(word for word in one.words if word.start_ms < place.start_ms)
        behind = tuple(word for word in one.words if word.start_ms >= place.end_ms)
        kept += [replace(one, words=words) for words in (before, behind) if words]
    return sorted([*kept, *fresh], key=lambda one: one.words[0].start_ms)


def _within(segment: RecognisedSegment, window: Span, speech: Sequence[Span]) -> RecognisedSegment:
    """No word before the window's first speech or behind its last, where alignment may lay one."""
    said = [part for span in speech if (part := span & window)]
    if not said:
        return segment
    first, last = said[0].start_ms, said[-1].end_ms
    words = (
        replace(
            word, start_ms=min(max(word.start_ms, first), last), end_ms=min(max(word.end_ms, first), last)
        )
        for word in segment.words
    )
    return replace(segment, words=tuple(words))


def _trusted(found: Sequence[RecognisedSegment]) -> bool:
    """Whether words heard in a gap may be kept: only a first, certain try."""
    return all(
        one.measures.temperature == 0
        and one.measures.no_speech_prob <= NO_SPEECH_LIMIT
        and one.measures.avg_logprob >= LOGPROB_LIMIT
        for one in found
    )
