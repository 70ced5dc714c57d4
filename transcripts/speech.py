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
BLOCK_MS, BLOCK_EDGE_MS = 600_000, 1_000


def speech_spans(
    source: audio.Samples | Path, *, threshold: float = THRESHOLD, longest_ms: int | None = None
) -> list[Span]:
    """Stretches of speech, in order, apart from each other; empty when nobody speaks.

    A silence shorter than 400 ms joins its neighbours, a sound shorter than 150 ms is no speech, and 80 ms
    are added at each edge. A file is heard ten minutes at a time, so memory does not grow with it.

    Args:
        source: samples of shape (n,) at 16 kHz, or the path of a 16 kHz mono file.
        threshold: the probability from which a sound counts as speech, 0 to 1.
        longest_ms: cut what is longer, where it pauses for a tenth of a second if it does; stretches may then touch.

    Raises:
        AudioUnreadable: the path cannot be read as 16 kHz mono.
    """
    per_ms = audio.SAMPLES_PER_MS
    duration = audio.duration_ms(source) if isinstance(source, Path) else -(-len(source) // per_ms)

    def read(start_ms: int, end_ms: int) -> audio.Samples:
        if isinstance(source, Path):
            return audio.load(source, start_ms, end_ms)
        return source[start_ms * per_ms : end_ms * per_ms]

    found: list[Span] = []
    start = 0
    while start < duration:
        end = min(duration, start + BLOCK_MS)
        spans = [span.shift(start) for span in _of_block(read(start, end), threshold, longest_ms)]
        if end < duration and spans and spans[-1].end_ms > end - BLOCK_EDGE_MS:
            # the last one may go on: the next block begins before it, unless it is all there is
            unfinished = spans.pop()
            end = unfinished.start_ms if spans else end
            spans = spans or [Span(unfinished.start_ms, end)]
        found += spans
        start = end
    return found if longest_ms else merge(found)


def _of_block(samples: audio.Samples, threshold: float, longest_ms: int | None) -> list[Span]:
    if not np.any(samples):
        return []
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    options = VadOptions(
        threshold=threshold,
        min_speech_duration_ms=MIN_SPEECH_MS,
        max_speech_duration_s=longest_ms / 1000 if longest_ms else float("inf"),
        min_silence_duration_ms=MIN_SILENCE_MS,
        speech_pad_ms=PAD_MS,
    )
    found = get_speech_timestamps(samples, options, sampling_rate=SAMPLE_RATE_HZ)
    per_ms, last = audio.SAMPLES_PER_MS, -(-len(samples) // audio.SAMPLES_PER_MS)
    return [Span(int(one["start"]) // per_ms, min(last, -(-int(one["end"]) // per_ms))) for one in found]


@lru_cache
def detector() -> str:
    """The detector's name and version, for fingerprints."""
    from importlib.metadata import version

    return f"silero (faster-whisper {version('faster-whisper')})"
