"""The HTML pages: the list of recordings, what a search finds, one recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from db import models
from db.search import MARK_END, MARK_START, Hit, search
from pipeline.looks import clock, spoken_duration
from pipeline.overview import STAGES
from pipeline.review import addresses, listing
from pipeline.review.document import recording_of

MOST_HITS = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found in one recording."""

    id: int
    title: str
    storyteller: str
    hits: tuple[Hit, ...]


def marked_parts(marked: str) -> list[tuple[bool, str]]:
    """A hit's text in pieces, each with whether it matched.

    >>> marked_parts("a \\x02cup\\x03 of tea")
    [(False, 'a '), (True, 'cup'), (False, ' of tea')]
    """
    parts: list[tuple[bool, str]] = []
    for piece in marked.split(MARK_START):
        matched, end, rest = piece.rpartition(MARK_END)
        parts += [(True, matched), (False, rest)] if end else [(False, rest)]
    return [(matched, text) for matched, text in parts if text]


def make_templates() -> Jinja2Templates:
    """The templates, escaping everything, and refusing names that are not given."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(clock=clock, spoken_duration=spoken_duration, marked_parts=marked_parts)
    return Jinja2Templates(env=environment)


def recordings(request: Request) -> Response:
    """The list, or what the words in the search box find."""
    words = request.query_params.get("q", "").strip()
    if words:
        return _search(request, words)
    phase = request.query_params.get("phase", "")
    with request.app.state.collection.sessions() as session:
        seen = listing.page_of(session, phase=phase, page=_page(request))
    return _render(request, "recordings.html", {"seen": seen, "phase": phase, "stages": STAGES})


def recording(request: Request) -> Response:
    """One recording; its content comes from the JSON interface."""
    with request.app.state.collection.sessions() as session:
        row = recording_of(session, request.path_params["recording_id"])
        story = row.story
        context = {
            "recording": row,
            "title": listing.title_of(row),
            "file": listing.file_of(row),
            "facts": [
                listing.storyteller_of(row, listing.may_work(row)),
                listing.about_storyteller(row),
                f"Phase {story.phase}" if story and story.phase.isdigit() else story.phase if story else "",
                story.told_on.isoformat() if story and story.told_on else "",
                story.method if story else "",
            ],
        }
    return _render(request, "recording.html", context)


def problem(request: Request, status: int, message: str) -> Response:
    """A page that says what is wrong."""
    return _render(request, "problem.html", {"message": message}, status)


def _search(request: Request, words: str) -> Response:
    with request.app.state.collection.sessions() as session:
        hits = search(session, words[:300], limit=MOST_HITS)
        found = _by_recording(session, hits)
    shown = sum(len(item.hits) for item in found)
    return _render(
        request, "search.html", {"words": words, "found": found, "shown": shown, "most": MOST_HITS}
    )


def _by_recording(session: Session, hits: Sequence[Hit]) -> list[Found]:
    """The hits in groups, those of withdrawn stories left out."""
    order = {
        recording_id: place for place, recording_id in enumerate(dict.fromkeys(h.recording_id for h in hits))
    }
    ordered = sorted(hits, key=lambda hit: (order[hit.recording_id], hit.start_ms))
    found = []
    for recording_id, group in groupby(ordered, key=lambda hit: hit.recording_id):
        row = session.get(models.Recording, recording_id)
        if row is None or not (decision := listing.may_work(row)).allowed:
            continue
        teller = listing.storyteller_of(row, decision)
        found.append(Found(recording_id, listing.title_of(row), teller, tuple(group)))
    return found


def _page(request: Request) -> int:
    given = request.query_params.get("page", "1")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 7 else 1


def _render(request: Request, name: str, context: dict[str, object], status: int = 200) -> Response:
    state = request.app.state
    common = {
        "collection": state.collection.settings.collection.title,
        "author": state.author,
        "token": state.token,
    }
    templates: Jinja2Templates = state.templates
    shared = {"words": "", **common}
    return templates.TemplateResponse(request, name, shared | context, status_code=status)


addresses.register()
routes = [
    Route("/", recordings, name="recordings"),
    Route("/recordings/{recording_id:row}", recording, name="recording"),
]
