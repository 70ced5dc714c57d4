"""What the site is given: everything about one approved clip that may be shown, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class PublishedClip:
    """One approved clip of a consenting storyteller; names are as they will be shown (already pseudonymised).

    ``media``, ``captions`` (WebVTT in clip time) and ``poster`` (JPEG) are files to place beside the page;
    ``media_sha256`` is the hash of the media that was approved. ``width`` and ``height`` are in pixels, as
    displayed. ``quote`` is plain text of any content.
    """

    slug: str
    title: str
    theme_key: str | None
    theme_name: str | None
    theme_colour: str | None
    storyteller: str
    role: str | None
    sector: str | None
    place: str | None
    phase: str | None
    told_on: date | None
    kind: Literal["audio", "video"]
    duration_ms: int
    width: int | None
    height: int | None
    language: str
    quote: str
    media: Path
    media_type: str
    media_sha256: str
    captions: Path
    poster: Path

    @property
    def media_name(self) -> str:
        """The media's file name within the clip's page bundle."""
        return "clip.mp4" if self.kind == "video" else "clip.m4a"
