"""Words into sentences, by punctuation and by pauses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from transcripts.model import Segment, Word

MAX_PAUSE_MS = 1_200
"""A pause this long ends a segment even without a full stop."""
MAX_DURATION_MS = 30_000
MAX_WORDS = 60

_CLOSING = "\"'”’»)]}"
_END = re.compile(r"[.?!…。？！]+[\"'”’»)\]}]*$")
_FULL_WIDTH = "。？！"

_TITLES = frozenset(
    "mr mrs ms mx dr prof st rev hon capt col gen lt sgt messrs mt ft vs e.g i.e t.ex dvs bl.a".split()
)
"""Always followed by more of the sentence (English, Swedish); lower case, without the last full stop."""
_BEFORE_NUMBERS = frozenset(
    "no nos vol fig p pp approx ca nr kl jan feb mar apr jun jul aug sept sep oct okt nov dec".split()
)
"""Keep their full stop before a number only: "No. 5", but "No. We did not."."""
_INITIALS = re.compile(r"^(?:[^\W\d_]\.)+$")
_PRONOUN_I = "I."


def resegment(
    words: Iterable[Word],
    *,
    max_pause_ms: int = MAX_PAUSE_MS,
    max_duration_ms: int = MAX_DURATION_MS,
    max_words: int = MAX_WORDS,
) -> tuple[Segment, ...]:
    """Cut a run of words into segments that end where a sentence ends or a long pause begins.

    Titles ("Dr."), initials ("J. K."), abbreviations and numbers ("3.5") end no sentence. What is still
    longer than ``max_duration_ms`` or ``max_words`` is cut at its longest pause or comma, never inside a
    word. Every word is kept, in order.
    """
    run = list(words)
    pieces: list[Segment] = []
    start = 0
    for index, (word, following) in enumerate(zip(run, [*run[1:], None], strict=False)):
        if following is None or ends_sentence(word, following) or _pause(word, following) >= max_pause_ms:
            pieces += _fit(run[start : index + 1], max_duration_ms, max_words)
            start = index + 1
    return tuple(pieces)


def ends_sentence(word: Word, following: Word | None) -> bool:
    """Whether a sentence ends with this word, given the one after it (None at the end).

    >>> ends_sentence(Word("0", 0, 300, " Dr."), Word("1", 300, 700, " Reid"))
    False
    >>> ends_sentence(Word("0", 0, 300, ' "Yes!"'), Word("1", 300, 700, " She"))
    True
    """
    text = word.text.strip()
    if following is None:
        return True
    if not _END.search(text):
        return False
    # A word that is joined to the next ("3." "5", "example." "org") is not at an end; full-width marks have
    # no space.
    if not following.text.startswith((" ", "\n")) and text.rstrip(_CLOSING)[-1] not in _FULL_WIDTH:
        return False
    return not _keeps_its_stop(text, following.text.strip())


def _keeps_its_stop(text: str, following: str) -> bool:
    """Whether the mark at the end of ``text`` stands inside a sentence."""
    core = text.lstrip("\"'“‘«([{").rstrip(_CLOSING)
    quoted = text[-1] in _CLOSING and following[:1].islower()  # "Why?" she asked.
    if not core.endswith(".") or core.endswith(".."):
        # "…" and "..." are a hesitation when the sentence goes on in lower case.
        return quoted or (core.endswith(("…", "..")) and following[:1].islower())
    if core != _PRONOUN_I and _INITIALS.match(core):
        return True
    bare = core[:-1].lower()
    if bare in _TITLES or (bare in _BEFORE_NUMBERS and following[:1].isdigit()):
        return True
    return following[:1].islower()


def _pause(word: Word, following: Word) -> int:
    return following.start_ms - word.end_ms


def _fit(words: Sequence[Word], max_duration_ms: int, max_words: int) -> Iterator[Segment]:
    """Cut in two, again and again, until each part is short enough."""
    too_long = words[-1].end_ms - words[0].start_ms > max_duration_ms or len(words) > max_words
    if len(words) < 2 or not too_long:
        yield Segment(tuple(words))
        return
    cut = _best_cut(words)
    yield from _fit(words[:cut], max_duration_ms, max_words)
    yield from _fit(words[cut:], max_duration_ms, max_words)


def _best_cut(words: Sequence[Word]) -> int:
    """The index of the word that starts the second part: after a pause or a comma, near the middle."""

    def merit(index: int) -> tuple[float, int]:
        comma = (
            400 if words[index - 1].text.rstrip(_CLOSING).endswith((",", ";", ":", "—", "，", "、")) else 0
        )
        distance = abs(index - len(words) / 2) / len(words)
        return (_pause(words[index - 1], words[index]) + comma + 1) * (1 - distance) ** 2, -index

    return max(range(1, len(words)), key=merit)
