"""A model's words, made fit to keep: only what was spoken, numbered, with times that run forward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from transcripts.engines import RecognisedSegment
from transcripts.model import Word
from transcripts.span import Span

MIN_WORD_MS = 20


def trimmed(words: Sequence[Word], speech: Sequence[Span]) -> list[Word]:
    """Cut the silence off the words' edges: a model lets a word begin or end in a pause beside it.

    Each word keeps what it shares with the stretch of speech that it overlaps most; a word outside all
    speech, or with less than 20 ms in it, is left as it is.
    """
    spans = sorted(speech)
    first, kept = 0, []
    for word in words:
        while first < len(spans) and spans[first].end_ms <= word.start_ms:
            first += 1
        said = Span(0, 0)
        for span in islice(spans, first, None):
            if span.start_ms >= word.end_ms:
                break
            said = max(said, span & word.span or said, key=lambda one: one.duration_ms)
        fits = said.duration_ms >= MIN_WORD_MS
        kept.append(replace(word, start_ms=said.start_ms, end_ms=said.end_ms) if fits else word)
    return kept


def in_order(words: Sequence[Word], duration_ms: int) -> list[Word]:
    """Number the words and straighten their times.

    None runs backwards, overlaps the one before, or ends after the recording; none lasts less than 20 ms
    while there is room for that.
    """
    starts, ends, before = [], [], 0
    for word in words:
        starts.append(max(word.start_ms, before))
        ends.append(max(word.end_ms, starts[-1] + MIN_WORD_MS))
        before = ends[-1]
    after = duration_ms
    for index in reversed(range(len(words))):
        if ends[index] <= after:
            break
        ends[index] = after
        starts[index] = max(0, min(starts[index], after - MIN_WORD_MS))
        after = starts[index]
    return [
        Word(str(index), start, end, word.text, word.probability)
        for index, (word, start, end) in enumerate(zip(words, starts, ends, strict=True))
    ]


def heard(found: Sequence[RecognisedSegment], speech: Sequence[Span]) -> list[RecognisedSegment]:
    """Without the segments that lie wholly outside speech: nobody said them."""

    def overlaps(segment: RecognisedSegment) -> bool:
        span = Span(segment.words[0].start_ms, max(segment.words[-1].end_ms, segment.words[0].start_ms + 1))
        return any(span.overlaps(other) for other in speech)

    return [segment for segment in found if overlaps(segment)]
