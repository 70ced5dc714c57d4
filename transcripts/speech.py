"""Where there is speech: Silero's voice activity detector, as faster-whisper ships it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transcripts import audio
from transcripts.libraries import torch_first
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.span import Span, merge

THRESHOLD = 0.25
"""Speech from this probability on: the default 0.5 misses much of what is said away from the microphone."""
MIN_SPEECH_MS = 150
MIN_SILENCE_MS = 400
PAD_MS = 80
BLOCK_MS, BLOCK_EDGE_MS = 600_000, 1_000
RUMBLE_HZ, RUMBLE_ORDER = 300, 4
"""What lies below is left out where voices are looked for: steps, wind and knocks hide speech from the detector."""
FAINT_DB = -25.0
"""Speech that is so far below the recording's is somebody next door, or nobody."""
LEVEL_MS, LEVEL_REACH = 100, 2
"""Levels are those of a tenth of a second; what lies this many of them beside a loud one is kept with it."""


def speech_spans(
    source: audio.Samples | Path,
    *,
    threshold: float = THRESHOLD,
    longest_ms: int | None = None,
    above_hz: int = 0,
) -> list[Span]:
    """Stretches of speech, in order, apart from each other; empty when nobody speaks.

    A silence shorter than 400 ms joins its neighbours, a sound shorter than 150 ms is no speech, and 80 ms
    are added at each edge. A file is heard ten minutes at a time, so memory does not grow with it.

    Args:
        source: samples of shape (n,) at 16 kHz, or the path of a 16 kHz mono file.
        threshold: the probability from which a sound counts as speech, 0 to 1.
        longest_ms: cut what is longer, where it pauses for a tenth of a second if it does; stretches may then touch.
        above_hz: listen only above this frequency.

    Raises:
        AudioUnreadable: the path cannot be read as 16 kHz mono.
    """
    per_ms = audio.SAMPLES_PER_MS
    duration = audio.duration_ms(source) if isinstance(source, Path) else -(-len(source) // per_ms)
    read = _above(above_hz, audio.reader(source))
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


def voiced_spans(source: audio.Samples | Path) -> list[Span]:
    """Stretches in which somebody can be heard well enough to tell who it is; in order, apart from each other.

    They are those of ``speech_spans``, found above 300 Hz, without what is more than 25 dB below their mean level.

    Raises:
        AudioUnreadable: the path cannot be read as 16 kHz mono.
    """
    torch_first()
    spans = speech_spans(source, above_hz=RUMBLE_HZ)
    read = _above(RUMBLE_HZ, audio.reader(source))
    powers = [_powers(read, span) for span in spans]
    if not powers:
        return []
    least = float(np.concatenate(powers).mean()) * 10 ** (FAINT_DB / 10)
    return [part for span, power in zip(spans, powers, strict=True) for part in _loud(span, power > least)]


def _above(frequency_hz: int, read: audio.Read) -> audio.Read:
    """The same sound without what lies below; 0 leaves it as it is."""
    if not frequency_hz:
        return read
    from scipy.signal import butter, sosfilt

    sections = butter(RUMBLE_ORDER, frequency_hz, "highpass", fs=SAMPLE_RATE_HZ, output="sos")

    def filtered(start_ms: int, end_ms: int) -> audio.Samples:
        samples: audio.Samples = sosfilt(sections, read(start_ms, end_ms)).astype(np.float32)
        return samples

    return filtered


def _powers(read: audio.Read, span: Span) -> NDArray[np.float64]:
    """The mean square of each tenth of a second of the span; the last may be shorter."""
    found = []
    for start in range(span.start_ms, span.end_ms, BLOCK_MS):
        samples = np.square(read(start, min(span.end_ms, start + BLOCK_MS)), dtype=np.float64)
        starts = np.arange(0, len(samples), LEVEL_MS * audio.SAMPLES_PER_MS)
        if len(samples):
            sums = np.add.reduceat(samples, starts)
            found.append(sums / np.diff(np.append(starts, len(samples))))
    return np.concatenate(found) if found else np.zeros(1)


def _loud(span: Span, loud: NDArray[np.bool_]) -> list[Span]:
    """The parts of the span around its loud tenths of a second, where they are long enough to be speech."""
    from scipy.ndimage import binary_dilation

    near = binary_dilation(loud, iterations=LEVEL_REACH)
    edges = np.flatnonzero(np.diff(near, prepend=False, append=False)).reshape(-1, 2)
    parts = [
        Span(span.start_ms + int(first) * LEVEL_MS, min(span.end_ms, span.start_ms + int(last) * LEVEL_MS))
        for first, last in edges
    ]
    return [part for part in parts if part.duration_ms >= min(MIN_SPEECH_MS, span.duration_ms)]


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
