"""The words of a text that say what it is about."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transcripts.themes.stopwords import STOPWORDS

_WORD = re.compile(r"[^\W\d_][\w'’-]+")


def terms(sentences: Iterable[str]) -> list[str]:
    """The words as they come, case folded, without short ones and those that are in every text.

    >>> terms(["We lost two patients, and nobody came."])
    ['lost', 'patients']
    """
    return [
        word
        for sentence in sentences
        for word in _WORD.findall(sentence.casefold())
        if len(word) > 2 and word not in STOPWORDS
    ]
