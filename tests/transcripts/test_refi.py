"""REFI-QDA: what is written follows the standard and comes back equal; what strangers send is held to it."""

from __future__ import annotations

import io
import re
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from transcripts.errors import ProjectUnreadable
from transcripts.formats.refi import (
    Case,
    Code,
    Coding,
    Note,
    Project,
    Selection,
    Source,
    SyncPoint,
    Transcript,
    TranscriptSelection,
    User,
    Variable,
    VariableValue,
    archive,
    guid,
    walk,
)
from transcripts.formats.refi.archive import copy_media, pack, unpack
from transcripts.formats.refi.markup import Malformed
from transcripts.formats.refi.reading import ReadCode, ReadProject, read_codebook, read_project
from transcripts.formats.refi.writing import write_codebook, write_project

THEN = datetime(2020, 5, 31, 10, 20, 30, tzinfo=UTC)
RUTH = User(guid("ruth"), 'Ruth "R" & <co>')
NOTE = Note(guid("note"), "Två rader\nmed \U0001f600\n", "Ett & två", "a memo", RUTH.guid, THEN)
LOSS = Code(guid("loss"), "Loss\nof somebody", codable=False)
GRIEF = Code(guid("grief"), "Grief <'\">", "\n text\n\nmore ", "#aabbcc", notes=(NOTE.guid,), codes=(LOSS,))
KIND = Code(guid("kind"), "Kindness")


def coding(name: str, code: Code = GRIEF) -> Coding:
    return Coding(guid("coding", name), code.guid, RUTH.guid, THEN, (NOTE.guid,))


TEXT = "Ruth: Hej \U0001f600 där!\n"
POINTS = tuple(
    SyncPoint(guid("point", place), position, time_ms)
    for place, (position, time_ms) in enumerate(
        [(6, 0), (9, 431), (10, 431), (11, None), (None, 7), (17, 90_061)]
    )
)
TRANSCRIPT = Transcript(
    guid("transcript"),
    TEXT,
    "told.txt",
    POINTS,
    (
        TranscriptSelection(
            guid("s0"), POINTS[0].guid, POINTS[1].guid, "Hej", "d", (coding("a"),), user=RUTH.guid
        ),
        TranscriptSelection(guid("s1"), POINTS[2].guid, None, created=THEN),
    ),
    "heard",
    (NOTE.guid,),
    RUTH.guid,
    THEN,
)
SOUND = Source(
    guid("sound"),
    "audio",
    "told.m4a",
    "internal://told.m4a",
    transcripts=(TRANSCRIPT,),
    selections=(
        Selection(guid("s2"), 0, 86_399_999, "all", "d", (coding("b"), coding("c", KIND)), (NOTE.guid,)),
    ),
    codings=(coding("d", LOSS),),
    values=(VariableValue(guid("sector"), "Third & more"), VariableValue(guid("age"), "7")),
    description="a sound",
    notes=(NOTE.guid,),
    user=RUTH.guid,
    created=THEN,
)
FILM = Source(
    guid("film"), "video", "a.mp4", "relative:///a/a.mp4", selections=(Selection(guid("s3"), 5, 5),)
)
PAPER = Source(
    guid("paper"),
    "text",
    "paper",
    text="\U0001f600bc",
    selections=(Selection(guid("s4"), 0, 3),),
    created=THEN,
)
CASE = Case(
    guid("case"),
    "A story",
    "told",
    (GRIEF.guid,),
    (VariableValue(guid("told on"), "2020-05-31"), VariableValue(guid("sector"), "")),
    (SOUND.guid, PAPER.guid),
    (guid("s2"), guid("s0")),
)
PROJECT = Project(
    name="Ours & yours",
    origin="stories 1",
    users=(RUTH, User(guid("nobody"))),
    codes=(GRIEF, KIND),
    variables=(
        Variable(guid("sector"), "Sector", description="of work"),
        Variable(guid("age"), "Age", "Integer"),
        Variable(guid("told on"), "Told on", "Date"),
    ),
    cases=(CASE,),
    sources=(SOUND, FILM, PAPER),
    notes=(NOTE,),
    description="all",
    user=RUTH.guid,
    created=THEN,
    base_path="/a b/ä",
)


def written(project: Project, folder: Path) -> Path:
    path, sound = folder / "p.qdpx", folder / "sound"
    sound.write_bytes(b"\0\1sound")
    with path.open("wb") as out:
        pack(project, {"internal://told.m4a": sound}, out)
    return path


@pytest.mark.parametrize("project", [PROJECT, Project("nothing")], ids=["everything", "nothing"])
def test_a_project_comes_back_as_it_was(tmp_path: Path, project: Project) -> None:
    read = unpack(written(project, tmp_path))
    assert read.project == project
    assert read.problems == ()


