"""What a voice sounds like, as 256 numbers: the GE2E encoder of Resemblyzer over windows of 1.6 s.

Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification".
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcripts.audio import SAMPLES_PER_MS, Samples
from transcripts.errors import SpeakersUnavailable
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.span import Span

Embeddings = NDArray[np.float32]
"""One voice a row: shape (n, 256), unit length, no negative numbers."""

WINDOW_MS = 1_600
FRAME_MS = 10
FFT_SAMPLES = 400
MEL_CHANNELS = 40
SPEECH_DB = -30.0
"""Quiet speech is raised to this mean level; the encoder reads linear mels, so level matters to it."""
DIMENSION = 256
BATCH = 128

INSTALL = "pip install --no-deps Resemblyzer==0.1.4"

_lock = threading.Lock()


def windows(speech: Sequence[Span], hop_ms: int, duration_ms: int) -> NDArray[np.int64]:
    """Where the encoder listens: starts in ms, ascending, shape (n,).

    Windows lie ``hop_ms`` apart inside each stretch of speech, the last flush with its end; a stretch that is
    shorter than a window gets one, centred on it. None reaches past the recording while there is room.
    """
    starts: list[int] = []
    room = max(0, duration_ms - WINDOW_MS)
    for span in speech:
        spare = span.duration_ms - WINDOW_MS
        if spare <= 0:
            starts.append(min(room, max(0, span.start_ms + spare // 2)))
            continue
        starts += range(span.start_ms, span.start_ms + spare, hop_ms)
        starts.append(span.start_ms + spare)
    return np.array(sorted(set(starts)), dtype=np.int64)


def embed(
    samples: Samples,
    starts_ms: NDArray[np.int64],
    gain: float,
    progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """Listen to the windows that start at ``starts_ms``; shape (len(starts_ms), 256).

    Args:
        samples: the whole recording, 16 kHz, shape (n,).
        starts_ms: where the windows start; past the end is silence.
        gain: the amplitude factor that brings speech to its level, see ``speech_gain``.
        progress: told the ms listened to so far.

    Raises:
        SpeakersUnavailable: the encoder is not installed.
    """
    import torch

    encoder = _encoder()
    found = np.zeros((len(starts_ms), DIMENSION), dtype=np.float32)
    for first in range(0, len(starts_ms), BATCH):
        batch = starts_ms[first : first + BATCH]
        frames = np.stack([_window(samples, int(start)) for start in batch])
        with torch.inference_mode():
            found[first : first + BATCH] = encoder(torch.from_numpy(frames * np.float32(gain**2))).numpy()
        if progress:
            progress(int(batch[-1]) + WINDOW_MS)
    return np.nan_to_num(found)


def speech_gain(samples: Samples, speech: Sequence[Span]) -> float:
    """The factor, 1 or more, that brings the mean level of the speech to -30 dBFS."""
    power, count = 0.0, 0
    for span in speech:
        part = samples[span.start_ms * SAMPLES_PER_MS : span.end_ms * SAMPLES_PER_MS]
        power, count = power + float(np.dot(part, part)), count + len(part)
    if not power:
        return 1.0
    level_db = 10 * np.log10(power / count)
    return float(max(1.0, 10 ** ((SPEECH_DB - level_db) / 20)))


def mel_power(samples: Samples) -> NDArray[np.float32]:
    """Linear mel power, as the encoder was trained on, of frames of 25 ms every 10 ms.

    Shape (1 + (len(samples) - 400) // 160, 40); the first frame starts with the first sample.
    """
    frames = np.lib.stride_tricks.sliding_window_view(samples, FFT_SAMPLES)[:: FRAME_MS * SAMPLES_PER_MS]
    spectrum = np.abs(np.fft.rfft(frames * _hann(), axis=-1)) ** 2
    return (spectrum @ _filters().T).astype(np.float32)


def _window(samples: Samples, start_ms: int) -> NDArray[np.float32]:
    """The 160 mel frames centred 10 ms apart from ``start_ms`` on; silence where there is no sound."""
    first = start_ms * SAMPLES_PER_MS - FFT_SAMPLES // 2
    last = first + (WINDOW_MS - FRAME_MS) * SAMPLES_PER_MS + FFT_SAMPLES
    inside = samples[max(0, first) : max(0, min(last, len(samples)))]
    before = max(0, -first)
    return mel_power(np.pad(inside, (before, last - first - before - len(inside))))


@lru_cache
def _hann() -> NDArray[np.float64]:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)


@lru_cache
def _filters() -> NDArray[np.float64]:
    from faster_whisper.feature_extractor import FeatureExtractor

    return np.asarray(FeatureExtractor.get_mel_filters(SAMPLE_RATE_HZ, FFT_SAMPLES, n_mels=MEL_CHANNELS))


@lru_cache(maxsize=1)
def _encoder() -> Any:
    """The encoder with its trained weights, on the CPU: quick enough there."""
    with _lock:
        return _voice_encoder_module().VoiceEncoder(device="cpu", verbose=False).eval()


def _voice_encoder_module() -> Any:
    """Resemblyzer's encoder without its audio module.

    The package imports librosa and webrtcvad, which needs a compiler, only to load sound; we have done that.
    So its parts are imported inside a package of the same name whose audio module is empty, and that is taken
    away again afterwards.

    Raises:
        SpeakersUnavailable: Resemblyzer is not installed.
    """
    spec = find_spec("resemblyzer")
    if spec is None or spec.submodule_search_locations is None:
        raise SpeakersUnavailable(f"the voice encoder is missing; run: {INSTALL}")
    before = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "resemblyzer"}
    package = types.ModuleType("resemblyzer")
    package.__path__ = list(spec.submodule_search_locations)
    package.audio = types.ModuleType("resemblyzer.audio")  # type: ignore[attr-defined]
    try:
        sys.modules.update({"resemblyzer": package, "resemblyzer.audio": package.audio})
        from resemblyzer import voice_encoder

        return voice_encoder
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "resemblyzer"]:
            del sys.modules[name]
        sys.modules.update(before)
