"""The codebook: what is read, and what is said about every mistake and where."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from transcripts.errors import CodebookError
from transcripts.formats.refi import Code
from transcripts.formats.refi.reading import ReadCode, read_codebook
from transcripts.formats.refi.writing import write_codebook
from transcripts.themes.changes import Incoming, compare, merged, renamed
from transcripts.themes.codebook import Codebook, Theme, load, loads, slug
from transcripts.themes.codes import code_guid, from_codes, to_codes
from transcripts.themes.rewriting import rewritten
from transcripts.themes.tables import read_csv, write_csv, write_markdown

FULL = """\
# Our themes
themes:
  - name: Kindness
    description: Small things that people did for each other
    examples:
      - A neighbour brought soup
      - "A friendly face: it helped"
    colour: "#2F6F8F"
    notes: |
      Soup counts.

      Advice does not.
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
            notes="Soup counts.\n\nAdvice does not.",
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
        ("", 1, "is empty"),
        ("# nothing yet\n", 1, "is empty"),
        (b"themes:\n- name: caf\xe9\n", 2, "UTF-8"),
        ("themes:\n  - name: [a\n", 3, "not YAML"),
        ("themes:\n\t- name: a\n", 2, "not YAML"),
        ("themes:\n- name: \x07\n", 2, "not YAML: it holds the character U+0007"),
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
        ("themes:\n- name: a\n  parent: b\n", 3, "is not the key of a theme"),
        ("themes:\n- name: A b\n- name: c\n  parent: A b\n", 4, 'did you mean "a-b"'),
        ("themes:\n- name: a\n  parent: a\n", 3, "its own ancestor"),
        ("themes:\n- {name: a, parent: b}\n- {name: b, parent: a}\n", 2, '"a" under "b" under "a"'),
        ("themes:\n- name: a\n- name: A\n", 3, 'two themes called "A"; the other is on line 2'),
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
    assert load(written(tmp_path, FULL.replace("Soup counts", "Ask Ruth"))).fingerprint == was
    assert load(written(tmp_path, FULL.replace("soup", "stew"))).fingerprint != was


def test_a_theme_is_found_by_its_key() -> None:
    book = Codebook((Theme("grief", "Grief"),))
    assert book["grief"].name == "Grief"
    with pytest.raises(KeyError):
        book["joy"]


# Rewritten

COMMENTED = """\
# Ours
themes:
  # About loneliness
  - name: Isolation   # the first
    description: Being alone
    colour: '#aabbcc'

  # About grief
  - key: grief
    name: "Grief"
    examples:
      - One
      - Two   # really

  # The digital
  - name: Going digital
    examples: [A, B]
    parent: grief

  - {name: Flow, colour: "#112233"}
# the end
"""
FILE = Path("themes.yaml")


def book(text: str = COMMENTED) -> Codebook:
    return loads(text.encode(), FILE)


def after(text: str, change: Codebook) -> str:
    return rewritten(text.encode(), change, FILE).decode()


def test_a_rename_changes_the_name_and_nothing_else() -> None:
    named = renamed(book(), "isolation", "Alone: yes", FILE)
    assert after(COMMENTED, named) == COMMENTED.replace(
        "  - name: Isolation   # the first", "  - key: isolation\n    name: 'Alone: yes' # the first"
    )
    assert after(COMMENTED, renamed(book(), "grief", "Loss", FILE)) == COMMENTED.replace('"Grief"', '"Loss"')
    assert after(COMMENTED, renamed(book(), "flow", "Stream", FILE)) == COMMENTED.replace(
        "{name: Flow", "{key: flow, name: Stream"
    )
    with pytest.raises(CodebookError, match='two themes called "grief"'):
        renamed(book(), "flow", "grief", FILE)


def test_every_other_change_keeps_the_comments() -> None:
    one, two, three, _ = book().themes
    changed = Codebook(
        (
            replace(one, colour=None, description="No", notes="a\n\nb"),
            replace(two, examples=("One",), parent="going-digital"),
            replace(three, examples=("A", "C: x"), parent=None, description="Ett & två"),
            Theme("new", "Ny", parent="grief", examples=("x\ny", "#z")),
        )
    )
    text = after(COMMENTED, changed)
    assert set(book(text).themes) == set(changed.themes)
    for comment in (
        "# Ours",
        "  # About loneliness",
        "# the first",
        "  # About grief",
        "  # The digital",
        "# the end",
    ):
        assert comment in text
    lines = text.splitlines()
    assert lines[lines.index("  # About grief") + 1] == "  - key: grief"
    assert lines[lines.index("  # The digital") + 1] == "  - name: Going digital"


