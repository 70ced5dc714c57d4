"""A transcript as one text in which the place of every word is known."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from transcripts.model import Segment, Transcript, Word

HIDDEN = "[name]"
"""What stands for a word that may not be told."""

_POSSESSIVE = re.compile(r"['’][sS]?$")
_MARKS = " .,;:!?…–—-\"'“”‘’«»()[]{}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a word stands, in code points ``[start, end)``, and when it is heard, in milliseconds."""

    word: str
    start: int
    end: int
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A text and the places of its words, in order."""

    text: str
    places: tuple[Place, ...]
    hidden: int = 0
    """How many words are hidden."""

    def between(self, first_word: str, last_word: str) -> tuple[Place, Place] | None:
        """The places of two words, None when one is not there or they stand the other way round."""
        found = {place.word: place for place in self.places if place.word in (first_word, last_word)}
        first, last = found.get(first_word), found.get(last_word)
        return (first, last) if first and last and first.start <= last.start else None

    def inside(self, start: int, end: int) -> tuple[Place, Place] | None:
        """The first and the last word that share a character with the span, None when none does."""
        return _edges(place for place in self.places if place.start < end and start < place.end)

    def heard(self, start_ms: int, end_ms: int) -> tuple[Place, Place] | None:
        """The first and the last word that is heard in the span, at least by half, None when none is."""
        return _edges(place for place in self.places if _is_heard(place, start_ms, end_ms))


def lay_out(transcript: Transcript, speaker_names: Mapping[int, str], hide: Collection[str] = ()) -> LaidOut:
    """The transcript with one line a turn, the speaker's name before it; NFC, each line ends with a line feed.

    A word that is one of ``hide``, whatever marks stand around it, is written as HIDDEN.
    """
    names = frozenset(_nfc(name) for name in hide)
    lines: list[str] = []
    places: list[Place] = []
    length = hidden = 0
    for speaker, turn in groupby(transcript.segments, key=lambda segment: segment.speaker):
        name = " ".join(_nfc(speaker_names.get(speaker, "")).split()) if speaker is not None else ""
        line = f"{name}:" if name else ""
        for lead, word in _words(turn):
            said = _said(word)
            shown = _shown(said, names)
            hidden += shown != said
            start = length + len(line) + (len(lead) if line else 0)
            line += (lead if line else "") + shown
            places.append(Place(word.id, start, start + len(shown), word.start_ms, word.end_ms))
        if line:
            lines.append(f"{line}\n")
            length += len(line) + 1
    return LaidOut("".join(lines), tuple(places), hidden)


def _words(turn: Iterable[Segment]) -> Iterator[tuple[str, Word]]:
    """The words with what stands before each; a word that is nothing but space has no place."""
    for segment in turn:
        lead = " "
        for word in segment.words:
            lead = " " if lead or word.text[:1].isspace() else ""
            if _said(word):
                yield lead, word
                lead = ""


def _said(word: Word) -> str:
    return " ".join(_nfc(word.text).split())


def _shown(said: str, hide: frozenset[str]) -> str:
    core = _POSSESSIVE.sub("", said.strip(_MARKS))
    return said.replace(core, HIDDEN, 1) if core and core in hide else said


def _is_heard(place: Place, start_ms: int, end_ms: int) -> bool:
    whole = start_ms <= place.start_ms and place.end_ms <= end_ms
    return whole or start_ms * 2 <= place.start_ms + place.end_ms < end_ms * 2


def _edges(places: Iterable[Place]) -> tuple[Place, Place] | None:
    found = list(places)
    return (found[0], found[-1]) if found else None


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
