"""Figures: how many stories, by what, and which themes come up in them. Pure: values in, counts out."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.publish.text import clean
from pipeline.report.audience import Story
from pipeline.report.reading import Mark, Theme
from pipeline.report.tiles import area_of

NOT_TOLD = "Not told"
"""Where the intake says nothing, or the report may not."""

BY_PHASE, BY_SECTOR = "themes-by-phase", "themes-by-sector"
NAMES = ("sector", "role", "phase", "method", "place", "themes", BY_PHASE, BY_SECTOR, "together", "change")
"""Of every figure that there can be, in reading order."""

Row = tuple[str | int | float | None, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Stories that have something in common, and what it is."""

    label: str
    stories: frozenset[int]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many stories there are by one thing that is told of them; what is not told comes last."""

    name: str
    title: str
    heading: str
    groups: tuple[Group, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns of ``rows``."""
        return (self.heading, "stories")

    def rows(self) -> list[Row]:
        """The numbers, a row a group."""
        return [(group.label, len(group.stories)) for group in self.groups]

    def alt(self) -> str:
        """The numbers as a sentence: "Story origins by sector: Education 3,Third sector 19"."""
        return f"{self.title}: {_listed((group.label, len(group.stories)) for group in self.groups)}"


@dataclass(frozen=True, slots=True)
class Cell:
    """In how many stories a theme comes up, of how many: ``accepted`` by an editor, or ``proposed`` and no more."""

    accepted: int
    proposed: int
    of: int

    @property
    def total(self) -> int:
        """Accepted or proposed."""
        return self.accepted + self.proposed

    @property
    def share(self) -> float:
        """In percent of the stories."""
        return round(100 * self.total / self.of, 1) if self.of else 0.0

    @property
    def short(self) -> str:
        """What stands in a chart: accepted, and what is proposed after a plus."""
        return f"{self.accepted or ''}+{self.proposed}" if self.proposed else str(self.accepted)

    @property
    def told(self) -> str:
        """What stands in a sentence."""
        return f"{self.total} ({self.proposed} proposed)" if self.proposed else str(self.total)


