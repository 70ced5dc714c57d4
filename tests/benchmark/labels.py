"""How well passages are labelled: by the codebook alone, and after an editor looked at some.

``labelled/`` holds two sets of 300 passages, each of 40 stories told by made-up people and coded by who wrote them, for
eight themes, several or none a passage. The codebook was written before them and by another hand. In ``a.yaml`` and
``b.yaml`` people say what they talk about, as in an interview; nothing was ever chosen on these. In ``indirect/`` they
tell it by the way, often without the theme's own words. ``plain/`` has 205 passages of 28 stories, by another hand, in
which people say what they talk about. The labeller's settings were chosen on ``indirect/`` and ``plain/``.

An editor looks at passages of half of the stories: accepts the themes that the set gives a passage, rejects all others.
The figures are of the other half, as the mean of ten draws of stories. Passages come at random, or as ``stories themes
next`` lists them, ten at a time. What counts is either each passage that was looked at, or each *correction*: a passage
whose proposals had to be changed, those that were right on the way being accepted as they stand.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np
import yaml
from numpy.typing import NDArray

from pipeline.turns import in_turn
from transcripts.themes import codebook
from transcripts.themes.codebook import Codebook
from transcripts.themes.embed import SentenceEmbedder, Vectors
from transcripts.themes.label import Ground, Judged, Labelled, ground, split_vectors

FOLDER = Path(__file__).with_name("labelled")
DRAWS = 10
LISTED = 10
"""So many `stories themes next` lists at once."""

Table = NDArray[np.bool_]


@dataclass(frozen=True)
class Told:
    """A passage of the set: its story, its themes, its sentences."""

    story: str
    themes: frozenset[str]
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Set:
    """Passages with their codebook and the vectors of their sentences."""

    book: Codebook
    told: tuple[Told, ...]
    vectors: tuple[Vectors, ...]
    embedder: SentenceEmbedder

    @cached_property
    def ground(self) -> Ground:
        """The passages against the codebook."""
        return ground(self.vectors, [one.sentences for one in self.told], self.book, self.embedder)

    @cached_property
    def truth(self) -> Table:
        """Which themes each passage has: shape (passages, themes)."""
        return np.array([[theme.key in one.themes for theme in self.book.themes] for one in self.told])

    def after(self, places: Sequence[int]) -> Labelled:
        """What is known once an editor looked at some passages."""
        keys = frozenset(theme.key for theme in self.book.themes)
        return self.ground.labelled(
            [Judged(one, self.told[one].themes, keys - self.told[one].themes) for one in places]
        )

    def proposed(self, found: Labelled) -> Table:
        """Which themes are proposed for each passage: shape (passages, themes)."""
        proposed = [set(found.proposed(place)) for place in range(len(self.told))]
        return np.array([[theme.key in one for theme in self.book.themes] for one in proposed])


def read(embedder: SentenceEmbedder, folder: Path = FOLDER) -> Set:
    """The set in a folder."""
    told = tuple(
        Told(f"{path.stem}/{story['story']}", frozenset(one["themes"]), tuple(one["sentences"]))
        for path in sorted(folder.glob("[ab].yaml"))
        for story in yaml.safe_load(path.read_text(encoding="utf-8"))["stories"]
        for one in story["passages"]
    )
    vectors = split_vectors([one.sentences for one in told], embedder)
    return Set(codebook.load(FOLDER / "codebook.yaml"), told, tuple(vectors), embedder)


def macro_f1(truth: Table, proposed: Table) -> float:
    """The mean over themes of the harmonic mean of precision and recall, in percent."""
    both = (truth & proposed).sum(axis=0)
    either = truth.sum(axis=0) + proposed.sum(axis=0)
    return 100 * float(np.mean(2 * both / np.maximum(either, 1)))


def zero_shot(held: Set) -> float:
    """Macro-F1 by the codebook alone, over all passages."""
    return macro_f1(held.truth, held.proposed(held.after([])))


@dataclass(frozen=True)
class Reached:
    """After so many passages or corrections: macro-F1 on the other stories, and how many passages were looked at."""

    f1: float
    looked_at: float


def curve(
    held: Set,
    counts: tuple[int, ...],
    draws: int = DRAWS,
    *,
    as_listed: bool = False,
    corrections: bool = False,
    first: int = 0,
) -> dict[int, Reached]:
    """Macro-F1 on the stories that nobody looked at, for each number of passages looked at in the others.

    Args:
        held: the passages.
        counts: the numbers, rising.
        draws: how many halves of the stories are drawn.
        as_listed: passages come as ``stories themes next`` lists them; else at random.
        corrections: count passages whose proposals were wrong; else all that were looked at.
        first: the number of the first draw.
    """
    stories = sorted({one.story for one in held.told})
    reached: dict[int, list[tuple[float, int]]] = {count: [] for count in counts}
    for number in range(first, first + draws):
        draw = random.Random(number)
        looked_in = set(draw.sample(stories, len(stories) // 2))
        places = [place for place, one in enumerate(held.told) if one.story in looked_in]
        draw.shuffle(places)
        unseen = np.array([one.story not in looked_in for one in held.told])
        seen, wrong = _looked_at(held, places, counts[-1], as_listed, corrections)
        for count in counts:
            so_many = int(np.searchsorted(np.cumsum(wrong), count)) + 1 if corrections and count else count
            some = seen[:so_many]
            table = held.proposed(held.after(some))
            reached[count].append((macro_f1(held.truth[unseen], table[unseen]), len(some)))
    return {
        count: Reached(fmean(f1 for f1, _ in found), fmean(many for _, many in found))
        for count, found in reached.items()
    }


def _looked_at(
    held: Set, places: list[int], most: int, as_listed: bool, corrections: bool
) -> tuple[list[int], list[bool]]:
    """Passages in the order in which they are looked at, and whether what was proposed for them then was wrong."""
    seen: list[int] = []
    wrong: list[bool] = []
    while len(seen) < len(places) and (sum(wrong) if corrections else len(seen)) < most:
        found = held.after(seen)
        rest = [place for place in places if place not in seen]
        if as_listed:
            rest = in_turn(found.worth_looking(rest), of=lambda place: held.told[place].story)
        table = held.proposed(found)
        seen += rest[:LISTED]
        wrong += [bool((table[place] != held.truth[place]).any()) for place in rest[:LISTED]]
    return seen, wrong
