"""A window's translation as lines with times: what stands between two timestamps is a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

from transcripts.errors import CannotTranslate
from transcripts.model import TranslatedLine
from transcripts.span import Span

LANGUAGE = "en"
"""What every Whisper translates into."""
TURBO = "turbo"
"""As the library calls it; its documentation: "not trained for translation tasks"."""


class Tokens(Protocol):
    """What the tokens of a model mean."""

    def text(self, tokens: Sequence[int]) -> str:
        """What the tokens say."""
        ...

    def is_time(self, token: int) -> bool:
        """Whether a token is a timestamp."""
        ...

    def time_ms(self, token: int) -> int:
        """The time of a timestamp, from the start of the window."""
        ...


def require_translation(model: str, sha256: str, multilingual: bool) -> None:
    """Refuse a model that cannot translate: before it hears anything, whatever the recording's language.

    Raises:
        CannotTranslate: it knows English only, or it is large-v3-turbo.
    """
    import whisper

    if not multilingual:
        raise CannotTranslate(model, "it knows English only")
    if TURBO in Path(model).name.lower() or sha256 in whisper._MODELS[TURBO].split("/"):
        raise CannotTranslate(model, "it was not trained for that")


def lines(
    meaning: Tokens, tokens: Sequence[int], window: Span, speech: Sequence[Span]
) -> list[TranslatedLine]:
    """The lines of a window's text, in order and apart from each other, each from speech to speech.

    A line that lies wholly outside speech is left out, as it is with words: nobody said it.
    """
    found: list[TranslatedLine] = []
    for span, text in _timed(meaning, tokens, window):
        after = found[-1].end_ms if found else window.start_ms
        free = Span(max(after, span.start_ms), max(after, span.end_ms))
        said = [part for one in sorted(speech) if (part := one & free) and part.duration_ms]
        if said and text:
            found.append(TranslatedLine(said[0].start_ms, said[-1].end_ms, text))
    return found


def _timed(meaning: Tokens, tokens: Sequence[int], window: Span) -> Iterator[tuple[Span, str]]:
    """Each line's text and its time in the recording; what no timestamp ends lasts as long as the window."""
    start, words = window.start_ms, list[int]()
    for token in tokens:
        if not meaning.is_time(token):
            words.append(token)
            continue
        at = min(window.end_ms, window.start_ms + meaning.time_ms(token))
        if words:
            yield Span(start, max(start, at)), _plain(meaning, words)
            words = []
        start = at
    if words:
        yield Span(start, window.end_ms), _plain(meaning, words)


def _plain(meaning: Tokens, words: Sequence[int]) -> str:
    return " ".join(meaning.text(words).split())