def test_media_are_held_as_they_are_and_the_same_project_gives_the_same_bytes(tmp_path: Path) -> None:
    first = written(PROJECT, tmp_path)
    out = io.BytesIO()
    copy_media(first, "internal://told.m4a", out)
    assert out.getvalue() == b"\0\1sound"
    before = first.read_bytes()
    assert written(PROJECT, tmp_path).read_bytes() == before
    with pytest.raises(ProjectUnreadable, match="is not in the archive"):
        copy_media(first, "internal://other.m4a", out)


def test_a_codebook_comes_back_as_it_was() -> None:
    read = read_codebook(write_codebook(PROJECT.codes, "stories 1"))
    assert read.problems == ()
    assert [(one.code.name, one.line, one.parent) for one in read.codes] == [
        ("Grief <'\">", 4, None),
        ("Loss\nof somebody", 9, 0),
        ("Kindness", 11, None),
    ]
    flat = [replace(code, codes=(), notes=()) for code in walk(PROJECT.codes)]
    assert [one.code for one in read.codes] == flat


def test_characters_that_xml_cannot_hold_are_left_out() -> None:
    code = Code(guid("x"), "a\0b\x1bc", "one\r\ntwo\rthree\ufffe\x0b")
    (read,) = read_codebook(write_codebook([code], "o")).codes
    assert (read.code.name, read.code.description) == ("abc", "one\ntwo\nthree")


# The rules of the published schemas (Codebook.xsd and Project.xsd 1.0), as far as this project writes them: the
# elements within an element in their order (? none or one, * any number, + one or more), and the attributes.
NAMED = {"guid": True, "name": False}
MADE = {"creatingUser": False, "creationDateTime": False}
REF: tuple[str, dict[str, bool]] = ("", {"targetGUID": True})
CODED = "Description? Coding* NoteRef*"
RULES: dict[str, tuple[str, dict[str, bool]]] = {
    "CodeBook": ("Codes", {"origin": False}),
    "Codes": ("Code+", {}),
    "Code": ("Description? NoteRef* Code*", {"guid": True, "name": True, "isCodable": True, "color": False}),
    "Project": (
        "Users? CodeBook? Variables? Cases? Sources? Notes? Description?",
        {
            **{"name": True, "origin": False, "creatingUserGUID": False, "creationDateTime": False},
            "basePath": False,
        },
    ),
    "Users": ("User+", {}),
    "User": ("", NAMED),
    "Variables": ("Variable+", {}),
    "Variable": ("Description?", {"guid": True, "name": True, "typeOfVariable": True}),
    "Cases": ("Case+", {}),
    "Case": ("Description? CodeRef* VariableValue* SourceRef* SelectionRef*", NAMED),
    "VariableValue": ("VariableRef (TextValue|IntegerValue|DateValue)?", {}),
    **dict.fromkeys(("TextValue", "IntegerValue", "DateValue", "Description"), ("", {})),
    "Sources": ("(TextSource|AudioSource|VideoSource)+", {}),
    "TextSource": (
        "Description? PlainTextSelection* Coding* NoteRef* VariableValue*",
        {**NAMED, **MADE, "plainTextPath": True},
    ),
    "AudioSource": (
        "Description? Transcript* AudioSelection* Coding* NoteRef* VariableValue*",
        {**NAMED, **MADE, "path": False},
    ),
    "VideoSource": (
        "Description? Transcript* VideoSelection* Coding* NoteRef* VariableValue*",
        {**NAMED, **MADE, "path": False},
    ),
    "PlainTextSelection": (CODED, {**NAMED, **MADE, "startPosition": True, "endPosition": True}),
    **dict.fromkeys(
        ("AudioSelection", "VideoSelection"), (CODED, {**NAMED, **MADE, "begin": True, "end": True})
    ),
    "Transcript": (
        "Description? SyncPoint* TranscriptSelection* NoteRef*",
        {**NAMED, **MADE, "plainTextPath": True},
    ),
    "SyncPoint": ("", {"guid": True, "timeStamp": False, "position": False}),
    "TranscriptSelection": (CODED, {**NAMED, **MADE, "fromSyncPoint": False, "toSyncPoint": False}),
    "Coding": ("CodeRef NoteRef*", {"guid": True, **MADE}),
    "Notes": ("Note+", {}),
    "Note": ("Description?", {**NAMED, **MADE, "plainTextPath": True}),
    **dict.fromkeys(("CodeRef", "NoteRef", "SourceRef", "SelectionRef", "VariableRef"), REF),
}
GUID = r"([0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})"
VALUES = {
    **dict.fromkeys(("guid", "targetGUID", "creatingUser", "creatingUserGUID"), GUID),
    **dict.fromkeys(("fromSyncPoint", "toSyncPoint"), GUID),
    **dict.fromkeys(("begin", "end", "startPosition", "endPosition", "timeStamp", "position"), r"-?\d+"),
    "creationDateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "color": r"#[0-9a-fA-F]{6}",
    "isCodable": "true|false",
    "typeOfVariable": "Text|Boolean|Integer|Float|Date|DateTime",
    "plainTextPath": rf"internal://{GUID}\.txt",
    "path": "(internal://[^/]+|relative:///.+)",
}


