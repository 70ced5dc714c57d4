"""Captions from words: at most two lines, broken where a reader pauses, shown when the words are said.

The sizes are the usual ones of subtitling (Díaz Cintas & Remael 2021, "Subtitling: Concepts and Practices"): two
lines of 42 characters, one to seven seconds, breaks at punctuation before breaks within a phrase.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, groupby, pairwise

from transcripts.model import Segment, Word
from transcripts.span import Span

LINE_CHARS = 42
LONGEST_MS = 7_000
SHORTEST_MS = 1_000
_LEAST_MS = 300
"""What a caption gets even where the words after it begin at once."""

_PAUSE_MS = 800
_LONG_PAUSE_MS = 2_500
_SENTENCE_END = re.compile(r"[.?!…。？！][\"'”’»)\]]*$")
_CLAUSE_END = re.compile(r"[,;:–—、，；：][\"'”’»)\]]*$")


@dataclass(frozen=True, slots=True)
class Caption:
    """What is shown from ``span.start_ms`` to ``span.end_ms``: one or two lines of one speaker's words, in NFC."""

    span: Span
    lines: tuple[str, ...]
    speaker: int | None


def captions(
    segments: Iterable[Segment],
    *,
    line_chars: int = LINE_CHARS,
    end_ms: int | None = None,
    prefixes: Mapping[int, str] | None = None,
) -> list[Caption]:
    """Captions in order of time, none overlapping another, none after ``end_ms``.

    ``prefixes`` (speaker number to text) are shown where a speaker begins, for formats that cannot say who speaks.
    """
    made: list[Caption] = []
    ordered = sorted(segments, key=lambda segment: segment.start_ms)
    for speaker, turn in groupby(ordered, key=lambda segment: segment.speaker):
        words = [word for segment in turn for word in segment.words]
        prefix = (prefixes or {}).get(speaker, "") if speaker is not None else ""
        made += _turn([*_prefix_words(prefix, words[0].start_ms), *words], speaker, line_chars)
    return _in_order(made, end_ms)


def _prefix_words(prefix: str, at_ms: int) -> list[Word]:
    return [Word("", at_ms, at_ms, f" {part}") for part in prefix.split()]


def _turn(words: Sequence[Word], speaker: int | None, line_chars: int) -> Iterator[Caption]:
    row = _Row(tuple(_clean(words, line_chars)), line_chars)
    for first, last in row.cuts():
        span = Span(row.words[first].start_ms, max(word.end_ms for word in row.words[first:last]))
        yield Caption(span, row.lines(first, last), speaker)


def _clean(words: Iterable[Word], line_chars: int) -> Iterator[Word]:
    """Words in NFC without line breaks, none longer than a line, their times not running backwards."""
    at_ms = 0
    for word in words:
        space = " " if word.text[:1].isspace() else ""
        text = " ".join(unicodedata.normalize("NFC", word.text).split())
        start_ms = max(word.start_ms, at_ms)
        at_ms = start_ms
        for place in range(0, len(text), line_chars):
            part = (space if place == 0 else "") + text[place : place + line_chars]
            yield replace(word, text=part, start_ms=start_ms, end_ms=max(start_ms, word.end_ms))


