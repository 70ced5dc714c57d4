from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
import torch

from tools.checkpoint import speech
from tools.checkpoint.text import held_out
from tools.checkpoint.windows import IGNORED, Phase, Speech, Windows, _Composer, together

PHASES = [Phase(600, 8, 48, 0.0, 3), Phase(3000, 4, 200, 0.5, 3)]


@pytest.fixture(scope="module")
def windows() -> Windows:
    return Windows(Speech([speech.make_shard(4, 40)]), speech.backgrounds(1, 40), PHASES, seed=1)


def written(windows: Windows, step: int) -> list[list[int]]:
    """What is wanted in each window of a step, in whisper's own token numbers."""
    batch, tokens = windows[step], windows.speech.vocabulary.tokens
    return [[tokens[int(n)] for n in row[row != IGNORED]] for row in batch.wanted]


def test_a_step_is_the_same_however_training_got_there(windows: Windows) -> None:
    first, again = windows[4], windows[4]
    for name in first.__dataclass_fields__:
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.mel, windows[5].mel)


@pytest.mark.parametrize("step", range(6))
def test_windows_look_as_whisper_would_see_them(windows: Windows, step: int) -> None:
    batch = windows[step]
    phase = windows.phases[windows.phase(step)]
    assert batch.mel.shape == (phase.batch, 80, phase.frames)
    for mel in batch.mel:
        sounding = mel[:, mel.abs().sum(0) > 0]
        assert float(sounding.max() - sounding.min()) <= 2.0 + 1e-4  # eight powers of ten, a quarter each
    assert bool((batch.offsets + phase.frames // 2 <= 1500).all())
    assert batch.given.shape == batch.wanted.shape == batch.spans.shape[:2]
    assert batch.given.shape[1] <= 448


def test_answers_follow_whispers_grammar_of_timestamps(windows: Windows) -> None:
    tokens = speech.tokenizer()
    seen = 0
    for step in range(6):
        for answer in written(windows, step):
            assert answer[-1] == tokens.eot
            times = [token for token in answer if token >= tokens.timestamp_begin]
            assert times == sorted(times)
            if times and answer[0] >= tokens.timestamp_begin:
                seen += 1
                text = tokens.decode([t for t in answer if t < tokens.eot])
                assert text.startswith(" ")
    assert seen >= 20


def test_every_wanted_word_sounds_where_it_is_guided(windows: Windows) -> None:
    batch = windows[1]
    vocabulary = windows.speech.vocabulary
    found = []
    for row in range(len(batch.wanted)):
        for token, (first, end) in zip(batch.wanted[row].tolist(), batch.spans[row].tolist(), strict=True):
            if 0 <= token < len(vocabulary.words) and first >= 0:
                found.append(token in batch.words[row, first:end].tolist())
    assert np.mean(found) > 0.9


def test_a_short_pause_is_guided_to_the_word_before_it(windows: Windows) -> None:
    vocabulary, sounds = windows.speech.vocabulary, windows._compose.sounds
    pauses = []
    for step in range(6):
        batch = windows[step]
        for tokens, spans in zip(batch.wanted.tolist(), batch.spans.tolist(), strict=True):
            for (token, (_, end)), (other, (first, _)) in pairwise(zip(tokens, spans, strict=True)):
                both = all(0 <= one < len(vocabulary.words) for one in (token, other))
                if both and sounds[vocabulary.words[token]]:
                    pauses.append(first - end)
    assert len(pauses) > 300
    assert max(pauses) <= 1  # a state, by rounding


def test_held_out_sentences_are_left_out(windows: Windows) -> None:
    shard = speech.make_shard(4, 40)
    assert len(windows.speech.utterances) <= len(shard.frame_ends)
    for one in windows.speech.utterances:
        assert not held_out(speech.tokenizer().decode(one.tokens).strip())


def test_some_windows_hold_no_speech_and_say_so(windows: Windows) -> None:
    compose, tokens = windows._compose, speech.tokenizer()
    answers = [compose(random.Random(n), PHASES[0], 0).wanted for n in range(120)]
    silent = [answer for answer in answers if answer[0] == tokens.no_speech]
    assert 2 <= len(silent) <= 30


def words(compose: _Composer, phase: Phase) -> list[list[int]]:
    """The tokens with which words begin, in sixty windows."""
    answers = [compose(random.Random(n), phase, 0).wanted for n in range(60)]
    known = range(len(compose.begins_word))
    return [[token for token in one if token in known and compose.begins_word[token]] for one in answers]


def test_words_can_be_repeated_nearby(windows: Windows) -> None:
    usual, more = (words(windows._compose, Phase(3000, 4, 200, 0.0, 3, echoes=share)) for share in (0.0, 1.0))
    repeated = [np.mean([1 - len(set(one)) / len(one) for one in some if one]) for some in (usual, more)]
    assert repeated[1] > 1.2 * repeated[0]


def test_rare_words_can_be_said_as_often_as_others(windows: Windows) -> None:
    often, *once = windows.speech.utterances
    compose = _Composer([often] * 200 + once, windows._compose.backgrounds)
    usual, more = (words(compose, Phase(3000, 4, 200, 0.0, 3, rare=share)) for share in (0.0, 1.0))
    common = set(often.tokens.tolist())
    shares = [np.mean([token in common for one in some for token in one]) for some in (usual, more)]
    assert shares[0] > 0.7
    assert shares[1] < 0.5


def test_two_sounds_composed_of_their_powers_vary_as_their_sum_does() -> None:
    generator = np.random.default_rng(3)
    one, other = (speech.level(speech.noise(generator, 20, slope)) for slope in (0.3, 0.7))
    apart = [speech.log_mel(samples).astype(np.float32) for samples in (one, other)]
    wanted = speech.log_mel(one + other).astype(np.float32)
    composed = together(apart[0], apart[1], generator)
    powers = np.logaddexp(*(part * np.log(10) for part in apart)) / np.log(10)
    for first in range(0, 80, 10):
        bins = slice(first, first + 10)
        spread = (wanted - powers)[:, bins].std()
        assert (composed - powers)[:, bins].std() == pytest.approx(spread, rel=0.2)
        ties = [np.corrcoef((mel - powers)[:, first : first + 2].T)[0, 1] for mel in (wanted, composed)]
        assert ties[1] == pytest.approx(ties[0], abs=0.15)