@dataclass(frozen=True, slots=True)
class Crossed:
    """In how many stories of each group each theme comes up: a row of cells a theme, a cell a group."""

    name: str
    title: str
    heading: str
    groups: tuple[Group, ...]
    themes: tuple[Theme, ...]
    cells: tuple[tuple[Cell, ...], ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns of ``rows``."""
        return ("theme", self.heading, "accepted", "proposed", "stories", "share %")

    def rows(self) -> list[Row]:
        """The numbers, a row a cell."""
        return [
            (theme.name, group.label, cell.accepted, cell.proposed, cell.of, cell.share)
            for theme, cells in zip(self.themes, self.cells, strict=True)
            for group, cell in zip(self.groups, cells, strict=True)
        ]

    def alt(self) -> str:
        """The numbers as a sentence; what does not come up is not named."""
        said = [
            f"{group.label}, of {len(group.stories)}: {self._column(i)}"
            for i, group in enumerate(self.groups)
        ]
        return f"{self.title}: {'; '.join(said)}"

    def _column(self, index: int) -> str:
        found = [
            f"{theme.name} {cells[index].told}"
            for theme, cells in zip(self.themes, self.cells, strict=True)
            if cells[index].total
        ]
        return ",".join(found) or "none"


@dataclass(frozen=True, slots=True)
class Changes:
    """The share of stories in which each theme comes up, from phase to phase."""

    name: str
    title: str
    crossed: Crossed

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns of ``rows``."""
        return (*self.crossed.headings, "change in points")

    def points(self, theme: int, phase: int) -> float | None:
        """By how many percentage points the share differs from the phase before; None where there is none."""
        cells = self.crossed.cells[theme]
        return round(cells[phase].share - cells[phase - 1].share, 1) if 0 < phase < len(cells) else None

    def rows(self) -> list[Row]:
        """The numbers, a row a cell."""
        width = len(self.crossed.groups)
        return [(*row, self.points(*divmod(number, width))) for number, row in enumerate(self.crossed.rows())]

    def alt(self) -> str:
        """The shares as a sentence."""
        said = [
            f"{theme.name} {' to '.join(f'{cell.share:.0f}%' for cell in cells)}"
            for theme, cells in zip(self.crossed.themes, self.crossed.cells, strict=True)
        ]
        phases = " to ".join(group.label for group in self.crossed.groups)
        return f"{self.title}, {phases}: {','.join(said)}"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two themes that come up in the same stories, and in how many passages at once."""

    first: Theme
    second: Theme
    cell: Cell
    passages: int


@dataclass(frozen=True, slots=True)
class Together:
    """Every two themes, most stories first."""

    name: str
    title: str
    themes: tuple[Theme, ...]
    pairs: tuple[Pair, ...]

    @property
    def headings(self) -> tuple[str, ...]:
        """Of the columns of ``rows``."""
        return ("theme", "with", "accepted", "proposed", "stories", "share %", "passages")

    def rows(self) -> list[Row]:
        """The numbers, a row a pair."""
        return [
            (
                *(pair.first.name, pair.second.name, pair.cell.accepted, pair.cell.proposed),
                *(pair.cell.of, pair.cell.share, pair.passages),
            )
            for pair in self.pairs
        ]

    def alt(self) -> str:
        """The numbers as a sentence; what never comes up together is not named."""
        said = [f"{p.first.name} with {p.second.name} {p.cell.told}" for p in self.pairs if p.cell.total]
        return f"{self.title}: {','.join(reversed(said)) or 'none'}"


Figure = Counts | Crossed | Changes | Together


def origins(stories: Sequence[Story]) -> tuple[Counts, ...]:
    """Where the stories come from."""
    return (
        Counts("sector", "Story origins by sector", "sector", grouped(stories, "sector")),
        Counts("role", "Story origins by role", "role", grouped(stories, "role")),
        Counts("phase", "Stories by phase", "phase", grouped(stories, "phase")),
        Counts("method", "Stories by method", "method", grouped(stories, "method")),
        Counts("place", "Story origins by location", "location", grouped(stories, "place")),
    )


def grouped(stories: Sequence[Story], what: str) -> tuple[Group, ...]:
    """The stories by ``what`` is told of them: phases in their order, all else by number and name.

    What differs in capitals alone is the same; the spelling that most stories have is shown.
    """
    members: dict[str, list[int]] = defaultdict(list)
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for story in stories:
        label = _LABELS.get(what, clean)(getattr(story, what)) or NOT_TOLD
        members[label.casefold()].append(story.id)
        spellings[label.casefold()][label] += 1
    groups = [Group(spellings[key].most_common(1)[0][0], frozenset(members[key])) for key in sorted(members)]
    order = _by_phase if what == "phase" else _by_number
    return tuple(sorted(groups, key=lambda group: (group.label == NOT_TOLD, *order(group))))


def coming_up(themes: Sequence[Theme], marks: Iterable[Mark], stories: Sequence[Story]) -> Marked:
    """The themes by how many of the stories they come up in, with what stands on each."""
    ids = frozenset(story.id for story in stories)
    counted = [mark for mark in marks if mark.story in ids]
    accepted: dict[tuple[int, str], bool] = {}
    for mark in counted:
        key = (mark.story, mark.theme)
        accepted[key] = accepted.get(key, False) or mark.accepted
    often = Counter(theme for _, theme in accepted)
    ordered = tuple(sorted(themes, key=lambda theme: -often[theme.key]))
    return Marked(ordered, accepted, tuple(counted), ids)


@dataclass(frozen=True, slots=True)
class Marked:
    """Which themes come up in which stories: ``accepted`` is (story, theme's key) -> whether an editor said so."""

    themes: tuple[Theme, ...]
    accepted: Mapping[tuple[int, str], bool]
    marks: tuple[Mark, ...]
    stories: frozenset[int]

    def cell(self, stories: frozenset[int], *keys: str) -> Cell:
        """In how many of these stories all of these themes come up."""
        found = [[self.accepted.get((story, key)) for key in keys] for story in stories]
        there = [states for states in found if None not in states]
        accepted = sum(all(states) for states in there)
        return Cell(accepted, len(there) - accepted, len(stories))


def overall(marked: Marked) -> Crossed:
    """The themes in all stories."""
    return crossed("themes", "Stories by theme", "stories", (Group("All stories", marked.stories),), marked)


def crossed(name: str, title: str, heading: str, groups: tuple[Group, ...], marked: Marked) -> Crossed:
    """The themes in the stories of each group."""
    cells = tuple(tuple(marked.cell(group.stories, theme.key) for group in groups) for theme in marked.themes)
    return Crossed(name, title, heading, groups, marked.themes, cells)


def changes(phases: tuple[Group, ...], marked: Marked) -> Changes | None:
    """How themes change across the phases that are told; None where there is nothing to compare."""
    told = tuple(group for group in phases if group.label != NOT_TOLD)
    if len(told) < 2:
        return None
    return Changes("change", "Themes across phases", crossed("change", "", "phase", told, marked))


def together(marked: Marked) -> Together | None:
    """Which themes come up in the same stories, of those that come up at all; None where there are not two."""
    on_passage: dict[int | None, set[str]] = defaultdict(set)
    for mark in marked.marks:
        on_passage[mark.passage].add(mark.theme)
    passages = Counter(
        frozenset(pair) for keys in on_passage.values() for pair in combinations(sorted(keys), 2)
    )
    there = {key for _, key in marked.accepted}
    themes = tuple(theme for theme in marked.themes if theme.key in there)
    pairs = [
        Pair(a, b, marked.cell(marked.stories, a.key, b.key), passages[frozenset((a.key, b.key))])
        for a, b in combinations(themes, 2)
    ]
    pairs.sort(key=lambda pair: (-pair.cell.total, -pair.passages))
    return Together("together", "Themes that come up together", themes, tuple(pairs)) if pairs else None


def natural(label: str) -> list[tuple[int, int, str]]:
    """A key that sorts as people count.

    >>> sorted(["Phase 10", "Phase 2", "After"], key=natural)
    ['After', 'Phase 2', 'Phase 10']
    """
    parts = re.split(r"([0-9]+)", label.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts]


def _by_phase(group: Group) -> tuple[list[tuple[int, int, str]]]:
    return (natural(group.label),)


def _by_number(group: Group) -> tuple[int, str]:
    return (-len(group.stories), group.label.casefold())


def _area(place: str) -> str:
    return area_of(place) or clean(place)


def _phase(phase: str) -> str:
    return f"Phase {phase.strip()}" if phase.strip().isdecimal() else clean(phase)


_LABELS: dict[str, Callable[[str], str]] = {"place": _area, "phase": _phase, "method": str.capitalize}


def _listed(counts: Iterable[tuple[str, int]]) -> str:
    """Fewest first, as the sites that use it have it; what is not told comes last."""
    turned = list(counts)
    turned.reverse()
    turned.sort(key=lambda one: (one[0] == NOT_TOLD, one[1]))
    return ",".join(f"{label} {number}" for label, number in turned)