@dataclass(frozen=True)
class _Row:
    """One speaker's words, to be cut into captions and lines."""

    words: tuple[Word, ...]
    line_chars: int

    @cached_property
    def _ends(self) -> list[int]:
        """``_ends[i]``: characters before word i; the space before a word counts to it."""
        return [0, *accumulate(len(word.text) for word in self.words)]

    @cached_property
    def _break_costs(self) -> list[float]:
        """What it costs to break after each word: nothing after a sentence, most after a small word."""
        return [_break_cost(word.text) for word in self.words]

    def _width(self, first: int, last: int) -> int:
        leading = self.words[first].text.startswith(" ")
        return self._ends[last] - self._ends[first] - leading

    def _fits(self, first: int, last: int) -> bool:
        """Whether words[first:last] go on two lines."""
        if self._width(first, last) <= self.line_chars:
            return True
        leading = self.words[first].text.startswith(" ")
        full = bisect_right(self._ends, self._ends[first] + self.line_chars + leading) - 1
        return full < last and self._width(max(full, first + 1), last) <= self.line_chars

    def cuts(self) -> list[tuple[int, int]]:
        """The cheapest way to cut the words into captions, as half-open ranges (dynamic programming)."""
        best: list[tuple[float, int]] = [(0.0, 0)]
        for last in range(1, len(self.words) + 1):
            found = (float("inf"), last - 1)
            for first in range(last - 1, -1, -1):
                if first < last - 1 and not self._may_be_one(first, last):
                    break
                found = min(found, (best[first][0] + self._cost(first, last), first))
            best.append(found)
        edges = [len(self.words)]
        while edges[-1] > 0:
            edges.append(best[edges[-1]][1])
        return list(pairwise(reversed(edges)))

    def _may_be_one(self, first: int, last: int) -> bool:
        pause_ms = self.words[first + 1].start_ms - self.words[first].end_ms
        lasts_ms = self.words[last - 1].end_ms - self.words[first].start_ms
        return pause_ms <= _LONG_PAUSE_MS and lasts_ms <= LONGEST_MS and self._fits(first, last)

    def _cost(self, first: int, last: int) -> float:
        lasts_ms = self.words[last - 1].end_ms - self.words[first].start_ms
        cost = 1.0 + 4.0 * max(0, SHORTEST_MS - lasts_ms) / SHORTEST_MS
        if last < len(self.words):
            cost += self._break_costs[last - 1]
        for one, other in pairwise(self.words[first:last]):
            cost += 2.0 * (other.start_ms - one.end_ms > _PAUSE_MS)
        return cost + 0.4 * sum(1 for costs in self._break_costs[first : last - 1] if costs == 0)

    def lines(self, first: int, last: int) -> tuple[str, ...]:
        """The words on one line, or on two of like length with the break where it reads best."""
        if self._width(first, last) <= self.line_chars:
            return (self._text(first, last),)
        middle = min(
            (
                cut
                for cut in range(first + 1, last)
                if max(self._width(first, cut), self._width(cut, last)) <= self.line_chars
            ),
            key=lambda cut: (
                4 * self._break_costs[cut - 1] + abs(self._width(first, cut) - self._width(cut, last)) / 8
            ),
        )
        return self._text(first, middle), self._text(middle, last)

    def _text(self, first: int, last: int) -> str:
        return "".join(word.text for word in self.words[first:last]).strip()


def _break_cost(text: str) -> float:
    if _SENTENCE_END.search(text):
        return 0.0
    if _CLAUSE_END.search(text):
        return 0.8
    # A word of up to three letters ("the", "of", "och") mostly leans on the next one.
    return 3.0 if len(text.strip()) <= 3 else 2.0


def _in_order(made: Sequence[Caption], end_ms: int | None) -> list[Caption]:
    """Give every caption its least time without letting two overlap, then draw all back before the end."""
    forward: list[Caption] = []
    at_ms = 0
    for index, caption in enumerate(made):
        start_ms = max(caption.span.start_ms, at_ms)
        wanted_ms = max(caption.span.end_ms, start_ms + SHORTEST_MS)
        next_ms = made[index + 1].span.start_ms if index + 1 < len(made) else wanted_ms
        at_ms = min(wanted_ms, max(next_ms, start_ms + _LEAST_MS))
        forward.append(replace(caption, span=Span(start_ms, at_ms)))
    return forward if end_ms is None else _drawn_back(forward, end_ms)


def _drawn_back(ordered: Sequence[Caption], end_ms: int) -> list[Caption]:
    kept: list[Caption] = []
    limit_ms = end_ms
    for caption in reversed(ordered):
        stop_ms = min(caption.span.end_ms, limit_ms)
        start_ms = min(caption.span.start_ms, max(0, stop_ms - _LEAST_MS))
        if start_ms < stop_ms:
            kept.append(replace(caption, span=Span(start_ms, stop_ms)))
            limit_ms = start_ms
    return kept[::-1]