def broken_rules(element: ElementTree.Element, namespace: str) -> Iterator[str]:
    name = element.tag.removeprefix(f"{{{namespace}}}")
    content, attributes = RULES[name]
    children = "".join(f"{child.tag.removeprefix(f'{{{namespace}}}')} " for child in element)
    pattern = "".join(
        f"(?:{part.rstrip('?*+')} )".replace("|", " |").replace(") )", " ))")
        + part[len(part.rstrip("?*+")) :]
        for part in content.split()
        if part
    )
    if not re.fullmatch(pattern, children):
        yield f"{name} holds {children}"
    yield from (
        f"{name} has no {one}" for one, needed in attributes.items() if needed and one not in element.attrib
    )
    for one, value in element.attrib.items():
        if one not in attributes or not re.fullmatch(VALUES.get(one, "(?s:.*)"), value):
            yield f'{name} has {one}="{value}"'
    for child in element:
        yield from broken_rules(child, namespace)


def test_what_is_written_follows_the_schemas_rules() -> None:
    out = io.BytesIO()
    write_project(PROJECT, out)
    assert list(broken_rules(ElementTree.fromstring(out.getvalue()), "urn:QDA-XML:project:1.0")) == []
    book = write_codebook(PROJECT.codes, "stories 1")
    assert b"NoteRef" not in book  # a codebook has no notes to refer to
    assert list(broken_rules(ElementTree.fromstring(book), "urn:QDA-XML:codebook:1.0")) == []


def test_the_rules_find_what_breaks_them() -> None:
    wrong = ElementTree.fromstring(
        '<Codes xmlns="n"><Code guid="1" name="a"><Code/><Description/></Code></Codes>'
    )
    assert sorted(broken_rules(wrong, "n")) == [
        'Code has guid="1"',
        "Code has no guid",
        "Code has no isCodable",
        "Code has no isCodable",
        "Code has no name",
        "Code holds Code Description ",
    ]


# From strangers

A, B, C = (f"{letter * 8}-0000-4000-8000-000000000000" for letter in "abc")


def project(inside: str, texts: dict[str, str] | None = None, attributes: str = "") -> ReadProject:
    """A project with a line feed after its first tag, so that what is inside begins on line 2."""
    document = f'<Project xmlns="urn:QDA-XML:project:1.0" name="p" {attributes}>\n{inside}</Project>'
    return read_project(document.encode(), (texts or {}).get)


CODES = f'<CodeBook><Codes><Code guid="{A}" name="a" isCodable="true"/></Codes></CodeBook>\n'


@pytest.mark.parametrize(
    ("document", "line", "what"),
    [
        ("", None, "is not XML"),
        ("<Project", 1, "is not XML"),
        ('<Project xmlns="urn:QDA-XML:project:1.0">\n<Users>\n</Project>', 3, "is not XML"),
        ('<CodeBook xmlns="urn:QDA-XML:codebook:1.0"/>', 1, "begins with"),
        ("<Project/>", 1, "begins with"),
        ('<Project xmlns="urn:QDA-XML:project:1.0"/>', 1, "has no name"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', None, "document type or entities"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', None, "document type or entities"),
        ('<?xml version="1.0" encoding="utf-7"?><a/>', None, "is not XML"),
        ('<?xml version="1.0" encoding="none"?>\n<a/>', 1, "is not XML"),
    ],
)
def test_what_is_no_project_is_named_with_its_line(document: str, line: int | None, what: str) -> None:
    with pytest.raises(Malformed, match=what) as caught:
        read_project(document.encode(), lambda _path: None)
    if what != "is not XML":
        assert caught.value.line == line


