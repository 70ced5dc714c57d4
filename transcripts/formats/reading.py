"""An existing transcript of a recording, read from what other people's tools write: VTT, SRT, TXT and DOCX.

What is not spoken is taken off the text: times, tags, marks of a dialogue, and the name of the one who speaks, which is
kept beside it. The words themselves stay as they are written, in Unicode NFC with single spaces.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path

import srt  # type: ignore[import-untyped]
import webvtt
from webvtt.errors import MalformedCaptionError, MalformedFileError

from transcripts.errors import TranscriptUnreadable
from transcripts.span import Span

LARGEST_BYTES = 50_000_000
_CODE_PAGES = ["cp1252", "utf_16_le", "utf_16_be"]
"""What text editors wrote that knew no UTF-8; others cannot be told apart in a short text."""

_TIME = r"\d{1,3}:\d{2}(?::\d{2})?(?:[.,]\d{1,3})?"
_TIMES = rf"{_TIME}(?:\s*(?:-->|[-–—])\s*{_TIME})?"
_IN_BRACKETS = re.compile(
    rf"\[\s*{_TIMES}\s*\]|<\s*{_TIMES}\s*>|\(\s*\d{{1,2}}:\d{{2}}:\d{{2}}(?:[.,]\d+)?\s*\)"
)
_AT_START = re.compile(rf"^(?:\(\s*{_TIMES}\s*\)|\d{{1,2}}:\d{{2}}:\d{{2}}(?:[.,]\d{{1,3}})?)[\s:–-]*")
_ALONE = re.compile(rf"^(?P<name>.*?)\s*\(?\b{_TIMES}\)?$")
_DIALOGUE = re.compile(r"^(?:[-–—]|>{2,}|&gt;&gt;)\s+")

_LABEL = re.compile(r"^(?P<name>[^\W_][\w.'’/&()# -]{0,39}?)\s*[:：](?:\s+|$)")
_ROLES = frozenset(
    "interviewer interviewee storyteller narrator speaker participant respondent moderator host guest question answer "
    "q a i r intervjuare berättare talare fråga svar f s".split()
)
"""Labels that are believed without another line to bear them out, in English and Swedish."""
_LABEL_WORDS = 4

_VOICE = re.compile(r"<v(?:\.[^\s>]*)*\s+([^>]*)>")
_VTT_TAG = re.compile(r"<[^>]*>")
_SRT_TAG = re.compile(r"</?(?:i|b|u|s|font|c)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE)
_TIMES_WANTED = "these times cannot be read; write 00:01:02{0}500 --> 00:01:04{0}000"
_WORD_TIME = re.compile(r"<\d+:\d{2}(?::\d{2})?\.\d{3}>")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of an existing transcript: what is said, when if the file says so, and by whom, "" if it does not."""

    text: str
    span: Span | None = None
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class _Cue:
    """A caption as the file has it; ``voice`` is None when it may begin with a label."""

    span: Span
    rows: tuple[str, ...]
    voice: str | None = None


def read(path: Path) -> tuple[Line, ...]:
    """The lines of a transcript in the order in which they are said; the suffix says what the file is.

    Raises:
        TranscriptUnreadable: the file is missing, is not what its suffix says, or holds no words.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kinds = ", ".join(suffix[1:].upper() for suffix in READERS)
        raise TranscriptUnreadable(
            path, None, f"this is no transcript we can read; save it as one of {kinds}"
        )
    try:
        if path.stat().st_size > LARGEST_BYTES:
            raise TranscriptUnreadable(
                path, None, "the file is far too large for a transcript; save it without media"
            )
        lines = tuple(reader(path))
    except FileNotFoundError:
        raise TranscriptUnreadable(
            path, None, "there is no such file; put it there, or name another"
        ) from None
    except OSError as error:
        raise TranscriptUnreadable(path, None, f"the file cannot be read ({error.strerror})") from error
    if not lines:
        raise TranscriptUnreadable(path, None, "there are no words in it; take the file away, or fill it")
    return lines


# ---- captions ----


def _vtt(path: Path) -> Iterator[Line]:
    rows = [_with_points(row) for row in _text(path).splitlines()]
    try:
        found = webvtt.from_string("\n".join(rows)).captions
    except MalformedFileError:
        raise TranscriptUnreadable(path, 1, "a VTT file begins with WEBVTT; save it as VTT again") from None
    except MalformedCaptionError as error:
        raise TranscriptUnreadable(path, None, f"a caption in it cannot be read ({error})") from error
    if len(found) < sum("-->" in row for row in rows):
        raise TranscriptUnreadable(path, _bad_times(rows), _TIMES_WANTED.format("."))
    cues = []
    rolling = any(_WORD_TIME.search(row) for row in rows)
    for one in found:
        span = _span(_milliseconds(one.start), _milliseconds(one.end))
        parts = _VOICE.split(one.raw_text)
        voices = [None, *(" ".join(html.unescape(name).split()) for name in parts[1::2])]
        shown = [tuple(html.unescape(_VTT_TAG.sub("", part)).strip().split("\n")) for part in parts[::2]]
        spoken = [
            (voice, text) for voice, text in zip(voices, shown, strict=True) if any(map(str.strip, text))
        ]
        spans = _shared(span, [sum(map(len, text)) for _, text in spoken])
        cues += [_Cue(own, text, voice) for own, (voice, text) in zip(spans, spoken, strict=True)]
    return _lines_of_cues(_unrolled(cues) if rolling else cues)


def _with_points(row: str) -> str:
    """Times with a point before the milliseconds: some tools write SRT's comma."""
    return re.sub(r"(\d),(\d{1,3})\b", r"\1.\2", row) if "-->" in row else row


