"""Where there is speech: Silero's voice activity detector, as faster-whisper ships it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from transcripts import audio
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.span import Span, merge

THRESHOLD = 0.25
"""Speech from this probability on: the default 0.5 misses much of what is said away from the microphone."""
MIN_SPEECH_MS = 150
MIN_SILENCE_MS = 400
PAD_MS = 80


def speech_spans(source: audio.Samples | Path, *, threshold: float = THRESHOLD) -> list[Span]:
    """Stretches of speech, in order, apart from each other; empty when nobody speaks.

    A silence shorter than 400 ms joins its neighbours, a sound shorter than 150 ms is no speech, and 80 ms
    are added at each edge.

    Args:
        source: samples of shape (n,) at 16 kHz, or the path of a 16 kHz mono file.
        threshold: the probability from which a sound counts as speech, 0 to 1.

    Raises:
        AudioUnreadable: the path cannot be read as 16 kHz mono.
    """
    samples = audio.load(source) if isinstance(source, Path) else source
    if not np.any(samples):
        return []
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=MIN_SPEECH_MS,
        min_silence_duration_ms=MIN_SILENCE_MS,
        speech_pad_ms=PAD_MS,
    )
    found = get_speech_timestamps(samples, options, sampling_rate=SAMPLE_RATE_HZ)
    per_ms = audio.SAMPLES_PER_MS
    return merge(Span(int(one["start"]) // per_ms, -(-int(one["end"]) // per_ms)) for one in found)


@lru_cache
def detector() -> str:
    """The detector's name and version, for fingerprints."""
    from importlib.metadata import version

    return f"silero (faster-whisper {version('faster-whisper')})"
