"""A translation made fit for the formats: a transcript of its own, beside the one it translates."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, pairwise

from transcripts.engines.translating import LANGUAGE
from transcripts.model import Segment, Transcript, TranslatedLine, Word


def beside(lines: Iterable[TranslatedLine], original: Transcript) -> Transcript:
    """The lines as segments, under the speaker heard most in their time.

    Nothing tells when a word of a translation is said: each gets a share of its line's time by its letters.
    """
    found: list[Segment] = []
    count = 0
    for line in lines:
        texts = line.text.split()
        if not texts:
            continue
        room, lengths = line.end_ms - line.start_ms, [len(text) + 1 for text in texts]
        edges = [line.start_ms + room * done // sum(lengths) for done in accumulate(lengths, initial=0)]
        words = tuple(
            Word(str(count + place), start, end, f" {text}")
            for place, (text, (start, end)) in enumerate(zip(texts, pairwise(edges), strict=True))
        )
        count += len(words)
        found.append(Segment(words, _speaker(line, original)))
    return Transcript(LANGUAGE, tuple(found))


def _speaker(line: TranslatedLine, original: Transcript) -> int | None:
    heard: dict[int | None, int] = {}
    for segment in original.segments:
        shared = segment.span.overlap_ms(line.span)
        if shared:
            heard[segment.speaker] = heard.get(segment.speaker, 0) + shared
    return max(heard, key=lambda speaker: heard[speaker], default=None)
