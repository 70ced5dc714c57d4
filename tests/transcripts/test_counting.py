"""How many speak at once: voices that the network never heard so, alone, together and not at all."""

from __future__ import annotations

import numpy as np
import pytest

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, speak
from transcripts.audio import reader
from transcripts.span import Span
from transcripts.speakers import counting

LONG = "We met in the park every week, and nobody was ever left alone, not even in the winter."
OTHER = "The phone never stopped ringing, and my sister and her neighbours felt tired of it too."
PAUSE = np.zeros(SAMPLE_RATE_HZ, np.float32)


def heard(samples: Samples) -> counting.Counts:
    return counting.count_voices(reader(samples), 0, len(samples) * 1000 // SAMPLE_RATE_HZ)


def noisy(samples: Samples, level_db: float) -> Samples:
    noise = np.random.default_rng(1).standard_normal(len(samples)) * 0.08 * 10 ** (level_db / 20)
    return (samples + noise).astype(np.float32)


def share(counts: counting.Counts, count: int, start: int, end: int) -> float:
    """Of what lies between these samples, leaving 0.2 s at both ends, the share in which so many speak."""
    first, last = (start * 25) // SAMPLE_RATE_HZ + 5, (end * 25) // SAMPLE_RATE_HZ - 5
    return float((counts[first:last].argmax(axis=1) == count).mean())


@pytest.mark.parametrize("noise_db", [-60.0, -20.0])
def test_one_then_two_then_one(noise_db: float) -> None:
    one, other = (speak(Voice("flite", name), text).samples for name, text in (("slt", LONG), ("rms", OTHER)))
    shared = min(len(one), len(other))
    samples = noisy(
        np.concatenate([PAUSE, one, PAUSE, one[:shared] + other[:shared], PAUSE, other, PAUSE]), noise_db
    )
    counts = heard(samples)
    np.testing.assert_allclose(counts.sum(axis=1), 1, atol=1e-5)
    at = len(PAUSE)
    assert share(counts, 1, at, at + len(one)) > 0.9
    both = at + len(one) + len(PAUSE)
    assert share(counts, 2, both, both + shared) > 0.75
    alone = both + shared + len(PAUSE)
    assert share(counts, 1, alone, alone + len(other)) > 0.9
    active = counting.active(counts)
    edges = [(at, at + len(one)), (both, both + shared), (alone, alone + len(other))]
    assert len(active) == 3
    for span, (start, end) in zip(active, edges, strict=True):
        assert abs(span.start_ms - start / 16) < 200
        assert abs(span.end_ms - end / 16) < 250


def test_nobody_speaks_in_silence_and_noise() -> None:
    for samples in (np.zeros(5 * SAMPLE_RATE_HZ, np.float32), noisy(np.zeros(5 * SAMPLE_RATE_HZ), -10.0)):
        assert counting.active(heard(samples)) == []


def test_blocks_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    one = speak(Voice("flite", "slt"), LONG).samples
    samples = noisy(np.concatenate([one, PAUSE, one, PAUSE, one]), -30.0)
    whole = heard(samples)
    monkeypatch.setattr(counting, "BLOCK_MS", 6_000)
    parts = heard(samples)
    assert parts.shape == whole.shape == (-(-len(samples) // 640), 3)
    # each frequency's mean is that of its block
    assert (parts.argmax(axis=1) == whole.argmax(axis=1)).mean() > 0.97


@pytest.mark.parametrize(("samples", "rows"), [(0, 0), (16, 1), (640, 1), (656, 2), (16_000, 25)])
def test_there_is_an_answer_for_every_40_ms(samples: int, rows: int) -> None:
    assert counting.count_voices(reader(np.zeros(samples, np.float32)), 0, samples // 16).shape == (rows, 3)


def test_means_over_stretches() -> None:
    counts = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 2, 1]]
    starts = np.array([0, 80, 160, 240, 5_000])
    np.testing.assert_allclose(
        counting.mean_of(counts, starts, 80),
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0.5, 0.5], [0, 1, 0]],
        atol=1e-6,
    )
    assert counting.speaking(counts, np.arange(8) * 40, 40).tolist() == [0, 0, 1, 1, 2, 2, 2, 1]
    assert counting.active(counts) == [Span(80, 320)]
