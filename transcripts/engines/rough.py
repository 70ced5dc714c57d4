"""Roughly when each word of a given text is said: by its line's own time, or by the words that a model hears."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, islice, pairwise

from transcripts.engines.hearing import Ear
from transcripts.formats.reading import Line
from transcripts.model import Word
from transcripts.scoring import words_of
from transcripts.sentences import ends_sentence
from transcripts.span import Span

LONGEST_LINE_MS = 15_000
"""A caption that is longer says too little of its words' times."""
LONGEST_SENTENCE = 15
"""So many words are a sentence where there is no full stop."""
STRANGERS = 3
"""Words that agree amid more than so many times as many that do not, agree by chance."""
A_LETTER_MS = 75

_WIDE = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"\s*(?:[{_WIDE}][\u3000-\u303f\uff01-\uff65]*|[^\s{_WIDE}]+)")
"""A word with the space before it; a character of a script without spaces with the marks behind it."""


@dataclass(frozen=True, slots=True)
class Given:
    """A word as it is given: its text with the space before it, the number of its line, and its tokens."""

    text: str
    line: int
    tokens: tuple[int, ...]


def words_given(ear: Ear, lines: Sequence[Line]) -> list[Given]:
    """The words of the lines, in order, each with the space before it."""
    found = []
    for number, line in enumerate(lines):
        for match in _WORD.finditer(line.text):
            first = match.start() == 0 and not re.match(f"[{_WIDE}]", match[0])
            text = f" {match[0]}" if first else match[0]
            found.append(Given(text, number, tuple(ear.tokens(text))))
    return found


def sentences_of(given: Sequence[Given]) -> list[int]:
    """The number of each word's sentence; without full stops some words stand for one."""
    numbers: list[int] = []
    number, length = 0, 0
    for index, word in enumerate(given):
        numbers.append(number)
        length += 1
        following = given[index + 1] if index + 1 < len(given) else None
        after = Word("", 0, 0, following.text) if following else None
        ends = ends_sentence(Word("", 0, 0, word.text), after)
        if ends or length == LONGEST_SENTENCE:
            number, length = number + 1, 0
    return numbers


def has_times(lines: Sequence[Line], duration_ms: int) -> bool:
    """Whether the lines' own times can be used: all have some, none is too long or wholly behind the recording."""
    return all(
        line.span is not None
        and line.span.duration_ms <= LONGEST_LINE_MS
        and line.span.start_ms < duration_ms
        for line in lines
    )


def rough_by_lines(given: Sequence[Given], lines: Sequence[Line], speech: Sequence[Span]) -> list[Span]:
    """A rough time for each word: its share, by its letters, of the speech within its line's time."""
    rough = []
    for number, words in groupby(given, key=lambda word: word.line):
        within = lines[number].span
        if within is None:
            raise ValueError(f"line {number} has no time")
        rough += laid([word.text for word in words], within, speech)
    return rough


def rough_by_ear(
    given: Sequence[Given], heard: Sequence[Word], speech: Sequence[Span], duration_ms: int
) -> tuple[list[Span], list[bool]]:
    """A rough time for each word from the words that were heard, and whether the very word was heard."""
    sounds = [
        (plain, word) for word in heard for part in _WORD.findall(word.text) for plain in words_of(part)
    ]
    wanted = [(plain, index) for index, word in enumerate(given) for plain in words_of(word.text)]
    times: dict[int, Span] = {}
    for of_heard, of_given in _alike([one for one, _ in sounds], [one for one, _ in wanted]):
        index, span = wanted[of_given][1], sounds[of_heard][1].span
        first = times.get(index, span)
        times[index] = Span(first.start_ms, max(first.end_ms, span.end_ms))
    sentences = sentences_of(given)
    rough: list[Span] = []
    for is_known, run in groupby(range(len(given)), key=lambda index: index in times):
        indices = list(run)
        if is_known:
            rough += [times[index] for index in indices]
            continue
        following = times.get(indices[-1] + 1)
        before, after = rough[-1].end_ms if rough else 0, following.start_ms if following else duration_ms
        rough += _between(given, sentences, indices, Span(before, max(before, after)), speech)
    return rough, [index in times for index in range(len(given))]


def _between(
    given: Sequence[Given],
    sentences: Sequence[int],
    indices: Sequence[int],
    gap: Span,
    speech: Sequence[Span],
) -> list[Span]:
    """Words between two that were heard: those of their sentences stay with them, the rest has the speech between."""
    texts = [given[index].text for index in indices]
    begun = sentences[indices[0] - 1] if indices[0] else -1
    ended = sentences[indices[-1] + 1] if indices[-1] + 1 < len(given) else -1
    head = sum(sentences[index] == begun for index in indices)
    tail = sum(sentences[index] == ended for index in indices[head:])
    parts = texts[:head], texts[head : len(texts) - tail], texts[len(texts) - tail :]
    first, _, last = (A_LETTER_MS * sum(map(len, part)) for part in parts)
    if first + last >= gap.duration_ms or not first + last:
        return laid(texts, gap, speech)
    edges = (gap.start_ms, gap.start_ms + first, gap.end_ms - last, gap.end_ms)
    return [
        span
        for part, (start, end) in zip(parts, pairwise(edges), strict=True)
        for span in laid(part, Span(start, end), speech)
    ]


def _alike(heard: Sequence[str], wanted: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which heard word is which given one, as ascending pairs; a few amid many that differ are left out."""
    from rapidfuzz.distance import Levenshtein

    codes = list(Levenshtein.opcodes(heard, wanted))
    for place, code in enumerate(codes):
        if code.tag != "equal":
            continue
        around = [codes[at] for at in (place - 1, place + 1) if 0 <= at < len(codes)]
        strangers = max(
            (max(one.src_end - one.src_start, one.dest_end - one.dest_start) for one in around), default=0
        )
        if strangers <= STRANGERS * (code.dest_end - code.dest_start):
            yield from zip(
                range(code.src_start, code.src_end), range(code.dest_start, code.dest_end), strict=True
            )


def laid(texts: Sequence[str], within: Span, speech: Sequence[Span]) -> list[Span]:
    """The texts one after the other in the speech of a stretch, or in all of it when there is none."""
    said = list(_parts(speech, within)) or [within]
    room, letters = sum(part.duration_ms for part in said), max(1, sum(map(len, texts)))
    spans, passed = [], 0
    for text in texts:
        start = _at(said, room * passed // letters, first=True)
        passed += len(text)
        spans.append(Span(start, max(start, _at(said, room * passed // letters, first=False))))
    return spans


def _parts(speech: Sequence[Span], within: Span) -> Iterator[Span]:
    """What of the speech lies within a stretch."""
    first = bisect_right(speech, within.start_ms, key=lambda span: span.end_ms)
    for span in islice(speech, first, None):
        if span.start_ms >= within.end_ms:
            return
        if part := span & within:
            yield part


def _at(parts: Sequence[Span], passed_ms: int, *, first: bool) -> int:
    """When so much of the parts has passed; between two parts the start of the later, or the end of the ``first``."""
    for part in parts:
        if passed_ms < part.duration_ms or (passed_ms == part.duration_ms and not first):
            return part.start_ms + passed_ms
        passed_ms -= part.duration_ms
    return parts[-1].end_ms
