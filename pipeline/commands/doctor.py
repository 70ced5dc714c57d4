"""`stories doctor`: is everything here that is needed, and if not, what to do."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from pipeline import console
from pipeline.cli import App
from pipeline.health import MARKS, checks


@click.command("doctor")
@console.json_option
@click.pass_obj
def command(app: App, as_json: bool) -> None:
    """Check ffmpeg, models, database and disk, and say what to do. Works outside a collection too."""
    results = checks(app.folder)
    if as_json:
        console.print_json([asdict(result) for result in results])
    else:
        for result in results:
            click.echo(f"{MARKS[result.state]} {result.what}: {result.found}")
            if result.advice:
                click.echo(f"    {result.advice}")
    sys.exit(2 if any(result.state == "broken" for result in results) else 0)
