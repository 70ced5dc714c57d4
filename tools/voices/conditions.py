"""Learn what rooms, noise and lines do to a voice's embedding, so that it can be discounted when voices are compared.

Every synthetic voice is heard in several conditions; how its embeddings differ from their mean is the within-class
scatter (Hatch, Kajarekar & Stolcke 2006, "Within-Class Covariance Normalization for SVM-based Speaker Recognition").
Its strongest directions and their variances are kept in ``transcripts/speakers/conditions.npz``.

    python -m tools.voices.conditions [--processes 2]
"""

from __future__ import annotations

import argparse
import random
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, WordsLost, speak
from tools.checkpoint import speech, text
from transcripts.span import Span
from transcripts.speakers import encoder
from transcripts.speakers.encoder import unit

TARGET = Path(__file__).resolve().parents[2] / "transcripts/speakers/conditions.npz"
KEPT = TARGET.parents[2] / "build/voices/heard.npy"
SEED = 20261201
VOICES, RECORDINGS, DIRECTIONS = 60, 8, 64
SECONDS = (8, 15, 25)
CODECS = (None, None, *speech.CODECS)

Rows = npt.NDArray[np.float32]


def voice(number: int) -> Voice:
    """One of the voices: half by flite, half by espeak-ng, with throats between those of the benchmark."""
    draw = random.Random(f"{SEED} voice {number}")
    if number % 2:
        name = draw.choice(speech.ACCENTS) + draw.choice(speech.VARIANTS)
        settings = {
            "rate": draw.uniform(140, 195),
            "pitch": draw.uniform(25, 75),
            "range": draw.uniform(30, 70),
        }
        return Voice("espeak", name, draw.uniform(0.9, 1.12), settings)
    settings = {"stretch": draw.uniform(0.9, 1.2), "f0": draw.uniform(0.9, 1.12)}
    return Voice("flite", draw.choice(("awb", "rms", "slt", "kal")), draw.uniform(0.86, 1.16), settings)


def heard(number: int) -> Rows:
    """The embeddings of one voice in RECORDINGS conditions: shape (RECORDINGS, 256)."""
    draw = random.Random(f"{SEED} heard {number}")
    rows = []
    for _ in range(RECORDINGS):
        told = _told(draw, voice(number), draw.choice(SECONDS))
        samples = speech.recorded(draw, told, (10, 40), CODECS)
        spans = [Span(0, len(samples) * 1000 // SAMPLE_RATE_HZ)]
        windows_ms = encoder.windows(spans, 1_000)
        found = encoder.embed(samples, windows_ms, encoder.speech_gain(samples, spans))
        rows.append(unit(found.mean(axis=0, keepdims=True))[0])
    return np.stack(rows)


def learned(sets: npt.NDArray[np.float32]) -> dict[str, Rows]:
    """What is kept, from embeddings of shape (voices, recordings, 256).

    ``mean`` (256,); ``directions`` (DIRECTIONS, 256), the strongest first; ``variances``, theirs, in units of
    the variance that a direction has on average.
    """
    inside = (sets - sets.mean(axis=1, keepdims=True)).reshape(-1, sets.shape[2]).astype(np.float64)
    scatter = inside.T @ inside / (len(inside) - len(sets))
    variances, directions = np.linalg.eigh(scatter)
    average = float(np.trace(scatter)) / len(scatter)
    return {
        "mean": sets.reshape(-1, sets.shape[2]).mean(axis=0).astype(np.float32),
        "directions": directions[:, ::-1][:, :DIRECTIONS].T.astype(np.float16),
        "variances": (variances[::-1][:DIRECTIONS] / average).astype(np.float32),
    }


def main() -> None:
    """Hear every voice, learn, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=2)
    processes = parser.parse_args().processes
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        sets = np.stack(list(pool.map(heard, range(VOICES))))
    found = learned(sets)
    np.savez_compressed(
        TARGET, mean=found["mean"], directions=found["directions"], variances=found["variances"]
    )
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    np.save(KEPT, sets)
    print(
        f"{TARGET.name}: {TARGET.stat().st_size} bytes from {sets.shape[0]} voices, {sets.shape[1]} times each"
    )


def _told(draw: random.Random, who: Voice, seconds: float) -> Samples:
    """Sentences of this voice as it is today, from one place in a room or from near by."""
    today = replace(
        who, settings={name: value * draw.uniform(0.94, 1.06) for name, value in who.settings.items()}
    )
    sound: list[Samples] = []
    while sum(map(len, sound)) < seconds * SAMPLE_RATE_HZ:
        try:
            said = speak(today, text.sentence(draw)).samples
        except WordsLost:
            continue
        sound += [np.zeros(int(draw.uniform(0.2, 0.6) * SAMPLE_RATE_HZ), np.float32), said]
    samples = np.concatenate(sound)
    if draw.random() < 0.7:
        samples = fftconvolve(samples, speech.room(draw))[: len(samples)].astype(np.float32)
    return samples


if __name__ == "__main__":
    main()
