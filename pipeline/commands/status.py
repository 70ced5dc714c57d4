"""`stories status`: what stands where."""

from __future__ import annotations

from dataclasses import asdict

import click

from pipeline import console, looks, overview
from pipeline.collection import Collection

MARKS = {"done": "✓", "failed": "✗", "running": "…", "": "·"}


@click.command("status")
@console.json_option
@console.with_collection
def command(collection: Collection, as_json: bool) -> None:
    """Show what stands where, what failed and why, and what waits for whom."""
    with collection.sessions() as session:
        standings = overview.standings(session)
        problems = overview.problems(session)
    if as_json:
        console.print_json(
            {
                "recordings": [asdict(standing) for standing in standings],
                "problems": [asdict(problem) for problem in problems],
            }
        )
        return
    _show(standings, problems)


def _show(standings: list[overview.Standing], problems: list[overview.Problem]) -> None:
    if not standings and not problems:
        click.echo("There is nothing here yet: put recordings into recordings/ and run `stories process`.")
        return
    console.print_table(
        ("recording", "story", "phase", ">length", *overview.STAGES, ">clips", "waits for"),
        [
            (
                standing.name.removeprefix("recordings/"),
                standing.story,
                standing.phase,
                looks.clock(standing.duration_ms),
                *(MARKS[standing.stages[stage]] for stage in overview.STAGES),
                str(sum(standing.clips.values())),
                standing.waits_for,
            )
            for standing in standings
        ],
    )
    for standing in standings:
        if standing.error:
            click.echo(f"{standing.name}: {standing.error}")
    for problem in problems:
        click.echo(f"{problem.path}: {problem.reason}")
