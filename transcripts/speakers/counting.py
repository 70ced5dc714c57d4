"""How many speak at once, heard from the sound itself: nobody, one voice, or two and more.

A small convolutional network over the spectrum, with growing dilations (Bai, Kolter & Koltun 2018, "An Empirical
Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling"); ``tools/voices`` trains it on
synthetic speech. It knows no voices: whose they are is for the embeddings to say (Bullock, Bredin & Garcia-Perera 2020,
"Overlap-aware diarization: resegmentation using neural end-to-end overlapped speech detection").
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transcripts.audio import SAMPLES_PER_MS, Read, Samples
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.span import Span, merge

if TYPE_CHECKING:
    from torch import Tensor

LEARNED = Path(__file__).with_name("counting.npz")
CLASSES = 3
"""Nobody, one, two or more."""
COUNT_MS = 40
"""One answer for so much sound."""
FFT_SAMPLES, HOP_SAMPLES, BINS = 512, 320, 128
"""Windows of 32 ms every 20 ms, 31 Hz to 4 kHz: fine enough to hear two pitches."""
CHANNELS, DILATIONS = 96, (1, 2, 4, 8, 16, 32)
BLOCK_MS, EDGE_MS = 30_000, 3_000
"""Heard at once, and how much more on each side: the network reaches 2.6 s."""
BOTH, LEAST_STRETCHES = 0.45, 2
"""Two speak at once where this is as likely."""
NOBODY = 0.5
"""Nobody speaks where this is as likely."""
PAUSE_MS = 300
"""Somebody goes on speaking over shorter pauses, as in NIST's Rich Transcription evaluations."""
FLOOR, QUIET = 1e-9, 1e-4
"""Added to the power, as if there were always noise at -40 dB: a call's silence is none, and would look like nothing
that the network ever heard."""

Counts = NDArray[np.float32]
"""The probabilities of nobody, one, two or more for each 40 ms: shape (n, 3)."""


def count_voices(read: Read, start_ms: int, end_ms: int) -> Counts:
    """How many speak in each 40 ms from ``start_ms`` on; shape (ceil((end_ms - start_ms) / 40), 3).

    Raises:
        AudioUnreadable: the sound is that of a file which cannot be read as 16 kHz mono.
    """
    found = []
    for begin in range(start_ms, end_ms, BLOCK_MS):
        lead_ms = min(begin, EDGE_MS)
        last_ms = min(end_ms, begin + BLOCK_MS)
        wanted = -(-(last_ms - begin) // COUNT_MS)
        samples = read(begin - lead_ms, last_ms + EDGE_MS)
        least = (lead_ms + wanted * COUNT_MS) * SAMPLES_PER_MS
        samples = np.pad(samples, (0, max(0, least - len(samples))))
        first = lead_ms // COUNT_MS
        found.append(_heard(samples)[first : first + wanted])
    return np.concatenate(found) if found else np.zeros((0, CLASSES), np.float32)


def mean_of(counts: Counts, starts_ms: NDArray[np.int64], length_ms: int) -> Counts:
    """The mean probabilities of stretches of one length that start at ``starts_ms``, (n,): shape (n, 3).

    ``counts`` are those of a whole recording, from its start.
    """
    sums = np.concatenate([np.zeros((1, CLASSES)), np.cumsum(counts, axis=0, dtype=np.float64)])
    first = np.clip(starts_ms // COUNT_MS, 0, len(counts) - 1)
    last = np.clip(-(-(starts_ms + length_ms) // COUNT_MS), first + 1, len(counts))
    means: Counts = ((sums[last] - sums[first]) / (last - first)[:, None]).astype(np.float32)
    return means


def speaking(counts: Counts, starts_ms: NDArray[np.int64], length_ms: int) -> NDArray[np.int64]:
    """How many speak in each of the stretches, shape (n,): 0, 1, or 2 and more, never for less than two of them."""
    from scipy.ndimage import binary_opening

    means = mean_of(counts, starts_ms, length_ms)
    both = binary_opening(means[:, 2] > BOTH, np.ones(LEAST_STRETCHES, dtype=bool))
    found: NDArray[np.int64] = np.where(both, 2, means[:, 0] < NOBODY).astype(np.int64)
    return found


def active(counts: Counts) -> list[Span]:
    """Where somebody speaks by the counts of a whole recording; short pauses are no end."""
    speaking = counts[:, 0] < NOBODY
    edges = np.flatnonzero(np.diff(speaking, prepend=False, append=False)).reshape(-1, 2) * COUNT_MS
    return merge((Span(int(start), int(end)) for start, end in edges), PAUSE_MS)


def spectrum(samples: Samples) -> NDArray[np.float32]:
    """The logarithm of the power in each 20 ms, less each frequency's mean: shape (n, 128), n even, n >= 2."""
    blocks = max(1, len(samples) // (2 * HOP_SAMPLES))
    padded = np.pad(samples, (FFT_SAMPLES // 2, FFT_SAMPLES + 2 * HOP_SAMPLES))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES][: 2 * blocks]
    spectra = np.fft.rfft(frames * np.hanning(FFT_SAMPLES).astype(np.float32), axis=-1)
    power = np.abs(spectra[:, 1 : BINS + 1]) ** 2 / FFT_SAMPLES
    log = np.log(power + QUIET * power.mean() + FLOOR)
    centred: NDArray[np.float32] = (log - log.mean(axis=0)).astype(np.float32)
    return centred


def shapes() -> dict[str, tuple[int, ...]]:
    """The network's weights by name, each with its shape."""
    found: dict[str, tuple[int, ...]] = {"fine": (CHANNELS, BINS, 3), "half": (CHANNELS, CHANNELS, 4)}
    for dilation in DILATIONS:
        found[f"wide{dilation}"] = (CHANNELS, CHANNELS, 3)
        found[f"mix{dilation}"] = (CHANNELS, CHANNELS, 1)
    found["last"] = (CLASSES, CHANNELS, 1)
    return found | {f"{name}.bias": shape[:1] for name, shape in found.items()}


def logits(weights: Mapping[str, Tensor], spectra: Tensor) -> Tensor:
    """What the network says of ``spectra`` (batch, 2 n, 128): unnormalised logarithms (batch, 3, n)."""
    from torch.nn.functional import conv1d, relu

    def through(name: str, values: Tensor, **how: int) -> Tensor:
        return conv1d(values, weights[name], weights[f"{name}.bias"], **how)

    values = relu(through("fine", spectra.transpose(1, 2), padding=1))
    values = through("half", values, stride=2, padding=1)
    for dilation in DILATIONS:
        around = relu(through(f"wide{dilation}", relu(values), padding=dilation, dilation=dilation))
        values = values + through(f"mix{dilation}", around)
    return through("last", relu(values))


def _heard(samples: Samples) -> Counts:
    import torch

    with torch.inference_mode():
        said = logits(_weights(), torch.from_numpy(spectrum(samples))[None])
        heard: Counts = torch.softmax(said[0], dim=0).T.contiguous().numpy()
    return heard


@lru_cache(maxsize=1)
def _weights() -> dict[str, Tensor]:
    import torch

    with np.load(LEARNED) as held:
        return {name: torch.from_numpy(held[name].astype(np.float32)) for name in held.files}


assert SAMPLE_RATE_HZ == 16_000, "the windows above are samples at this rate"
