import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from transcripts import audio
from transcripts.engines import RecogniserOptions, builtin_path, ctranslate, faster_whisper, load
from transcripts.engines.listening import mels
from transcripts.engines.windows import windows
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable, UnknownLanguage
from transcripts.scoring import word_error_rate
from transcripts.speech import speech_spans

DEMO = RecogniserOptions(model="demo")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    """A cache of this module's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        yield folder


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def own_model(tmp_path):
    """Copies of the built-in weights, each under a name that no model in memory has."""

    def copy(name):
        return RecogniserOptions(model=str(shutil.copy(builtin_path("demo"), tmp_path / name)))

    return copy


# The converted model is the model
def converted(path, digest="0"):
    import ctranslate2

    folder = ctranslate.converted("this", path, digest)
    return ctranslate2.models.Whisper(str(folder), compute_type="float32", intra_threads=1), folder


def view(values):
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values))


def test_a_converted_model_computes_what_the_checkpoint_computes(interview, empty_cache):
    import torch
    import whisper
    from whisper.tokenizer import get_tokenizer

    model = whisper.load_model(str(builtin_path("demo")), device="cpu")
    other, _ = converted(builtin_path("demo"))
    spectra = mels([audio.load(interview.path, at, at + 12_000) for at in (0, 12_000)], 80, "cpu")
    with torch.inference_mode():
        states = model.encoder(spectra).numpy()
    found = np.array(other.encode(view(spectra.numpy()), to_cpu=True))
    np.testing.assert_allclose(found, states, atol=1e-3)

    start = list(get_tokenizer(multilingual=False).sot_sequence)
    texts = other.generate(
        view(found), [start] * 2, beam_size=1, return_scores=True, return_no_speech_prob=True
    )
    for row, text in enumerate(texts):
        options = whisper.DecodingOptions(language="en", fp16=False)
        alone = whisper.decode(model, spectra[row], options)
        tokens = text.sequences_ids[0]
        assert tokens == alone.tokens
        mean = text.scores[0] * len(tokens) / (len(tokens) + 1)
        assert mean == pytest.approx(alone.avg_logprob, abs=1e-3)
        assert text.no_speech_prob == pytest.approx(alone.no_speech_prob, abs=1e-3)


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A model of many languages that knows nothing, with the features and the vocabulary of large-v3."""
    import torch
    import whisper

    torch.manual_seed(7)
    sizes = whisper.ModelDimensions(128, 1500, 64, 2, 2, 51866, 48, 64, 2, 2)
    model = whisper.model.Whisper(sizes)
    model.decoder.positional_embedding.data.normal_(std=0.02)  # the library leaves it as the memory was
    model.decoder.token_embedding.weight.data.mul_(0.1)  # as sizes go in a trained one
    path = tmp_path_factory.mktemp("models") / "untrained.pt"
    torch.save({"dims": vars(sizes), "model_state_dict": model.state_dict()}, path)
    return path


def test_a_model_of_many_languages_is_converted_too(untrained, sentence, empty_cache):
    import torch
    import whisper

    model = whisper.load_model(str(untrained), device="cpu")
    other, folder = converted(untrained)
    spectra = mels([audio.load(sentence.path, 0, 2_000)], 128, "cpu")
    with torch.inference_mode():
        states = model.encoder(spectra)
        _, (chances,) = whisper.detect_language(model, states)
    np.testing.assert_allclose(
        np.array(other.encode(view(spectra.numpy()), to_cpu=True)), states.numpy(), atol=1e-3
    )
    found = {token.strip("<|>"): chance for token, chance in other.detect_language(view(states.numpy()))[0]}
    assert found == pytest.approx(chances, abs=1e-4)
    assert len(found) == 100
    assert ctranslate.context(folder) == 48


# Recognising
@pytest.fixture(scope="module")
def recognised(interview):
    told = []
    return load("faster-whisper").transcribe(interview.path, DEMO, told.append), told


@pytest.fixture(scope="module")
def by_whisper(interview):
    return load("whisper").transcribe(interview.path, DEMO)


def test_what_was_said_is_written_down(recognised, interview):
    recognition, _ = recognised
    assert word_error_rate(interview.text, recognition.transcript.text).rate < 0.05
    assert (recognition.language, recognition.language_probability) == ("en", 1.0)
    assert (recognition.engine, recognition.model) == ("faster-whisper", "demo")


def test_both_engines_hear_the_same(recognised, by_whisper):
    recognition, _ = recognised
    assert word_error_rate(by_whisper.transcript.text, recognition.transcript.text).rate < 0.02
    assert recognition.model_sha256 == by_whisper.model_sha256
    assert len(recognition.measures) == len(recognition.transcript.segments)
    for one, other in zip(recognition.measures, by_whisper.measures, strict=True):
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=0.1)
        assert one.no_speech_prob == pytest.approx(other.no_speech_prob, abs=0.05)


