"""Samples of a speech rendition: 16 kHz, mono, float32, -1 to 1, shape (n,)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transcripts.errors import AudioUnreadable
from transcripts.model import SAMPLE_RATE_HZ

Samples = NDArray[np.float32]
SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
Read = Callable[[int, int], Samples]
"""Gives the samples of ``[start_ms, end_ms)``, as many of them as there are."""


def reader(source: Samples | Path) -> Read:
    """Read stretches of a file, or of samples at 16 kHz that are in memory anyway.

    Raises (when it reads):
        AudioUnreadable: the file is missing, damaged, or not 16 kHz mono.
    """

    def read(start_ms: int, end_ms: int) -> Samples:
        if isinstance(source, Path):
            return load(source, start_ms, end_ms)
        return source[start_ms * SAMPLES_PER_MS : end_ms * SAMPLES_PER_MS]

    return read


def load(path: Path, start_ms: int = 0, end_ms: int | None = None) -> Samples:
    """Read ``[start_ms, end_ms)`` of a 16 kHz mono file; only that stretch is held in memory.

    A stretch that reaches past the end gives what is there, perhaps nothing.

    Raises:
        AudioUnreadable: the file is missing, damaged, or not 16 kHz mono.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as sound:
            _check(path, sound.samplerate, sound.channels)
            start = min(start_ms * SAMPLES_PER_MS, sound.frames)
            end = sound.frames if end_ms is None else min(end_ms * SAMPLES_PER_MS, sound.frames)
            sound.seek(start)
            samples: Samples = sound.read(max(0, end - start), dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioUnreadable(path, _reason(path)) from error
    return samples


def duration_ms(path: Path) -> int:
    """How long the file lasts, in milliseconds, rounded down.

    Raises:
        AudioUnreadable: the file is missing, damaged, or not 16 kHz mono.
    """
    import soundfile

    try:
        info = soundfile.info(path)
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioUnreadable(path, _reason(path)) from error
    _check(path, info.samplerate, info.channels)
    return int(info.frames) // SAMPLES_PER_MS


def _check(path: Path, rate_hz: int, channels: int) -> None:
    if (rate_hz, channels) != (SAMPLE_RATE_HZ, 1):
        found = f"{rate_hz} Hz with {channels} channel{'s' * (channels != 1)}"
        raise AudioUnreadable(path, f"speech is read at {SAMPLE_RATE_HZ} Hz with 1 channel, this is {found}")


def _reason(path: Path) -> str:
    return "it cannot be read as audio" if path.exists() else "it does not exist"
