"""Words to speakers: at sentence ends and pauses, not at the raw edges of turns."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Protocol

from transcripts.model import Segment, Transcript, Turn, Word
from transcripts.span import Span

PAUSE_MS = 200
"""A sentence may be split between speakers only where it pauses at least so long."""
INTERJECTION_MS = 900
"""A phrase shorter than this between two of the same speaker in one sentence stays with them."""
AS_LONG = 0.7
"""Where turns overlap: who is heard for this share of the longest time may be meant too."""
AT_ALL = 0.2
"""Of sentences that are said at once, this share is enough: they are of two."""
OWN = 0.5
"""A phrase of a sentence goes to somebody else there only when their turn fits it so well, see ``_Turns.fit``."""
AT_ONCE = 0.5
"""Sentences that share this part of the shorter one's time are said at once."""
NEARBY_MS = 2_000
"""A phrase outside all turns goes to the nearest turn, if that is within this time."""
LISTENING_MS = 60_000
"""Who says a sentence during another's, and is not heard there, spoke or speaks within this time."""


class HasTurns(Protocol):
    """Anything with turns in order of time, such as a diarization."""

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns."""
        ...


def attribute(transcript: Transcript, diarization: HasTurns) -> Transcript:
    """Give every segment one speaker; None where nobody was found.

    A whole sentence goes to the speaker who is heard longest during its words. A sentence is split only where
    a pause inside it meets a change of turn; a listener's short interjection in the middle does not split it.
    Words keep their identity, order and times.
    """
    turns = _Turns(diarization.turns)
    at_once = _at_once(transcript.segments, turns)
    return replace(
        transcript,
        segments=tuple(
            part
            for place, segment in enumerate(transcript.segments)
            for part in (
                [replace(segment, speaker=at_once[place])] if place in at_once else _attribute(segment, turns)
            )
        ),
    )


def _at_once(segments: Sequence[Segment], turns: _Turns) -> dict[int, int | None]:
    """The speakers of sentences that are said at once, by place: they are of different speakers where they can be.

    The one whose turn fits best comes first. Where nobody else is heard, it is said by whoever else speaks nearest.
    """
    rivals: dict[int, set[int]] = {}
    for place, segment in enumerate(segments):
        for other in range(place + 1, len(segments)):
            if segments[other].start_ms >= segment.end_ms:
                break
            both_ms = segment.span.overlap_ms(segments[other].span)
            if both_ms > AT_ONCE * min(segment.span.duration_ms, segments[other].span.duration_ms):
                rivals.setdefault(place, set()).add(other)
                rivals.setdefault(other, set()).add(place)
    fits = [
        (turns.fit(who, segments[place].span), place, who)
        for place in rivals
        for who in turns.candidates(segments[place].words, AT_ALL)
    ]
    given: dict[int, int | None] = {}
    for _, place, who in sorted(fits, key=lambda one: (-one[0], one[1], one[2])):
        if place not in given and all(given.get(rival) != who for rival in rivals[place]):
            given[place] = who
    for place in sorted(rivals.keys() - given.keys()):
        taken = {given[rival] for rival in rivals[place] if rival in given}
        else_near = turns.nearest(segments[place].span, LISTENING_MS, taken)
        given[place] = turns.speaker(segments[place].words) if else_near is None else else_near
    return given


class _Turns:
    """Turns by time, for quick questions."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms))
        self._starts = [turn.start_ms for turn in self._turns]
        self._longest_ms = max((turn.span.duration_ms for turn in self._turns), default=0)

    def within(self, span: Span) -> list[Turn]:
        first = bisect_left(self._starts, span.start_ms - self._longest_ms)
        last = bisect_left(self._starts, span.end_ms)
        return [turn for turn in self._turns[first:last] if turn.span.overlaps(span)]

    def candidates(self, words: Sequence[Word], share: float = AS_LONG) -> list[int]:
        """Who is heard longest during the words, and who for at least this share of the longest time."""
        heard: Counter[int] = Counter()
        for word in words:
            for turn in self.within(word.span):
                heard[turn.speaker] += turn.span.overlap_ms(word.span)
        longest = max(heard.values(), default=0)
        return [who for who in sorted(heard) if heard[who] >= share * longest > 0]

    def speaker(self, words: Sequence[Word], usual: int | None = None) -> int | None:
        """Who says the words: of those heard as long, whose turn fits them best; else whose turn is nearest.

        ``usual`` says the rest of the sentence, and these words too unless the turn of another fits them well.
        """
        said = Span(words[0].start_ms, words[-1].end_ms)
        heard = self.candidates(words)
        if not heard:
            return self.nearest(said, NEARBY_MS)
        best = max(heard, key=lambda who: self.fit(who, said))
        return usual if usual in heard and self.fit(best, said) < OWN else best

    def fit(self, speaker: int, span: Span) -> float:
        """The time that the speaker's turns and the span share, of the time that either takes: 0 to 1.

        A word put in is a short turn inside a long one.
        """
        turns = [turn.span for turn in self.within(span) if turn.speaker == speaker]
        shared_ms = sum(turn.overlap_ms(span) for turn in turns)
        either_ms = span.duration_ms + sum(turn.duration_ms for turn in turns) - shared_ms
        return shared_ms / max(1, either_ms)

    def nearest(self, span: Span, reach_ms: int, without: Collection[int | None] = ()) -> int | None:
        """Who has the turn that is nearest and not further than this, of all but some."""
        around = Span(max(0, span.start_ms - reach_ms), span.end_ms + reach_ms)

        def distance(turn: Turn) -> int:
            return max(turn.start_ms - span.end_ms, span.start_ms - turn.end_ms)

        near = [turn for turn in self.within(around) if turn.speaker not in without]
        return min(near, key=distance).speaker if near else None

    def silences(self, span: Span) -> list[Span]:
        """Gaps between the turns in the span, where they are pauses."""
        gaps, end_ms = [], span.start_ms
        for turn in self.within(span):
            if turn.start_ms - end_ms >= PAUSE_MS:
                gaps.append(Span(end_ms, turn.start_ms))
            end_ms = max(end_ms, turn.end_ms)
        return gaps


