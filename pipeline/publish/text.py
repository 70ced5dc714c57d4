"""Text of any content made safe to stand in front matter and in a Markdown body."""

from __future__ import annotations

import re
import string
import unicodedata

# Punctuation that never starts markup within a line; all other becomes an entity, which Markdown, shortcodes,
# emoji and mathematics extensions take as plain text (a backslash would itself begin mathematics).
_PLAIN = frozenset(" \"%'(),-./;?")
_MARKUP = {ord(sign): f"&#{ord(sign)};" for sign in string.punctuation if sign not in _PLAIN}
_BIDI_OPENERS = {"\u202a", "\u202b", "\u202d", "\u202e"}
_BIDI_ISOLATES = {"\u2066", "\u2067", "\u2068"}


def clean(text: str) -> str:
    """The text on one line, in NFC: white space collapsed, control characters and lone surrogates dropped.

    Embeddings and isolates of right-to-left text that are left open are closed, so that they end with it.

    >>> clean("two\\n  lines\\x00")
    'two lines'
    """
    kept = "".join(" " if sign.isspace() else sign for sign in text)
    kept = "".join(sign for sign in kept if unicodedata.category(sign) not in ("Cc", "Cs"))
    return _close_bidi(unicodedata.normalize("NFC", " ".join(kept.split())))


def markdown(text: str) -> str:
    """One paragraph of Markdown that renders as exactly this text; no markup, link, list or shortcode.

    >>> markdown('1. {{< clip "x" >}} *really*')
    '1&#46; &#123;&#123;&#60; clip "x" &#62;&#125;&#125; &#42;really&#42;'
    """
    line = clean(text).translate(_MARKUP)
    line = re.sub(r"^(\d{1,9})\.", r"\1&#46;", line)
    line = re.sub(r"^(\d{1,9})\)", r"\1&#41;", line)
    line = re.sub(r"^-", "&#45;", line)
    return re.sub(r"(?i)\bwww\.", lambda found: found.group()[:-1] + "&#46;", line)


def _close_bidi(text: str) -> str:
    open_: list[str] = []
    for sign in text:
        if sign in _BIDI_OPENERS:
            open_.append("\u202c")
        elif sign in _BIDI_ISOLATES:
            open_.append("\u2069")
        elif open_ and sign == open_[-1]:
            open_.pop()
    return text + "".join(reversed(open_))
