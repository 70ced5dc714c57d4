"""Sentences of health and social care stories, drawn at random from the grammar in ``grammar.toml``."""

from __future__ import annotations

import random
import re
import tomllib
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

GRAMMAR = Path(__file__).with_name("grammar.toml")
MAX_WORDS = 24
SALAD_SHARE = 0.3  # with less, the decoder trusts its grammar more than its ears
SALAD_RULES = (
    "group person place time where posn negn thing topic adj feel vt vi ving act inf adv conj opener past name"
    " surname year clock job object food animal weather room manner condition ordinal relation num group2 day"
).split()

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_PLURAL_SUBJECT = re.compile(
    r"\b(we|they|you|people|everyone else|some of us|most of us|families|carers) was\b", re.IGNORECASE
)
_ARTICLE = re.compile(r"\b([aA]) (?=[aeioAEIO])")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9'-]*")
_CLAUSE_END = ",.?"


@cache
def rules() -> dict[str, tuple[str, ...]]:
    """The alternatives of every rule of the grammar.

    Raises:
        ValueError: when a rule names another that is not there.
    """
    text = tomllib.loads(GRAMMAR.read_text(encoding="utf-8"))
    found = {name: tuple(a.strip() for a in " ".join(body.split()).split("|")) for name, body in text.items()}
    for name, alternatives in found.items():
        for alternative in alternatives:
            for other in _PLACEHOLDER.findall(alternative):
                if other not in found:
                    raise ValueError(f"{GRAMMAR.name}: {name} names {{{other}}}, which is no rule")
    return found


def expand(rule: str, draw: random.Random) -> str:
    """One random expansion of a rule, all placeholders filled in."""
    return _PLACEHOLDER.sub(lambda found: expand(found.group(1), draw), draw.choice(rules()[rule]))


def spell(phrase: str) -> str:
    """A phrase as written: a capital first, "an" before a vowel, a plural verb after a plural subject."""
    phrase = " ".join(phrase.split())
    phrase = _PLURAL_SUBJECT.sub(r"\1 were", phrase[0].upper() + phrase[1:])
    return _ARTICLE.sub(r"\1n ", phrase)


def plain(draw: random.Random) -> str:
    """A sentence that the grammar allows, of at most ``MAX_WORDS`` words."""
    return _short_enough(lambda: spell(expand("sent", draw)))


def question(draw: random.Random) -> str:
    """What an interviewer asks."""
    return _short_enough(lambda: spell(expand("question", draw)))


def reply(draw: random.Random) -> str:
    """What a storyteller answers."""
    return _short_enough(lambda: spell(expand(draw.choice(("sent", "answer", "special")), draw)))


@cache
def vocabulary() -> tuple[str, ...]:
    """Every word that stands in the grammar, as written there without punctuation, in order."""
    phrases = (
        _PLACEHOLDER.sub(" ", alternative)
        for alternatives in rules().values()
        for alternative in alternatives
    )
    return tuple(sorted({word for phrase in phrases for word in _WORD.findall(phrase)}))


def salad(draw: random.Random) -> str:
    """Phrases, or single words all equally likely, in an order no grammar foresees: only the sound tells them."""
    if draw.random() < 0.5:
        words = [draw.choice(vocabulary()) for _ in range(draw.randint(3, 8))]
    else:
        words = " ".join(expand(draw.choice(SALAD_RULES), draw) for _ in range(draw.randint(2, 4))).split(" ")
    if draw.random() < 0.3 and len(words) > 1:
        place = draw.randrange(len(words) - 1)
        if words[place][-1] not in _CLAUSE_END:
            words[place] += ","
    return spell(" ".join(words) + draw.choice("...?"))


def sentence(draw: random.Random) -> str:
    """A sentence for training: salad in ``SALAD_SHARE`` of the cases, otherwise plain."""
    if draw.random() < SALAD_SHARE:
        return _short_enough(lambda: salad(draw))
    return plain(draw)


def held_out(sentence: str) -> bool:
    """Whether a sentence is kept from training, for the evaluation: every twentieth of six words or more."""
    return len(sentence.split()) >= 6 and zlib.crc32(sentence.encode()) % 20 == 0


def _short_enough(make: Callable[[], str]) -> str:
    while len((made := make()).split()) > MAX_WORDS:
        pass
    return made
