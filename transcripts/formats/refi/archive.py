"""The archive of a REFI-QDA project: a zip written whole, and one from a stranger read within bounds.

Nothing is ever unpacked to the disk: members are read by name, up to a size, and a name that would climb out is
refused although it could do no harm here.
"""

from __future__ import annotations

import io
import re
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from transcripts.errors import ProjectUnreadable
from transcripts.formats.refi import Project
from transcripts.formats.refi.markup import Malformed
from transcripts.formats.refi.reading import ReadProject, read_project
from transcripts.formats.refi.writing import text_path, write_project

QDE = "project.qde"
INTERNAL = "internal://"

MAX_MEMBERS = 200_000
MAX_QDE_BYTES = 1 << 30
"""About 3,000 hours of speech with a sync point at both ends of each word."""
MAX_TEXT_BYTES = 64 << 20
MAX_TEXTS_BYTES = 1 << 30

_CHUNK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError)
_EPOCH = (1980, 1, 1, 0, 0, 0)


def pack(project: Project, media: Mapping[str, Path], out: BinaryIO) -> None:
    """Write a project as a ``.qdpx`` to an open file; the same project and media give the same bytes.

    ``media`` holds the file of each ``internal://`` path of an audio or video source; media are stored as they are,
    the rest is deflated.

    Raises:
        KeyError: an ``internal://`` path has no file.
    """
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(_member(QDE), "w", force_zip64=True) as file:
            _write_qde(project, file)
        for path, text in _texts(project):
            archive.writestr(_member(_inside(path)), text.encode())
        for source in project.sources:
            if source.path and source.path.startswith(INTERNAL):
                member = _member(_inside(source.path), zipfile.ZIP_STORED)
                with (
                    media[source.path].open("rb") as given,
                    archive.open(member, "w", force_zip64=True) as file,
                ):
                    shutil.copyfileobj(given, file, _CHUNK)


def unpack(path: Path) -> ReadProject:
    """Read a ``.qdpx``: the project and all its texts; media stay where they are, one that is missing is named.

    Raises:
        ProjectUnreadable: it is no such archive, is damaged, is larger than can be, holds names that climb out, or
            its project.qde is not what the standard asks for.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _Members(archive)
            read = read_project(members.qde(), members.text)
            missing = tuple(members.missing(read.project))
    except Malformed as error:
        raise ProjectUnreadable(path, error.line, error.what) from error
    except FileNotFoundError as error:
        raise ProjectUnreadable(path, None, "there is no such file") from error
    except _DAMAGED as error:
        raise ProjectUnreadable(path, None, f"is no .qdpx, or is damaged ({error})") from error
    return ReadProject(read.project, read.codes, read.problems + missing)


def copy_media(path: Path, source_path: str, out: BinaryIO) -> None:
    """Copy the media of an ``internal://`` path out of a ``.qdpx`` into an open file.

    Raises:
        ProjectUnreadable: the archive cannot be read or does not hold it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _Members(archive).find(source_path)
            if member is None:
                raise ProjectUnreadable(path, None, f'"{source_path}" is not in the archive')
            with archive.open(member) as file:
                shutil.copyfileobj(file, out, _CHUNK)
    except Malformed as error:
        raise ProjectUnreadable(path, None, error.what) from error
    except _DAMAGED as error:
        raise ProjectUnreadable(path, None, f"is no .qdpx, or is damaged ({error})") from error


def _write_qde(project: Project, file: IO[bytes]) -> None:
    # An element is many small writes, and the archive compresses each on its own.
    buffered = io.BufferedWriter(file, _CHUNK)
    write_project(project, buffered)
    buffered.flush()
    buffered.detach()


class _Members:
    """The members of an archive by name, without regard to case: some programs write ``Sources``."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._left = MAX_TEXTS_BYTES
        self._by_name: dict[str, zipfile.ZipInfo] = {}
        listed = archive.infolist()
        if len(listed) > MAX_MEMBERS:
            raise Malformed(None, f"holds {len(listed):,} files; more than {MAX_MEMBERS:,} are not read")
        for member in listed:
            _check(member)
            if not member.is_dir():
                key = member.filename.lower()
                if key in self._by_name:
                    raise Malformed(None, f'holds the file "{member.filename}" twice')
                self._by_name[key] = member

    def qde(self) -> bytes:
        """The project's XML: ``project.qde``, or the one ``.qde`` at the top under another name."""
        named = [member for key, member in self._by_name.items() if "/" not in key and key.endswith(".qde")]
        found = self._by_name.get(QDE) or (named[0] if len(named) == 1 else None)
        if found is None:
            raise Malformed(None, f"holds no {QDE}")
        return self._bytes(found, MAX_QDE_BYTES)

    def text(self, path: str) -> str | None:
        """The text of a path, None when it lies outside of the archive or is not in it."""
        member = self.find(path)
        if member is None:
            return None
        data = self._bytes(member, min(MAX_TEXT_BYTES, self._left))
        self._left -= len(data)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise Malformed(None, f'the text "{member.filename}" is not UTF-8') from error

    def find(self, path: str) -> zipfile.ZipInfo | None:
        """The member that an ``internal://`` path names."""
        if not path.startswith(INTERNAL):
            return None
        return self._by_name.get(_inside(path).lower())

    def missing(self, project: Project) -> Iterator[str]:
        """A sentence for each source whose media should be in the archive and is not."""
        for source in project.sources:
            if source.path and source.path.startswith(INTERNAL) and self.find(source.path) is None:
                yield f'the media "{source.path}" of "{source.name}" is not in the archive'

    def _bytes(self, member: zipfile.ZipInfo, limit: int) -> bytes:
        with self._archive.open(member) as file:
            # The size that the archive states may be a lie, so what comes out is counted.
            data = file.read(limit + 1)
        if len(data) > limit:
            raise Malformed(None, f'"{member.filename}" holds more than {limit:,} bytes')
        return data


def _check(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename.replace("\\", "/")
    if name.startswith("/") or _DRIVE.match(name) or ".." in PurePosixPath(name).parts or "\0" in name:
        raise Malformed(None, f'the path "{member.filename}" in it leads out of the archive')
    if member.flag_bits & 0x1:
        raise Malformed(None, "is locked with a password: export it again without one")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise Malformed(None, f'"{member.filename}" in it is a link, not a file')


def _texts(project: Project) -> Iterator[tuple[str, str]]:
    for source in project.sources:
        if source.text is not None:
            yield text_path(source.guid), source.text
        for transcript in source.transcripts:
            yield text_path(transcript.guid), transcript.text
    for note in project.notes:
        yield text_path(note.guid), note.text


def _inside(path: str) -> str:
    return f"sources/{path.removeprefix(INTERNAL).lstrip('/')}"


def _member(name: str, compression: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _EPOCH)
    member.compress_type = compression
    member.external_attr = 0o644 << 16
    return member
