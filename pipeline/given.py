"""Existing transcripts: which file belongs to a recording, and what it says.

The intake names it, from the collection's folder; else it lies in ``transcripts/`` under the recording's name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from pipeline.collection import Collection
from pipeline.errors import NotFound
from pipeline.fingerprint import of_file
from pipeline.names import nfc
from pipeline.stages import Work
from transcripts.formats.reading import READERS, Line
from transcripts.formats.reading import read as read_lines

FOLDER = "transcripts"
VERSION = 1
"""Raise it when the same file would be read or aligned to something else."""


def find(work: Work) -> Path | None:
    """The recording's transcript, there or not when the intake names it; None: it is to be recognised."""
    if work.transcript:
        return work.collection.root / work.transcript.replace("\\", "/")
    own = PurePosixPath(work.name)
    inner = own.relative_to("recordings").parent if own.is_relative_to("recordings") else PurePosixPath()
    folder = work.collection.root / FOLDER
    for place in dict.fromkeys((folder / inner, folder)):
        there = {_key(path.name): path for path in sorted(place.iterdir())} if place.is_dir() else {}
        for name in (own.name, own.stem):
            for suffix in READERS:
                path = there.get(_key(name + suffix))
                if path is not None:
                    return path
    return None


def identity(path: Path) -> str:
    """What says whether the file would be read to the same; empty when there is none to read."""
    try:
        return f"{VERSION}:{of_file(path)}"
    except OSError:
        return ""


def read(work: Work, path: Path) -> tuple[Line, ...]:
    """What the recording's transcript says.

    Raises:
        NotFound: when the intake names a file that is not there.
        TranscriptUnreadable: when the file cannot be read.
    """
    if work.transcript and not path.is_file():
        raise NotFound(
            f"intake.csv names the transcript '{work.transcript}', but there is no file {path}; "
            "put it there, or empty the column 'transcript' of this line."
        )
    return read_lines(path)


def of_none(collection: Collection, works: Iterable[Work]) -> list[str]:
    """A sentence on each file in ``transcripts/`` that belongs to none of the recordings."""
    folder = collection.root / FOLDER
    if not folder.is_dir():
        return []
    taken = {path.resolve() for work in works if (path := find(work)) is not None}
    left = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix.lower() in READERS and path.resolve() not in taken
    ]
    return [
        f"{path.relative_to(collection.root).as_posix()} belongs to no recording; name it like one, "
        "or name it in the column 'transcript' of intake.csv."
        for path in left
    ]


def _key(name: str) -> str:
    return nfc(name).casefold()
