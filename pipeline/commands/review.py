"""`stories review`: the editor in the browser."""

from __future__ import annotations

import click

from pipeline import config, console
from pipeline.collection import Collection


@click.command("review")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8765, show_default=True, help="0: any free port."
)
@click.option("--open/--no-open", "open_browser", default=True, help="Open the page in the browser.")
@click.option("--author", help="Who edits; default: STORIES_AUTHOR, else the login name.")
@console.with_collection
def command(collection: Collection, port: int, open_browser: bool, author: str | None) -> None:
    """Serve the collection to a browser on this machine: listen, correct, name speakers, approve clips.

    Stop it with Ctrl-C; everything is saved as you go.
    """
    from pipeline.review.app import serve

    serve(collection, port=port, open_browser=open_browser, author=author or config.author())
