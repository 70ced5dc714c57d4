"""`stories speakers`: the voices of recordings, and who they are across the collection."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from db import models, store
from pipeline import config, console, editing, looks, overview, persons
from pipeline.collection import Collection
from pipeline.commands.clip import Moment
from pipeline.persons import Look, Suggestion, Voice
from transcripts.span import Span
from transcripts.speakers.matching import SUGGESTED

author_option = click.option("--author", help="Who says so; default: STORIES_AUTHOR, else the login name.")


@click.group("speakers")
def command() -> None:
    """List, name, merge, split, match and forget voices."""


@command.command("list")
@click.argument("recording", metavar="[RECORDING]", required=False)
@console.json_option
@console.with_collection
def list_speakers(collection: Collection, recording: str | None, as_json: bool) -> None:
    """List the speakers of RECORDING, or of all: role, time spoken, person, and who it probably is.

    Of the whole collection the persons are listed too.
    """
    with collection.sessions() as session:
        only = overview.find_recording(session, recording).id if recording else None
    suggested = {(one.recording_id, one.number): one for one in persons.suggestions(collection)}
    with collection.sessions() as session:
        speakers = [
            _speaker(one, suggested.get((one.recording_id, one.number)))
            for one in store.speakers(session, recording_id=only)
        ]
        known = [] if recording else [_person(one) for one in store.persons(session)]
    if as_json:
        console.print_json({"speakers": speakers, "persons": known})
        return
    _print_speakers(speakers)
    _print_persons(known)


@command.command("name")
@click.argument("recording", metavar="RECORDING")
@click.argument("speaker", metavar="SPEAKER")
@click.argument("name", metavar="NAME")
@click.option("--role", type=click.Choice(editing.ROLES[1:]), help="What part the voice has in the story.")
@click.option("--everywhere", is_flag=True, help="Rename the person that the voice is, in every recording.")
@author_option
@console.json_option
@console.with_collection
def name_speaker(
    collection: Collection,
    recording: str,
    speaker: str,
    name: str,
    role: str | None,
    everywhere: bool,
    author: str | None,
    as_json: bool,
) -> None:
    """Say that SPEAKER of RECORDING, a number or a name, is NAME; an empty NAME makes it nobody.

    One name is one person: the voice joins those of this name in other recordings. It leaves the person it was, unless
    --everywhere is said: then that person has another name.
    """
    found, number = _found(collection, recording, speaker)
    editing.name_speaker(
        collection,
        found,
        number,
        name=name,
        role=role,
        author=author or config.author(),
        everywhere=everywhere,
    )
    with collection.sessions() as session:
        named = editing.find_speaker(session, found, number)
        console.print_json(_speaker(named, None)) if as_json else click.echo(_now(named))


@command.command("merge")
@click.argument("which", nargs=-1, required=True, metavar="RECORDING SPEAKER OTHER | PERSON OTHER")
@author_option
@console.json_option
@console.with_collection
def merge(collection: Collection, which: tuple[str, ...], author: str | None, as_json: bool) -> None:
    """Make two voices of a recording one, or two persons: all that is OTHER's is then the first one's.

    Two persons who both speak in one recording cannot be one.
    """
    if len(which) == 3:
        recording, speaker, other = which
        found, number = _found(collection, recording, speaker)
        _, other_number = _found(collection, recording, other)
        persons.merge_speakers(collection, found, number, other_number, author=author or config.author())
        done: dict[str, Any] = {"recording_id": found, "speaker": number, "merged": other_number}
        said = f"speaker {other_number} is speaker {number} now"
    elif len(which) == 2:
        moved = persons.merge_persons(collection, *which, author=author or config.author())
        done = {"person": which[0], "merged": which[1], "recordings": moved}
        said = f"{which[1]} is {which[0]} now, in {moved} recording{'s' * (moved != 1)}"
    else:
        raise click.UsageError("Name a recording and two of its speakers, or two persons.")
    console.print_json(done) if as_json else click.echo(said)


@command.command("split")
@click.argument("recording", metavar="RECORDING")
@click.argument("speaker", metavar="[SPEAKER]", required=False)
@click.option("--from", "start", type=Moment(), help="Where the words begin, in seconds or as 1:35.5.")
@click.option("--to", "end", type=Moment(), help="Where they end.")
@author_option
@console.json_option
@console.with_collection
def split(
    collection: Collection,
    recording: str,
    speaker: str | None,
    start: int | None,
    end: int | None,
    author: str | None,
    as_json: bool,
) -> None:
    """Say that SPEAKER of RECORDING is not the person it was made or is suggested to be.

    With --from and --to: give the words in between to SPEAKER, or to a new speaker when none is named.
    """
    if (start is None) != (end is None) or (start is None and speaker is None):
        raise click.UsageError("Name a speaker, or say --from and --to.")
    if speaker is not None:
        found, number = _found(collection, recording, speaker)
    else:
        with collection.sessions() as session:
            found, number = overview.find_recording(session, recording).id, None
    author = author or config.author()
    if start is None or end is None:
        name = persons.take_off(collection, found, number or 0, author=author)
        not_them = {"recording_id": found, "speaker": number, "not": name}
        said = f"speaker {number} is not {name}; it will not be suggested again"
        console.print_json(not_them) if as_json else click.echo(said)
        return
    if start >= end:
        raise click.UsageError("--from must lie before --to.")
    given, words = persons.give(collection, found, Span(start, end), number, author=author)
    done = {"recording_id": found, "speaker": given, "words": words}
    said = f"{words} word{'s' * (words != 1)} given to speaker {given}"
    console.print_json(done) if as_json else click.echo(said)


@command.command("match")
@click.option(
    "--least",
    type=click.FloatRange(0, 1),
    default=SUGGESTED,
    show_default=True,
    help="Suggest from this score on, 0 to 1.",
)
@click.option("--confirm", nargs=3, metavar="RECORDING SPEAKER PERSON", help="Accept one.")
@click.option("--confirm-all", is_flag=True, help="Accept every suggestion of --least or more.")
@author_option
@console.json_option
@console.with_collection
def match(
    collection: Collection,
    least: float,
    confirm: tuple[str, str, str] | None,
    confirm_all: bool,
    author: str | None,
    as_json: bool,
) -> None:
    """Say who the voices that are nobody's yet probably are, from those that editors named in other recordings.

    Nothing is applied until it is confirmed. Voices that sound like one person nobody has named are listed too.
    """
    confirmed: list[Suggestion] = []
    if confirm:
        found, number = _found(collection, *confirm[:2])
        persons.confirm(collection, found, number, confirm[2], author=author or config.author())
        with collection.sessions() as session:
            said = _now(editing.find_speaker(session, found, number))
        if not as_json:
            click.echo(said)
            return
    elif confirm_all:
        confirmed = persons.confirm_all(collection, least=least, author=author or config.author())
    looked = persons.look(collection, least=least)
    if as_json:
        console.print_json({"confirmed": [_suggestion(one) for one in confirmed], **_plain(looked)})
        return
    for one in confirmed:
        click.echo(f"{one.recording}: {one.label} is {one.name} now")
    _print_look(collection, looked, quiet=bool(confirmed))


@command.command("forget")
@click.argument("person", metavar="PERSON")
@click.option("--name", is_flag=True, help="Forget the name too: the voices are nobody's again.")
@author_option
@console.json_option
@console.with_collection
def forget(collection: Collection, person: str, name: bool, author: str | None, as_json: bool) -> None:
    """Delete every voiceprint of PERSON, for good; none is kept of these voices again.

    With --name the name goes too, from every recording and journal; what is said in transcripts, and the labels of
    imported ones, stay. Copies of the database from before are not touched; they are listed.
    """
    done = persons.forget(collection, person, name=name, author=author or config.author())
    if as_json:
        console.print_json(
            {
                "person": done.name,
                "voiceprints": done.voiceprints,
                "recordings": done.recordings,
                "copies": [str(path) for path in done.copies],
            }
        )
        return
    what = f"{done.voiceprints} voiceprint{'s' * (done.voiceprints != 1)} of {done.name} deleted"
    click.echo(f"{what}{', and the name' if name else ''}")
    if done.copies:
        click.echo("these copies of the database may still hold them; delete those that you do not need:")
    for path in done.copies:
        click.echo(f"  {path}")
    click.echo("backups that you keep elsewhere are yours to look after")


def _found(collection: Collection, recording: str, speaker: str) -> tuple[int, int]:
    """The recording and the speaker's number that are meant."""
    with collection.sessions() as session:
        found = overview.find_recording(session, recording)
        return found.id, persons.find_number(found, speaker)


