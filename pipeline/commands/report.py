"""`stories report`: the collection in charts, with the quotes behind the counts."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline import console
from pipeline.collection import Collection


@click.command("report")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where to write; default: derived/report, for the public derived/report-public.",
)
@click.option(
    "--for",
    "reader",
    type=click.Choice(("team", "public")),
    default="team",
    show_default=True,
    help="Who reads it: the public is told only what consent covers.",
)
@click.option(
    "--images",
    metavar="PREFIX",
    default="../images/",
    show_default=True,
    help="What stands before a chart's name in floats.md.",
)
@console.json_option
@console.with_collection
def command(collection: Collection, out: Path | None, reader: str, images: str, as_json: bool) -> None:
    """Write the collection in charts: where stories come from, their themes, and how these change across phases.

    One page (index.html), each chart as SVG and PNG with its numbers as CSV (charts/), and lines that put the charts
    into a page of a Hugo site (floats.md). Withdrawn stories are left out. For the public, stories that may not be
    published are too, the place of anonymous ones is not told, and only approved clips are quoted.
    """
    # Loaded here: Altair takes a second.
    from pipeline.report import writing
    from pipeline.report.audience import Audience
    from pipeline.report.making import report_of

    audience = Audience(reader)
    folder = out or collection.derived / ("report" if audience is Audience.TEAM else "report-public")
    report = report_of(collection, audience)
    written = writing.write(report, folder, images)
    if as_json:
        console.print_json({**writing.plain(report), "files": [str(path) for path in written]})
        return
    for line in report.left_out:
        click.echo(line)
    if not report.stories:
        click.echo("There is no story to count yet.")
    counted = "1 story" if report.stories == 1 else f"{report.stories} stories"
    click.echo(f"{folder / 'index.html'}  {counted}, {len(report.figures)} charts")
