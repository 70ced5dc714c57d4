"""The record of every file written into a site: what it holds, and the clip it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.publish.errors import PublishError

NAME = "stories-manifest.json"
VERSION = 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One file: SHA-256 of its bytes, its size, and the slug of its clip (None: shared by all)."""

    sha256: str
    bytes: int
    slug: str | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """Files by their path in the site; ``pending`` are those a publish set out to write and may not have."""

    files: Mapping[str, Entry]
    pending: Mapping[str, Entry]

    def wrote(self, path: str, sha256: str) -> bool:
        """Whether these bytes at this path are our own."""
        return any(path in part and part[path].sha256 == sha256 for part in (self.files, self.pending))

    def there(self, present: Mapping[str, str]) -> dict[str, Entry]:
        """The entries that say what is there now, given the hashes of the files present by path."""
        entries = [*self.files.items(), *self.pending.items()]
        return {path: entry for path, entry in entries if present.get(path) == entry.sha256}

    def paths(self) -> set[str]:
        """Every path at which a file of ours may be."""
        return {*self.files, *self.pending}


def read(site: Path) -> Manifest:
    """The site's manifest; empty when nothing was ever published there.

    Raises PublishError when it is not one of ours.
    """
    path = site / NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise PublishError(
                f"{path} was written by a newer version of this program; update it and publish again."
            )
        return Manifest(_entries(data["files"]), _entries(data.get("pending", [])))
    except FileNotFoundError:
        return Manifest({}, {})
    except (ValueError, KeyError, TypeError) as error:
        raise PublishError(
            f"{path} is damaged, so files of earlier publishing cannot be told from your own; "
            "bring it back from a backup or version control."
        ) from error


def render(manifest: Manifest) -> str:
    """The manifest's text: the same files give the same bytes."""
    data: dict[str, Any] = {"version": VERSION, "files": _rows(manifest.files)}
    if manifest.pending:
        data["pending"] = _rows(manifest.pending)
    return json.dumps(data, indent=2) + "\n"


def _rows(entries: Mapping[str, Entry]) -> list[dict[str, Any]]:
    return [
        {"path": path, "sha256": entry.sha256, "bytes": entry.bytes, "slug": entry.slug}
        for path, entry in sorted(entries.items())
    ]


def _entries(rows: list[dict[str, Any]]) -> dict[str, Entry]:
    return {_inside(row["path"]): Entry(row["sha256"], int(row["bytes"]), row["slug"]) for row in rows}


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    # what is removed is read from here: a path must never lead out of the site
    if not parts or ".." in parts or parts[0] == "/" or "\\" in path:
        raise ValueError(path)
    return path
