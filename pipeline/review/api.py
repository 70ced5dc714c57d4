"""The JSON interface: what the pages read and change. Slow work runs in a thread, sessions are short."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from db import models, store
from pipeline import coding, editing, excerpts, labelling, mapping, persons
from pipeline.collection import Collection
from pipeline.errors import EditConflict, EditError, NotFound
from pipeline.looks import clock
from pipeline.review import addresses, document
from pipeline.review.document import Json
from transcripts.model import Segment

MOST_BODY_BYTES = 200_000
MOST_NAME_LETTERS = 200
_one_cut_at_a_time = threading.Lock()


def read_token(request: Request) -> JSONResponse:
    """The token that changes need; a page of another origin cannot read it."""
    return JSONResponse({"token": request.app.state.token, "author": request.app.state.author})


def read_recording(request: Request) -> JSONResponse:
    """Everything about one recording."""
    with _collection(request).sessions() as session:
        recording = document.recording_of(session, request.path_params["recording_id"])
        return JSONResponse(document.recording_document(session, recording))


async def write_segment(request: Request) -> JSONResponse:
    """Give a segment another text; somebody else's newer text is answered with 409 and shown."""
    body = await _body(request, text=str, revision=int, place=int)
    return await run_in_threadpool(_retext, request, body["text"], body["revision"], body["place"])


def read_suggestions(request: Request) -> JSONResponse:
    """Who the voices of a recording probably are."""
    recording_id = request.path_params["recording_id"]
    with _collection(request).sessions() as session:
        document.recording_of(session, recording_id)
    return JSONResponse({"suggestions": document.suggestion_list(_collection(request), recording_id)})


async def confirm_speaker(request: Request) -> JSONResponse:
    """Accept that a voice is a person."""
    body = await _body(request, person=int)
    return await run_in_threadpool(_confirm_speaker, request, body["person"])


async def write_speaker(request: Request) -> JSONResponse:
    """Name a voice and say what part it has; ``everywhere``: rename the person that it is."""
    body = await _body(request, name=str, role=str)
    if len(body["name"]) > MOST_NAME_LETTERS:
        raise EditError(f"A name has at most {MOST_NAME_LETTERS} letters.")
    everywhere = body.get("everywhere") is True
    return await run_in_threadpool(_name_speaker, request, body["name"], body["role"], everywhere)


async def approve_clip(request: Request) -> JSONResponse:
    """Cut the clip when it is not cut yet, and note the approval of exactly that."""
    return await run_in_threadpool(_approve, request)


async def reject_clip(request: Request) -> JSONResponse:
    """Say no to a clip."""
    return await run_in_threadpool(_reject, request)


async def write_themes(request: Request) -> JSONResponse:
    """Say of a passage which themes fit and which do not: theme -> accepted, rejected, or null to take it back."""
    body = await _body(request, themes=dict)
    for state in body["themes"].values():
        if state not in ("accepted", "rejected", None):
            raise EditError("A theme is accepted, rejected, or null: nothing is said of it.")
    return await run_in_threadpool(_write_themes, request, body["themes"])


def _retext(request: Request, text: str, revision: int, place: int) -> JSONResponse:
    collection = _collection(request)
    transcript_id, segment = request.path_params["transcript_id"], request.path_params["segment"]
    with collection.sessions() as session:
        document.transcript_row(session, transcript_id)
    try:
        edited = editing.retext_segment(
            collection, transcript_id, segment, text, author=request.app.state.author, revision=revision
        )
    except EditConflict as conflict:
        return _conflict(collection, transcript_id, place, str(conflict))
    changed = _at(edited.segments, place)
    with collection.sessions() as session:
        row = document.transcript_row(session, transcript_id)
        recording = document.recording_of(session, row.recording_id)
        return JSONResponse(
            {
                "revision": edited.revision,
                "segment": document.segment_json(changed),
                "clips": document.clip_list(session, recording, row, edited.segments),
                "message": f"Saved. The sentence at {clock(changed.start_ms)} now has your text.",
            }
        )


def _conflict(collection: Collection, transcript_id: int, place: int, message: str) -> JSONResponse:
    """Tell what the sentence says now, so that the editor can choose; its first word may be another by now."""
    with collection.sessions() as session:
        row = document.transcript_row(session, transcript_id)
        held = _at(mapping.current_transcript(session, row).segments, place)
        body = {
            "error": "conflict",
            "message": message,
            "revision": row.revision,
            "segment": document.segment_json(held),
            "text": held.text,
        }
    return JSONResponse(body, status_code=409)


def _at(segments: Sequence[Segment], place: int) -> Segment:
    if not 0 <= place < len(segments):
        raise NotFound(f"The transcript has no sentence {place}; reload the page.")
    return segments[place]


def _name_speaker(request: Request, name: str, role: str, everywhere: bool) -> JSONResponse:
    recording_id, number = _open_speaker(request)
    editing.name_speaker(
        _collection(request),
        recording_id,
        number,
        name=name,
        role=role,
        author=request.app.state.author,
        everywhere=everywhere,
    )
    return _speaker_answer(request)