@pytest.mark.parametrize(
    ("inside", "line", "what"),
    [
        ('<CodeBook>\n<Codes>\n<Code name="a"/></Codes></CodeBook>', 4, "<Code> has no guid"),
        ('<CodeBook><Codes>\n<Code guid="12" name="a"/></Codes></CodeBook>', 3, '"12" of <Code> is no GUID'),
        (f'<CodeBook><Codes>\n<Code guid="{A}"/></Codes></CodeBook>', 3, "<Code> has no name"),
        (f"{CODES}{CODES}", 3, "was given to another code before"),
        (
            f'<Variables>\n<Variable guid="{A}" name="v" typeOfVariable="Colour"/></Variables>',
            3,
            "no type of variable",
        ),
        (f'<Cases><Case guid="{A}">\n<VariableValue/></Case></Cases>', 3, "must name one variable"),
        (f'<Sources>\n<TextSource guid="{A}"/></Sources>', 3, "neither a text nor a plainTextPath"),
        (
            f'<Sources><AudioSource guid="{A}">\n<AudioSelection guid="{B}" begin="1"/></AudioSource></Sources>',
            3,
            "no begin or no end",
        ),
        (
            f'<Sources><VideoSource guid="{A}">\n<VideoSelection guid="{B}" begin="1" end="1.5"/></VideoSource>'
            "</Sources>",
            3,
            '"1.5" of <VideoSelection> is no whole number',
        ),
        (
            f'<Sources><AudioSource guid="{A}">\n<Coding guid="{B}"/></AudioSource></Sources>',
            3,
            "must name one code",
        ),
        ("<a>" * 120 + "</a>" * 120, 2, "more than 100 deep"),
    ],
)
def test_what_the_standard_requires_is_asked_for(inside: str, line: int, what: str) -> None:
    with pytest.raises(Malformed, match=re.escape(what)) as caught:
        project(inside)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("inside", "problem"),
    [
        ("<Sets/>", "line 2: sets are not supported; left out"),
        ("<Links>\n</Links>", "line 2: links are not supported; left out"),
        ("<Weather/>", "line 2: <Weather> in <Project> is not known; left out"),
        ('<x:Users xmlns:x="elsewhere"/>', "line 2: <{elsewhere}Users> in <Project> is not known; left out"),
        (
            f'<Sources><PDFSource guid="{A}" name="p.pdf"/></Sources>',
            'line 2: <PDFSource> "p.pdf" is no text, sound or film; left out',
        ),
        (
            f'<Cases><Case guid="{A}"><SourceRef targetGUID="{B}"/></Case></Cases>',
            f"line 2: there is no source {B}; left out",
        ),
        (
            f'<Sources><AudioSource guid="{A}"><Coding guid="{B}"><CodeRef targetGUID="{C}"/></Coding></AudioSource>'
            "</Sources>",
            f"line 2: there is no code {C}; left out",
        ),
        (
            f'<Sources><TextSource guid="{A}"><PlainTextContent>abc</PlainTextContent>'
            f'<PlainTextSelection guid="{B}" startPosition="2" endPosition="4"/></TextSource></Sources>',
            "line 2: <PlainTextSelection> from 2 to 4 lies outside of its source; left out",
        ),
        (
            f'<Sources><VideoSource guid="{A}"><VideoSelection guid="{B}" begin="9" end="4"/></VideoSource></Sources>',
            "line 2: <VideoSelection> from 9 to 4 lies outside of its source; left out",
        ),
        (
            f'<Sources><AudioSource guid="{A}"><Transcript guid="{B}" plainTextPath="internal://b.txt">'
            f'<TranscriptSelection guid="{C}" fromSyncPoint="{A}"/></Transcript></AudioSource></Sources>',
            "line 2: it names a sync point that the transcript does not have; left out",
        ),
        (
            f'<Sources><TextSource guid="{A}" plainTextPath="absolute:///etc/passwd"/></Sources>',
            'line 2: its text "absolute:///etc/passwd" is not in the archive; left out',
        ),
        (
            f'<CodeBook><Codes><Code guid="{A}" name="a" color="red"/></Codes></CodeBook>',
            'line 2: the colour "red" is not written as #rrggbb; left out',
        ),
        (
            f'<Notes><Note guid="{A}" plainTextPath="internal://b.txt" creationDateTime="today"/></Notes>',
            'line 2: the creationDateTime "today" is no date and time; left out',
        ),
    ],
)
def test_what_is_not_supported_is_named_and_left_out(inside: str, problem: str) -> None:
    read = project(inside, {"internal://b.txt": "text"})
    assert read.problems == (problem,)


