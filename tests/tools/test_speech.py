from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import correlate
from whisper.audio import log_mel_spectrogram

from examples.voices import Voice, speak
from tools.checkpoint import accents, speech

SENTENCE = "In the end, we kept talking to families every day."


@pytest.fixture(scope="module")
def spoken():
    return speak(Voice("flite", "kal16"), SENTENCE)


@pytest.fixture(scope="module")
def shard():
    return speech.make_shard(3, 12)


@pytest.mark.parametrize("codec", speech.CODECS)
def test_a_codec_keeps_length_and_place(codec: str, spoken) -> None:
    first, second = speech.through_codec(codec, [spoken.samples, spoken.samples[:16_000]])
    assert len(first) == len(spoken.samples)
    assert len(second) == 16_000
    likeness = np.abs(correlate(first, spoken.samples))
    assert abs(int(likeness.argmax()) - len(first) + 1) <= 80  # 5 ms
    assert not np.array_equal(first, spoken.samples)


def test_frames_are_whispers_before_its_clamping(spoken) -> None:
    ours = speech.log_mel(spoken.samples).astype(np.float32).T
    theirs = log_mel_spectrogram(spoken.samples).numpy()
    scaled = (np.maximum(ours, ours.max() - 8) + 4) / 4
    assert np.abs(scaled - theirs).max() < 0.01


def test_tokens_tell_the_sentence_in_the_order_of_time(spoken) -> None:
    tokens, spans = speech.spoken_tokens(spoken)
    assert speech.tokenizer().decode(tokens).strip() == SENTENCE
    starts = [start for start, _ in spans]
    assert starts == sorted(starts)
    assert all(start < end for start, end in spans)
    at = dict(zip((speech.tokenizer().decode([t]).strip() for t in tokens), spans, strict=True))
    families = next(word for word in spoken.words if word.text == "families")
    assert at["families"] == pytest.approx((families.start_s, families.end_s))


def test_a_shard_is_in_one_piece(shard) -> None:
    assert len(shard.frame_ends) == 12
    assert shard.frame_ends[-1] == len(shard.mel)
    assert shard.token_ends[-1] == len(shard.tokens) == len(shard.spans)
    assert len(shard.states) == shard.state_ends[-1]
    assert shard.states.max() < len(shard.phones)


@pytest.mark.slow
def test_shards_come_from_their_seed_and_are_made_once(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    paths = list(speech.make_all(first, range(2), seed=1, processes=2, count=6))
    again = list(speech.make_all(second, range(2), seed=1, processes=1, count=6))
    for path, other in zip(paths, again, strict=True):
        one, same = speech.read(path), speech.read(other)
        assert np.array_equal(one.tokens, same.tokens)
        assert np.array_equal(one.mel, same.mel)
    assert not np.array_equal(speech.read(paths[0]).tokens, speech.read(paths[1]).tokens)
    before = [path.stat().st_mtime_ns for path in paths]
    assert list(speech.make_all(first, range(2), seed=1, processes=2, count=6)) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_drawn_voices_speak_the_same_from_the_same_seed_and_unlike_each_other(tmp_path: Path) -> None:
    [one] = speech.make_all(tmp_path / "one", [0], seed=1, processes=1, count=6, drawn=1.0)
    [same] = speech.make_all(tmp_path / "same", [0], seed=1, processes=1, count=6, drawn=1.0)
    [plain] = speech.make_all(tmp_path / "plain", [0], seed=1, processes=1, count=6)
    assert np.array_equal(speech.read(one).mel, speech.read(same).mel)
    assert not np.array_equal(speech.read(one).tokens, speech.read(plain).tokens)
    assert all(name.startswith("espeak:") for name in speech.read(one).phones)


def test_no_two_accents_are_alike() -> None:
    draw = random.Random(1)
    accents_drawn = {accents.accent(draw) for _ in range(50)}
    assert len(accents_drawn) == 50
    assert not any(
        "en-wi" in lines or "en-us-nyc" in lines for lines in accents_drawn
    )  # the held-out ones' sounds


def test_nothing_in_the_backgrounds_is_silent_or_endless() -> None:
    for frames in speech.backgrounds(1, 2):
        assert frames.shape == (200, 80)
        assert np.isfinite(frames).all()
        assert frames.max() > -1
