"""What a voice sounds like, as 256 numbers: the GE2E encoder of Resemblyzer over windows of 1.6 s.

Wan et al. 2018, "Generalized End-to-End Loss for Speaker Verification".
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transcripts.audio import SAMPLES_PER_MS, Read, Samples, reader
from transcripts.errors import SpeakersUnavailable
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.span import Span

Embeddings = NDArray[np.float32]
"""One voice a row: shape (n, 256), unit length, no negative numbers."""

Windows = NDArray[np.int64]
"""Where the encoder listens: start and length in ms, shape (n, 2)."""

WINDOW_MS = 1_600
FRAME_MS = 10
FFT_SAMPLES = 400
WINDOW_FRAMES = WINDOW_MS // FRAME_MS
MEL_CHANNELS = 40
SPEECH_DB = -30.0
"""Quiet speech is raised to this mean level; the encoder reads linear mels, so level matters to it."""
DIMENSION = 256
BATCH, BLOCK_MS = 128, 120_000
"""Windows at once, and how far the last may start after the first."""

INSTALL = "pip install --no-deps Resemblyzer==0.1.4"

_lock = threading.Lock()


def unit(rows: NDArray[np.floating[Any]]) -> Embeddings:
    """The rows at unit length; a row of zeros stays."""
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: Embeddings = (rows / np.maximum(length, 1e-12)).astype(np.float32)
    return scaled


def windows(stretches: Sequence[Span], hop_ms: int, length_ms: int = WINDOW_MS) -> Windows:
    """Where the encoder listens: start and length in ms of each window, by start, shape (n, 2).

    Windows of ``length_ms`` lie ``hop_ms`` apart inside each stretch, the last flush with its end; a stretch that is
    shorter than a window gets one of its own length. None reaches out of its stretch, where somebody else may speak.
    """
    found: list[tuple[int, int]] = []
    for span in stretches:
        spare = span.duration_ms - length_ms
        if spare > 0:
            found += ((start, length_ms) for start in range(span.start_ms, span.start_ms + spare, hop_ms))
        found.append((span.start_ms + max(0, spare), min(length_ms, span.duration_ms)))
    return np.array(sorted(found), dtype=np.int64).reshape(-1, 2)


def embed(
    source: Samples | Path,
    windows_ms: Windows,
    gain: float,
    progress: Callable[[int], None] | None = None,
) -> Embeddings:
    """Listen to the windows, shape (len(windows_ms), 256). One that is shorter than 1.6 s is heard over and over.

    A file is read a minute or two at a time, so memory grows only with the embeddings.

    Args:
        source: the path of a 16 kHz mono file, or its samples, shape (n,).
        windows_ms: start and length of each, ascending, shape (n, 2); past the end is silence.
        gain: the amplitude factor that brings speech to its level, see ``speech_gain``.
        progress: told the ms listened to so far.

    Raises:
        AudioUnreadable: the file cannot be read as 16 kHz mono.
        SpeakersUnavailable: the encoder is not installed.
    """
    import torch

    encoder, read = _encoder(), reader(source)
    found = np.zeros((len(windows_ms), DIMENSION), dtype=np.float32)
    for batch in _batches(windows_ms[:, 0]):
        frames = _windows(read, windows_ms[batch]) * np.float32(gain**2)
        with torch.inference_mode():
            found[batch] = encoder(torch.from_numpy(frames)).numpy()
        if progress:
            progress(int(windows_ms[batch][-1].sum()))
    return np.nan_to_num(found)


def speech_gain(source: Samples | Path, speech: Sequence[Span]) -> float:
    """The factor, 1 or more, that brings the mean level of the speech to -30 dBFS.

    Raises:
        AudioUnreadable: the source is a path and cannot be read as 16 kHz mono.
    """
    power, count, read = 0.0, 0, reader(source)
    for span in speech:
        for start in range(span.start_ms, span.end_ms, BLOCK_MS):
            part = read(start, min(span.end_ms, start + BLOCK_MS))
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


def _batches(starts_ms: NDArray[np.int64]) -> Iterator[slice]:
    """Windows to listen to at once: not too many, and not too far apart."""
    first = 0
    while first < len(starts_ms):
        last = int(np.searchsorted(starts_ms, starts_ms[first] + BLOCK_MS, side="right"))
        last = min(last, first + BATCH)
        yield slice(first, last)
        first = last


def _windows(read: Read, windows_ms: Windows) -> NDArray[np.float32]:
    """For each window the 160 mel frames centred 10 ms apart from its start on; silence where there is no sound.

    Starts are taken to the nearest frame before, so that windows share theirs. Shape (len(windows_ms), 160, 40).
    """
    first = windows_ms[:, 0] // FRAME_MS
    length = np.maximum(1, windows_ms[:, 1] // FRAME_MS)
    begin, count = int(first[0]), int(first[-1] - first[0]) + WINDOW_FRAMES
    per_frame, before = FRAME_MS * SAMPLES_PER_MS, FFT_SAMPLES // 2
    lead_ms = -(-before // SAMPLES_PER_MS)
    start_ms = max(0, begin * FRAME_MS - lead_ms)
    samples = read(start_ms, (begin + count) * FRAME_MS + lead_ms)
    cut = begin * per_frame - before - start_ms * SAMPLES_PER_MS
    samples = np.pad(samples[max(0, cut) :], (max(0, -cut), 0))
    wanted = (count - 1) * per_frame + FFT_SAMPLES
    mel = mel_power(np.pad(samples[:wanted], (0, max(0, wanted - len(samples)))))
    chosen: NDArray[np.float32] = mel[(first - begin)[:, None] + np.arange(WINDOW_FRAMES) % length[:, None]]
    return chosen


@lru_cache
def _hann() -> NDArray[np.float32]:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)).astype(np.float32)


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
