"""`stories export`: a transcript for other tools."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from sqlalchemy.orm import Session

from db import models, store
from media.files import atomic_path
from pipeline import console, mapping, overview
from pipeline.collection import Collection
from pipeline.errors import NotAllowed, NotFound
from pipeline.gate import Purpose, decide
from transcripts.engines.translating import LANGUAGE
from transcripts.formats import FORMATS, write
from transcripts.model import Transcript
from transcripts.translation import beside


@click.command("export")
@click.argument("recording", metavar="[RECORDING]", required=False)
@click.option(
    "--format",
    "form",
    type=click.Choice(sorted(FORMATS)),
    default="vtt",
    show_default=True,
    help="What to write.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file; default: the terminal."
)
@click.option("--translation", is_flag=True, help="The English text for subtitles, not what was said.")
@click.option(
    "--qdpx",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The whole collection instead, as a REFI-QDA project for NVivo, ATLAS.ti, MAXQDA, QualCoder.",
)
@click.option("--without-media", is_flag=True, help="With --qdpx: name the media, do not put them in.")
@console.with_collection
def command(
    collection: Collection,
    recording: str | None,
    form: str,
    output: Path | None,
    translation: bool,
    qdpx: Path | None,
    without_media: bool,
) -> None:
    """Write a recording's transcript, as corrected, or with --qdpx the collection, for another tool.

    Of an anonymous storyteller no name is written. A translation is the recogniser's own: corrections are not in it,
    and within a line the times of its words are a guess by their length.
    """
    if (recording is None) == (qdpx is None):
        raise click.UsageError("Name a recording, or say --qdpx FILE for the whole collection.")
    if qdpx is not None and (output is not None or translation):
        raise click.UsageError(
            "--qdpx writes the whole collection to its FILE; leave --output and --translation out."
        )
    if qdpx is None and without_media:
        raise click.UsageError("--without-media goes with --qdpx.")
    if qdpx is not None:
        _export_collection(collection, qdpx, with_media=not without_media)
    elif recording is not None:
        _export_recording(collection, recording, form, output, translation)


def _export_collection(collection: Collection, target: Path, *, with_media: bool) -> None:
    from pipeline.exchange import export_project

    packed = export_project(collection, target, with_media=with_media)
    click.echo(f"{target}  {len(packed.project.sources)} recordings, {packed.codings} codings")
    for one in packed.left_out:
        click.echo(f"left out: {one.recording}: {one.reason}")
    for remark in packed.remarks:
        click.echo(remark)


def _export_recording(
    collection: Collection, recording: str, form: str, output: Path | None, translation: bool
) -> None:
    with collection.sessions() as session:
        found = overview.find_recording(session, recording)
        decision = decide(store.consent_scope(found), Purpose.EXPORT)
        if not decision.allowed:
            raise NotAllowed(f"{overview.name_of(found)} cannot be exported: {decision.reason}.")
        row = store.current_transcript(session, found.id)
        if row is None:
            raise NotFound(f"{overview.name_of(found)} has no transcript yet; run `stories process`.")
        transcript = mapping.current_transcript(session, row)
        if translation:
            transcript = _translation(session, found, transcript)
        names = mapping.speaker_names(found, pseudonymise=decision.pseudonymise)
    if output is None:
        write(transcript, form, sys.stdout, speaker_names=names)
        return
    with atomic_path(output) as temporary, temporary.open("w", encoding="utf-8", newline="") as out:
        write(transcript, form, out, speaker_names=names)


def _translation(session: Session, recording: models.Recording, original: Transcript) -> Transcript:
    lines = mapping.translated_lines(store.translation(session, recording.id))
    if not lines:
        name = overview.name_of(recording)
        if original.language == LANGUAGE:
            raise NotFound(f"{name} is told in English, so there is no translation of it.")
        raise NotFound(
            f"{name} has no translation; write translate = true under [transcription] in stories.toml, then run "
            "`stories process`."
        )
    return beside(lines, original)
