"""Transcripts as other people's tools write them: the spoken words, their times, and who says them."""

from __future__ import annotations

from pathlib import Path

import docx
import pytest

from transcripts.errors import TranscriptUnreadable
from transcripts.formats.reading import Line, read
from transcripts.span import Span


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def timed(start_ms: int, end_ms: int, text: str, speaker: str = "") -> Line:
    return Line(text, Span(start_ms, end_ms), speaker)


HELLO = timed(1_000, 2_500, "Hello there.")
VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello there.\n"
SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello there.\n"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (VTT, [HELLO]),
        ("\ufeff" + VTT.replace("\n", "\r\n"), [HELLO]),
        (VTT.encode("utf-16"), [HELLO]),
        (VTT.replace("\n", "\r").encode(), [HELLO]),
        ("WEBVTT - a title\n\n00:01.000 --> 00:02.500 align:start position:0%\nHello there.\n", [HELLO]),
        ("WEBVTT\n\n00:00:01,000 --> 00:00:02,500\nHello there.\n", [HELLO]),
        ("WEBVTT\n\nNOTE nobody says this\n\nSTYLE\n::cue {color: red}\n\nintro\n" + VTT[8:], [HELLO]),
        (
            "WEBVTT\n\n00:01.000 --> 00:02.500\n<v Margaret Ross>Hello <i>there</i>.</v>\n\n"
            "00:03.000 --> 00:04.000\n<v.loud Zo&euml;>Me &amp; <c.red>you</c>\n",
            [
                timed(1_000, 2_500, "Hello there.", "Margaret Ross"),
                timed(3_000, 4_000, "Me & you", "Zoë"),
            ],
        ),
        (
            "WEBVTT\n\n00:01.000 --> 00:03.000\n<v A>Yes, yes.</v>\n<v B>No.\n",
            [timed(1_000, 2_500, "Yes, yes.", "A"), timed(2_500, 3_000, "No.", "B")],
        ),
        (
            "WEBVTT\n\n00:05.000 --> 00:07.000\nSecond.\n\n00:01.000 --> 00:06.000\nFirst\nline.\n",
            [timed(1_000, 6_000, "First line."), timed(5_000, 7_000, "Second.")],
        ),
        (
            "WEBVTT\n\n00:01.000 --> 00:02.000\nso we<00:00:01.500><c> went</c>\n\n"
            "00:02.000 --> 00:02.010\nso we went\n\n00:02.010 --> 00:03.000\n"
            "so we went\nhome<00:00:02.500><c> again</c>\n",
            [timed(1_000, 2_000, "so we went"), timed(2_010, 3_000, "home again")],
        ),
        (
            "WEBVTT\n\n01:00:00.000 --> 01:00:01.000\nYes.\n\n01:00:01.000 --> 01:00:02.000\nYes.\n",
            [timed(3_600_000, 3_601_000, "Yes."), timed(3_601_000, 3_602_000, "Yes.")],
        ),
    ],
    ids=[
        "plain", "bom and crlf", "utf-16", "cr", "no hours", "commas", "blocks", "tags and voices", "two voices",
        "overlapping", "rolling", "the same twice",
    ],
)  # fmt: skip
def test_vtt(tmp_path: Path, content: str | bytes, lines: list[Line]) -> None:
    assert read(written(tmp_path, "a.vtt", content)) == tuple(lines)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (SRT, [HELLO]),
        ("\ufeff" + SRT.replace("\n", "\r\n"), [HELLO]),
        (SRT.replace(",", ".").rstrip(), [HELLO]),
        (SRT.replace("Hello there.", "<i>Hello</i> {\\an8}<font color='red'>there.</font>"), [HELLO]),
        (SRT.replace("Hello there.", "Åsa – café").encode("cp1252"), [timed(1_000, 2_500, "Åsa – café")]),
        (
            "1\n00:00:01,000 --> 00:00:02,000\n- MARGARET: Is it on?\n- Yes.\n\n"
            "2\n00:00:02,000 --> 00:00:03,000\nIt is on.\n",
            [timed(1_000, 2_000, "Is it on? Yes.", "MARGARET"), timed(2_000, 3_000, "It is on.", "MARGARET")],
        ),
        (
            "1\n00:00:01,000 --> 00:00:03,000\nAnn: Why not?\nBo: No time.\n",
            [timed(1_000, 2_000, "Why not?", "Ann"), timed(2_000, 3_000, "No time.", "Bo")],
        ),
    ],
    ids=["plain", "bom and crlf", "points, no last line end", "tags", "cp1252", "dialogue", "two in one"],
)
def test_srt(tmp_path: Path, content: str | bytes, lines: list[Line]) -> None:
    assert read(written(tmp_path, "a.srt", content)) == tuple(lines)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("We  never\tclosed.\n\nNever.", [("We never closed.", ""), ("Never.", "")]),
        ("Interviewer: Why?\nBecause I said so.", [("Why?", "Interviewer"), ("Because I said so.", "Interviewer")]),
        ("MARGARET: It was cold.", [("It was cold.", "MARGARET")]),
        ("Speaker 2:\nIt was cold.", [("It was cold.", "Speaker 2")]),
        ("Ann: Why?\nBo Ek: It was cold.", [("Why?", "Ann"), ("It was cold.", "Bo Ek")]),
        ("Ann: One.\nand:\nAnn: Two.", [("One.", "Ann"), ("and:", "Ann"), ("Two.", "Ann")]),
        ("Remember: we never closed.", [("Remember: we never closed.", "")]),
        ("He said: come in.\nShe said: no.\nHe said: why?", [
            ("He said: come in.", ""), ("She said: no.", ""), ("He said: why?", "")]),
        ("[00:01:23] It was cold. [01:30]\n[2:05]\nVery.", [("It was cold.", ""), ("Very.", "")]),
        ("[00:00:01.000 --> 00:00:02.000]  Hello.", [("Hello.", "")]),
        ("00:01:23 Ann: Hello.\n(1:40) Bo: Hi.", [("Hello.", "Ann"), ("Hi.", "Bo")]),
        ("Ann [00:12]: Hello.\nAnn (00:14:00): Hi.", [("Hello.", "Ann"), ("Hi.", "Ann")]),
        ("Margaret Ross  0:05\nIt was cold.\n\nSusan  1:12:10\nHow cold?", [
            ("It was cold.", "Margaret Ross"), ("How cold?", "Susan")]),
        ("We met at 10:30 on the ward.\n12:15 was too late, it was 12:45", [
            ("We met at 10:30 on the ward.", ""), ("12:15 was too late, it was 12:45", "")]),
        ("– Hello.\n>> Hi.", [("Hello.", ""), ("Hi.", "")]),
        ("Cafe\u0301 “quiet” … naïve—yes", [("Café “quiet” … naïve—yes", "")]),
        ("\ufeffÅsa.".encode("utf-16-le"), [("Åsa.", "")]),
        ("Hej, jag heter Åsa och jag bor på Öland.".encode("cp1252"), [
            ("Hej, jag heter Åsa och jag bor på Öland.", "")]),
        ("Hej, jag heter Åsa och jag bor på Öland.".encode("utf-16-le"), [
            ("Hej, jag heter Åsa och jag bor på Öland.", "")]),
    ],
    ids=[
        "spaces", "role", "capitals", "alone on its line", "two names", "a name again", "a word before a colon",
        "speech before a colon", "marks", "marks with ends", "marks before names", "marks after names",
        "names with times", "spoken times", "dashes", "composed", "utf-16", "cp1252", "utf-16 unmarked",
    ],
)  # fmt: skip
def test_txt(tmp_path: Path, content: str | bytes, lines: list[tuple[str, str]]) -> None:
    assert [(one.text, one.speaker) for one in read(written(tmp_path, "a.txt", content))] == lines


