"""Brings sound to the target loudness and proves it on the encoded file.

The second pass of loudnorm's linear mode is one constant gain. It is applied here as such, followed by a
limiter at four times the rate where the gain would push a peak over the ceiling: speech keeps its dynamics,
and neither short sound nor a loudness range of 0 changes the method. Encoding can move loudness and peaks, so
the result is measured and, where it misses, encoded again with what was missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from media.loudness import TARGET_LUFS, TARGET_PEAK_DB, Loudness, measure_own
from media.process import Node, Progress, share

HIGHEST_PEAK_DB = -1.0
"""What an encoded file may reach, in dBTP: the target, and a codec's overshoot."""

_CLOSE_LU = 0.3
_OVERSAMPLING = 4
_ATTEMPTS = 6
_MOST_LIMITING_DB = 15.0
_LIMITED_STEP = 1.6  # what a limiter takes back of a gain is not known before
_MARGIN_DB = 0.1


@dataclass(frozen=True)
class Level:
    """A gain, and the ceiling of the limiter after it (None: no limiter)."""

    gain_db: float
    ceiling_db: float | None

    def apply(self, node: Node, rate_hz: int) -> Node:
        """The sound of ``node`` (at ``rate_hz``) at this level; no sample moves in time."""
        node = node.filter("volume", f"{self.gain_db:.3f}dB", precision="double")
        if self.ceiling_db is None:
            return node
        node = node.filter("aresample", rate_hz * _OVERSAMPLING)
        limit = 10 ** (self.ceiling_db / 20)
        node = node.filter(
            "alimiter", limit=f"{limit:.6f}", attack=5, release=80, level="false", latency="true"
        )
        return node.filter("aresample", rate_hz)


def first_level(loudness: Loudness, added_lu: float = 0.0) -> Level:
    """The level for sound that was measured, if its loudness will be heard ``added_lu`` higher."""
    if loudness.silent:
        return Level(0.0, None)
    gain_db = TARGET_LUFS - loudness.integrated_lufs - added_lu
    return Level(gain_db, TARGET_PEAK_DB if loudness.true_peak_db + gain_db > TARGET_PEAK_DB else None)


def next_level(level: Level, achieved: Loudness, most_gain_db: float) -> Level | None:
    """What to try next; None when the target is met, or as near as the peaks allow."""
    if achieved.silent:
        return None
    over_db = achieved.true_peak_db - HIGHEST_PEAK_DB
    missing_lu = TARGET_LUFS - achieved.integrated_lufs
    step_db = missing_lu * (_LIMITED_STEP if level.ceiling_db is not None else 1.0)
    gain_db = min(level.gain_db + step_db, most_gain_db)
    close = abs(missing_lu) <= _CLOSE_LU or math.isclose(gain_db, level.gain_db, abs_tol=0.05)
    if over_db <= 0 and close:
        return None
    ceiling_db = level.ceiling_db
    if over_db > 0:
        ceiling_db = (TARGET_PEAK_DB if ceiling_db is None else ceiling_db) - max(0.0, over_db) - _MARGIN_DB
    elif ceiling_db is None and achieved.true_peak_db + missing_lu > TARGET_PEAK_DB:
        ceiling_db = TARGET_PEAK_DB
    return replace(level, gain_db=level.gain_db if close else gain_db, ceiling_db=ceiling_db)


def encode_levelled(
    encode: Callable[[Level, Progress | None], None],
    target: Path,
    length_ms: int,
    loudness: Loudness,
    *,
    added_lu: float = 0.0,
    progress: Progress | None = None,
) -> Loudness:
    """Let ``encode`` write ``target`` at a level until the file itself measures right; return what it
    measures.
    """
    level = first_level(loudness, added_lu)
    most_gain_db = level.gain_db + _MOST_LIMITING_DB
    for attempt in range(_ATTEMPTS):
        done = 1 - 0.5**attempt
        rest = 0.5 ** (attempt + 1)
        encode(level, share(progress, done, done + rest * 0.6))
        achieved = measure_own(target, length_ms, share(progress, done + rest * 0.6, done + rest))
        better = next_level(level, achieved, most_gain_db)
        if better is None:
            break
        level = better
    if progress:
        progress(1.0)
    return achieved
