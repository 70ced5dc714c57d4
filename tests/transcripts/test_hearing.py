"""Windows side by side: running out of memory, speech that got no words, several languages."""

import numpy as np
import pytest
import soundfile

from transcripts.engines import RecogniserOptions, load, openai_whisper
from transcripts.engines.hearing import hear
from transcripts.engines.listening import likeliest, other_languages, spread
from transcripts.engines.values import Decoded, TimedWord
from transcripts.errors import DeviceUnavailable
from transcripts.scoring import word_error_rate
from transcripts.span import Span

DEMO = RecogniserOptions(model="demo", beam_size=1)


@pytest.fixture(scope="module")
def long_talk(interview, tmp_path_factory):
    """The interview three times, with long silence between: several windows."""
    samples, rate_hz = soundfile.read(interview.path)
    silence = np.random.default_rng(1).standard_normal(6 * rate_hz) * 0.0005
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(
        path, np.concatenate([samples, silence, samples, silence, samples]), rate_hz, subtype="PCM_16"
    )
    return path, " ".join([interview.text] * 3)


def short_of_memory(monkeypatch, most):
    """Encoding more windows than ``most`` at once fails as torch's allocator fails."""
    features = openai_whisper._Loaded.features

    def encode(self, sounds):
        if len(sounds) > most:
            raise RuntimeError(
                "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9000000 bytes"
            )
        return features(self, sounds)

    monkeypatch.setattr(openai_whisper._Loaded, "features", encode)


def test_a_batch_too_large_for_the_memory_is_halved_and_heard_again(long_talk, monkeypatch):
    path, said = long_talk
    short_of_memory(monkeypatch, 2)
    told = []
    found = load().transcribe(path, DEMO, told.append)
    # the small model mistakes one sentence of it, three times
    assert word_error_rate(said, found.transcript.text).rate < 0.1
    assert told == sorted(set(told))


def test_memory_too_small_for_one_window_is_told(long_talk, monkeypatch):
    short_of_memory(monkeypatch, 0)
    with pytest.raises(DeviceUnavailable, match="memory is too small"):
        load().transcribe(long_talk[0], DEMO)


def test_other_failures_are_not_taken_for_memory(long_talk, monkeypatch):
    def broken(self, sounds):
        raise RuntimeError("the shapes do not fit")

    monkeypatch.setattr(openai_whisper._Loaded, "features", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        load().transcribe(long_talk[0], DEMO)


def test_the_language_is_looked_for_all_over():
    parts = [
        Span(at, at + length)
        for at, length in zip(range(0, 400_000, 40_000), (5, 9, 7, 8, 30) * 2, strict=True)
    ]
    assert spread(parts, 20) == parts
    assert spread(parts, 2) == [parts[4], parts[9]]
    assert len(spread(parts, 5)) == 5
    assert likeliest({"en": 0.2, "sv": 0.7, "de": 0.1}) == ("sv", 0.7)


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        ([], ()),
        ([("sv", 0.9, 300), ("en", 0.9, 25)], ("en",)),
        ([("sv", 0.9, 300), ("en", 0.5, 25)], ()),
        ([("sv", 0.9, 300), ("en", 0.9, 5)], ()),
        ([("sv", 0.9, 3_000), ("en", 0.9, 25)], ()),
        ([("sv", 0.9, 100), ("en", 0.9, 20), ("fi", 0.8, 30)], ("fi", "en")),
    ],
    ids=["nothing", "a part", "unsure", "too short", "too small a share", "two"],
)
def test_another_language_is_told_of_when_it_is_a_good_part(heard, expected):
    spans = [(Span(0, seconds * 1_000), code, chance) for code, chance, seconds in heard]
    assert other_languages(spans, "sv") == expected


SAID = (
    (" It", 500, 700), (" was", 700, 900), (" cold.", 900, 1300),
    (" Who", 2000, 2200), (" taught", 2200, 2500), (" you", 2500, 2700), (" to", 2700, 2900), (" wait", 2900, 3400),
    (" here?", 3400, 3900), (" Nobody.", 5000, 5600),
)  # fmt: skip
LEFT_OUT = (4, 5, 6)
WHOLE = "".join(word for word, _, _ in SAID).strip()
SHORT = "It was cold. Who wait here? Nobody."


class Forgetful:
    """Hears each word of ``SAID``, but loses its place in windows longer than ``most_ms``; a sample says its time."""

    batch, prompted = 2, False

    def __init__(self, most_ms):
        self.most_ms, self.heard = most_ms, []

    def features(self, sounds):
        spans = [(round(10_000 * float(one[0])), len(one) // 16) for one in sounds]
        self.heard += spans
        return spans

    def one(self, features, row):
        return features[row : row + 1]

    def joined(self, parts):
        return [one for part in parts for one in part]

    def decode(self, features, search, seed, prompted):
        found = []
        for start, length in features:
            there = [n for n, word in enumerate(SAID) if start <= (word[1] + word[2]) // 2 < start + length]
            tokens = [n for n in there if length <= self.most_ms or n not in LEFT_OUT]
            found.append(Decoded(tuple(tokens), -0.1, 0.0))
        return found

    def align(self, features, texts, states):
        found = []
        for (start, _), text in zip(features, texts, strict=True):
            words, free = [], start
            for n in text:
                word, begin, end = SAID[n]
                begin = free if n - 1 in LEFT_OUT and n - 1 not in text else begin
                words.append(TimedWord(word, max(0, begin - start), end - start, 0.9, 1))
                free = end
            found.append(words)
        return found

    def languages(self, features):
        return []

    def text(self, tokens):
        return "".join(SAID[n][0] for n in tokens)

    def tokens(self, text):
        raise NotImplementedError

    def is_time(self, token):
        return False

    def time_ms(self, token):
        raise NotImplementedError

    def smaller(self, error):
        return False


@pytest.mark.parametrize(
    ("most_ms", "speech", "text", "windows"),
    [
        pytest.param(10_000, [(400, 5700)], WHOLE, 1, id="nothing was left out"),
        pytest.param(4_000, [(400, 5700)], WHOLE, 2, id="between two pauses it is heard"),
        pytest.param(2_500, [(400, 5700)], WHOLE, 3, id="behind what it lies in, it is heard"),
        pytest.param(1_000, [(400, 5700)], SHORT, 3, id="it is never heard: nothing is lost"),
        pytest.param(4_000, [(400, 2200), (3000, 5700)], SHORT, 1, id="the word lies over silence"),
    ],
)
def test_what_a_model_left_out_in_the_middle_of_speech_is_heard_by_itself(
    tmp_path, most_ms, speech, text, windows
):
    path = tmp_path / "ramp.wav"
    soundfile.write(path, np.arange(160_000, dtype=np.float32) / 160_000, 16_000, subtype="FLOAT")
    ear = Forgetful(most_ms)
    spans = [Span(*one) for one in speech]
    found = hear(ear, path, [Span(0, 9_000)], spans, beams=1, seed=0, tell=lambda _: None)
    words = [word for segment in found.segments for word in segment.words]
    assert "".join(word.text for word in words).strip() == text
    assert [word.start_ms for word in words] == sorted(word.start_ms for word in words)
    assert len(ear.heard) == windows
