"""The report of a collection: read, counted, quoted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from pipeline import publishing
from pipeline.collection import Collection
from pipeline.report import audience as audiences
from pipeline.report import figures, quotes, reading
from pipeline.report.audience import Audience
from pipeline.report.figures import Crossed, Figure, Marked
from pipeline.report.quotes import Cells
from pipeline.report.reading import Mark


@dataclass(frozen=True, slots=True)
class Report:
    """All that a report tells: for whom, how many stories count, what was left out, the figures and the quotes."""

    title: str
    audience: Audience
    stories: int
    left_out: tuple[str, ...]
    themes: int
    figures: tuple[Figure, ...]
    quotes: Cells


def report_of(collection: Collection, audience: Audience) -> Report:
    """What the collection holds, as far as this audience may be told."""
    approved = _approved(collection) if audience is Audience.PUBLIC else []
    with collection.sessions() as session:
        admitted = audiences.admit(reading.stories(session), audience)
        themes = reading.themes(session)
        marked = figures.coming_up(themes, reading.theme_marks(session), admitted.stories)
        drawn = _figures(admitted.stories, marked)
        marks = _approved_marks(session, approved, marked) if audience is Audience.PUBLIC else marked.marks
        phases = next((figure for figure in drawn if figure.name == figures.BY_PHASE), None)
        chosen = quotes.choose(phases, marks) if isinstance(phases, Crossed) else {}
        cells = quotes.word(session, chosen, audience)
        strays = reading.recordings_of_no_story(session)
    return Report(
        title=collection.settings.collection.title,
        audience=audience,
        stories=len(admitted.stories),
        left_out=(*admitted.left_out, *_strays(strays)),
        themes=len(themes),
        figures=drawn,
        quotes=cells,
    )


def _figures(stories: Sequence[audiences.Story], marked: Marked) -> tuple[Figure, ...]:
    """What there is to draw; themes only where any comes up."""
    if not stories:
        return ()
    origins = figures.origins(stories)
    if not marked.marks:
        return origins
    phases, sectors = figures.grouped(stories, "phase"), figures.grouped(stories, "sector")
    crossed: list[Crossed] = [
        figures.overall(marked),
        figures.crossed(figures.BY_PHASE, "Themes by phase", "phase", phases, marked),
        figures.crossed(figures.BY_SECTOR, "Themes by sector", "sector", sectors, marked),
    ]
    more = (figures.together(marked), figures.changes(phases, marked))
    return (*origins, *crossed, *(figure for figure in more if figure))


def _approved(collection: Collection) -> list[str]:
    """The clips that may be shown to everybody now: nothing else of what was said may."""
    going, _ = publishing.gather(collection)
    return [clip.slug for clip in going]


def _approved_marks(session: Session, slugs: Iterable[str], marked: Marked) -> list[Mark]:
    """The approved clips as quotes, where their theme is still counted in their story."""
    return [
        replace(mark, accepted=marked.accepted[mark.story, mark.theme])
        for mark in reading.clip_marks(session, slugs)
        if (mark.story, mark.theme) in marked.accepted
    ]


def _strays(number: int) -> list[str]:
    if not number:
        return []
    said = "1 recording has" if number == 1 else f"{number} recordings have"
    return [f"{said} no line in intake.csv, so no story to count"]