def _confirm_speaker(request: Request, person: int) -> JSONResponse:
    recording_id, number = _open_speaker(request)
    persons.confirm(_collection(request), recording_id, number, person, author=request.app.state.author)
    return _speaker_answer(request)


def _open_speaker(request: Request) -> tuple[int, int]:
    """The recording and the speaker asked for, when the recording may be worked on."""
    recording_id, number = request.path_params["recording_id"], request.path_params["number"]
    with _collection(request).sessions() as session:
        document.recording_of(session, recording_id)
    return recording_id, number


def _speaker_answer(request: Request) -> JSONResponse:
    recording_id, number = request.path_params["recording_id"], request.path_params["number"]
    with _collection(request).sessions() as session:
        recording = document.recording_of(session, recording_id)
        row = store.current_transcript(session, recording_id)
        speakers = document.speaker_list(recording)
        segments = mapping.current_transcript(session, row).segments if row else ()
        clips = document.clip_list(session, recording, row, segments)
    label = next(speaker["label"] for speaker in speakers if speaker["number"] == number)
    return JSONResponse(
        {
            "speakers": speakers,
            "clips": clips,
            "revision": row.revision if row else 0,
            "message": f"Saved. This voice is {label} now.",
        }
    )


def _write_themes(request: Request, says: dict[str, coding.State | None]) -> JSONResponse:
    collection, passage_id = _collection(request), request.path_params["passage_id"]

    def find(session: Session) -> models.Passage:
        return document.passage_row(session, passage_id)

    coding.mark_passage(collection, find, says, author=request.app.state.author)
    settled = labelling.settle(collection)
    others = len({one.passage_id for one in settled.changes} - {passage_id})
    learned = f" {others} other passages have other themes now." if others else ""
    with collection.sessions() as session:
        row = document.passage_row(session, passage_id).transcript
        return JSONResponse({"passages": document.passage_list(session, row), "message": f"Saved.{learned}"})


def _approve(request: Request) -> JSONResponse:
    slug = _open_clip(request)
    with _one_cut_at_a_time:
        excerpts.approve(_collection(request), slug, author=request.app.state.author)
    return _clip_answer(request, "Approved and saved. This is what will be published.")


def _reject(request: Request) -> JSONResponse:
    excerpts.reject(_collection(request), _open_clip(request), author=request.app.state.author)
    return _clip_answer(request, "Rejected and saved. The clip will not be published.")


def _open_clip(request: Request) -> str:
    """The slug asked for, when there is such a clip and its recording may be worked on."""
    with _collection(request).sessions() as session:
        clip = excerpts.find_clip(session, request.path_params["slug"])
        document.recording_of(session, clip.recording_id)
        return clip.slug


def _clip_answer(request: Request, message: str) -> JSONResponse:
    with _collection(request).sessions() as session:
        clip = excerpts.find_clip(session, request.path_params["slug"])
        recording = document.recording_of(session, clip.recording_id)
        row = store.current_transcript(session, recording.id)
        segments = mapping.current_transcript(session, row).segments if row else ()
        clips = document.clip_list(session, recording, row, segments)
    answer: Json = {"clips": clips, "message": message}
    return JSONResponse(answer)


def _collection(request: Request) -> Collection:
    collection: Collection = request.app.state.collection
    return collection


async def _body(request: Request, **fields: type) -> dict[str, Any]:
    """The request's JSON object, holding at least these fields of these types.

    Raises:
        EditError: when it is too long, is no JSON object, or a field is missing or of another type.
    """
    held = bytearray()
    async for part in request.stream():
        held += part
        if len(held) > MOST_BODY_BYTES:
            raise EditError(f"This is too long to save: a change holds at most {MOST_BODY_BYTES} bytes.")
    try:
        body = json.loads(held)
    except ValueError as error:
        raise EditError("The change is not JSON.") from error
    if not isinstance(body, dict):
        raise EditError("The change is no JSON object.")
    for name, kind in fields.items():
        if type(body.get(name)) is not kind:
            raise EditError(f"The change holds no '{name}' of the right kind.")
    return body


addresses.register()
routes = [
    Route("/api/token", read_token),
    Route("/api/recordings/{recording_id:row}", read_recording),
    Route("/api/recordings/{recording_id:row}/suggestions", read_suggestions),
    Route("/api/recordings/{recording_id:row}/speakers/{number:row}", write_speaker, methods=["PUT"]),
    Route(
        "/api/recordings/{recording_id:row}/speakers/{number:row}/confirm", confirm_speaker, methods=["POST"]
    ),
    Route("/api/transcripts/{transcript_id:row}/segments/{segment}", write_segment, methods=["PUT"]),
    Route("/api/passages/{passage_id:row}/themes", write_themes, methods=["PUT"]),
    Route("/api/clips/{slug}/approve", approve_clip, methods=["POST"]),
    Route("/api/clips/{slug}/reject", reject_clip, methods=["POST"]),
]
