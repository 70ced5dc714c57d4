"""`stories clip`: excerpts, from proposal to approval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from db import models, store
from pipeline import config, console, excerpts, looks, overview
from pipeline.collection import Collection
from pipeline.gate import Purpose, decide

NAME_SOME = "Name the clips, or say --all."
STATES = ("proposed", "approved", "rejected", "needs review")


class Moment(click.ParamType[int]):
    """A time in a recording: seconds (95.5), or minutes and seconds (1:35.5), or with hours; gives milliseconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        if isinstance(value, int):
            return value
        found = looks.moment_ms(value)
        if found is None:
            self.fail(
                f"'{value}' is no time; write seconds (95.5) or minutes and seconds (1:35.5).", param, ctx
            )
        return found


@click.group("clip")
def command() -> None:
    """List, add, cut, approve, reject and remove clips."""


@command.command("list")
@click.option(
    "--state", type=click.Choice(STATES), multiple=True, help="Only clips of this state; repeatable."
)
@click.option("--recording", help="Only clips of this recording.")
@console.json_option
@console.with_collection
def list_clips(collection: Collection, state: tuple[str, ...], recording: str | None, as_json: bool) -> None:
    """List clips, by recording and time."""
    with collection.sessions() as session:
        only = overview.find_recording(session, recording).id if recording else None
        found = [_facts(clip) for clip in store.clips(session, states=state, recording_id=only)]
    rows = sorted(found, key=lambda row: (row["recording"], row["start_ms"]))
    if as_json:
        console.print_json(rows)
        return
    if not rows:
        click.echo("There are no clips; `stories process` proposes them.")
        return
    console.print_table(
        ("slug", "recording", ">from", ">to", "theme", "state", "quote"),
        [
            (
                row["slug"],
                row["recording"].removeprefix("recordings/"),
                looks.clock(row["start_ms"]),
                looks.clock(row["end_ms"]),
                row["theme"] or "-",
                row["state"],
                _short(row["quote"]),
            )
            for row in rows
        ],
    )


@command.command("add")
@click.argument("recording", metavar="RECORDING")
@click.argument("start", metavar="START", type=Moment())
@click.argument("end", metavar="END", type=Moment())
@click.option("--title", default="", help="A title; default: the first words.")
@click.option("--theme", default="", help="The key of a theme.")
@console.with_collection
def add_clip(collection: Collection, recording: str, start: int, end: int, title: str, theme: str) -> None:
    """Add a clip of RECORDING from START to END, in seconds or as 1:35.5."""
    with collection.sessions() as session:
        found = overview.find_recording(session, recording).id
    click.echo(excerpts.add(collection, found, start, end, title=title, theme=theme))


@command.command("cut")
@click.argument("slugs", nargs=-1, metavar="[SLUG]…")
@click.option("--all", "every", is_flag=True, help="Every clip that is not rejected.")
@console.with_collection
def cut_clips(collection: Collection, slugs: tuple[str, ...], every: bool) -> None:
    """Cut the media, captions and poster of clips; what is there and right is left alone."""
    for slug in slugs or _slugs(collection, every, ("proposed", "approved", "needs review")):
        excerpts.cut(collection, slug)
        with collection.sessions() as session:
            clip = store.clip(session, slug)
            media = next(file for file in clip.files if file.kind == "media") if clip else None
            if media is not None:
                click.echo(
                    f"{media.path}  {(media.duration_ms or 0) / 1000:.2f} s  {media.loudness_lufs:.1f} LUFS"
                )


@command.command("approve")
@click.argument("slugs", nargs=-1, metavar="[SLUG]…")
@click.option("--all", "every", is_flag=True, help="Every proposed clip of a story that may be published.")
@click.option("--author", help="Who says yes; default: STORIES_AUTHOR, else the login name.")
@console.with_collection
def approve_clips(collection: Collection, slugs: tuple[str, ...], every: bool, author: str | None) -> None:
    """Approve clips, exactly as they are cut now; what is not cut is cut first."""
    for slug in slugs or _publishable(collection, every):
        excerpts.approve(collection, slug, author=author or config.author())
        click.echo(f"{slug} approved")


@command.command("reject")
@click.argument("slugs", nargs=-1, required=True, metavar="SLUG…")
@click.option("--author", help="Who says no; default: STORIES_AUTHOR, else the login name.")
@console.with_collection
def reject_clips(collection: Collection, slugs: tuple[str, ...], author: str | None) -> None:
    """Reject clips: they are not proposed again, and approvals of them are revoked."""
    for slug in slugs:
        excerpts.reject(collection, slug, author=author or config.author())
        click.echo(f"{slug} rejected")


@command.command("remove")
@click.argument("slugs", nargs=-1, required=True, metavar="SLUG…")
@console.with_collection
def remove_clips(collection: Collection, slugs: tuple[str, ...]) -> None:
    """Forget clips and delete what was cut for them."""
    for slug in slugs:
        excerpts.remove(collection, slug)
        click.echo(f"{slug} removed")


def _facts(clip: models.Clip) -> dict[str, Any]:
    link = max(clip.links, key=lambda link: link.transcript_id, default=None)
    return {
        "slug": clip.slug,
        "recording": overview.name_of(clip.recording),
        "title": clip.title,
        "theme": clip.theme.key if clip.theme else "",
        "start_ms": clip.start_ms,
        "end_ms": clip.end_ms,
        "state": clip.state,
        "origin": clip.origin,
        "score": round(clip.score, 3),
        "reasons": clip.reasons,
        "quote": link.quote if link else "",
        "first_word": link.first_word if link else "",
        "last_word": link.last_word if link else "",
        "files": {
            file.kind: {
                "path": file.path,
                "bytes": file.bytes,
                "duration_ms": file.duration_ms,
                "loudness_lufs": file.loudness_lufs,
                "true_peak_db": file.true_peak_db,
            }
            for file in clip.files
        },
    }


def _slugs(collection: Collection, every: bool, states: Sequence[str]) -> list[str]:
    if not every:
        raise click.UsageError(NAME_SOME)
    with collection.sessions() as session:
        return [clip.slug for clip in store.clips(session, states=states)]


def _publishable(collection: Collection, every: bool) -> list[str]:
    if not every:
        raise click.UsageError(NAME_SOME)
    with collection.sessions() as session:
        return [
            clip.slug
            for clip in store.clips(session, states=("proposed",))
            if decide(store.consent_scope(clip.recording), Purpose.PUBLISH).allowed
        ]


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57].rsplit(" ", 1)[0] + " …"