def test_other_programs_ways_are_understood() -> None:
    codes = f'<CodeBook><Codes><Code guid="{{{A.upper()}}}" name="a" color="#AbC" isCodable="0"/></Codes></CodeBook>'
    text = f'<Sources><TextSource guid="{B}" plainTextPath="internal://b.txt"/></Sources>'
    for origin, expected in (("ATLAS.ti 24", "a\nb\n"), ("NVivo", "a\r\nb\r\n")):
        read = project(codes + text, {"internal://b.txt": "a\r\nb\r\n"}, f'origin="{origin}"')
        assert read.codes == (ReadCode(Code(A, "a", colour="#aabbcc", codable=False), 2, None),)
        assert read.project.sources[0].text == expected
        assert read.problems == ()


# Archives


def zipped(folder: Path, members: dict[str, bytes], link: str = "") -> Path:
    path = folder / "p.qdpx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            if name == link:
                info.external_attr = (stat.S_IFLNK | 0o777) << 16
            out.writestr(info, data)
    return path


EMPTY = b'<Project xmlns="urn:QDA-XML:project:1.0" name="p"/>'


@pytest.mark.parametrize(
    "name",
    ["../evil.txt", "/etc/evil.txt", "sources/../../evil.txt", "C:/evil.txt", "sources\\..\\..\\evil.txt"],
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = zipped(tmp_path, {"project.qde": EMPTY, name: b"x"})
    with pytest.raises(ProjectUnreadable, match="leads out of the archive"):
        unpack(path)


def test_an_archive_with_a_link_or_the_same_file_twice_is_refused(tmp_path: Path) -> None:
    linked = zipped(tmp_path, {"project.qde": EMPTY, "sources/a.txt": b"/etc/passwd"}, link="sources/a.txt")
    with pytest.raises(ProjectUnreadable, match="is a link"):
        unpack(linked)
    twice = zipped(tmp_path, {"project.qde": EMPTY, "sources/a.txt": b"1", "Sources/A.txt": b"2"})
    with pytest.raises(ProjectUnreadable, match="twice"):
        unpack(twice)


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({}, "holds no project.qde"),
        ({"sources/project.qde": EMPTY}, "holds no project.qde"),
        ({"a.qde": EMPTY, "b.qde": EMPTY}, "holds no project.qde"),
        ({"project.qde": b"<"}, "project.qde line 1: is not XML"),
        (
            {
                "project.qde": EMPTY.replace(
                    b"/>",
                    f'><Notes><Note guid="{A}" plainTextPath="internal://a.txt"/></Notes></Project>'.encode(),
                ),
                "sources/a.txt": b"\xff\xfe",
            },
            '"sources/a.txt" is not UTF-8',
        ),
    ],
)
def test_what_an_archive_must_hold(tmp_path: Path, members: dict[str, bytes], what: str) -> None:
    with pytest.raises(ProjectUnreadable, match=re.escape(what)):
        unpack(zipped(tmp_path, members))


@pytest.mark.parametrize("data", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_archive_is_named(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "p.qdpx"
    with pytest.raises(ProjectUnreadable, match="there is no such file"):
        unpack(path)
    path.write_bytes(data)
    with pytest.raises(ProjectUnreadable, match="is no .qdpx, or is damaged"):
        unpack(path)


def test_an_archive_that_lies_about_its_size_is_read_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_QDE_BYTES", 1_000)
    bomb = EMPTY.replace(b"/>", b">" + b" " * 5_000_000 + b"</Project>")
    path = zipped(tmp_path, {"project.qde": bomb})
    assert path.stat().st_size < 10_000
    with pytest.raises(ProjectUnreadable, match=r'"project.qde" holds more than 1,000 bytes'):
        unpack(path)
    # The directory says that it is small; what comes out is counted.
    data = path.read_bytes().replace(len(bomb).to_bytes(4, "little"), (500).to_bytes(4, "little"))
    path.write_bytes(data)
    with pytest.raises(ProjectUnreadable):
        unpack(path)


def test_texts_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_TEXTS_BYTES", 100)
    notes = "".join(f'<Note guid="{one}" plainTextPath="internal://{one}.txt"/>' for one in (A, B))
    members = {
        "project.qde": EMPTY.replace(b"/>", f"><Notes>{notes}</Notes></Project>".encode()),
        **{f"sources/{one}.txt": b"x" * 60 for one in (A, B)},
    }
    with pytest.raises(ProjectUnreadable, match="holds more than 40 bytes"):
        unpack(zipped(tmp_path, members))


def test_media_that_is_missing_is_named(tmp_path: Path) -> None:
    source = f'><Sources><AudioSource guid="{A}" name="a" path="internal://a.m4a"/></Sources></Project>'
    read = unpack(zipped(tmp_path, {"Project.qde": EMPTY.replace(b"/>", source.encode())}))
    assert read.problems == ('the media "internal://a.m4a" of "a" is not in the archive',)
