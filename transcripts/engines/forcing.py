"""Given words onto sound: windows of at most 30 s, aligned through a model's attention without any decoding."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate, groupby
from pathlib import Path

from transcripts import audio
from transcripts.engines.hearing import Ear, Features
from transcripts.engines.rough import Given
from transcripts.engines.values import MS_A_STATE, TimedWord
from transcripts.engines.windows import JOIN_SILENCE_MS, LATE_SHARE, WINDOW_MS
from transcripts.span import Span

CORE_MS = 25_000
"""What a window holds at most of words that are its own; the rest is for their neighbours and the edges."""
MOST_TOKENS = 180
"""Given words of a window, in tokens: what a Whisper writes for 30 s is less than 224."""
EDGE_MS = 500
"""How far a word may lie from its rough time."""
PAUSE_MS = 700
"""Between words this far apart a window may end; elsewhere it also holds some of its neighbours' words."""
CONTEXT_MS, CONTEXT_WORDS = 1_500, 5
LIKELY, LIKELY_SHARE = 0.1, 0.25
"""A sentence is in the sound when at least this share of its words is at least this likely."""
MOST_ROUNDS = 8
"""So often a window's text is aligned again without a sentence; then without all that are unlikely."""
SHORTEST_MS = 100
LEAST = 1e-6


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a given word sounds; when it is not ``heard``, the span is a guess."""

    span: Span
    probability: float
    heard: bool = True


# ---- windows ----


@dataclass(frozen=True, slots=True)
class Window:
    """What is aligned at once: ``words`` are its own, ``read`` has some neighbours' too, ``span`` is its sound."""

    words: range
    read: range
    span: Span


def windows_of(
    given: Sequence[Given], rough: Sequence[Span], may_end: Sequence[bool], within: Span
) -> list[Window]:
    """Windows that hold each word once as their own; they end behind words that ``may_end`` one, best in a pause.

    None reaches out of the stretch ``within``.
    """
    found = []
    first = 0
    while first < len(given):
        last = _end(given, rough, may_end, first)
        found.append(_window(range(first, last), rough, within))
        first = last
    return found


def _end(given: Sequence[Given], rough: Sequence[Span], may_end: Sequence[bool], first: int) -> int:
    tokens, last = 0, first
    while last < len(given):
        tokens += len(given[last].tokens)
        too_long = rough[last].end_ms - rough[first].start_ms > CORE_MS or tokens > MOST_TOKENS
        if last > first and too_long:
            break
        if last > first and may_end[last - 1] and _gap(rough, last) > JOIN_SILENCE_MS:
            return last
        last += 1
    if last == len(given):
        return last
    ends = [end for end in range(first + 1, last + 1) if may_end[end - 1]]
    late = [end for end in ends if end - first >= LATE_SHARE * (last - first)] or ends or [last]
    return max(late, key=lambda end: (_gap(rough, end), end))


def _gap(rough: Sequence[Span], index: int) -> int:
    """The pause before a word."""
    return rough[index].start_ms - rough[index - 1].end_ms


def _window(words: range, rough: Sequence[Span], within: Span) -> Window:
    first, last = words.start, words.stop
    while (
        first > 0
        and words.start - first < CONTEXT_WORDS
        and _gap(rough, first) < PAUSE_MS
        and rough[words.start].start_ms - rough[first - 1].start_ms < CONTEXT_MS
    ):
        first -= 1
    while (
        last < len(rough)
        and last - words.stop < CONTEXT_WORDS
        and _gap(rough, last) < PAUSE_MS
        and rough[last].end_ms - rough[words.stop - 1].end_ms < CONTEXT_MS
    ):
        last += 1
    before = max(0, _gap(rough, first)) // 2 if first else EDGE_MS
    after = max(0, _gap(rough, last)) // 2 if last < len(rough) else EDGE_MS
    # lines of captions may overlap: the last word need not be the one that ends last
    first_ms = min(span.start_ms for span in rough[first:last])
    last_ms = max(span.end_ms for span in rough[first:last])
    start = max(within.start_ms, min(first_ms, within.end_ms) - min(EDGE_MS, before))
    end = min(within.end_ms, start + WINDOW_MS, last_ms + min(EDGE_MS, after))
    return Window(words, range(first, last), Span(start, max(start, end)))


