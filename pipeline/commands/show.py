"""`stories show`: one recording, whole."""

from __future__ import annotations

from typing import Any

import click
from sqlalchemy.orm import Session

from db import models, store
from pipeline import console, looks, mapping, overview
from pipeline.collection import Collection
from transcripts.model import Transcript


@click.command("show")
@click.argument("recording", metavar="RECORDING")
@console.json_option
@console.with_collection
def command(collection: Collection, recording: str, as_json: bool) -> None:
    """Show one recording: facts, transcript, speakers, passages, clips.

    RECORDING is a file's name, a story, or a number of `stories status --json`.
    """
    with collection.sessions() as session:
        facts = _facts(session, overview.find_recording(session, recording))
    if as_json:
        console.print_json(facts)
    else:
        _show(facts)


def _facts(session: Session, recording: models.Recording) -> dict[str, Any]:
    row = store.current_transcript(session, recording.id)
    transcript = mapping.current_transcript(session, row) if row else Transcript("", ())
    names = mapping.speaker_names(recording)
    story = recording.story
    return {
        "id": recording.id,
        "recording": overview.name_of(recording),
        "sha256": recording.sha256,
        "kind": recording.kind,
        "container": recording.container,
        "duration_ms": recording.duration_ms,
        "picture": f"{recording.width}x{recording.height}" if recording.width else "",
        "story": story.title if story else "",
        "storyteller": story.storyteller.name if story and story.storyteller else "",
        "phase": story.phase if story else "",
        "consent": store.consent_scope(recording) or "",
        "renditions": [
            {
                "kind": item.kind,
                "path": item.path,
                "bytes": item.bytes,
                "loudness_lufs": item.loudness_lufs,
                "true_peak_db": item.true_peak_db,
            }
            for item in recording.renditions
        ],
        "transcript": {
            "version": row.version if row else 0,
            "revision": row.revision if row else 0,
            "model": row.model if row else "",
            "language": transcript.language,
            "other_languages": row.other_languages if row else [],
            "prompted": row.prompted if row else [],
            "source": row.source if row else "",
            "segments": [
                {
                    "id": segment.id,
                    "start_ms": segment.start_ms,
                    "end_ms": segment.end_ms,
                    "speaker": names.get(segment.speaker, "") if segment.speaker else "",
                    "text": segment.text,
                }
                for segment in transcript.segments
            ],
        },
        "speakers": [
            {
                "number": speaker.number,
                "name": speaker.label,
                "role": speaker.role,
                "speech_ms": speaker.speech_ms,
            }
            for speaker in recording.speakers
        ],
        "speakers_uncertain": overview.doubt(session, recording),
        "passages": _passages(row),
        "clips": [
            {
                "slug": clip.slug,
                "title": clip.title,
                "theme": clip.theme.key if clip.theme else "",
                "start_ms": clip.start_ms,
                "end_ms": clip.end_ms,
                "state": clip.state,
                "score": round(clip.score, 3),
                "reasons": clip.reasons,
            }
            for clip in recording.clips
        ],
    }


def _passages(row: models.Transcript | None) -> list[dict[str, Any]]:
    return [
        {
            "number": passage.ordinal + 1,
            "start_ms": passage.start_ms,
            "end_ms": passage.end_ms,
            "unsure": passage.unsure,
            "themes": [
                {
                    "theme": score.theme.key,
                    "score": round(score.score, 3),
                    "state": score.state,
                    "why": [
                        {"sentence": said[first], "share": share}
                        for first, _, share in score.why
                        if first in said
                    ],
                }
                for score in passage.themes
            ],
            "quote": passage.quote,
        }
        for passage in (row.passages if row else ())
        for said in [{first: text for first, _, _, _, text in passage.sentences}]
    ]


def _themes(passage: dict[str, Any]) -> str:
    """The themes that a passage has, an editor's marked; the nearest one where none is proposed."""
    told = {"accepted": " (accepted)", "proposed": ""}
    shown = [
        f"{one['theme']} {one['score']:.2f}{told[one['state']]}"
        for one in passage["themes"]
        if one["state"] in told
    ]
    near = next((one for one in passage["themes"] if one["state"] == "scored"), None)
    if shown or near is None:
        return ", ".join(shown) or "unsure"
    return f"unsure, perhaps {near['theme']} {near['score']:.2f}"


def _show(facts: dict[str, Any]) -> None:
    click.echo(
        f"{facts['recording']}  {facts['kind']}, {looks.clock(facts['duration_ms'])}  {facts['picture']}"
    )
    click.echo(
        f"story: {facts['story'] or '-'}   storyteller: {facts['storyteller'] or '-'}   "
        f"phase: {facts['phase'] or '-'}   consent: {facts['consent'] or 'not recorded'}"
    )
    for item in facts["renditions"]:
        if item["loudness_lufs"] is not None:
            click.echo(f"{item['kind']}: {item['path']}  {item['loudness_lufs']:.1f} LUFS")
    transcript = facts["transcript"]
    click.echo(
        f"\nTranscript {transcript['version']}, revision {transcript['revision']}, "
        f"{transcript['model']}, language {transcript['language'] or '-'}"
    )
    if transcript["source"]:
        click.echo(f"imported from {transcript['source']}")
    if transcript["other_languages"]:
        click.echo(f"parts of it seem to be in another language: {', '.join(transcript['other_languages'])}")
    if transcript["prompted"]:
        click.echo(f"told to expect: {', '.join(transcript['prompted'])}")
    if facts["speakers_uncertain"]:
        click.echo(facts["speakers_uncertain"])
    speaking = None
    for segment in transcript["segments"]:
        if segment["speaker"] != speaking:
            speaking = segment["speaker"]
            click.echo(f"\n{speaking or 'Nobody found'}")
        click.echo(f"  {looks.clock(segment['start_ms']):>8}  {segment['text']}")
    click.echo("\nPassages")
    for passage in facts["passages"]:
        span = f"{looks.clock(passage['start_ms']):>8} to {looks.clock(passage['end_ms'])}"
        click.echo(f"  {passage['number']:>3}  {span}  {_themes(passage)}")
    click.echo("\nClips")
    for clip in facts["clips"]:
        click.echo(
            f"  {looks.clock(clip['start_ms']):>8} to {looks.clock(clip['end_ms'])}  {clip['slug']}  "
            f"{clip['state']}  {clip['title']}"
        )
