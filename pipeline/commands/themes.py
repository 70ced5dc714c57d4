"""`stories themes`: the codebook, and its exchange with other programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from media.files import atomic_path
from pipeline import codebook, console, exchange, looks
from pipeline.collection import Collection
from pipeline.errors import ConfigError
from transcripts.errors import CodebookError
from transcripts.formats.refi.archive import unpack
from transcripts.formats.refi.markup import Malformed
from transcripts.formats.refi.reading import ReadProject, read_codebook
from transcripts.formats.refi.writing import write_codebook
from transcripts.themes import changes, tables
from transcripts.themes.changes import Change, Incoming
from transcripts.themes.codebook import Codebook, Theme, clean, read_bytes
from transcripts.themes.codes import from_codes, to_codes

FILES = (".qdc", ".csv", ".md")
_MOST_SHOWN = 20


@click.group("themes")
def command() -> None:
    """Show, check, rename, import and export the themes of the codebook."""


@command.command("list")
@console.json_option
@console.with_collection
def list_themes(collection: Collection, as_json: bool) -> None:
    """List the themes, each under its parent, with how many passages they are proposed or accepted for."""
    book = codebook.standing(collection).book
    passages = codebook.passages_by_theme(collection)
    if as_json:
        console.print_json(
            [{**asdict(theme), "passages": passages.get(theme.key, 0)} for theme in book.themes]
        )
        return
    console.print_table(
        ("theme", "key", "colour", ">examples", ">passages", "description"),
        [
            (
                "  " * depth + escape(theme.name),
                theme.key,
                theme.colour or "-",
                str(len(theme.examples)),
                str(passages.get(theme.key, 0)),
                escape(theme.description),
            )
            for depth, theme in _in_order(book)
        ],
    )


@command.command("check")
@console.json_option
@console.with_collection
def check_themes(collection: Collection, as_json: bool) -> None:
    """Say whether themes.yaml is a codebook, with the line of the mistake, and what would make it better."""
    book = codebook.standing(collection).book
    if not book.themes:
        raise CodebookError(
            codebook.path_of(collection), None, "is not there; `stories themes import` makes one"
        )
    advice = [{"theme": theme.key, "advice": what} for theme in book.themes for what in _advice(theme)]
    if as_json:
        console.print_json({"themes": len(book.themes), "advice": advice})
        return
    click.echo(f"{codebook.path_of(collection)}: {len(book.themes)} themes, no mistakes.")
    for one in advice:
        click.echo(f"  {one['theme']}: {one['advice']}")


@command.command("rename")
@click.argument("theme", metavar="KEY")
@click.argument("name", metavar="NEW-NAME")
@console.with_collection
def rename_theme(collection: Collection, theme: str, name: str) -> None:
    """Give the theme of KEY another name; its key, passages, clips and pages stay as they are."""
    before = codebook.standing(collection)
    key = codebook.theme_key(before.book, theme)
    wanted = " ".join(clean(name).split())
    if not wanted:
        raise ConfigError("A theme needs a name; write the new one after the key.")
    codebook.change(collection, before, changes.renamed(before.book, key, wanted, before.path))
    click.echo(f'{key}: "{before.book[key].name}" is now "{wanted}"')


@command.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--yes", is_flag=True, help="Write what would change; without it, it is only shown.")
@click.option("--keep", is_flag=True, help="Keep themes that FILE does not have.")
@console.json_option
@console.with_collection
def import_themes(collection: Collection, file: Path, yes: bool, keep: bool, as_json: bool) -> None:
    """Take the themes from FILE: a REFI-QDA codebook (.qdc) or project (.qdpx), or a table (.csv).

    What would change is shown first; --yes writes it. What FILE cannot say, such as the notes in a foreign codebook,
    stays as it is. Of a project, codings that are not here yet are shown too; they are not written.
    """
    before = codebook.standing(collection)
    incoming, problems, project = _read(file, before.book)
    after = changes.merged(before.book, incoming, file, keep=keep)
    found = changes.compare(before.book, after)
    coded, skipped = _codings(collection, project, incoming, before.book, file)
    if yes and found:
        codebook.change(collection, before, after)
    if as_json:
        console.print_json(
            {
                "changes": [asdict(change) for change in found],
                "left_out": [*problems, *skipped],
                "codings": coded,
                "written": yes and bool(found),
            }
        )
        return
    _show_changes(found, yes)
    _show_codings(coded, project)
    _show_lines("left out:", [*problems, *skipped])


@command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@console.with_collection
def export_themes(collection: Collection, file: Path) -> None:
    """Write the codebook to FILE: .qdc for NVivo, ATLAS.ti, MAXQDA and others; .csv for a spreadsheet; .md to read."""
    standing = codebook.standing(collection)
    if not standing.book.themes:
        raise CodebookError(standing.path, None, "is not there, so there is nothing to export")
    suffix = file.suffix.lower()
    if suffix == ".qdc":
        data = write_codebook(to_codes(standing.book), exchange.ORIGIN)
    elif suffix == ".csv":
        # Spreadsheets take a file for UTF-8 by the mark at its start.
        data = tables.write_csv(standing.book).encode("utf-8-sig")
    elif suffix == ".md":
        title = f"{collection.settings.collection.title}: codebook"
        data = tables.write_markdown(standing.book, title).encode()
    else:
        also = " `stories export --qdpx FILE` writes the whole collection." if suffix == ".qdpx" else ""
        raise ConfigError(f"'{file}' must end in one of {', '.join(FILES)}.{also}")
    with atomic_path(file) as made:
        made.write_bytes(data)
    click.echo(f"{file}  {len(standing.book.themes)} themes")


@command.command("versions")
@console.json_option
@console.with_collection
def list_versions(collection: Collection, as_json: bool) -> None:
    """List what the codebook said before each change that was made with this program, newest first."""
    found = codebook.versions(collection)
    if as_json:
        console.print_json(
            [
                {
                    "version": one.name,
                    "until": one.until.isoformat(),
                    "themes": one.themes,
                    "path": str(one.path),
                }
                for one in found
            ]
        )
        return
    if not found:
        click.echo("The codebook was not changed with this program yet.")
        return
    console.print_table(
        ("version", "held until", ">themes"),
        [
            (one.name, f"{one.until:%Y-%m-%d %H:%M} UTC", str(one.themes) if one.themes is not None else "?")
            for one in found
        ],
    )


@command.command("restore")
@click.argument("version", metavar="VERSION")
@console.with_collection
def restore_version(collection: Collection, version: str) -> None:
    """Make the codebook what it was in VERSION; what it is now is kept as a version too."""
    restored = codebook.restore(collection, version)
    click.echo(f"The codebook is again what it was until {restored.until:%Y-%m-%d %H:%M} UTC.")


def _read(file: Path, before: Codebook) -> tuple[list[Incoming], list[str], ReadProject | None]:
    """The themes of a file, what was left out of it, and the whole project when it is one."""
    suffix = file.suffix.lower()
    if suffix == ".qdpx":
        project = unpack(file)
        notes = {note.guid: note.text for note in project.project.notes}
        incoming, problems = from_codes(project.codes, before, notes)
        return incoming, [*project.problems, *problems], project
    if suffix == ".csv":
        incoming, problems = tables.read_csv(read_bytes(file), file)
        return incoming, problems, None
    if suffix == ".qdc":
        try:
            read = read_codebook(read_bytes(file))
        except Malformed as error:
            raise CodebookError(file, error.line, error.what) from error
        incoming, problems = from_codes(read.codes, before)
        return incoming, [*read.problems, *problems], None
    why = " Markdown is for reading; bring the .csv back." if suffix == ".md" else ""
    raise ConfigError(f"'{file}' cannot be imported: it must be .qdc, .qdpx or .csv.{why}")


def _codings(
    collection: Collection,
    project: ReadProject | None,
    incoming: Sequence[Incoming],
    before: Codebook,
    file: Path,
) -> tuple[list[dict[str, Any]], list[str]]:
    """The project's codings on this collection that do not stand here already, and what could not be found."""
    if project is None:
        return [], []
    keys = changes.theme_keys(before, incoming, file)
    by_guid = {read.code.guid: key for read, key in zip(project.codes, keys, strict=True)}
    here = exchange.labels(collection)
    coded, problems = exchange.codings_of(collection, project.project)
    return [
        {**asdict(one), "theme": by_guid[one.code]}
        for one in coded
        if not _stands(here.get((one.recording_id, by_guid[one.code], one.first_word, one.last_word)), one)
    ], problems


