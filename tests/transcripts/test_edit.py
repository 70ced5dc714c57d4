"""Corrected text: examples of what becomes of each word, then properties on many random edits."""

from __future__ import annotations

import random

import pytest

from transcripts.edit import retext
from transcripts.model import Segment, Word


def spoken(text: str, *, gap_ms: int = 100, first: int = 5, spaces: bool = True) -> Segment:
    """One word every 300 ms + gap, identities counting from ``first``, probability 0.5."""
    tokens = text.split() if spaces else list(text)
    return Segment(
        tuple(
            Word(
                str(first + n),
                1000 + n * (300 + gap_ms),
                1300 + n * (300 + gap_ms),
                f" {t}" if spaces else t,
                0.5,
            )
            for n, t in enumerate(tokens)
        ),
        2,
    )


def ids(segment: Segment) -> list[str]:
    return [word.id for word in segment.words]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("we lost her", "we lost her", "5 6 7"),
        ("we lost her", "We lost her.", "5* 6 7*"),
        ("we lost her", "we love her", "5 6* 7"),
        ("we lost her", "we nearly lost her", "5 e3.0 6 7"),
        ("we lost her", "so we lost her then", "e3.0 5 6 7 e3.1"),
        ("we um lost her", "we lost her", "5 7 8"),
        ("we lost her", "lost", "6"),
        ("to day we met", "today we met", "6* 7 8"),
        ("every body came", "everybody came", "5* 7"),
        ("the the the man", "the man", "7 8"),
        ("an ice cream van", "a nice cream van", "5* 6* 7 8"),
        ("weather or not", "whether it rains or not", "5* e3.0 e3.1 6 7"),
        ("hello", "good morning to you", "e3.0 e3.1 5* e3.2"),
        ("it was nineteen eighty", "it was 1980", "5 6 7*"),
        ("we lost her", "  we \n lost\u00a0her ", "5 6 7"),
        ("cafe\u0301 open", "café open", "5 6"),
        ("she said no", "she said – no", "5 6 e3.0 7"),
    ],
)
def test_every_word_keeps_what_it_can(old: str, new: str, expected: str) -> None:
    was = spoken(old)
    now = retext(was, new, revision=3)
    before = {word.id: word for word in was.words}
    marks = [word.id + ("" if before.get(word.id, word) == word else "*") for word in now.words]
    assert " ".join(marks) == expected
    for word in now.words:
        held = before.get(word.id)
        assert held is None or word.span == held.span
        assert word == held or word.probability == 1
    assert now.speaker == 2


@pytest.mark.parametrize(
    ("gap_ms", "new", "times"),
    [
        (200, "a x b", [(1300, 1500)]),
        (200, "a x y b", [(1300, 1400), (1400, 1500)]),
        (0, "a x b", [(1300, 1300)]),
        (200, "x a b", [(1000, 1000)]),
        (200, "a b x", [(1800, 1800)]),
    ],
)
def test_added_words_share_the_time_between_their_neighbours(
    gap_ms: int, new: str, times: list[tuple[int, int]]
) -> None:
    now = retext(spoken("a b", gap_ms=gap_ms), new, revision=1)
    assert [(word.start_ms, word.end_ms) for word in now.words if word.id.startswith("e1.")] == times


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("今日は雨", "今日は雨", ["今", "日", "は", "雨"]),
        ("今日は雨", "今日は雪", ["今", "日", "は", "雪"]),
        ("今日は雨", "今日は大雨", ["今", "日", "は大", "雨"]),
        ("今日は雨", "今は雨", ["今", "は", "雨"]),
        ("今日は雨", "昨日は雨。", ["昨", "日", "は", "雨。"]),
    ],
)
def test_writing_without_spaces_keeps_its_words(old: str, new: str, expected: list[str]) -> None:
    was = spoken(old, spaces=False)
    now = retext(was, new, revision=1)
    assert [word.text for word in now.words] == expected
    assert now.text == new
    assert set(ids(now)) <= set(ids(was))


@pytest.mark.parametrize("text", ["", "  \n", "…", "- -"])
def test_a_segment_keeps_at_least_a_word(text: str) -> None:
    with pytest.raises(ValueError, match="without words"):
        retext(spoken("we lost her"), text, revision=1)


WORDS = "we lost her in the spring and then it was over — quiet, naïve café's 3.5 Dr. no".split()


@pytest.mark.parametrize("seed", range(300))
def test_whatever_is_edited_identities_survive_and_time_never_runs_backwards(seed: int) -> None:
    chance = random.Random(seed)
    segment = spoken(
        " ".join(chance.choices(WORDS, k=chance.randint(1, 14))), gap_ms=chance.choice([0, 50, 400])
    )
    seen = set(ids(segment))
    for revision in range(1, 5):
        tokens = segment.text.split()
        for _ in range(chance.randint(0, 4)):
            at = chance.randrange(len(tokens) + 1)
            tokens[at : at + chance.randint(0, 2)] = chance.choices(WORDS, k=chance.randint(0, 3))
        text = " ".join([*tokens, "yes"])
        was, segment = segment, retext(segment, text, revision)
        assert segment.text == text
        assert len(set(ids(segment))) == len(segment.words)
        times = [time for word in segment.words for time in (word.start_ms, word.end_ms)]
        assert times == sorted(times)
        assert was.start_ms <= segment.start_ms
        assert segment.end_ms <= was.end_ms
        order = [word.id for word in was.words if word.id in set(ids(segment))]
        assert [word.id for word in segment.words if word.id in set(order)] == order
        fresh = set(ids(segment)) - set(ids(was))
        assert not fresh & seen
        seen |= fresh
        assert retext(segment, text, revision + 100) == segment