class Aligner:
    """Aligns windows and remembers where each word lies."""

    def __init__(
        self, ear: Ear, path: Path, given: Sequence[Given], sentences: Sequence[int], *, judged: bool
    ) -> None:
        """Nothing lies anywhere yet.

        ``sentences`` has the number of each word's sentence; ``judged`` says whether some may not be in the sound.
        """
        self.ear, self.path, self.given, self.sentences, self.judged = ear, path, given, sentences, judged
        self.placed: list[Placed] = [Placed(Span(0, 0), 0.0, heard=False)] * len(given)

    def align(self, windows: Sequence[Window], tell: Callable[[int], None]) -> None:
        """Align all windows, some at once; ``tell`` hears how many milliseconds are done."""
        waiting = [window for window in windows if window.span.duration_ms >= SHORTEST_MS]
        while waiting:
            batch = waiting[: self.ear.batch]
            try:
                self._batch(batch)
            except (MemoryError, RuntimeError) as error:
                if self.ear.smaller(error):
                    continue
                raise
            waiting = waiting[len(batch) :]
            tell(batch[-1].span.end_ms)

    def _batch(self, batch: Sequence[Window]) -> None:
        sounds = [audio.load(self.path, one.span.start_ms, one.span.end_ms) for one in batch]
        features = self.ear.features(sounds)
        states = [max(1, one.span.duration_ms // MS_A_STATE) for one in batch]
        first = self.ear.align(features, [self._tokens(one.read) for one in batch], states)
        for row, (window, found) in enumerate(zip(batch, first, strict=True)):
            single = partial(self.ear.one, features, row)
            for index, place in self._settled(window, found, single, states[row]).items():
                if index in window.words:
                    self.placed[index] = place

    def _settled(
        self, window: Window, found: Sequence[TimedWord], features: Callable[[], Features], states: int
    ) -> dict[int, Placed]:
        """The places of a window's words, its sentences that are not in the sound left out of the text.

        A token's likelihood depends on the text before it alone. So the first unlikely sentence is a stranger, while
        those behind it may be unlikely because of it: they are asked again without it.
        """
        kept = list(window.read)
        places = self._places(window, kept, found)
        strangers: dict[int, Placed] = {}
        for rounds in range(MOST_ROUNDS + 1):
            unheard = self._unheard(window, kept, places)
            if not unheard:
                break
            out = dict(list(unheard.items())[: 1 if rounds < MOST_ROUNDS else None])
            for index in kept:
                if self.sentences[index] in out and index in places:
                    chance = math.exp(out[self.sentences[index]])
                    strangers[index] = replace(places[index], probability=chance, heard=False)
            kept = [index for index in kept if self.sentences[index] not in out]
            places = {}
            if kept:
                again = self.ear.align(features(), [self._tokens(kept)], [states])
                places = self._places(window, kept, again[0])
        return strangers | places

    def _tokens(self, words: Iterable[int]) -> list[int]:
        return [token for index in words for token in self.given[index].tokens]

    def _places(self, window: Window, words: Sequence[int], found: Sequence[TimedWord]) -> dict[int, Placed]:
        """Where each word lies that the aligned text covers: by its tokens, as the model may part words otherwise."""
        ends = list(accumulate(one.tokens for one in found))
        places: dict[int, Placed] = {}
        begin = 0
        for index in words:
            end = begin + len(self.given[index].tokens)
            parts = range(bisect_right(ends, begin), min(len(found), bisect_left(ends, end) + 1))
            if parts and end > begin:
                start_ms = _inside(found[parts[0]], begin - (ends[parts[0]] - found[parts[0]].tokens))
                end_ms = _inside(found[parts[-1]], end - (ends[parts[-1]] - found[parts[-1]].tokens))
                span = Span(window.span.start_ms + start_ms, window.span.start_ms + max(start_ms, end_ms))
                chance = sum(found[part].probability for part in parts) / len(parts)
                places[index] = Placed(span, chance)
            begin = end
        return places

    def _unheard(
        self, window: Window, words: Sequence[int], places: Mapping[int, Placed]
    ) -> dict[int, float]:
        """The sentences of a window's own words that are not in its sound, in order, with their log-probabilities.

        What the window only borrowed at its edges is neither judged nor left out.
        """
        if not self.judged:
            return {}
        own = {self.sentences[index] for index in window.words}
        found = {}
        for sentence, run in groupby(words, key=lambda index: self.sentences[index]):
            chances = [(self.given[index], places[index].probability) for index in run if index in places]
            likely = sum(chance >= LIKELY for _, chance in chances)
            if sentence in own and likely < LIKELY_SHARE * len(chances):
                found[sentence] = logprob_of(chances)
        return found


def _inside(word: TimedWord, tokens: int) -> int:
    """When so many of a word's tokens are said."""
    return round(word.start_ms + (word.end_ms - word.start_ms) * min(1.0, tokens / max(1, word.tokens)))


def logprob_of(words: Iterable[tuple[Given, float]]) -> float:
    """The mean log-probability of the words' tokens, each as likely as its word."""
    total, count = 0.0, 0
    for word, probability in words:
        total += len(word.tokens) * math.log(max(probability, LEAST))
        count += len(word.tokens)
    return total / max(1, count)
