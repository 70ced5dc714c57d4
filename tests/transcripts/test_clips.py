"""Clips: what is proposed and where it is cut, and how a clip's words are found again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from transcripts.clips import LONGEST_MS, PAD_MS, SHORTEST_MS, anchor, propose
from transcripts.edit import retext
from transcripts.model import ClipProposal, Passage, Segment, ThemeScore, Transcript, Word
from transcripts.span import Span, merge

WORD_MS, GAP_MS = 400, 100


def said(*sentences: tuple[int, int, int], sure: float = 0.9) -> list[Segment]:
    """Segments as (speaker, words, pause after it in ms)."""
    at_ms, ids, segments = 1000, itertools.count(), []
    for speaker, count, pause_ms in sentences:
        words = []
        for place in range(count):
            text = " Word" if place == 0 else " end." if place == count - 1 else " word"
            words.append(Word(str(next(ids)), at_ms, at_ms + WORD_MS, text, sure))
            at_ms += WORD_MS + GAP_MS
        at_ms += pause_ms
        segments.append(Segment(tuple(words), speaker))
    return segments


def on(theme: str | None, segments: Sequence[Segment], score: float = 0.6) -> Passage:
    scores = (ThemeScore(theme, score),) if theme else ()
    return Passage(tuple(segments), scores, (theme,) if theme else ())


def proposed(
    passages: Sequence[Passage],
    tellers: frozenset[int] | None = frozenset({1}),
    speech: Sequence[Span] | None = None,
) -> tuple[ClipProposal, ...]:
    words = [word for passage in passages for segment in passage.segments for word in segment.words]
    heard = merge([word.span for word in words], gap_ms=150) if speech is None else speech
    return propose(passages, heard, tellers=tellers, duration_ms=words[-1].end_ms + 2000 if words else 0)


def words_of(proposals: Sequence[ClipProposal]) -> list[tuple[str, str]]:
    return [(one.segments[0].words[0].id, one.segments[-1].words[-1].id) for one in proposals]


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [
        ([(1, 10, 500)] * 5, [("0", "49")]),
        ([(1, 10, 500)], []),
        ([(2, 10, 500)] * 5, []),
        # A question in between: two runs of the storyteller, never across it.
        ([(1, 10, 500)] * 3 + [(2, 5, 500)] + [(1, 10, 500)] * 4, [("35", "74"), ("0", "29")]),
        # A pause of five seconds parts what is said.
        ([(1, 10, 500)] * 3 + [(1, 10, 5000)] + [(1, 10, 500)] * 2, [("0", "39"), ("40", "59")]),
        ([(1, 250, 500)], []),
        ([], []),
    ],
)
def test_what_is_proposed(sentences: list[tuple[int, int, int]], expected: list[tuple[str, str]]) -> None:
    passages = [on("grief", said(*sentences))] if sentences else []
    assert words_of(proposed(passages)) == expected


def test_a_clip_keeps_to_one_theme() -> None:
    segments = said(*[(1, 10, 500)] * 8)
    found = proposed([on("grief", segments[:4]), on("hope", segments[4:])])
    assert sorted(words_of(found)) == [("0", "39"), ("40", "79")]
    assert {one.theme for one in found} == {"grief", "hope"}


def test_without_a_storyteller_each_clip_still_has_one_voice() -> None:
    segments = said(*[(1, 10, 500)] * 4, *[(2, 10, 500)] * 4)
    found = proposed([on("grief", segments)], tellers=None)
    assert sorted(words_of(found)) == [("0", "39"), ("40", "79")]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"theme": "grief"}, {"theme": None}),
        ({"sure": 0.95}, {"sure": 0.5}),
        ({"score": 0.8}, {"score": 0.45}),
        ({"count": 5}, {"count": 2}),
        ({"first": " Last"}, {"first": " And"}),
        ({"last": " end."}, {"last": " end"}),
    ],
)
def test_what_speaks_for_an_excerpt(better: dict[str, object], worse: dict[str, object]) -> None:
    def score(theme: str | None = "grief", sure: float = 0.9, score: float = 0.6, count: int = 4,
              first: str = " Last", last: str = " end.") -> float:  # fmt: skip
        segments = said(*[(1, 12, 300)] * count, sure=sure)
        (*_, tail), (head, *_) = segments[-1].words, segments[0].words
        segments[0] = Segment(
            (Word(head.id, head.start_ms, head.end_ms, first, sure), *segments[0].words[1:]), 1
        )
        segments[-1] = Segment(
            (*segments[-1].words[:-1], Word(tail.id, tail.start_ms, tail.end_ms, last, sure)), 1
        )
        (found, *_) = proposed([on(theme, segments, score)])
        assert 0 <= found.score <= 1
        return found.score

    assert score(**better) > score(**worse)  # type: ignore[arg-type]


def test_reasons_are_words_for_people() -> None:
    (found,) = proposed([on("grief", said(*[(1, 10, 500)] * 5))])
    assert found.reasons == (
        "on the theme grief (0.60)",
        "words recognised with 90% confidence",
        "a good length",
        "begins without leaning on what was said before",
        "the whole passage",
    )


@pytest.mark.parametrize(
    ("speech", "start_ms"),
    [
        # The first word starts at 1000, another voice ended at 400.
        ([Span(0, 400), Span(950, 30_000)], 850),
        ([Span(0, 900), Span(990, 30_000)], 945),
        ([Span(0, 30_000)], 875),
        ([], 875),
    ],
)
def test_a_cut_begins_in_the_silence_before_the_first_word(speech: list[Span], start_ms: int) -> None:
    (found,) = proposed([on("grief", said(*[(1, 10, 500)] * 5))], speech=speech)
    assert found.span.start_ms == start_ms


def test_a_cut_never_touches_a_neighbouring_word() -> None:
    told = said((2, 10, 0), *[(1, 10, 0)] * 5, (2, 10, 0))
    before, after = told[0].words[-1], told[-1].words[0]
    (found,) = proposed([on("grief", told)], speech=[])
    assert before.end_ms < found.span.start_ms < told[1].start_ms
    assert told[5].end_ms < found.span.end_ms < after.start_ms


@pytest.mark.parametrize("seed", range(25))
def test_every_proposal_is_whole_and_its_edges_are_quiet(seed: int) -> None:
    chance = random.Random(seed)
    segments = said(
        *[
            (chance.choice([1, 1, 1, 2]), chance.randint(1, 25), chance.choice([0, 300, 1500, 6000]))
            for _ in range(40)
        ]
    )
    cuts = sorted(chance.sample(range(1, 40), 4))
    parts = [segments[a:b] for a, b in itertools.pairwise([0, *cuts, 40])]
    passages = [on(chance.choice(["grief", "hope", None]), part) for part in parts]
    speech = merge([word.span for segment in segments for word in segment.words], gap_ms=150)
    found = propose(passages, speech, tellers={1}, duration_ms=segments[-1].end_ms + 100)
    assert found == propose(passages, speech, tellers={1}, duration_ms=segments[-1].end_ms + 100)
    assert found
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert SHORTEST_MS <= one.span.duration_ms <= LONGEST_MS
        assert {segment.speaker for segment in one.segments} == {1}
        home = next(passage for passage in passages if one.segments[0] in passage.segments)
        at = home.segments.index(one.segments[0])
        assert home.segments[at : at + len(one.segments)] == one.segments
        assert 0 <= one.segments[0].start_ms - one.span.start_ms <= PAD_MS
        assert 0 <= one.span.end_ms - one.segments[-1].end_ms <= PAD_MS
        assert one.span.start_ms >= 0
        assert one.span.end_ms <= segments[-1].end_ms + 100
        inside = [s for s in segments if s.span.overlaps(one.span)]
        assert tuple(inside) == one.segments
    for one, other in itertools.combinations(found, 2):
        assert not one.span.overlaps(other.span)


def transcript(text: str, prefix: str = "") -> Transcript:
    words = [
        Word(f"{prefix}{n}", n * 500, n * 500 + 400, f" {token}") for n, token in enumerate(text.split())
    ]
    return Transcript("en", (Segment(tuple(words), 1),))


LONG = "It was cold. We lost her in the spring, and nobody could come. Then we lost her dog. It was cold."


@pytest.mark.parametrize(
    ("quote", "text", "expected"),
    [
        ("We lost her in the spring,", LONG, ("3", "8")),
        ("we lost her in the SPRING", LONG, ("3", "8")),
        ("Then we lost her dog.", LONG, ("13", "17")),
        ("It was cold.", LONG, ("0", "2")),
        ("We lost her in the winter, and nobody could come.", LONG, ("3", "12")),
        ("We lost in the spring, and nobody could come.", LONG, ("3", "12")),
        ("Growing vegetables gave us hope.", LONG, None),
        ("her", "gathering her", ("1", "1")),
        ("today we met", "so to day we met", ("1", "4")),
        ("", LONG, None),
        ("…", LONG, None),
        ("We lost her", "", None),
    ],
)
def test_a_quote_is_found_again(quote: str, text: str, expected: tuple[str, str] | None) -> None:
    told = transcript(text) if text else Transcript("en", ())
    assert anchor("x", "y", quote, told) == expected


def test_a_quote_is_found_in_writing_without_spaces() -> None:
    words = tuple(Word(str(n), n, n + 1, part) for n, part in enumerate(["今日", "は", "雨", "です。"]))
    assert anchor("x", "y", "雨です。", Transcript("ja", (Segment(words),))) == ("2", "3")


def test_identity_comes_before_the_quote() -> None:
    assert anchor("3", "8", "quite other words", transcript(LONG)) == ("3", "8")


def test_identities_of_another_transcript_are_not_believed() -> None:
    told = transcript("Well then. " + LONG)
    assert anchor("3", "8", "We lost her in the spring,", told, same_words=False) == ("5", "10")
    assert anchor("3", "8", "quite other words", told, same_words=False) is None


def test_of_equal_quotes_the_one_near_a_surviving_word_counts() -> None:
    told = transcript(LONG)
    last = list(told.words())[-1].id
    assert anchor("gone", last, "It was cold.", told) == (str(int(last) - 2), last)
    assert anchor("0", "gone", "It was cold.", told) == ("0", "2")


@pytest.mark.parametrize(
    "corrected",
    [
        LONG.replace("spring", "Spring time"),
        LONG.replace("We lost", "We have lost"),
        LONG.replace("It was cold. We", "We"),
        LONG.replace("nobody could come", "no one came"),
    ],
)
def test_a_clip_survives_corrections(corrected: str) -> None:
    told = transcript(LONG)
    edited = Transcript("en", (retext(told.segments[0], corrected, 1),), 1)
    found = anchor("3", "8", "We lost her in the spring,", edited)
    assert found is not None
    ids = [word.id for word in edited.words()]
    text = "".join(word.text for word in list(edited.words())[ids.index(found[0]) : ids.index(found[1]) + 1])
    assert text.strip().lower().startswith("we")
    assert "spring" in text.lower()
