"""The correction list: what recognisers write wrong again and again, read with the line of every mistake.

# a comment
oban -> Oban
care home manger -> care home manager
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from transcripts.errors import CorrectionsError

_ARROW = re.compile("->|→")
_APOSTROPHES = "'’"
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
"""Thai, Lao, Burmese, Khmer, Japanese and Chinese are written without spaces: no mark where a word ends."""
_NOT_INSIDE_A_WORD = r"(?!\w|['’](?![sS]\b)\w)"
"""Not followed by a letter, nor by an apostrophe and more of the word; "'s" is no part of a name."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One line of the list; both forms in NFC with single spaces."""

    wrong: str
    right: str


@dataclass(frozen=True)
class Corrections:
    """All lines of the list, in the order of the file; no wrong form stands there twice."""

    lines: tuple[Correction, ...] = ()

    def applied(self, text: str) -> str:
        """The text with each wrong form replaced, the longest where several fit; what was put in is not read again.

        A small letter in a wrong form stands for a capital too, a capital for itself only. Where the text has a
        capital instead, the right form begins with one; written all in capitals, it stays so.

        >>> Corrections((Correction("care manger", "care manager"),)).applied("Care manger's phone")
        "Care manager's phone"
        """
        if not self.lines:
            return text
        composed = unicodedata.normalize("NFC", text)
        corrected = self._pattern.sub(self._put, composed)
        return text if corrected == composed else corrected

    def _put(self, found: re.Match[str]) -> str:
        correction = self._by_rank[(found.lastindex or 1) - 1]
        return _in_the_case_of(found[0], correction)

    @cached_property
    def _by_rank(self) -> tuple[Correction, ...]:
        """The longest wrong form first; of like ones that with more capitals, which says more.

        Those that may stand behind a letter come last: they begin with other characters than the rest.
        """

        def rank(one: Correction) -> tuple[bool, int, int, int]:
            capitals = sum(character.isupper() for character in one.wrong)
            return _anywhere(one.wrong), -len(one.wrong.split()), -len(one.wrong), -capitals

        return tuple(sorted(self.lines, key=rank))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        ordered = [one.wrong for one in self._by_rank]
        # looked for once at each place, not once for each line: the list may be long
        words = "|".join(f"({_whole_words(wrong)})" for wrong in ordered if not _anywhere(wrong))
        parts = [f"(?<!\\w)(?:{words})"] if words else []
        return re.compile(
            "|".join(parts + [f"({_whole_words(wrong)})" for wrong in ordered if _anywhere(wrong)])
        )


def read(path: Path) -> Corrections:
    """Read the list; a missing file is an empty one.

    Raises:
        CorrectionsError: a line says no correction, or the same wrong form twice; it names the file and the line.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Corrections()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise CorrectionsError(path, line, "this is no UTF-8; save the file with that encoding") from error
    seen: dict[str, int] = {}
    found: list[Correction] = []
    for number, line_text in enumerate(text.split("\n"), 1):
        said = line_text.partition("#")[0].strip()
        if not said:
            continue
        correction = _understood(path, number, said)
        earlier = seen.setdefault(correction.wrong, number)
        if earlier != number:
            raise CorrectionsError(
                path, number, f'"{correction.wrong}" is on line {earlier} already; keep one of them'
            )
        found.append(correction)
    return Corrections(tuple(found))


def _understood(path: Path, number: int, said: str) -> Correction:
    forms = [" ".join(unicodedata.normalize("NFC", form).split()) for form in _ARROW.split(said)]
    if len(forms) != 2:
        much = "there is no ->" if len(forms) < 2 else "there is more than one ->"
        raise CorrectionsError(path, number, f"{much}; write: wrong form -> right form")
    for form, side in zip(forms, ("wrong", "right"), strict=True):
        if not any(character.isalnum() for character in form):
            raise CorrectionsError(
                path, number, f"the {side} form has no letter or digit; write: wrong form -> right form"
            )
    return Correction(*forms)


def _anywhere(wrong: str) -> bool:
    """Whether it may begin behind a letter."""
    return bool(_UNSPACED.match(wrong))


def _whole_words(wrong: str) -> str:
    """A pattern that ends with a word."""
    words = r"\s+".join("".join(map(_letter, word)) for word in wrong.split())
    after = "" if _UNSPACED.match(wrong[-1]) else _NOT_INSIDE_A_WORD
    return f"{words}{after}"


def _letter(character: str) -> str:
    if character in _APOSTROPHES:
        return f"[{_APOSTROPHES}]"
    capital = character.upper()
    if character.islower() and len(capital) == 1 and capital != character:
        return f"[{character}{capital}]"
    return re.escape(character)


def _in_the_case_of(found: str, correction: Correction) -> str:
    wrong, right = correction.wrong, correction.right
    if found.isupper() and not wrong.isupper() and sum(map(str.isalpha, found)) > 1:
        return right.upper()
    if found[0].isupper() and wrong[0].islower():
        return right[0].upper() + right[1:]
    return right