def _attribute(segment: Segment, turns: _Turns) -> list[Segment]:
    whole = turns.speaker(segment.words)
    if len({turn.speaker for turn in turns.within(segment.span)}) < 2:
        return [replace(segment, speaker=whole)]
    phrases = _phrases(segment, turns)
    speakers = [turns.speaker(phrase, whole) for phrase in phrases]
    _absorb(phrases, speakers)
    parts: list[Segment] = []
    for phrase, speaker in zip(phrases, speakers, strict=True):
        if parts and parts[-1].speaker == speaker:
            parts[-1] = Segment(parts[-1].words + phrase, speaker)
        else:
            parts.append(Segment(phrase, speaker))
    return parts


def _phrases(segment: Segment, turns: _Turns) -> list[tuple[Word, ...]]:
    """The segment cut at its pauses: gaps between words, or silence between turns."""
    silences = turns.silences(segment.span)
    phrases: list[tuple[Word, ...]] = [segment.words[:1]]
    for word, following in pairwise(segment.words):
        if following.start_ms - word.end_ms >= PAUSE_MS or _silence_between(word, following, silences):
            phrases.append((following,))
        else:
            phrases[-1] += (following,)
    return phrases


def _silence_between(word: Word, following: Word, silences: Sequence[Span]) -> bool:
    between = range(_middle(word.span), _middle(following.span))
    return any(_middle(silence) in between for silence in silences)


def _middle(span: Span) -> int:
    return (span.start_ms + span.end_ms) // 2


def _absorb(phrases: Sequence[Sequence[Word]], speakers: list[int | None]) -> None:
    """Leave a short phrase inside a sentence to the speaker of both its neighbours."""
    for index in range(1, len(phrases) - 1):
        short = phrases[index][-1].end_ms - phrases[index][0].start_ms < INTERJECTION_MS
        if short and speakers[index - 1] == speakers[index + 1]:
            speakers[index] = speakers[index - 1]
