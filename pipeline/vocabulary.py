"""Names and terms that the recogniser should expect: of this very recording, then the collection's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from db import models, store
from pipeline.gate import Purpose, decide
from pipeline.names import nfc

FILE = "vocabulary.txt"


def terms(recording: models.Recording, root: Path) -> tuple[str, ...]:
    """What to expect, the most important first and nothing twice, whatever its case.

    Of the intake: the storyteller, unless they are anonymous, and the place; what else stands there is no name of
    anything that is said. Then the lines of vocabulary.txt in the collection's folder ``root``.
    """
    found: dict[str, str] = {}
    for term in (*_of_the_intake(recording), *_of_the_file(root / FILE)):
        found.setdefault(term.casefold(), term)
    return tuple(found.values())


def _of_the_intake(recording: models.Recording) -> Iterator[str]:
    teller = recording.story.storyteller if recording.story else None
    if teller is None:
        return
    decision = decide(store.consent_scope(recording), Purpose.WORK)
    nameless = teller.key.startswith("anonym")
    if decision.allowed and not decision.pseudonymise and not nameless:
        yield from _plain([teller.name])
    yield from _plain(re.split(r"[,;/()]", teller.place))


def _of_the_file(path: Path) -> Iterator[str]:
    if path.is_file():
        text = path.read_text(encoding="utf-8-sig", errors="replace")
        yield from _plain(line.partition("#")[0] for line in text.splitlines())


def _plain(terms: Iterable[str]) -> Iterator[str]:
    return filter(None, (" ".join(nfc(term).split()) for term in terms))
