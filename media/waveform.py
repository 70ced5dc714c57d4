"""The loudest sample of each stretch of time, for the player to draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import soundfile

from media.errors import NotMedia, shown
from media.files import atomic_path
from media.normalise import Rendition, described


def peaks(flac: Path, target: Path, *, bins_per_s: int = 20) -> Rendition:
    """Write ``{"bins_per_s": 20, "peaks": [0 … 100, …]}``: 100 is full scale. The file is read in blocks.

    Raises:
        NotMedia: when ``flac`` is not sound that can be read.
    """
    try:
        with soundfile.SoundFile(flac) as sound:
            block = sound.samplerate // bins_per_s
            found = [_percent(part) for part in sound.blocks(block, dtype="float32", always_2d=True)]
            duration_ms = round(1000 * sound.frames / sound.samplerate)
    except soundfile.LibsndfileError as error:
        raise NotMedia(f"“{shown(flac)}” is not sound that can be drawn.") from error
    with atomic_path(target) as made:
        made.write_text(json.dumps({"bins_per_s": bins_per_s, "peaks": found}, separators=(",", ":")))
        return described("waveform", made, target, "application/json", duration_ms, None)


def _percent(samples: np.ndarray) -> int:
    return min(100, round(100 * float(np.abs(samples).max(initial=0.0))))
