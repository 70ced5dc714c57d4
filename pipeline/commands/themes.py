"""`stories themes`: the codebook, and its exchange with other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from media.files import atomic_path
from pipeline import codebook, coding, config, console, exchange, labelling, learning, looks
from pipeline.collection import Collection
from pipeline.errors import ConfigError, NotFound
from pipeline.labelling import Held
from transcripts.errors import CodebookError
from transcripts.formats.refi.archive import unpack
from transcripts.formats.refi.markup import Malformed
from transcripts.formats.refi.reading import ReadProject, read_codebook
from transcripts.formats.refi.writing import write_codebook
from transcripts.themes import changes, tables
from transcripts.themes.changes import Change, Incoming
from transcripts.themes.codebook import Codebook, Theme, clean, read_bytes
from transcripts.themes.codes import from_codes, to_codes
from transcripts.themes.discovery import Candidate

FILES = (".qdc", ".csv", ".md")
_MOST_SHOWN = 20
_QUOTE_CHARS = 90

author_option = click.option("--author", help="Who says so; default: STORIES_AUTHOR, else the login name.")


@click.group("themes")
def command() -> None:
    """The codebook's themes, what editors say of them, and what is learned from that."""


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
    stays as it is. Of a project, codings of this collection's recordings that are not here yet come too, under the
    name of who made them.
    """
    before = codebook.standing(collection)
    incoming, problems, project = _read(file, before.book)
    after = changes.merged(before.book, incoming, file, keep=keep)
    found = changes.compare(before.book, after)
    coded, skipped = _codings(collection, project, incoming, before.book, file)
    taken = 0
    if yes and found:
        codebook.change(collection, before, after)
    if yes and coded:
        taken = exchange.take_over(collection, coded)
        labelling.settle(collection)
    told = [{**asdict(one), "theme": theme} for one, theme in coded]
    if as_json:
        console.print_json(
            {
                "changes": [asdict(change) for change in found],
                "left_out": [*problems, *skipped],
                "codings": told,
                "written": yes and bool(found),
                "codings_written": taken,
            }
        )
        return
    _show_changes(found, yes)
    _show_codings(told, project, taken)
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


def of_passage(function: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments that name a passage."""
    function = click.argument("passage", metavar="PASSAGE")(function)
    return click.argument("recording", metavar="RECORDING")(function)


def _saying(name: str, state: coding.State | None, told: str) -> None:
    """A command that says this of themes on a passage."""

    @command.command(name, help=told)
    @of_passage
    @click.argument("themes", metavar="KEY…", nargs=-1, required=True)
    @author_option
    @console.with_collection
    def say(
        collection: Collection, recording: str, passage: str, themes: tuple[str, ...], author: str | None
    ) -> None:
        _say(collection, recording, passage, dict.fromkeys(themes, state), author)


_saying(
    "accept",
    "accepted",
    "Say that themes fit a PASSAGE of RECORDING: its number in `stories show`, or a moment such as 1:23.",
)
_saying(
    "reject",
    "rejected",
    "Say that themes do not fit a PASSAGE of RECORDING; they are not proposed for it again.",
)
_saying("clear", None, "Take back what was said of themes on a PASSAGE of RECORDING.")


@command.command("move")
@of_passage
@click.argument("source", metavar="FROM-KEY")
@click.argument("target", metavar="TO-KEY")
@author_option
@console.with_collection
def move_theme(
    collection: Collection, recording: str, passage: str, source: str, target: str, author: str | None
) -> None:
    """Say that a PASSAGE of RECORDING speaks of another theme than the one it has."""
    _say(collection, recording, passage, {source: "rejected", target: "accepted"}, author)


@command.command("learn")
@console.json_option
@console.with_collection
def learn_themes(collection: Collection, as_json: bool) -> None:
    """Learn from what editors said: proposals before and after, and which passages have other themes now.

    Agreement is F1: 1 when every accepted theme is proposed and no rejected one. Each story is judged by what was said
    of the others.
    """
    found = learning.learn(collection)
    if as_json:
        console.print_json(asdict(found))
        return
    if not found.looked_at:
        click.echo(
            "Nobody has said of a passage yet which themes fit; `stories themes next` shows where to begin."
        )
    else:
        click.echo(
            f"{found.looked_at} of {found.passages} passages were looked at. "
            f"Agreement by the codebook alone {found.before:.2f}, with what was learned {found.after:.2f}."
        )
        console.print_table(
            ("theme", ">accepted", ">rejected", ">before", ">after"),
            [
                (one.theme, str(one.accepted), str(one.rejected), f"{one.before:.2f}", f"{one.after:.2f}")
                for one in found.themes
            ],
        )
    _show_lines("Other themes now:", [_changed(one) for one in found.changes])


@command.command("next")
@click.option("--most", type=click.IntRange(1, 1000), default=10, show_default=True, help="How many to list.")
@console.json_option
@console.with_collection
def next_passages(collection: Collection, most: int, as_json: bool) -> None:
    """List the passages to look at next: those whose themes are least certain teach most."""
    found = learning.next_looks(collection, most)
    rows = [
        {
            "recording": one.passage.recording,
            "passage": one.passage.ordinal + 1,
            "start_ms": one.passage.start_ms,
            "theme": one.theme,
            "score": one.score,
            "quote": one.passage.quote,
        }
        for one in found
    ]
    if as_json:
        console.print_json(rows)
        return
    if not rows:
        click.echo("There is nothing to look at: run `stories process` first, or everything was looked at.")
    for one in found:
        held = one.passage
        click.echo(
            f"{held.recording} {held.ordinal + 1} ({looks.clock(held.start_ms)})  {one.theme}? {one.score:.2f}"
        )
        click.echo(f"  {looks.shortened(held.quote, _QUOTE_CHARS)}")


