"""`stories themes`: the codebook is shown, checked, changed whole, and what it said before is kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from db import models, store
from pipeline import codebook
from pipeline.cli import stories
from pipeline.collection import Collection
from pipeline.errors import ConfigError, NotFound, StoriesError
from transcripts.errors import CodebookError, TranscriptsError

THEMES = """\
# Ours
themes:
  - name: Kindness   # at home and at work
    description: Small things
    examples: [One, Two]
    notes: Ask Ruth

  - name: At work
    parent: kindness
"""


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    root = tmp_path / "collection"
    root.mkdir()
    (root / "stories.toml").write_text("")
    (root / "themes.yaml").write_text(THEMES)
    return Collection.open(root)


def run(collection: Collection, *arguments: str | Path) -> Result:
    return CliRunner().invoke(stories, ["-C", str(collection.root), "themes", *map(str, arguments)])


def said(collection: Collection, *arguments: str | Path) -> str:
    done = run(collection, *arguments)
    assert done.exit_code == 0, done.output + repr(done.exception)
    return done.output


def refused(collection: Collection, *arguments: str | Path) -> str:
    done = run(collection, *arguments)
    assert isinstance(done.exception, StoriesError | TranscriptsError), repr(done.exception)
    assert text(collection) == THEMES
    return str(done.exception)


def text(collection: Collection) -> str:
    return (collection.root / "themes.yaml").read_text()


def test_themes_are_listed_under_their_parents(collection: Collection) -> None:
    assert [line.split()[:2] for line in said(collection, "list").splitlines()[1:]] == [
        ["Kindness", "kindness"],
        ["At", "work"],
    ]
    listed = json.loads(said(collection, "list", "--json"))
    assert [(one["key"], one["parent"], one["notes"], one["passages"]) for one in listed] == [
        ("kindness", None, "Ask Ruth", 0),
        ("at-work", "kindness", "", 0),
    ]


def test_a_codebook_is_checked_with_the_line_of_its_mistake(collection: Collection) -> None:
    assert "2 themes, no mistakes" in said(collection, "check")
    advice = json.loads(said(collection, "check", "--json"))["advice"]
    assert {one["theme"] for one in advice} == {"at-work"}
    path = collection.root / "themes.yaml"
    path.write_text(THEMES.replace("parent: kindness", "parent: kindnes"))
    found = str(run(collection, "check").exception)
    assert "themes.yaml, line 9:" in found
    assert 'did you mean "kindness"' in found
    path.unlink()
    assert "is not there" in str(run(collection, "check").exception)


def test_a_rename_keeps_links_and_what_was_before(collection: Collection) -> None:
    with collection.sessions.begin() as session:
        theme = models.Theme(key="kindness", name="Kindness")
        recording = models.Recording(sha256="a" * 64, kind="audio", container="wav", bytes=1, duration_ms=1)
        recording.clips = [models.Clip(slug="kindness-1", theme=theme, start_ms=0, end_ms=1)]
        session.add(recording)
    assert (
        said(collection, "rename", "Kindness", " Good  deeds ")
        == 'kindness: "Kindness" is now "Good deeds"\n'
    )
    assert text(collection) == THEMES.replace(
        "  - name: Kindness   # at home", "  - key: kindness\n    name: Good deeds # at home"
    )
    with collection.sessions() as session:
        assert [(row.key, row.name) for row in store.themes(session)] == [
            ("kindness", "Good deeds"),
            ("at-work", "At work"),
        ]
        clip = store.clip(session, "kindness-1")
        assert clip is not None
        assert clip.theme is not None
        assert clip.theme.name == "Good deeds"
    (version,) = codebook.versions(collection)
    assert version.path.read_text() == THEMES
    assert version.name in said(collection, "versions")
    assert json.loads(said(collection, "versions", "--json"))[0]["themes"] == 2
    said(collection, "restore", version.name[:-2])
    assert text(collection) == THEMES
    assert len(codebook.versions(collection)) == 2


def test_what_cannot_be_done_is_told_and_nothing_changes(collection: Collection, tmp_path: Path) -> None:
    assert 'did you mean "kindness"' in refused(collection, "rename", "kindnes", "X")
    assert "two themes called" in refused(collection, "rename", "kindness", "at WORK")
    assert "needs a name" in refused(collection, "rename", "kindness", "  ")
    assert "no version" in refused(collection, "restore", "2020")
    assert "must end in" in refused(collection, "export", tmp_path / "a.txt")
    assert "stories export --qdpx" in refused(collection, "export", tmp_path / "a.qdpx")
    (tmp_path / "a.md").write_text("# a")
    assert "Markdown is for reading" in refused(collection, "import", tmp_path / "a.md")
    assert "cannot be read" in refused(collection, "import", tmp_path / "none.csv")
    (tmp_path / "bad.csv").write_text("name\nA\na\n")
    assert "bad.csv, line 3: there are two themes" in refused(
        collection, "import", tmp_path / "bad.csv", "--yes"
    )
    (tmp_path / "bad.qdc").write_text(
        '<CodeBook xmlns="urn:QDA-XML:codebook:1.0"><Codes>\n<Code guid="1"/></Codes></CodeBook>'
    )
    assert "bad.qdc, line 2:" in refused(collection, "import", tmp_path / "bad.qdc", "--yes")
    assert codebook.versions(collection) == []


@pytest.mark.parametrize("suffix", [".qdc", ".csv"])
def test_a_codebook_goes_out_and_comes_back(collection: Collection, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"codes{suffix}"
    assert said(collection, "export", file) == f"{file}  2 themes\n"
    assert json.loads(said(collection, "import", file, "--json", "--yes")) == {
        "changes": [], "left_out": [], "codings": [], "written": False, "codings_written": 0
    }  # fmt: skip
    data = file.read_text()
    file.write_text(data.replace("At work", "Elsewhere").replace("Small things", "Big things"))
    shown = said(collection, "import", file)
    assert " changed  Kindness (kindness): description" in shown
    assert " renamed  Elsewhere (at-work)" in shown
    assert shown.endswith("Nothing was written; say --yes to write it.\n")
    assert text(collection) == THEMES
    assert "Nothing was written" not in said(collection, "import", file, "--yes")
    book = codebook.standing(collection).book
    assert [(theme.key, theme.name, theme.description, theme.notes) for theme in book.themes] == [
        ("kindness", "Kindness", "Big things", "Ask Ruth"),
        ("at-work", "Elsewhere", "", ""),
    ]
    assert "# at home and at work" in text(collection)
    file.write_text(data)
    said(collection, "import", file, "--yes")
    assert len(codebook.versions(collection)) == 2


def test_prose_is_written(collection: Collection, tmp_path: Path) -> None:
    said(collection, "export", tmp_path / "codes.md")
    assert (tmp_path / "codes.md").read_text().startswith("# Our stories: codebook\n\n## Kindness\n")


def test_a_first_codebook_can_be_imported(collection: Collection, tmp_path: Path) -> None:
    (collection.root / "themes.yaml").unlink()
    (tmp_path / "a.csv").write_text("name,notes\nTröst,a\nRo,b\n")
    assert "   added  Tröst (trost)" in said(collection, "import", tmp_path / "a.csv", "--yes")
    assert text(collection) == "themes:\n  - name: Tröst\n    notes: a\n  - name: Ro\n    notes: b\n"
    assert codebook.versions(collection) == []


def test_a_file_that_somebody_else_changed_is_not_overwritten(collection: Collection) -> None:
    before = codebook.standing(collection)
    later = THEMES + "  - name: Mine\n"
    (collection.root / "themes.yaml").write_text(later)
    with pytest.raises(ConfigError, match="changed in the meantime"):
        codebook.change(collection, before, before.book)
    assert text(collection) == later


def test_a_broken_codebook_can_be_taken_back(collection: Collection) -> None:
    said(collection, "rename", "kindness", "Good")
    (collection.root / "themes.yaml").write_text("themes: [")
    with pytest.raises(CodebookError):
        codebook.standing(collection)
    (version,) = codebook.versions(collection)
    said(collection, "restore", version.name)
    assert text(collection) == THEMES
    assert [one.themes for one in codebook.versions(collection)] == [None, 2]
    with pytest.raises(NotFound, match="several versions"):
        codebook.restore(collection, "2")