def _bad_times(rows: Sequence[str]) -> int | None:
    """The first row with an arrow but without two times, counted from 1."""
    good = re.compile(rf"\s*{_TIME}\s*-->\s*{_TIME}(?:\s|$)")
    return next((number for number, row in enumerate(rows, 1) if "-->" in row and not good.match(row)), None)


def _milliseconds(time: str) -> int:
    *hours, minutes, seconds = time.split(":")
    whole, _, part = seconds.partition(".")
    total_s = (int(hours[0]) if hours else 0) * 3600 + int(minutes) * 60 + int(whole)
    return total_s * 1000 + int(part.ljust(3, "0"))


def _srt(path: Path) -> Iterator[Line]:
    text = _text(path)
    try:
        found = list(srt.parse(text))
    except srt.SRTParseError as error:
        skipped = len(error.unmatched_content) - len(error.unmatched_content.lstrip())
        line = text.count("\n", 0, error.expected_start + skipped) + 1
        raise TranscriptUnreadable(
            path,
            line,
            "this is no caption of an SRT file; write a number, the times, the words, and an empty line",
        ) from None
    if any("-->" in one.content for one in found):
        raise TranscriptUnreadable(path, _bad_times(text.split("\n")), _TIMES_WANTED.format(","))
    cues = [
        _Cue(
            _span(round(one.start.total_seconds() * 1000), round(one.end.total_seconds() * 1000)),
            tuple(_SRT_TAG.sub("", one.content).split("\n")),
        )
        for one in found
    ]
    return _lines_of_cues(cues)


def _span(start_ms: int, end_ms: int) -> Span:
    return Span(start_ms, max(start_ms, end_ms))


def _unrolled(cues: Sequence[_Cue]) -> list[_Cue]:
    """Captions that roll up, as video sites make them, show each row again below the next: once is enough."""
    kept: list[_Cue] = []
    shown: tuple[str, ...] = ()
    for cue in cues:
        rows = [row for row in cue.rows if row.strip()]
        while rows and rows[0] in shown:
            rows.pop(0)
        shown = tuple(row for row in cue.rows if row.strip())
        if rows:
            kept.append(_Cue(cue.span, tuple(rows), cue.voice))
    return kept


def _lines_of_cues(cues: Sequence[_Cue]) -> Iterator[Line]:
    cues = sorted(cues, key=lambda cue: cue.span.start_ms)
    bare = [[_DIALOGUE.sub("", row.strip()) for row in cue.rows] for cue in cues]
    labels = _labels(row for cue, rows in zip(cues, bare, strict=True) if cue.voice is None for row in rows)
    speaker = ""
    for cue, rows in zip(cues, bare, strict=True):
        said: list[tuple[str, str]] = []
        if cue.voice is not None:
            said.append((cue.voice, " ".join(rows)))
        for row in rows if cue.voice is None else ():
            name, text = _unlabelled(row, labels)
            if name or not said:
                speaker = name or speaker
                said.append((speaker, text))
            else:
                said[-1] = (said[-1][0], f"{said[-1][1]} {text}")
        said = [(name, text) for name, told in said if (text := _plain(told))]
        spans = _shared(cue.span, [len(text) for _, text in said])
        for span, (name, text) in zip(spans, said, strict=True):
            yield Line(text, span, name)


