"""Windows side by side: running out of memory, speech that got no words, several languages."""

import numpy as np
import pytest
import soundfile

from transcripts.engines import RecogniserOptions, load, openai_whisper
from transcripts.engines.listening import likeliest, other_languages, spread
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
