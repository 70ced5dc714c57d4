"""Clips as the text of Hugo's files: front matter, page bodies and data. Pure: values in, text out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tomli_w

from pipeline.publish.captions import Turn
from pipeline.publish.text import clean, markdown
from pipeline.publish.values import PublishedClip

OTHER_KEY = "no-theme"
OTHER_NAME = "Other clips"

_COLOUR = re.compile(r"#(?:[0-9a-fA-F]{3}){1,2}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")


@dataclass(frozen=True, slots=True)
class ThemeGroup:
    """The clips of one theme, in the order they were given; clips without a theme share the last group."""

    key: str
    name: str
    colour: str | None
    clips: tuple[PublishedClip, ...]


def group_by_theme(clips: Sequence[PublishedClip]) -> tuple[ThemeGroup, ...]:
    """The themes in the order in which they first appear; clips without one come last."""
    groups: dict[str | None, list[PublishedClip]] = {}
    for clip in clips:
        groups.setdefault(clip.theme_key, []).append(clip)
    rest = groups.pop(None, None)
    named = [_group(key, members) for key, members in groups.items() if key is not None]
    return (*named, *([ThemeGroup(OTHER_KEY, OTHER_NAME, None, tuple(rest))] if rest else []))


def clip_page(clip: PublishedClip, transcript: Iterable[Turn]) -> str:
    """The page bundle's ``index.md``: what is known of the clip in ``[clip]``, the quote as its body.

    A table of our own rather than ``[params]``: Hugo reads that one differently before and after 0.123.
    """
    front: dict[str, Any] = {"title": clean(clip.title)}
    if clip.told_on is not None:
        front["date"] = clip.told_on
    front |= {"draft": False, "clip": _facts(clip) | {"media": clip.media_name}}
    lines = [_without_none({"speaker": turn.speaker, "text": turn.text}) for turn in transcript]
    if lines:
        front["clip"]["transcript"] = lines
    return _page(front, markdown(clip.quote))


def index_page(title: str, clips: Sequence[PublishedClip]) -> str:
    """The section's ``_index.md``: its title, and the themes with the slugs of their clips."""
    themes = [_theme(group) for group in group_by_theme(clips)]
    return _page({"title": clean(title), "draft": False, "clip_index": {"themes": themes}}, "")


def clips_data(title: str, clips: Sequence[PublishedClip]) -> str:
    """The site's ``data/clips.json``: every clip and theme, for pages a web author builds from them."""
    data = {
        "title": clean(title),
        "themes": [_theme(group) for group in group_by_theme(clips)],
        "clips": [_clip_data(clip) for clip in clips],
    }
    return json.dumps(data, ensure_ascii=False, indent=2) + "\n"


def _clip_data(clip: PublishedClip) -> dict[str, Any]:
    bundle = f"clips/{clip.slug}"
    files = {
        "page": f"{bundle}/",
        "media": f"{bundle}/{clip.media_name}",
        "captions": f"{bundle}/captions.vtt",
        "poster": f"{bundle}/poster.jpg",
        "media_sha256": clip.media_sha256,
    }
    return {"title": clean(clip.title)} | _facts(clip) | files


def _facts(clip: PublishedClip) -> dict[str, Any]:
    return _without_none(
        {
            "slug": clip.slug,
            "kind": clip.kind,
            "theme": None if clip.theme_key is None else _theme_name(clip),
            "theme_key": clip.theme_key,
            "theme_colour": _colour(clip.theme_colour),
            "storyteller": clean(clip.storyteller),
            "role": _clean_or_none(clip.role),
            "sector": _clean_or_none(clip.sector),
            "place": _clean_or_none(clip.place),
            "phase": _clean_or_none(clip.phase),
            "told_on": None if clip.told_on is None else clip.told_on.isoformat(),
            "duration_ms": clip.duration_ms,
            "width": clip.width if clip.kind == "video" else None,
            "height": clip.height if clip.kind == "video" else None,
            "media_type": clip.media_type,
            "language": clip.language if _LANGUAGE.fullmatch(clip.language) else "und",
            "quote": clean(clip.quote),
        }
    )


def _theme(group: ThemeGroup) -> dict[str, Any]:
    slugs = [clip.slug for clip in group.clips]
    return _without_none({"key": group.key, "name": group.name, "colour": group.colour, "clips": slugs})


def _group(key: str, members: Sequence[PublishedClip]) -> ThemeGroup:
    return ThemeGroup(key, _theme_name(members[0]), _colour(members[0].theme_colour), tuple(members))


def _theme_name(clip: PublishedClip) -> str:
    return clean(clip.theme_name or clip.theme_key or OTHER_NAME)


def _page(front: Mapping[str, Any], body: str) -> str:
    # tomli-w keeps every string on one line, so no text can end the front matter
    return f"+++\n{tomli_w.dumps(front)}+++\n" + (f"\n{body}\n" if body else "")


def _colour(colour: str | None) -> str | None:
    return colour if colour is not None and _COLOUR.fullmatch(colour) else None


def _clean_or_none(text: str | None) -> str | None:
    return (clean(text) or None) if text is not None else None


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
