"""Which passages are alike: by what their sentences mean, by their words, and by what the words mean."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import pytest

from tests.transcripts.test_embed import needs_model
from transcripts.themes import embed
from transcripts.themes.likeness import likeness, senses


class Axes:
    """A lexicon of four words: "a" and "b" mean almost the same, "c" something else, "the" the same as "c"."""

    rows = np.array([[1, 0], [0.98, 0.2], [0, 1], [0, 1]], dtype=np.float16)

    def words(self, texts: Sequence[str]) -> list[list[int]]:
        return [[["a", "b", "c", "the"].index(word) for word in text.split()] for text in texts]


def between(texts: Sequence[Sequence[str]], lexicon: embed.Lexicon | None) -> np.ndarray:
    """How alike passages are whose sentences all mean the same."""
    rows = senses(texts, lexicon)[0] if lexicon else None
    return likeness(np.zeros((len(texts), 3), dtype=np.float32), texts, rows).between(range(len(texts)))


def test_words_that_mean_the_like_make_passages_alike() -> None:
    alike = between([["a"], ["b"], ["c"], ["c"]], Axes())
    assert alike[0, 1] > 0.3
    assert alike[0, 2] < 0


def test_a_frequent_word_counts_less() -> None:
    rare = between([["a"], ["b c"], ["c"]], Axes())
    many = between([["a"], ["b the"], *[["the the the"]] * 50, ["c"]], Axes())
    assert many[0, 1] > rare[0, 1]


def test_all_sentences_of_a_passage_count() -> None:
    parted = between([["a", "b", "c"], ["c"], ["a"]], Axes())
    assert parted == pytest.approx(between([["a b c"], ["c"], ["a"]], Axes()))


@needs_model
def test_accents_typed_as_marks_of_their_own_change_nothing() -> None:
    lexicon = embed.minilm().lexicon
    assert lexicon
    for typed in ("The café closed early.", "Björn fell ill."):
        others = ["The bus was late."], ["A doctor came."]
        composed, apart = (
            senses([[unicodedata.normalize(form, typed)], *others], lexicon)[0] for form in ("NFC", "NFD")
        )
        assert np.array_equal(composed, apart)


@pytest.mark.parametrize("texts", [[["a"]], [[""]], [[""], ["a"], ["c"]], [["a"], ["a"]]])
def test_few_or_empty_passages_have_a_likeness(texts: Sequence[Sequence[str]]) -> None:
    assert np.isfinite(between(texts, Axes())).all()


def test_without_a_lexicon_only_the_words_themselves_count() -> None:
    assert between([["tablets"], ["computers"], ["gardens"]], None) == pytest.approx(np.zeros((3, 3)))


@needs_model
def test_the_models_own_words_tell_what_is_alike() -> None:
    texts = [
        ["The nurse gave her tablets."],
        ["A doctor prescribed medicine."],
        ["We planted potatoes and beans."],
    ]
    alike = between(texts, embed.minilm().lexicon)
    assert alike[0, 1] > max(alike[0, 2], alike[1, 2])


@needs_model
def test_the_model_reads_every_word_of_a_sentence() -> None:
    lexicon = embed.minilm().lexicon
    assert lexicon is not None
    (one, other) = lexicon.words(["nurses", "Nurses need a break."])
    assert one == other[:1]
    assert len(other) == 5
    assert np.linalg.norm(lexicon.rows[other].astype(float), axis=1) == pytest.approx(np.ones(5), abs=1e-3)