def test_a_theme_that_goes_leaves_the_comments_of_the_next() -> None:
    text = after(COMMENTED, Codebook((book().themes[0], replace(book().themes[2], parent=None))))
    assert text == COMMENTED.replace(
        '  - key: grief\n    name: "Grief"\n    examples:\n      - One\n      - Two   # really\n', ""
    ).replace("    parent: grief\n", "").replace('  - {name: Flow, colour: "#112233"}\n', "")


def test_a_file_with_other_line_ends_keeps_them_and_an_empty_one_is_made() -> None:
    windows = "\ufeff" + COMMENTED.replace("\n", "\r\n")
    text = rewritten(windows.encode(), renamed(book(), "grief", "Loss", FILE), FILE)
    assert text.decode() == COMMENTED.replace('"Grief"', '"Loss"').replace("\n", "\r\n")
    assert book(after("", book())) == book()


# Laid on each other


def test_changes_are_told() -> None:
    one, two, three, _ = book().themes
    later = Codebook(
        (replace(one, name="Alone"), replace(three, colour="#000000", notes="n"), two, Theme("x", "X"))
    )
    assert [(change.kind, change.key, change.what) for change in compare(book(), later)] == [
        ("renamed", "isolation", 'was "Isolation"'),
        ("changed", "going-digital", "colour, notes"),
        ("added", "x", ""),
        ("removed", "flow", ""),
    ]
    assert compare(book(), book()) == ()


def test_incoming_themes_are_known_by_key_then_by_name() -> None:
    incoming = [
        Incoming("Sorrow", key="grief"),
        Incoming("going DIGITAL", examples=(), parent=0),
        Incoming("Grief", parent=0),
        Incoming("親切"),
    ]
    found = merged(book(), incoming, FILE)
    assert [(theme.key, theme.name, theme.parent) for theme in found.themes] == [
        ("grief", "Sorrow", None),
        ("going-digital", "going DIGITAL", "grief"),
        ("grief-2", "Grief", "grief"),
        ("theme", "親切", None),
    ]
    assert found["grief"].examples == ("One", "Two")
    assert found["going-digital"].examples == ()
    kept = merged(book(), incoming, FILE, keep=True)
    assert [theme.key for theme in kept.themes] == [
        "isolation", "grief", "going-digital", "flow", "grief-2", "theme"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("incoming", "line", "what"),
    [
        ([], None, "holds no theme"),
        ([Incoming("A", 2), Incoming("a", 3)], 3, "two themes"),
        ([Incoming("A", 2, key="x"), Incoming("B", 5, key="x")], 5, 'two themes with the key "x"'),
        ([Incoming("A", 2, key="X y")], 2, "small letters"),
        ([Incoming("A", 2, parent=1), Incoming("B", 3, parent=0)], 2, '"a" under "b" under "a"'),
    ],
)
def test_incoming_themes_must_be_a_codebook(incoming: list[Incoming], line: int | None, what: str) -> None:
    with pytest.raises(CodebookError, match=what) as caught:
        merged(Codebook(()), incoming, FILE)
    assert caught.value.line == line


# As codes, tables and prose

RICH = Codebook(
    (
        Theme(
            "grief",
            "Sorrow",
            "Saying goodbye\n\nand after",
            ("One", "Two\nlines"),
            "#aabbcc",
            None,
            "Ask\n\nRuth",
        ),
        Theme("loss", "Loss", parent="grief", notes="only notes"),
        Theme("theme-x", "親切", "", ("Examples:", "- dash")),
        Theme("bare", "Bare", "=1+1; \"quoted\", 'single'"),
    )
)


def read_codes(found: Codebook, into: Codebook) -> tuple[list[Incoming], list[str]]:
    return from_codes(read_codebook(write_codebook(to_codes(found), "x")).codes, into)