@command.command("discover")
@click.option("--add", "number", type=click.IntRange(min=1), help="Make candidate N a theme of the codebook.")
@click.option("--name", help="The new theme's name; with --add.")
@console.json_option
@console.with_collection
def discover_themes(collection: Collection, number: int | None, name: str | None, as_json: bool) -> None:
    """List what the codebook misses: passages that no theme fits and that are alike, with terms and sentences.

    --add N --name NAME puts one into the codebook, its typical sentences as examples.
    """
    if (number is None) != (name is None):
        raise click.UsageError("--add N and --name NAME go together.")
    found = learning.discover(collection)
    if number is not None and name is not None:
        _add_candidate(collection, found, number, name)
        return
    rows = [
        {
            "candidate": place,
            "terms": one.terms,
            "passages": [
                {"recording": held.recording, "passage": held.ordinal + 1, "start_ms": held.start_ms}
                for held in passages
            ],
            "sentences": learning.as_theme(one, passages, "", "").examples,
        }
        for place, (one, passages) in enumerate(found, 1)
    ]
    if as_json:
        console.print_json(rows)
        return
    if not rows:
        click.echo(
            "No three passages without a theme are alike: the codebook misses nothing that keeps coming up."
        )
    for place, (one, passages) in enumerate(found, 1):
        recordings = len({held.recording_id for held in passages})
        click.echo(
            f"{place}. {', '.join(one.terms) or '-'}  ({len(passages)} passages in {recordings} recordings)"
        )
        for sentence in learning.as_theme(one, passages, "", "").examples:
            click.echo(f"   “{looks.shortened(sentence, _QUOTE_CHARS)}”")
    if rows:
        click.echo("`stories themes discover --add N --name NAME` makes one a theme.")


def _say(
    collection: Collection,
    recording: str,
    passage: str,
    says: Mapping[str, coding.State | None],
    author: str | None,
) -> None:
    book = codebook.standing(collection).book
    keys = {codebook.theme_key(book, theme): state for theme, state in says.items()}
    coding.mark_passage(
        collection,
        lambda session: coding.find_passage(session, recording, passage),
        keys,
        author=author or config.author(),
    )
    told = {"accepted": "fits", "rejected": "does not fit", None: "nothing is said of it any more"}
    for key, state in keys.items():
        click.echo(f"{key}: {told[state]}")
    _show_lines("Other themes now:", [_changed(one) for one in labelling.settle(collection).changes])


def _add_candidate(
    collection: Collection, found: Sequence[tuple[Candidate, list[Held]]], number: int, name: str
) -> None:
    if number > len(found):
        raise NotFound(f"There is no candidate {number}; `stories themes discover` lists {len(found)}.")
    before = codebook.standing(collection)
    theme = learning.as_theme(*found[number - 1], "", " ".join(clean(name).split()))
    incoming = Incoming(theme.name, examples=theme.examples, notes=theme.notes, parent_told=False)
    after = changes.merged(before.book, [incoming], before.path, keep=True)
    codebook.change(collection, before, after)
    click.echo(f'"{theme.name}" is a theme now; describe it in {before.path}.')
    _show_lines("Other themes now:", [_changed(one) for one in labelling.settle(collection).changes])


def _changed(change: labelling.Change) -> str:
    before, after = (", ".join(keys) or "none" for keys in (change.before, change.after))
    where = f"{change.recording} {change.number} ({looks.clock(change.start_ms)})"
    return f"{where}  {before} -> {after}: “{looks.shortened(change.because, _QUOTE_CHARS)}”"


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
) -> tuple[list[tuple[exchange.Coded, str]], list[str]]:
    """The project's codings on this collection that do not stand here already, and what could not be found."""
    if project is None:
        return [], []
    keys = changes.theme_keys(before, incoming, file)
    by_guid = {read.code.guid: key for read, key in zip(project.codes, keys, strict=True)}
    here = exchange.labels(collection)
    coded, problems = exchange.codings_of(collection, project.project)
    return [
        (one, by_guid[one.code])
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


def _show_codings(coded: Sequence[dict[str, Any]], project: ReadProject | None, taken: int) -> None:
    if project is not None and not coded:
        click.echo("Every coding on this collection stands here already.")
    lines = [
        f"{one['recording']} {looks.clock(one['start_ms'])} to {looks.clock(one['end_ms'])}  {one['theme']}"
        f"  {one['by'] or 'somebody'}"
        for one in coded
    ]
    _show_lines("coded elsewhere, not here:" if not taken else "coded elsewhere, now here too:", lines)
    if taken:
        click.echo("`stories process` begins and ends passages where they were coded.")


def _show_lines(heading: str, lines: Sequence[str]) -> None:
    if not lines:
        return
    click.echo(heading)
    for line in lines[:_MOST_SHOWN]:
        click.echo(f"  {line}")
    if len(lines) > _MOST_SHOWN:
        click.echo(f"  and {len(lines) - _MOST_SHOWN} more; --json lists all")
