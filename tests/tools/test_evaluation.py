from __future__ import annotations

import random

import numpy as np
import pytest
import whisper

from examples.voices import Voice
from tools.checkpoint import evaluation, text
from transcripts.engines import builtin_path


@pytest.fixture(scope="module")
def sentence() -> evaluation.Recording:
    return evaluation.sentences(random.Random(2), 1, [Voice("flite", "slt")])[0]


def test_sentences_are_held_out_and_timed(sentence: evaluation.Recording) -> None:
    assert text.held_out(sentence.said)
    assert sentence.said.split() == [word.text for word in sentence.words]
    for word in sentence.words:
        part = sentence.samples[int(word.start_s * 16_000) : int(word.end_s * 16_000)]
        assert np.abs(part).max() > 0.01, word.text


def test_the_telephone_keeps_its_band_and_its_noise(sentence: evaluation.Recording) -> None:
    heard = evaluation.by_phone(sentence, 1).samples
    assert len(heard) == len(sentence.samples)
    power = np.abs(np.fft.rfft(heard)) ** 2
    hertz = np.fft.rfftfreq(len(heard), 1 / 16_000)
    assert power[hertz > 4100].sum() < 0.01 * power.sum()
    lead = heard[: int(sentence.words[0].start_s * 16_000) - 800]
    speech_db = 20 * np.log10(np.sqrt(np.mean(heard**2)) / np.sqrt(np.mean(lead**2)))
    assert 9 < speech_db < 24  # 15 dB less what the line takes of each


def test_a_dialogue_has_two_voices_turn_about() -> None:
    dialogue = evaluation.dialogues(random.Random(4), 1, (10, 12))[0]
    assert 10 <= len(dialogue.samples) / 16_000 < 30
    assert "?" in dialogue.said
    starts = [word.start_s for word in dialogue.words]
    assert starts == sorted(starts)


@pytest.mark.slow
def test_errors_and_word_starts_of_the_built_in_checkpoint(sentence: evaluation.Recording) -> None:
    model = whisper.load_model(str(builtin_path("demo")), device="cpu")
    heard = evaluation.hear(model, [sentence])
    assert heard.errors.reference_words >= 6
    assert heard.errors.rate < 0.35
    assert len(heard.starts_s) >= heard.errors.reference_words - heard.errors.errors - 1
    assert float(np.median(np.abs(heard.starts_s))) < 0.06


def test_nobody_speaks_in_what_is_without_speech() -> None:
    found = list(evaluation.without_speech(1, 1.0))
    assert {name for name, _ in found} >= {"silence", "white noise", "hum", "music", "siren"}
    assert all(len(samples) == 16_000 and np.isfinite(samples).all() for _, samples in found)