def _now(speaker: models.Speaker) -> str:
    """Who a speaker is now, in a sentence."""
    where = overview.name_of(speaker.recording)
    if speaker.person is None:
        return f"speaker {speaker.number} of {where} is nobody's voice now"
    others = len(speaker.person.speakers) - 1
    also = f", heard in {others} other recording{'s' * (others != 1)} too" if others else ""
    return f"speaker {speaker.number} of {where} is {speaker.person.name} now{also}"


def _speaker(speaker: models.Speaker, suggested: Suggestion | None) -> dict[str, Any]:
    return {
        "recording_id": speaker.recording_id,
        "recording": overview.name_of(speaker.recording),
        "number": speaker.number,
        "name": speaker.label,
        "role": speaker.role,
        "role_by": speaker.role_by,
        "speech_ms": speaker.speech_ms,
        "person": speaker.person.name if speaker.person else None,
        "voiceprint": speaker.embedding is not None,
        "suggestion": _suggestion(suggested) if suggested else None,
    }


def _person(person: models.Person) -> dict[str, Any]:
    return {
        "id": person.id,
        "name": person.name,
        "role": person.role,
        "notes": person.notes,
        "recordings": len(person.speakers),
        "voiceprints": sum(speaker.embedding is not None for speaker in person.speakers),
    }


