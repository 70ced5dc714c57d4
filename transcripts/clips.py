"""Clips: which excerpts are worth a look, and where a clip's words are after its transcript changed."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import accumulate, pairwise
from statistics import fmean

from transcripts.model import ClipProposal, Passage, Segment, Transcript, Word
from transcripts.span import Span, merge

SHORTEST_MS = 10_000
LONGEST_MS = 90_000
PAD_MS = 250
"""How far from its first and last word a cut lies at most."""

_BEST_MS = (20_000, 45_000)
_LONG_PAUSE_MS = 4_000
_QUOTE_LIKENESS = 0.75
_LEANING = re.compile(
    r"(and|but|so|or|because|then|also|he|she|it|they|that|this|these|those|which|who|yes|no|well|och|men|så)\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?…。！？][\"'”’»)\]]*$")


def propose(
    passages: Sequence[Passage],
    speech: Sequence[Span],
    *,
    tellers: Collection[int] | None,
    duration_ms: int,
    min_ms: int = SHORTEST_MS,
    max_ms: int = LONGEST_MS,
) -> tuple[ClipProposal, ...]:
    """Excerpts of whole segments, one speaker, one passage; best first, none sharing time with another.

    ``passages`` are all of a recording's, in order of time: their words say what a cut must not touch. ``speech``
    is where voice activity was found. Only the words of ``tellers``, by number, are proposed, one of them at a time;
    None: any one speaker's. A clip lasts ``min_ms`` to ``max_ms``, its edges lie in silence and at most PAD_MS from its
    words. ``score`` is 0 to 1; the same input gives the same proposals in the same order.
    """
    edges = _Edges.of(passages, speech, duration_ms)
    candidates = [
        candidate
        for passage in passages
        for run in _runs(passage, tellers)
        for candidate in _windows(run, passage, edges, min_ms, max_ms)
    ]
    candidates.sort(key=lambda one: (-one.score, one.span))
    chosen: list[ClipProposal] = []
    for candidate in candidates:
        if all(not candidate.span.overlaps(other.span) for other in chosen):
            chosen.append(candidate)
    return tuple(chosen)


def anchor(
    first_word: str, last_word: str, quote: str, transcript: Transcript, *, same_words: bool = True
) -> tuple[str, str] | None:
    """Find a clip's words again: the identities of its first and last word in ``transcript``, None when lost.

    By identity where both words are still there, else by the quote: the same words in the same order, or what is
    most like them if it is like enough. Where the quote is found more than once, the place nearest to a word that
    is still there counts. Identities say nothing across transcripts: for another transcript of the same recording
    pass ``same_words=False``.
    """
    words = list(transcript.words())
    places = {word.id: place for place, word in enumerate(words)} if same_words else {}
    first, last = places.get(first_word), places.get(last_word)
    if first is not None and last is not None and first <= last:
        return first_word, last_word
    found = _by_quote(quote, words, near=first if first is not None else last)
    return (words[found[0]].id, words[found[1]].id) if found else None


@dataclass(frozen=True, slots=True)
class _Edges:
    """What surrounds a cut: where words start and end, and where nobody speaks."""

    starts_ms: tuple[int, ...]
    ends_ms: tuple[int, ...]
    silences: tuple[Span, ...]
    duration_ms: int

    @classmethod
    def of(cls, passages: Sequence[Passage], speech: Sequence[Span], duration_ms: int) -> _Edges:
        # An editor's word may have no length; it bounds nothing.
        words = [
            word
            for passage in passages
            for segment in passage.segments
            for word in segment.words
            if word.end_ms > word.start_ms
        ]
        return cls(
            tuple(sorted(word.start_ms for word in words)),
            tuple(sorted(word.end_ms for word in words)),
            tuple(_silences(speech, duration_ms)),
            duration_ms,
        )

    def around(self, first: Word, last: Word) -> Span:
        """The cut: from the silence before the first word to the silence after the last."""
        end_ms = max(last.end_ms, first.start_ms)
        before = bisect_right(self.ends_ms, first.start_ms)
        after = bisect_left(self.starts_ms, end_ms)
        free_from_ms = self.ends_ms[before - 1] if before else 0
        free_to_ms = self.starts_ms[after] if after < len(self.starts_ms) else self.duration_ms
        start_gap = Span(min(max(free_from_ms, first.start_ms - PAD_MS, 0), first.start_ms), first.start_ms)
        end_gap = Span(end_ms, max(end_ms, min(free_to_ms, end_ms + PAD_MS)))
        return Span(self._in_silence(start_gap, last=True), self._in_silence(end_gap, last=False))

    def _in_silence(self, gap: Span, *, last: bool) -> int:
        """The middle of the silence in the gap that is nearest to the word, or of the gap itself."""
        quiet = [part for silence in self.silences if (part := silence & gap) is not None]
        place = (quiet[-1] if last else quiet[0]) if quiet else gap
        return (place.start_ms + place.end_ms) // 2


def _silences(speech: Sequence[Span], duration_ms: int) -> Iterator[Span]:
    heard = merge(speech)
    if not heard:
        return
    yield Span(0, heard[0].start_ms)
    for one, other in pairwise(heard):
        yield Span(one.end_ms, other.start_ms)
    yield Span(min(heard[-1].end_ms, duration_ms), max(heard[-1].end_ms, duration_ms))


def _runs(passage: Passage, tellers: Collection[int] | None) -> Iterator[list[Segment]]:
    """Neighbouring segments of one speaker without a long pause between them."""
    run: list[Segment] = []
    for segment in passage.segments:
        wanted = tellers is None or segment.speaker in tellers
        if run and (
            not wanted
            or segment.speaker != run[-1].speaker
            or segment.start_ms - run[-1].end_ms > _LONG_PAUSE_MS
        ):
            yield run
            run = []
        if wanted:
            run.append(segment)
    if run:
        yield run


def _windows(
    run: Sequence[Segment], passage: Passage, edges: _Edges, min_ms: int, max_ms: int
) -> Iterator[ClipProposal]:
    for first in range(len(run)):
        for last in range(first, len(run)):
            if run[last].end_ms - run[first].start_ms > max_ms:
                break
            part = tuple(run[first : last + 1])
            span = edges.around(part[0].words[0], part[-1].words[-1])
            if min_ms <= span.duration_ms <= max_ms:
                score, reasons = _judge(part, span, passage)
                yield ClipProposal(span, part, passage.theme, score, reasons)


def _judge(part: Sequence[Segment], span: Span, passage: Passage) -> tuple[float, tuple[str, ...]]:
    """A score of 0 to 1 and, in a producer's words, what speaks for the excerpt."""
    sure = fmean(word.probability for segment in part for word in segment.words)
    fit = passage.score_of(passage.theme)
    stands_alone = not _LEANING.match(part[0].text)
    complete = bool(_SENTENCE_END.search(part[-1].text))
    share = len(part) / len(passage.segments)
    score = (
        0.30 * min(max(fit, 0.0), 1.0)
        + 0.25 * sure
        + 0.20 * _good_length(span.duration_ms)
        + 0.10 * stands_alone
        + 0.05 * complete
        + 0.10 * share
    )
    reasons = [
        f"on the theme {passage.theme} ({fit:.2f})" if passage.theme is not None else "",
        f"words recognised with {sure:.0%} confidence",
        "a good length" if _good_length(span.duration_ms) == 1 else "",
        "begins without leaning on what was said before" if stands_alone else "",
        "the whole passage" if share == 1 else "",
    ]
    return round(score, 4), tuple(reason for reason in reasons if reason)