def test_docx_paragraphs_and_tables(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Interview with Margaret", 1)
    document.add_paragraph("Susan: What was it like?")
    document.add_paragraph("Margaret: [00:01:05] It was lonely.\nVery.")
    table = document.add_table(rows=0, cols=3)
    for cells in [("00:02", "Susan", "Why?"), ("00:04", "Margaret:", "I could not   say.")]:
        for cell, text in zip(table.add_row().cells, cells, strict=True):
            cell.text = text
    document.save(str(tmp_path / "a.docx"))
    assert [(one.speaker, one.text) for one in read(tmp_path / "a.docx")] == [
        ("Susan", "What was it like?"),
        ("Margaret", "It was lonely."),
        ("Margaret", "Very."),
        ("Susan", "Why?"),
        ("Margaret", "I could not say."),
    ]


@pytest.mark.parametrize(
    ("name", "content", "line", "said"),
    [
        ("a.vtt", "Hello there.\n", 1, "begins with WEBVTT"),
        ("a.vtt", "", 1, "begins with WEBVTT"),
        ("a.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nHello.\n\n00:xx.000 --> 00:04.000\nMe.\n", 6, "times"),
        ("a.vtt", "WEBVTT\n", None, "no words"),
        ("a.srt", "", None, "no words"),
        ("a.srt", SRT + "\n2\n00:00:xx --> 00:00:04\nHi.\n", 6, "times cannot"),
        ("a.srt", "Hello there.\n", 1, "no caption of an SRT file"),
        ("a.txt", " \n\n", None, "no words"),
        ("a.txt", bytes(range(256)), None, "no text that we can read"),
        ("a.docx", b"PK\x03\x04 no document", None, "no Word document"),
        ("a.docx", "Hello there.", None, "no Word document"),
        ("a.doc", "Hello there.", None, "save it as one of VTT, SRT, DOCX, TXT"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(
    tmp_path: Path, name: str, content: str | bytes, line: int | None, said: str
) -> None:
    with pytest.raises(TranscriptUnreadable, match=said) as caught:
        read(written(tmp_path, name, content))
    assert caught.value.line == line
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TranscriptUnreadable, match=r"gone\.vtt: there is no such file"):
        read(tmp_path / "gone.vtt")
