"""How well passages are labelled: by the codebook alone, and after an editor looked at some.

``labelled/`` holds two sets of 300 passages, each of 40 stories told by made-up people and coded by who wrote them, for
eight themes, several or none a passage. The codebook was written before them and by another hand. In ``a.yaml`` and
``b.yaml`` people say what they talk about, as in an interview; nothing was ever chosen on these. In ``indirect/`` they
tell it by the way, often without the theme's own words; the labeller's settings were chosen on those.

A correction is a passage that an editor looked at: every theme accepted that the set gives it, all others not. The
corrected passages are drawn from half of the stories, the figures are of the other half, as the mean of ten draws.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import yaml
from numpy.typing import NDArray

from transcripts.themes import codebook
from transcripts.themes.codebook import Codebook
from transcripts.themes.embed import SentenceEmbedder, Vectors
from transcripts.themes.label import Judged, labelled, split_vectors

FOLDER = Path(__file__).with_name("labelled")
DRAWS = 10

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

    @property
    def truth(self) -> Table:
        """Which themes each passage has: shape (passages, themes)."""
        return np.array([[theme.key in one.themes for theme in self.book.themes] for one in self.told])

    def proposed(self, judged: list[Judged]) -> Table:
        """Which themes are proposed for each passage."""
        found = labelled(self.vectors, self.book, self.embedder, judged)
        return np.array(
            [
                [theme.key in set(found.proposed(place)) for theme in self.book.themes]
                for place in range(len(self.told))
            ]
        )


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
    return macro_f1(held.truth, held.proposed([]))


def curve(held: Set, counts: tuple[int, ...], draws: int = DRAWS) -> dict[int, float]:
    """Macro-F1 on the stories that nobody corrected, for each number of corrected passages in the others."""
    stories = sorted({one.story for one in held.told})
    found: dict[int, list[float]] = {count: [] for count in counts}
    for number in range(draws):
        draw = random.Random(number)
        corrected = set(draw.sample(stories, len(stories) // 2))
        places = [place for place, one in enumerate(held.told) if one.story in corrected]
        unseen = np.array([one.story not in corrected for one in held.told])
        draw.shuffle(places)
        for count in counts:
            judged = [
                Judged(place, held.told[place].themes, _others(held, place)) for place in places[:count]
            ]
            found[count].append(macro_f1(held.truth[unseen], held.proposed(judged)[unseen]))
    return {count: fmean(values) for count, values in found.items()}


def _others(held: Set, place: int) -> frozenset[str]:
    return frozenset(theme.key for theme in held.book.themes) - held.told[place].themes
