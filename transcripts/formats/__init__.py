"""A transcript written down for other tools: captions, plain text, tables, JSON. Every text is Unicode NFC."""

from __future__ import annotations

import csv
import html
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from typing import TextIO

import srt  # type: ignore[import-untyped]
import webvtt

from transcripts.formats.captions import LINE_CHARS, Caption, captions
from transcripts.model import Segment, Transcript, Word
from transcripts.span import Span

Names = Mapping[int, str]
"""What each speaker's number is called; a speaker without a name is not named."""


def write(
    transcript: Transcript,
    format: str,
    out: TextIO,
    *,
    speaker_names: Names,
    offset_ms: int = 0,
    line_chars: int = LINE_CHARS,
) -> None:
    """Write the transcript in one of FORMATS to an open text file.

    ``offset_ms`` is added to every time; what would lie before zero begins at zero. ``line_chars`` is the longest
    line of a caption.

    Raises:
        ValueError: the format is not one of FORMATS.
    """
    if format not in FORMATS:
        raise ValueError(f'there is no format "{format}"; there are {", ".join(sorted(FORMATS))}')
    segments = _shifted(transcript.segments, offset_ms)
    FORMATS[format](replace(transcript, segments=segments), out, speaker_names, line_chars)


def clip_captions(
    segments: Iterable[Segment],
    span: Span,
    out: TextIO,
    *,
    speaker_names: Names | None = None,
    line_chars: int = LINE_CHARS,
) -> None:
    """Write WebVTT for a clip: the words that are heard within ``span``, in the clip's own time.

    Every caption lies within 0 and the clip's duration.
    """
    heard = tuple(cut for segment in segments if (cut := _within(segment, span)) is not None)
    shown = captions(_shifted(heard, -span.start_ms), line_chars=line_chars, end_ms=span.duration_ms)
    _write_vtt(shown, out, speaker_names or {})


def _within(segment: Segment, span: Span) -> Segment | None:
    words = tuple(word for word in segment.words if _heard(word, span))
    return replace(segment, words=words) if words else None


def _heard(word: Word, span: Span) -> bool:
    """Whether the word sounds within the span; an added word may have no length, it counts where it starts."""
    return word.start_ms < span.end_ms and max(word.end_ms, word.start_ms + 1) > span.start_ms


def _shifted(segments: tuple[Segment, ...], by_ms: int) -> tuple[Segment, ...]:
    if by_ms == 0:
        return segments
    return tuple(
        replace(
            segment,
            words=tuple(
                replace(word, start_ms=max(0, word.start_ms + by_ms), end_ms=max(0, word.end_ms + by_ms))
                for word in segment.words
            ),
        )
        for segment in segments
    )


def _vtt(transcript: Transcript, out: TextIO, names: Names, line_chars: int) -> None:
    _write_vtt(captions(transcript.segments, line_chars=line_chars), out, names)


def _write_vtt(shown: Iterable[Caption], out: TextIO, names: Names) -> None:
    file = webvtt.WebVTT()
    file.captions.extend(
        webvtt.Caption(_seconds(one.span.start_ms), _seconds(one.span.end_ms), _cue(one, names))
        for one in shown
    )
    file.write(out)


def _cue(caption: Caption, names: Names) -> str:
    # The library writes cue text as it is: marks must be escaped, for a voice's name as for its words.
    text = html.escape("\n".join(caption.lines), quote=False)
    name = _name(caption.speaker, names)
    return f"<v {html.escape(name, quote=False)}>{text}" if name else text


def _seconds(time_ms: int) -> str:
    minutes, rest_ms = divmod(time_ms, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest_ms // 1000:02d}.{rest_ms % 1000:03d}"


def _srt(transcript: Transcript, out: TextIO, names: Names, line_chars: int) -> None:
    prefixes = {number: f"{_name(number, names)}:" for number in names if _name(number, names)}
    shown = captions(transcript.segments, line_chars=line_chars, prefixes=prefixes)
    subtitles = (
        # An arrow in the text would be read as a time line.
        srt.Subtitle(
            None,
            timedelta(milliseconds=one.span.start_ms),
            timedelta(milliseconds=one.span.end_ms),
            "\n".join(one.lines).replace("-->", "->"),
        )
        for one in shown
    )
    out.write(srt.compose(subtitles))


def _txt(transcript: Transcript, out: TextIO, names: Names, _line_chars: int) -> None:
    """One paragraph a turn, the speaker's name before it."""
    turns = (
        (_name(speaker, names), " ".join(_text(segment) for segment in turn))
        for speaker, turn in groupby(transcript.segments, key=lambda segment: segment.speaker)
    )
    paragraphs = [f"{name}: {text}" if name else text for name, text in turns]
    out.write("\n\n".join(paragraphs) + "\n" if paragraphs else "")


def _tsv(transcript: Transcript, out: TextIO, names: Names, _line_chars: int) -> None:
    """One line a segment: times in milliseconds, the speaker, the text."""
    table = csv.writer(out, dialect="excel-tab", lineterminator="\n")
    table.writerow(("start_ms", "end_ms", "speaker", "text"))
    for segment in transcript.segments:
        name = _name(segment.speaker, names) or (segment.speaker or "")
        table.writerow((segment.start_ms, segment.end_ms, name, _text(segment)))


def _json(transcript: Transcript, out: TextIO, names: Names, _line_chars: int) -> None:
    """Everything: segments, and words with identity, time and probability."""
    document = {
        "language": transcript.language,
        "revision": transcript.revision,
        "segments": [
            {
                "start_ms": segment.start_ms,
                "end_ms": segment.end_ms,
                "speaker": segment.speaker,
                "speaker_name": _name(segment.speaker, names) or None,
                "text": _text(segment),
                "words": [
                    {
                        "id": word.id,
                        "start_ms": word.start_ms,
                        "end_ms": word.end_ms,
                        "text": _nfc(word.text),
                        "probability": word.probability,
                    }
                    for word in segment.words
                ],
            }
            for segment in transcript.segments
        ],
    }
    json.dump(document, out, ensure_ascii=False, indent=1)
    out.write("\n")


def _name(speaker: int | None, names: Names) -> str:
    return " ".join(_nfc(names.get(speaker, "")).split()) if speaker is not None else ""


def _text(segment: Segment) -> str:
    return " ".join(_nfc(segment.text).split())


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


FORMATS: Mapping[str, Callable[[Transcript, TextIO, Names, int], None]] = {
    "vtt": _vtt,
    "srt": _srt,
    "txt": _txt,
    "tsv": _tsv,
    "json": _json,
}
"""The name of each format, as it stands in a file's name, and what writes it."""
