"""The transcript of a clip, read back from its WebVTT captions."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from pipeline.publish.text import clean

_VOICE = re.compile(r"<v(?:\.[^\s>]*)?\s+([^>]*)>")
_TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True, slots=True)
class Turn:
    """What one speaker says without a break; ``speaker`` is None where the captions name nobody."""

    speaker: str | None
    text: str


def turns(vtt: str) -> tuple[Turn, ...]:
    """The turns of WebVTT captions (https://www.w3.org/TR/webvtt1/), with plain text and names.

    Lines and cues of one speaker are joined; a cue with several voices gives several turns.
    """
    found: list[Turn] = []
    for payload in _payloads(vtt):
        for speaker, text in _voices(payload):
            if found and found[-1].speaker == speaker:
                found[-1] = Turn(speaker, f"{found[-1].text} {text}")
            else:
                found.append(Turn(speaker, text))
    return tuple(found)


def _payloads(vtt: str) -> list[str]:
    blocks = re.split(r"\n{2,}", vtt.replace("\r\n", "\n").replace("\r", "\n"))
    cues = (re.split(r"^.*-->.*$", block, maxsplit=1, flags=re.MULTILINE) for block in blocks)
    return [parts[1] for parts in cues if len(parts) == 2]


def _voices(payload: str) -> list[tuple[str | None, str]]:
    before, *rest = _VOICE.split(payload)
    parts: list[tuple[str | None, str]] = [(None, before)]
    parts += [(_plain(name) or None, text) for name, text in zip(rest[::2], rest[1::2], strict=True)]
    return [(speaker, plain) for speaker, text in parts if (plain := _plain(text))]


def _plain(text: str) -> str:
    return clean(html.unescape(_TAG.sub("", text)))