def test_a_codebook_comes_back_from_its_codes() -> None:
    incoming, problems = read_codes(RICH, RICH)
    assert problems == []
    assert merged(RICH, incoming, FILE) == RICH
    without_keys = [replace(theme, key=key, parent=parent) for theme, key, parent in zip(
        RICH.themes, ("sorrow", "loss", "theme", "bare"), (None, "sorrow", None, None), strict=True
    )]  # fmt: skip
    elsewhere, _ = read_codes(RICH, Codebook(()))
    assert merged(Codebook(()), elsewhere, FILE).themes == tuple(without_keys)


def test_what_a_code_cannot_say_stays() -> None:
    bare = tuple(replace(theme, examples=(), notes="", colour=None) for theme in RICH.themes)
    incoming, _ = read_codes(Codebook(bare), RICH)
    assert merged(RICH, incoming, FILE) == RICH


def test_codes_of_one_name_are_told_apart() -> None:
    codes = [
        ReadCode(Code(code_guid("a"), "Work"), 1, None),
        ReadCode(Code(code_guid("b"), "Good"), 2, 0),
        ReadCode(Code(code_guid("c"), "Home", codable=False), 3, None),
        ReadCode(Code(code_guid("d"), "good"), 4, 2),
    ]
    incoming, problems = from_codes(codes, Codebook(()))
    assert [one.name for one in incoming] == ["Work", "Good (Work)", "Home", "good (Home)"]
    assert [problem.partition(":")[0] for problem in problems] == ["line 2", "line 3", "line 4"]


def test_a_codebook_comes_back_from_its_table() -> None:
    data = write_csv(RICH).encode()
    incoming, problems = read_csv(data, FILE)
    assert problems == []
    assert merged(Codebook(()), incoming, FILE) == RICH
    assert merged(RICH, read_csv(b"\xef\xbb\xbf" + data.replace(b"\r\n", b"\n"), FILE)[0], FILE) == RICH


@pytest.mark.parametrize(
    ("table", "themes", "problems"),
    [
        (b"Name;Color\nGrief;#AABBCC\n\n", [Theme("grief", "Grief", colour="#aabbcc")], []),
        (
            b"tag,description,number of highlights\nGrief,Loss,7\n",
            [Theme("grief", "Grief", "Loss")],
            ['line 1: the column "number of highlights" is not known; left out'],
        ),
        (
            "name\tparent\nTröst\t\nNära\ttröst\n".encode(),
            [Theme("trost", "Tröst"), Theme("nara", "Nära", parent="trost")],
            [],
        ),
        ("name\nTröst\n".encode("cp1252"), [Theme("trost", "Tröst")], ["is not UTF-8; it was read as Windows-1252"]),
    ],
)  # fmt: skip
def test_other_tables_are_understood(table: bytes, themes: list[Theme], problems: list[str]) -> None:
    incoming, found = read_csv(table, FILE)
    assert list(merged(Codebook(()), incoming, FILE).themes) == themes
    assert found == problems


@pytest.mark.parametrize(
    ("table", "line", "what"),
    [
        (b"", 1, "is empty"),
        (b"key,description\na,b\n", 1, "no column is called name"),
        (b"name,tag\na,b\n", 1, "two columns hold the name"),
        (b'name,notes\n"a\nb",c\n,d\n', 4, "needs a name"),
        (b"name\na\nb,c\n", 3, "has 2 cells"),
        (b"name,colour\na,red\n", 2, "must look like #2f6f8f"),
        (b"name,parent\nGrief,\nb,Greif\n", 3, 'did you mean "Grief"'),
        (b'name\n"a\n', 2, "is not CSV"),
        (b'name\n"a"b\n', 2, "is not CSV"),
    ],
)
def test_a_mistake_in_a_table_is_named_with_its_line(table: bytes, line: int, what: str) -> None:
    with pytest.raises(CodebookError, match=re.escape(what)) as caught:
        read_csv(table, FILE)
    assert caught.value.line == line


def test_prose_says_everything() -> None:
    text = write_markdown(RICH, "Our *codes*")
    assert text.startswith(
        "# Our \\*codes\\*\n\n## Sorrow\n\n`grief`\n\nSaying goodbye\n\nand after\n\nExamples:\n\n- One\n"
    )
    assert "\n### Loss\n\n`loss`\n\nNotes:\n\nonly notes\n" in text
    assert "\n- Examples:\n- - dash\n" in text