def _suggestion(one: Suggestion) -> dict[str, Any]:
    return {
        "recording_id": one.recording_id,
        "recording": one.recording,
        "number": one.number,
        "person_id": one.person_id,
        "person": one.name,
        "role": one.role,
        "score": round(one.score, 3),
        "recordings": one.recordings,
        "sentence": one.sentence,
    }


def _plain(looked: Look) -> dict[str, Any]:
    return {
        "suggestions": [_suggestion(one) for one in looked.suggestions],
        "groups": [
            [
                {"recording_id": one.recording_id, "recording": one.recording, "number": one.number}
                for one in group
            ]
            for group in looked.groups
        ],
    }


def _print_speakers(speakers: list[dict[str, Any]]) -> None:
    if not speakers:
        click.echo("There are no speakers yet; `stories process` finds them.")
        return
    console.print_table(
        ("recording", ">speaker", "name", "role", ">speaks", "probably"),
        [
            (
                one["recording"].removeprefix("recordings/"),
                str(one["number"]),
                one["name"],
                one["role"] or "-",
                looks.clock(one["speech_ms"]),
                f"{one['suggestion']['person']} {one['suggestion']['score']:.2f}"
                if one["suggestion"]
                else "-",
            )
            for one in speakers
        ],
    )


def _print_persons(known: list[dict[str, Any]]) -> None:
    if known:
        click.echo()
        console.print_table(
            ("person", "role", ">recordings", ">voiceprints"),
            [
                (one["name"], one["role"] or "-", str(one["recordings"]), str(one["voiceprints"]))
                for one in known
            ],
        )


def _print_look(collection: Collection, looked: Look, *, quiet: bool) -> None:
    for one in looked.suggestions:
        click.echo(f"{one.recording}: {one.sentence}")
    for group in looked.groups:
        click.echo(f"{_joined(group)} sound like one person: name one of them, then match again")
    if not looked.suggestions and not looked.groups and not quiet:
        with collection.sessions() as session:
            click.echo(_why_nothing(session))


def _joined(group: list[Voice]) -> str:
    named = [f"{one.label} of {one.recording.removeprefix('recordings/')}" for one in group]
    return f"{', '.join(named[:-1])} and {named[-1]}"


def _why_nothing(session: Session) -> str:
    if not store.speakers(session, voiced=True):
        return "No voices are known yet that may be compared; `stories process` finds them."
    if not store.persons(session):
        return "Nobody has a name yet: `stories speakers name RECORDING SPEAKER NAME`, then match again."
    return "No voice is enough like anybody's to say who it is."
