"""Serves renditions and clip files that the database names, by name and never by path, in ranges."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

from db import models, store
from pipeline.collection import Collection
from pipeline.errors import NotFound
from pipeline.review import addresses
from pipeline.review.document import recording_of

MEDIA_TYPES = frozenset(
    {"video/mp4", "audio/mp4", "audio/mpeg", "image/jpeg", "image/png", "text/vtt", "application/json"}
)
SERVED_RENDITIONS = frozenset({"web", "poster", "waveform"})
CACHED = {"Cache-Control": "private, no-cache"}


def rendition(request: Request) -> FileResponse:
    """One rendition of a recording; the speech rendition is the recogniser's and stays where it is."""
    collection: Collection = request.app.state.collection
    recording_id, kind = request.path_params["recording_id"], request.path_params["kind"]
    with collection.sessions() as session:
        recording_of(session, recording_id)
        row = store.rendition(session, recording_id, kind) if kind in SERVED_RENDITIONS else None
    if row is None:
        raise NotFound(f"Recording {recording_id} has no rendition '{kind}'.")
    return _serve(collection, row.path, row.media_type)


def clip_file(request: Request) -> FileResponse:
    """The media, captions or poster cut for a clip."""
    collection: Collection = request.app.state.collection
    slug, kind = request.path_params["slug"], request.path_params["kind"]
    with collection.sessions() as session:
        row = session.scalar(
            select(models.ClipFile)
            .join(models.Clip)
            .where(models.Clip.slug == slug, models.ClipFile.kind == kind)
        )
        if row is None:
            raise NotFound(f"There is no {kind} of a clip '{slug}'.")
        recording_of(session, row.clip.recording_id)
    return _serve(collection, row.path, row.media_type)


def inside(collection: Collection, stored_path: str) -> Path | None:
    """The file of a stored path when it lies among what is derived; else None.

    The database may come from elsewhere: an absolute path, one that climbs out, or a link that leads out of
    ``derived`` is not served.
    """
    if ".." in PurePosixPath(stored_path).parts:
        return None
    path = collection.absolute(stored_path).resolve()
    return path if path.is_relative_to(collection.derived.resolve()) and path.is_file() else None


def _serve(collection: Collection, stored_path: str, media_type: str) -> FileResponse:
    path = inside(collection, stored_path)
    if path is None:
        raise NotFound(f"The file {stored_path} is missing; `stories process` makes it again.")
    known = media_type if media_type in MEDIA_TYPES else "application/octet-stream"
    return FileResponse(path, media_type=known, headers=CACHED)


addresses.register()
routes = [
    Route("/media/recordings/{recording_id:row}/{kind}", rendition, name="rendition"),
    Route("/media/clips/{slug}/{kind}", clip_file, name="clip_file"),
]
