"""Corrections of text that leave words their identity and their time.

An editor gives a segment another text; a diff says which words stayed, which were replaced, added or removed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from itertools import count

from transcripts.model import Segment, Word

_MOST_PAIRS = 2_500


def retext(segment: Segment, new_text: str, revision: int) -> Segment:
    """The segment with another text, in NFC and with single spaces.

    A word that stays keeps everything. A replaced word keeps its identity and time and has probability 1. An added
    word gets the identity ``e{revision}.{n}``, probability 1, and a share of the time between its neighbours, none
    where they touch. Times never run backwards if the segment's did not. In writing without spaces, added
    characters belong to the word beside them.

    Raises:
        ValueError: the new text has no words, or nothing in it can be heard: give it the words that are said.
    """
    text = " ".join(unicodedata.normalize("NFC", new_text).split())
    if not any(character.isalnum() for character in text):
        raise ValueError("a segment cannot be left without words; give it the words that are said")
    if _written_without_spaces(segment, text):
        return replace(segment, words=_retext_characters(segment.words, text))
    return replace(segment, words=_retext_words(segment.words, text, revision))


def _written_without_spaces(segment: Segment, text: str) -> bool:
    return len(segment.words) > 1 and " " not in text and " " not in segment.text


def _retext_words(words: Sequence[Word], text: str, revision: int) -> tuple[Word, ...]:
    lead = " " if words[0].text.startswith(" ") else ""
    texts = [f"{' ' if index else lead}{token}" for index, token in enumerate(text.split(" "))]
    kept: list[Word | None] = [None] * len(texts)
    for old, new in _pairs([_sound(word.text) for word in words], [_sound(token) for token in texts]):
        kept[new] = _with_text(words[old], texts[new])
    return tuple(_timed(kept, texts, revision, words[0].start_ms, words[-1].end_ms))


def _with_text(word: Word, text: str) -> Word:
    return word if _nfc(word.text).strip() == text.strip() else replace(word, text=text, probability=1.0)


def _pairs(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Which old word each new one is, as ascending pairs of positions."""
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, False).get_opcodes():
        if tag == "equal":
            yield from zip(range(old_start, old_end), range(new_start, new_end), strict=True)
        elif tag == "replace":
            for one, other in _likeliest(old[old_start:old_end], new[new_start:new_end]):
                yield old_start + one, new_start + other


def _likeliest(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """As many pairs in order as there can be, those most alike: the shorter side is used up.

    Needleman & Wunsch 1970, with the likeness of the letters as score and no cost for a gap.
    """
    if len(old) == len(new) or len(old) * len(new) > _MOST_PAIRS:
        return list(zip(range(len(old)), range(len(new)), strict=False))
    # Every pair is worth more than all likeness together, so no word of the shorter side is left over.
    worth = 1 + min(len(old), len(new))
    best: list[list[tuple[float, list[tuple[int, int]]]]] = [[(0.0, [])] * (len(new) + 1)]
    for row, one in enumerate(old):
        line: list[tuple[float, list[tuple[int, int]]]] = [(0.0, [])]
        for column, other in enumerate(new):
            score, pairs = best[row][column]
            alike = SequenceMatcher(None, one, other, False).ratio()
            paired = (score + worth + alike, [*pairs, (row, column)])
            line.append(max(best[row][column + 1], line[column], paired, key=lambda found: found[0]))
        best.append(line)
    return best[-1][-1][1]


def _timed(
    kept: Sequence[Word | None], texts: Sequence[str], revision: int, start_ms: int, end_ms: int
) -> Iterator[Word]:
    """Fill the gaps between kept words with added ones, sharing the time that lies between."""
    added = count()
    before_ms, index = start_ms, 0
    while index < len(kept):
        word = kept[index]
        if word is not None:
            before_ms = max(before_ms, word.end_ms)
            yield word
            index += 1
            continue
        stop = next((later for later in range(index, len(kept)) if kept[later] is not None), len(kept))
        following = kept[stop] if stop < len(kept) else None
        after_ms = max(before_ms, following.start_ms if following is not None else end_ms)
        edges = [
            before_ms + (after_ms - before_ms) * step // (stop - index) for step in range(stop - index + 1)
        ]
        for step, text in enumerate(texts[index:stop]):
            yield Word(f"e{revision}.{next(added)}", edges[step], edges[step + 1], text)
        before_ms, index = after_ms, stop


def _retext_characters(words: Sequence[Word], text: str) -> tuple[Word, ...]:
    owner = [index for index, word in enumerate(words) for _ in _nfc(word.text).strip()]
    old = "".join(_nfc(word.text).strip() for word in words)
    texts = [""] * len(words)
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, text, False).get_opcodes():
        for offset, character in enumerate(text[new_start:new_end]):
            inside = min(old_start + offset, old_end - 1) if tag != "insert" else max(old_start - 1, 0)
            texts[owner[inside]] += character
    lead = words[0].text[: len(words[0].text) - len(words[0].text.lstrip())]
    changed = [_with_text(word, part) for word, part in zip(words, texts, strict=True) if part]
    return (replace(changed[0], text=lead + changed[0].text.lstrip()), *changed[1:])


def _sound(text: str) -> str:
    """What two spellings of a word share: no case, no punctuation; a mark alone stays as it is."""
    return re.sub(r"\W", "", _nfc(text).casefold()) or text.strip()


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
