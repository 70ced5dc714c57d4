"""`stories search`: full text over all transcripts."""

from __future__ import annotations

import click
from rich.text import Text

from db import models
from db.search import Hit
from db.search import search as search_transcripts
from pipeline import console, looks, overview
from pipeline.collection import Collection


@click.command("search")
@click.argument("words", nargs=-1, required=True, metavar="WORDS…")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="At the most so many."
)
@console.json_option
@console.with_collection
def command(collection: Collection, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Find where all WORDS are said: who said it, when, with the words around it.

    "quoted words" are found as they stand, and a star finds what begins so: isolat*.
    """
    with collection.sessions() as session:
        hits = search_transcripts(session, " ".join(words), limit=limit)
        names = {
            hit.recording_id: overview.name_of(session.get_one(models.Recording, hit.recording_id))
            for hit in hits
        }
    if as_json:
        console.print_json([_plain(hit, names[hit.recording_id]) for hit in hits])
        return
    out = console.console()
    for hit in hits:
        line = Text(
            f"{names[hit.recording_id]} {looks.clock(hit.start_ms)} {hit.speaker or '-'}: ", style="cyan"
        )
        out.print(line.append_text(_marked(hit.marked)))
    if not hits:
        click.echo("Nobody says that.")


def _plain(hit: Hit, name: str) -> dict[str, object]:
    return {
        "recording": name,
        "segment": hit.segment,
        "start_ms": hit.start_ms,
        "end_ms": hit.end_ms,
        "speaker": hit.speaker,
        "text": hit.text,
    }


def _marked(text: str) -> Text:
    styled = Text(style="default")
    for index, part in enumerate(text.replace("\x03", "\x02").split("\x02")):
        styled.append(part, style="bold" if index % 2 else "")
    return styled
