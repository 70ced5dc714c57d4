"""What recordings do to a voice is discounted: one voice in two conditions is more alike, two voices are less."""

from __future__ import annotations

import numpy as np
import pytest

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, speak
from transcripts.span import Span
from transcripts.speakers import encoder
from transcripts.speakers.compensation import compensated
from transcripts.speakers.encoder import unit

SENTENCES = (
    "We met in the park every week, and nobody was ever left alone.",
    "The phone never stopped ringing, and my sister felt tired too.",
    "In the end we got through it together, and small things mattered.",
)


def told(voice: Voice, noise_db: float | None) -> Samples:
    samples = np.concatenate([speak(voice, sentence).samples for sentence in SENTENCES])
    if noise_db is None:
        return samples
    noise = np.random.default_rng(1).standard_normal(len(samples)) * samples.std()
    return (samples + noise * 10 ** (noise_db / 20)).astype(np.float32)


def embedding(samples: Samples) -> np.ndarray:
    spans = [Span(0, len(samples) * 1000 // SAMPLE_RATE_HZ)]
    windows_ms = encoder.windows(spans, 500)
    heard = encoder.embed(samples, windows_ms, encoder.speech_gain(samples, spans))
    return unit(heard.mean(axis=0, keepdims=True))[0]


def test_noise_is_discounted_and_voices_stay_apart() -> None:
    rows = [embedding(told(Voice("flite", name), db)) for name in ("slt", "rms") for db in (None, -15.0)]
    plain, better = np.stack(rows), compensated(np.stack(rows))
    assert better.shape == plain.shape
    np.testing.assert_allclose(np.linalg.norm(better, axis=1), 1, atol=1e-5)

    def gap(of: np.ndarray) -> float:
        """By how much one voice in two conditions is more alike than any two voices."""
        cosines = of @ of.T
        return float(min(cosines[0, 1], cosines[2, 3]) - cosines[:2, 2:].max())

    assert gap(better) > gap(plain) + 0.1
    assert gap(better) > 0.2


def test_the_embeddings_of_another_encoder_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 256\)"):
        compensated(np.ones((3, 192), np.float32))
