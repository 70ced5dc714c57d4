"""The site's shared files (layouts, shortcode, styles), kept as package data at their places in the site."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable


def read_all() -> dict[str, bytes]:
    """The bytes of every shared file, by its path in the site."""
    return dict(_walk(files("pipeline.publish") / "templates", ""))


def _walk(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _walk(item, f"{prefix}{item.name}/")
        elif item.name.endswith((".html", ".css")):
            yield f"{prefix}{item.name}", item.read_bytes()