def test_both_engines_hear_it_at_the_same_time(recognised, by_whisper):
    there = {(word.text, word.start_ms // 500): word for word in by_whisper.transcript.words()}
    words = list(recognised[0].transcript.words())
    apart = [
        (abs(word.start_ms - other.start_ms), abs(word.end_ms - other.end_ms))
        for word in words
        if (other := there.get((word.text, word.start_ms // 500)))
    ]
    assert len(apart) > 0.9 * len(words)
    assert np.mean(apart) < 20
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(words))


def test_a_model_of_ones_own_is_rounded_and_hears_the_same(interview, by_whisper, tmp_path, empty_cache):
    import torch

    path = tmp_path / "own.pt"
    torch.save(torch.load(builtin_path("demo"), weights_only=True), path)  # other bytes, the same weights
    found = load("faster-whisper").transcribe(interview.path, RecogniserOptions(model=str(path)))
    assert found.model_sha256 != by_whisper.model_sha256
    # eight bits cost so narrow a model a sentence
    assert word_error_rate(by_whisper.transcript.text, found.transcript.text).rate < 0.1


def test_progress_runs_forward_to_the_end(recognised, interview):
    told = recognised[1]
    assert told == sorted(set(told))
    assert told[-1] == soundfile.info(interview.path).frames // 16


def test_the_same_recording_gives_the_same_transcript(recognised, interview, story):
    engine = load("faster-whisper")
    engine.transcribe(story.path, DEMO)
    assert engine.transcribe(interview.path, DEMO) == recognised[0]


def test_nothing_is_invented_where_nobody_speaks(not_speech):
    told = []
    recognition = load("faster-whisper").transcribe(not_speech, DEMO, told.append)
    assert recognition.transcript.segments == ()
    assert told[-1] == soundfile.info(not_speech).frames // 16


def test_less_than_a_second_of_speech_does_no_harm(story, sound_file):
    samples, rate_hz = soundfile.read(story.path)
    path = sound_file(samples[rate_hz // 2 : rate_hz // 2 + rate_hz * 6 // 10])
    recognition = load("faster-whisper").transcribe(path, DEMO)
    assert all(0 <= word.start_ms < word.end_ms <= 600 for word in recognition.transcript.words())


def test_what_is_drawn_at_random_is_drawn_again(untrained, sentence, story):
    """The untrained model is sure of nothing, so every window is drawn several times."""
    options = RecogniserOptions(model=str(untrained), language="en", seed=3)
    engine = load("faster-whisper")
    first = engine.transcribe(sentence.path, options)
    engine.transcribe(story.path, options)
    assert engine.transcribe(sentence.path, options) == first
    assert any(measures.temperature > 0 for measures in first.measures)


@pytest.fixture
def exact(monkeypatch):
    """In float32: what an untrained model finds likeliest hangs by less than eight bits round off."""
    monkeypatch.setattr(faster_whisper, "PRECISIONS", {"cpu": (faster_whisper.EXACT,)})
    faster_whisper._cached.cache_clear()
    yield
    faster_whisper._cached.cache_clear()


@pytest.mark.usefixtures("exact")
def test_a_language_is_found_as_the_library_finds_it(untrained, sentence):
    import whisper

    found = load("faster-whisper").transcribe(sentence.path, RecogniserOptions(model=str(untrained)))
    (window,) = windows(speech_spans(sentence.path), audio.duration_ms(sentence.path))
    model = whisper.load_model(str(untrained), device="cpu")
    spectra = mels([audio.load(sentence.path, window.start_ms, window.end_ms)], 128, "cpu")
    _, (chances,) = whisper.detect_language(model, spectra)
    assert found.language == max(chances, key=chances.get)
    assert found.language_probability == pytest.approx(chances[found.language], rel=0.01)


def test_a_language_that_the_model_does_not_know_is_named(story):
    with pytest.raises(UnknownLanguage, match="Swedish"):
        load("faster-whisper").transcribe(story.path, RecogniserOptions(model="demo", language="Swedish"))


# Models by name, and their conversion
def test_a_checkpoint_is_converted_once(sentence, empty_cache, own_model):
    engine = load("faster-whisper")
    first = engine.transcribe(sentence.path, own_model("one.pt"))
    (folder,) = (path for path in ctranslate.cache().iterdir() if path.is_dir())
    before = {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}
    second = engine.transcribe(sentence.path, own_model("two.pt"))
    assert second.transcript == first.transcript
    assert folder.name.startswith(first.model_sha256)
    assert {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()} == before
    assert [path for path in ctranslate.cache().iterdir() if path.is_dir()] == [folder]


def test_a_conversion_that_was_cut_off_is_made_again(sentence, empty_cache, own_model):
    engine = load("faster-whisper")
    first = engine.transcribe(sentence.path, own_model("one.pt"))
    (weights,) = ctranslate.cache().glob("*/model.bin")
    whole = weights.stat().st_size
    os.truncate(weights, whole // 2)
    assert engine.transcribe(sentence.path, own_model("two.pt")).transcript == first.transcript
    assert weights.stat().st_size == whole


def test_what_an_interrupted_conversion_left_does_no_harm(sentence, empty_cache, own_model):
    engine = load("faster-whisper")
    first = engine.transcribe(sentence.path, own_model("one.pt"))
    (folder,) = (path for path in ctranslate.cache().iterdir() if path.is_dir())
    folder.rename(folder.with_suffix(".part"))
    assert engine.transcribe(sentence.path, own_model("two.pt")).transcript == first.transcript
    assert [path for path in ctranslate.cache().iterdir() if path.is_dir()] == [folder]


def test_a_cache_that_cannot_be_written_is_named(sentence, tmp_path, monkeypatch, own_model):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(ModelUnavailable, match=r"cannot be written to .*XDG_CACHE_HOME") as caught:
        load("faster-whisper").transcribe(sentence.path, own_model("one.pt"))
    assert "\n" not in str(caught.value)


def test_a_model_that_the_other_engine_downloaded_is_used(sentence, empty_cache, monkeypatch):
    import whisper

    # the library's register, with the built-in weights under an official name
    digest = load("whisper").transcribe(sentence.path, DEMO).model_sha256
    heads = gzip.compress(np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=bool).tobytes())
    monkeypatch.setitem(whisper._MODELS, "tiny.en", f"https://nowhere.invalid/{digest}/tiny.en.pt")
    monkeypatch.setitem(whisper._ALIGNMENT_HEADS, "tiny.en", base64.b85encode(heads))
    (empty_cache / "whisper").mkdir(parents=True)
    shutil.copy(builtin_path("demo"), empty_cache / "whisper" / "tiny.en.pt")
    found = load("faster-whisper").transcribe(sentence.path, RecogniserOptions(model="tiny.en"))
    assert (found.model, found.model_sha256) == ("tiny.en", digest)
    (written,) = ctranslate.cache().glob("*/config.json")
    assert json.loads(written.read_bytes())["alignment_heads"] == [[0, 1], [1, 0], [2, 2]]


REFUSED = """
import sys
from pathlib import Path
from transcripts.engines import RecogniserOptions, load
from transcripts.errors import ModelUnavailable
try:
    load("faster-whisper").transcribe(Path(sys.argv[1]), RecogniserOptions(model=sys.argv[2]))
except ModelUnavailable as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["turbo", "distil-small.en"])
def test_a_model_that_cannot_be_downloaded_says_so(sentence, tmp_path, name):
    # nothing listens on this port, so every download is refused at once
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    folders = {"XDG_CACHE_HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
    found = subprocess.run(
        [sys.executable, "-c", REFUSED, str(sentence.path), name],
        env={**os.environ, **proxies, **folders},
        check=True,
        capture_output=True,
        text=True,
    )
    assert f'"{name}" is not available (it could not be downloaded' in found.stdout
    assert "--model demo" in found.stdout
    assert found.stdout.count("\n") == 1


def test_unknown_models_are_named(sentence):
    with pytest.raises(ModelUnavailable, match="no model has this name; known: .*large-v3"):
        load("faster-whisper").transcribe(sentence.path, RecogniserOptions(model="nonesuch"))


@pytest.mark.parametrize(
    "content",
    [b"", b"these are no weights", builtin_path("demo").read_bytes()[:100_000]],
    ids=["empty", "text", "cut off"],
)
def test_damaged_weights_are_named(sentence, tmp_path, empty_cache, content):
    weights = tmp_path / "own.pt"
    weights.write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"own\.pt.*is damaged or is not a Whisper checkpoint") as caught:
        load("faster-whisper").transcribe(sentence.path, RecogniserOptions(model=str(weights)))
    assert "\n" not in str(caught.value)
    assert not list(empty_cache.rglob("model.bin"))


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_named(sentence, device):
    with pytest.raises(DeviceUnavailable, match=device):
        load("faster-whisper").transcribe(sentence.path, RecogniserOptions(model="demo", device=device))
