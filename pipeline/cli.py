"""The command line: one group, one error boundary. Each verb lives in its own file and is loaded when asked for."""

from __future__ import annotations

import importlib
import logging
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import click

COMMANDS = {
    "init": "init",
    "process": "process",
    "status": "status",
    "show": "show",
    "search": "search",
    "export": "export",
    "review": "review",
    "themes": "themes",
    "speakers": "speakers",
    "clip": "clip",
    "publish": "publish",
    "report": "report",
    "doctor": "doctor",
}
"""Every verb and its module in ``pipeline.commands``, in the order of a collection's life."""


@dataclass(frozen=True, slots=True)
class App:
    """What every command is given."""

    folder: Path
    verbose: int


class _Verbs(click.Group):
    """Loads a verb's module only when it is needed, so that the program starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"pipeline.commands.{COMMANDS[cmd_name]}")
        command: click.Command = module.command
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-C",
    "--collection",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="STORIES_COLLECTION",
    help="The collection's folder. Default: this folder, or the nearest one above that is a collection.",
)
@click.option("-v", "--verbose", count=True, help="Say more; twice: everything.")
@click.version_option(version("stories"), prog_name="stories")
@click.pass_context
def stories(ctx: click.Context, folder: Path | None, verbose: int) -> None:
    """From recorded stories to reviewed transcripts and to film and audio excerpts on a website.

    A collection is a folder. `stories init DIR` makes one, `stories process` does the work, `stories review` opens
    the editor, `stories publish SITE` puts approved clips into a Hugo site.
    """
    levels = {0: logging.WARNING, 1: logging.INFO}
    logging.basicConfig(format="%(name)s: %(message)s", level=levels.get(verbose, logging.DEBUG))
    ctx.obj = App(folder or _nearest(Path.cwd()), verbose)


def _nearest(start: Path) -> Path:
    """The nearest folder from ``start`` upwards that is a collection; ``start`` when there is none."""
    for folder in (start, *start.parents):
        if (folder / "stories.toml").is_file():
            return folder
    return start


def main() -> None:
    """Run the program; whatever goes wrong in a way we know becomes one line."""
    # Loaded here, not above, because the families of errors live beside heavier things.
    from sqlalchemy.exc import DBAPIError

    from db.engine import DatabaseError
    from media.errors import MediaError
    from pipeline.errors import StoriesError
    from transcripts.errors import TranscriptsError

    try:
        stories(prog_name="stories")
    except (StoriesError, MediaError, TranscriptsError, DatabaseError) as error:
        click.echo(f"stories: {error}", err=True)
        sys.exit(2)
    except DBAPIError as error:
        said = f"the database could not do what was asked ({error.orig}); `stories doctor` looks at it."
        click.echo(f"stories: {said}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