def _stands(state: str | None, coded: exchange.Coded) -> bool:
    """Whether the label says here what the coding says: a proposal is less than somebody's word."""
    return state == "accepted" or (state == "proposed" and coded.proposed)


def _advice(theme: Theme) -> list[str]:
    advice = []
    if not theme.description:
        advice.append("a description makes proposals better")
    if len(theme.examples) < 2:
        advice.append("two or three example sentences make proposals better")
    return advice


def _in_order(book: Codebook, parent: str | None = None, depth: int = 0) -> list[tuple[int, Theme]]:
    found: list[tuple[int, Theme]] = []
    for theme in book.under(parent):
        found += [(depth, theme), *_in_order(book, theme.key, depth + 1)]
    return found


def _show_changes(found: Sequence[Change], written: bool) -> None:
    for change in found:
        what = f": {change.what}" if change.what else ""
        click.echo(f"{change.kind:>8}  {change.name} ({change.key}){what}")
    if not found:
        click.echo("The codebook says all of this already; nothing to write.")
    elif not written:
        click.echo("Nothing was written; say --yes to write it.")


def _show_codings(coded: Sequence[dict[str, Any]], project: ReadProject | None) -> None:
    if project is not None and not coded:
        click.echo("Every coding on this collection stands here already.")
    lines = [
        f"{one['recording']} {looks.clock(one['start_ms'])} to {looks.clock(one['end_ms'])}  {one['theme']}"
        f"  {one['by'] or 'somebody'}"
        for one in coded
    ]
    _show_lines("coded elsewhere, not here:", lines)


def _show_lines(heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    click.echo(heading)
    for line in lines[:_MOST_SHOWN]:
        click.echo(f"  {line}")
    if len(lines) > _MOST_SHOWN:
        click.echo(f"  and {len(lines) - _MOST_SHOWN} more; --json lists all")