def _good_length(duration_ms: int) -> float:
    """1 within what listeners like, falling to 0 at half and at twice that."""
    shortest, longest = _BEST_MS
    if duration_ms < shortest:
        return max(0.0, 2 * duration_ms / shortest - 1)
    return min(1.0, max(0.0, 2 - duration_ms / longest))


def _by_quote(quote: str, words: Sequence[Word], near: int | None) -> tuple[int, int] | None:
    wanted = _sounds(quote.split())
    heard = [(sound, place) for place, word in enumerate(words) if (sound := "".join(_sounds([word.text])))]
    sounds = [sound for sound, _ in heard]
    if not wanted or not heard:
        return None
    exact = list(_exactly("".join(wanted), sounds))
    if exact:
        found = min(exact, key=lambda pair: abs(heard[pair[0]][1] - near) if near is not None else pair[0])
        return heard[found[0]][1], heard[found[1]][1]
    alike = _most_alike(wanted, sounds)
    return (heard[alike[0]][1], heard[alike[1]][1]) if alike else None


def _exactly(wanted: str, sounds: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Where whole words spell the quote, by letters: "to day" is "today", and no writing needs spaces."""
    ends = list(accumulate(len(sound) for sound in sounds))
    first_at = {end - len(sound): place for place, (end, sound) in enumerate(zip(ends, sounds, strict=True))}
    last_at = {end: place for place, end in enumerate(ends)}
    text = "".join(sounds)
    at = text.find(wanted)
    while at >= 0:
        if at in first_at and at + len(wanted) in last_at:
            yield first_at[at], last_at[at + len(wanted)]
        at = text.find(wanted, at + 1)


def _most_alike(wanted: Sequence[str], sounds: Sequence[str]) -> tuple[int, int] | None:
    """The stretch that shares most words with the quote, narrowed to where they match; None if too unlike."""
    width = min(len(sounds), len(wanted) + len(wanted) // 4 + 1)
    bag, held = Counter(wanted), Counter(sounds[:width])
    shared = sum((bag & held).values())
    best, best_at = shared, 0
    for at in range(1, len(sounds) - width + 1):
        gone, come = sounds[at - 1], sounds[at + width - 1]
        shared -= held[gone] <= bag[gone]
        held[gone] -= 1
        held[come] += 1
        shared += held[come] <= bag[come]
        if shared > best:
            best, best_at = shared, at
    window = sounds[best_at : best_at + width]
    blocks = SequenceMatcher(None, wanted, window, autojunk=False).get_matching_blocks()[:-1]
    if not blocks:
        return None
    first = max(0, blocks[0].b - blocks[0].a)
    last = min(len(window), blocks[-1].b + len(wanted) - blocks[-1].a) - 1
    alike = SequenceMatcher(None, wanted, window[first : last + 1], autojunk=False).ratio()
    return (best_at + first, best_at + last) if alike >= _QUOTE_LIKENESS else None


def _sounds(tokens: Sequence[str]) -> list[str]:
    """What is left of words without case and punctuation; marks alone vanish."""
    plain = (re.sub(r"\W", "", unicodedata.normalize("NFC", token).casefold()) for token in tokens)
    return [token for token in plain if token]
