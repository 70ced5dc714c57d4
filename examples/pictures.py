"""Calm moving pictures for the sample films: hills at evening, and a sun that brightens with the voice.

A picture has one panel a person; frames are RGB arrays (height, width, 3) of uint8, sides in pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Frame = npt.NDArray[np.uint8]
Levels = npt.NDArray[np.float32]

HILLS = ((0.62, 0.060, 1.5, 4.0), (0.73, 0.050, 2.5, 7.0), (0.85, 0.040, 3.5, 12.0))
"""From far to near: line and swing (shares of the panel's height), waves in a panel, pixels a second."""


@dataclass(frozen=True)
class Panel:
    """Where a person is shown, and the colours: sky above, sky at the horizon, and the nearest hill."""

    left: int
    top: int
    width: int
    height: int
    colours: tuple[str, str, str]


def frames(
    panels: list[tuple[Panel, Levels]], width: int, height: int, frame_rate: int, count: int
) -> Iterator[Frame]:
    """Draw ``count`` frames; a panel's levels (count,), 0 to 1, say how bright its sun is in each."""
    for index in range(count):
        frame = np.zeros((height, width, 3), np.uint8)
        for panel, levels in panels:
            view = frame[panel.top : panel.top + panel.height, panel.left : panel.left + panel.width]
            _draw(view, panel, index / frame_rate, float(levels[index]))
        yield frame


def _rgb(colour: str) -> npt.NDArray[np.float32]:
    return np.array([int(colour[index : index + 2], 16) for index in (1, 3, 5)], np.float32)


def _draw(view: Frame, panel: Panel, at_s: float, level: float) -> None:
    high, low, near = (_rgb(colour) for colour in panel.colours)
    rows = np.linspace(0, 1, panel.height, dtype=np.float32)[:, None, None]
    view[:] = (high + (low - high) * np.clip(rows / HILLS[0][0], 0, 1)).astype(np.uint8)
    _draw_sun(view, level)
    y = np.arange(panel.height)[:, None]
    x = np.arange(panel.width)
    for nearness, (line, swing, waves, speed) in enumerate(HILLS, start=1):
        phase = 2 * np.pi * waves * (x + at_s * speed) / panel.width
        ridge = panel.height * (line + swing * (np.sin(phase) + 0.4 * np.sin(2.3 * phase + nearness)) / 1.4)
        colour = low + (near - low) * nearness / len(HILLS) * np.float32(0.95)
        view[y >= ridge] = colour.astype(np.uint8)


def _draw_sun(view: Frame, level: float) -> None:
    height, width = view.shape[:2]
    radius = min(height, width) * (0.14 + 0.05 * level)
    centre_y, centre_x = height * 0.38, width * 0.5
    distance = np.hypot(np.arange(height)[:, None] - centre_y, np.arange(width) - centre_x)
    disc = np.clip(radius - distance, 0, 1)[:, :, None] * (0.55 + 0.45 * level)
    view[:] = (view + (np.array([255, 244, 214]) - view) * disc).astype(np.uint8)