def _shared(span: Span, lengths: Sequence[int]) -> list[Span]:
    """The span parted in the ratio of the lengths."""
    total = max(1, sum(lengths))
    edges = [span.start_ms + span.duration_ms * sofar // total for sofar in accumulate(lengths, initial=0)]
    return [Span(start, end) for start, end in pairwise(edges)]


# ---- running text ----


def _txt(path: Path) -> Iterator[Line]:
    return _lines_of_text(_text(path).splitlines())


def _docx(path: Path) -> Iterator[Line]:
    import docx
    from docx.document import Document
    from docx.opc.exceptions import OpcError
    from docx.table import Table
    from lxml.etree import LxmlError  # type: ignore[import-untyped]

    def rows(document: Document) -> Iterator[str]:
        for part in document.iter_inner_content():
            if isinstance(part, Table):
                for row in part.rows:
                    yield _row([cell.text for cell in row.cells])
            elif not (part.style and (part.style.name or "").startswith(("Heading", "Title", "Subtitle"))):
                yield from part.text.split("\n")

    try:
        with path.open("rb") as file:
            return _lines_of_text(list(rows(docx.Document(file))))
    except (OpcError, LxmlError, zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise TranscriptUnreadable(
            path, None, "this is no Word document that we can read; save it as DOCX or plain text again"
        ) from error


def _row(cells: Sequence[str]) -> str:
    """A table's row as a line of text: times left out, a first cell of two is the speaker."""
    different = [cell for cell, before in zip(cells, [None, *cells], strict=False) if cell is not before]
    told = [" ".join(cell.split()) for cell in dict.fromkeys(different)]
    told = [cell for cell in told if cell and not re.fullmatch(rf"[\[(]?{_TIMES}[\])]?", cell)]
    if len(told) == 2 and len(told[0].split()) <= _LABEL_WORDS:
        return f"{told[0].rstrip(':')}: {told[1]}"
    return " ".join(told)


def _lines_of_text(rows: Sequence[str]) -> Iterator[Line]:
    bare = [_untimed(row) for row in rows]
    labels = _labels(bare)
    speaker, lines = "", []
    for row in bare:
        name, text = _unlabelled(row, labels)
        speaker = name or speaker
        if text := _plain(text):
            lines.append(Line(text, None, speaker))
    return iter(lines)


def _untimed(row: str) -> str:
    """The row without its marks of time, and without a dialogue's dash."""
    row = _AT_START.sub("", _IN_BRACKETS.sub(" ", row).strip()).strip()
    alone = _ALONE.match(row)
    if alone and (not alone["name"] or _like_a_name(alone["name"])):
        row = f"{alone['name'].rstrip(':')}:" if alone["name"] else ""
    return _DIALOGUE.sub("", row)


# ---- who speaks ----


def _labels(rows: Iterable[str]) -> frozenset[str]:
    """What stands before a colon and is no speech: a role, capitals, a number, or names that come again.

    One "Remember: …" alone is spoken, two different names in a file are not.
    """
    found = Counter(
        match["name"] for row in rows if (match := _LABEL.match(row)) and _like_a_name(match["name"])
    )
    sure = {name for name, count in found.items() if count > 1 or _is_role(name)}
    return frozenset(sure if len(found) < 2 and not sure else found)


def _like_a_name(text: str) -> bool:
    words = [word.strip("(") for word in text.split()]
    return 0 < len(words) <= _LABEL_WORDS and all(
        word[:1].isupper() or word[:1].isdigit() for word in words if word
    )


def _is_role(name: str) -> bool:
    words = re.findall(r"\w+", name)
    return words[0].lower() in _ROLES or (name.isupper() and len(name) > 1) or words[-1].isdigit()


def _unlabelled(row: str, labels: frozenset[str]) -> tuple[str, str]:
    """The speaker's name, "" without one, and what is said."""
    match = _LABEL.match(row)
    if match is None or match["name"] not in labels:
        return "", row
    return " ".join(unicodedata.normalize("NFC", match["name"]).split()), row[match.end() :]


# ---- text ----


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def _text(path: Path) -> str:
    """The file's text: UTF-8 or UTF-16, else an old code page; line ends as \\n.

    Raises:
        TranscriptUnreadable: it is no text.
    """
    data = path.read_bytes()
    text = _decoded(data)
    if text is None or any(unicodedata.category(c) == "Cc" and c not in "\t\n\r\f\v\x85" for c in text):
        raise TranscriptUnreadable(
            path, None, "this is no text that we can read; save it again as text in UTF-8"
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(data: bytes) -> str | None:
    from charset_normalizer import from_bytes

    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = data.decode(encoding)
        if "\0" not in text:
            return text
    except UnicodeDecodeError:
        pass
    guess = from_bytes(data, cp_isolation=_CODE_PAGES).best()
    return str(guess) if guess is not None else None


READERS: Mapping[str, Callable[[Path], Iterator[Line]]] = {
    ".vtt": _vtt,
    ".srt": _srt,
    ".docx": _docx,
    ".txt": _txt,
}
"""What a file's suffix says it is, and what reads it; of several for one recording, the first here is taken."""
