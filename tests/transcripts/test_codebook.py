"""The codebook: what is read, and what is said about every mistake and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcripts.errors import CodebookError
from transcripts.themes.codebook import Codebook, Theme, load, slug

FULL = """\
# Our themes
themes:
  - name: Kindness
    description: Small things that people did for each other
    examples:
      - A neighbour brought soup
      - "A friendly face: it helped"
    colour: "#2F6F8F"
  - name: Kindness at work
    key: kindness-work
    parent: kindness
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "themes.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_full_codebook_is_read(tmp_path: Path) -> None:
    assert load(written(tmp_path, FULL)).themes == (
        Theme(
            key="kindness",
            name="Kindness",
            description="Small things that people did for each other",
            examples=("A neighbour brought soup", "A friendly face: it helped"),
            colour="#2f6f8f",
        ),
        Theme(key="kindness-work", name="Kindness at work", parent="kindness"),
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("themes: [{name: Cafe\u0301}]", "Café"),
        ("\ufeffthemes: [{name: Tröst}]", "Tröst"),
        ("themes: [{name: 2020}]", "2020"),
        ("themes: [{name: 'No'}]", "No"),
        ("themes: [{name: Grief, description: , examples: }]", "Grief"),
        ("themes:\r\n- name: Grief\r\n", "Grief"),
    ],
)
def test_text_is_taken_as_written(tmp_path: Path, text: str, name: str) -> None:
    assert [theme.name for theme in load(written(tmp_path, text)).themes] == [name]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", None, "is empty"),
        ("# nothing yet\n", None, "is empty"),
        (b"themes:\n- name: caf\xe9\n", None, "UTF-8"),
        ("themes:\n  - name: [a\n", 3, "not YAML"),
        ("themes:\n\t- name: a\n", 2, "not YAML"),
        ("themes: \x07\n", None, "not YAML"),
        ("- name: a\n", 1, "the codebook must be written"),
        ("theme:\n- name: a\n", 1, 'did you mean "themes"'),
        ("themes:\n", 1, "must have a list called `themes`"),
        ("themes: []\n", 1, "has no theme"),
        ("themes: Kindness\n", 1, "must be a list"),
        ("themes:\n- Kindness\n", 2, "a theme must be written"),
        ("themes:\n- name: a\n- description: b\n", 3, "needs a `name`"),
        ("themes:\n- name: a\n  exmples: [b]\n", 3, 'did you mean "examples"'),
        ("themes:\n- name: a\n  name: b\n", 3, "written twice"),
        ("themes:\n- name: a\n  examples: one\n", 3, "must be a list"),
        ("themes:\n- name: a\n  examples:\n  - one\n  - [two]\n", 5, "an example must be text"),
        ("themes:\n- name: a\n  examples:\n  - one\n  -\n", 5, "an example must be text"),
        ("themes:\n- name: a\n  description: {b: c}\n", 3, "description must be text"),
        ("themes:\n- name: a\n  key: A b\n", 3, "small letters"),
        ("themes:\n- name: 親切\n", 2, "add a `key`"),
        ("themes:\n- name: a\n  colour: red\n", 3, "must look like"),
        ("themes:\n- name: a\n  parent: b\n", 2, "is not the key of a theme"),
        ("themes:\n- name: a\n  parent: a\n", 2, "its own ancestor"),
        ("themes:\n- {name: a, parent: b}\n- {name: b, parent: a}\n", 2, "its own ancestor"),
        ("themes:\n- name: a\n- name: A\n", 3, "two themes called"),
        ("themes:\n- name: a b\n- name: a-b\n", 3, "two themes with the key"),
        ("themes: &t [*t]\n", 1, "a theme must be written"),
        ("themes: [!!python/object/apply:os.system [ls]]\n", 1, "a theme must be written"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, text: str | bytes, line: int | None, what: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CodebookError) as caught:
        load(path)
    assert caught.value.line == line
    assert what in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CodebookError, match="cannot be read"):
        load(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Working together", "working-together"),
        ("Café & kindness!", "cafe-kindness"),
        ("—", ""),
        ("親切", ""),
    ],
)
def test_slug(name: str, key: str) -> None:
    assert slug(name) == key


def test_the_fingerprint_follows_the_meaning_only(tmp_path: Path) -> None:
    was = load(written(tmp_path, FULL)).fingerprint
    assert load(written(tmp_path, FULL.replace("# Our themes\n", "\n\n"))).fingerprint == was
    assert load(written(tmp_path, FULL.replace("soup", "stew"))).fingerprint != was


def test_a_theme_is_found_by_its_key() -> None:
    book = Codebook((Theme("grief", "Grief"),))
    assert book["grief"].name == "Grief"
    with pytest.raises(KeyError):
        book["joy"]
