import io
import pickle
import subprocess
import sys
import zipfile
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from transcripts.engines import (
    RecognisedSegment,
    RecogniserOptions,
    SegmentMeasures,
    builtin_path,
    load,
    resolve_model,
)
from transcripts.engines.straighten import heard, in_order, trimmed
from transcripts.engines.stretches import stretches
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable, UnknownLanguage
from transcripts.model import Word
from transcripts.scoring import word_error_rate, word_speaker_errors
from transcripts.span import Span
from transcripts.speakers import attribute, diarize
from transcripts.speech import speech_spans

DEMO = RecogniserOptions(model="demo")


# Which stretches are heard
MINUTE = 60_000


@pytest.mark.parametrize(
    ("speech", "expected"),
    [
        ([], []),
        ([Span(1_000, 2_000)], [Span(700, 2_300)]),
        ([Span(100, 2_000)], [Span(0, 2_300)]),
        ([Span(1_000, 2_000), Span(7_000, 8_000)], [Span(700, 8_300)]),
        ([Span(1_000, 2_000), Span(7_001, 8_000)], [Span(700, 2_300), Span(6_701, 8_300)]),
        ([Span(0, 100 * MINUTE)], [Span(0, 100 * MINUTE)]),
    ],
    ids=["none", "one", "at the start", "short silence", "long silence", "past the end"],
)
def test_stretches_hold_speech_and_short_silence(speech, expected):
    found = stretches(speech, 100 * MINUTE)
    if len(speech) == 1 and speech[0].duration_ms == 100 * MINUTE:
        assert len(found) == 10
        assert (found[0].start_ms, found[-1].end_ms) == (0, 100 * MINUTE)
    else:
        assert found == expected


def test_long_talk_is_parted_at_its_widest_silence():
    pauses = {7: 2_000, 3: 1_000}  # after so many minutes of speech
    speech, at_ms = [], 0
    for minute in range(12):
        at_ms += pauses.get(minute, 500)
        speech.append(Span(at_ms, at_ms + MINUTE))
        at_ms += MINUTE
    first, second = stretches(speech, at_ms)
    assert first.end_ms == speech[6].end_ms + 300
    assert second.start_ms == speech[7].start_ms - 300


# What becomes of words
def spoken(*times, text=" word"):
    return [Word("", start, end, text, 0.5) for start, end in times]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], []),
        ([(0, 100), (100, 200)], [(0, 100), (100, 200)]),
        ([(0, 150), (100, 200)], [(0, 150), (150, 200)]),
        ([(500, 600), (100, 200)], [(500, 600), (600, 620)]),
        ([(100, 100)], [(100, 120)]),
        ([(900, 1_200)], [(900, 1_000)]),
        ([(900, 1_200), (1_200, 1_300)], [(900, 980), (980, 1_000)]),
        ([(1_500, 1_600)], [(980, 1_000)]),
    ],
)
def test_times_run_forward_and_end_with_the_recording(given, expected):
    found = in_order(spoken(*given), 1_000)
    assert [(word.start_ms, word.end_ms) for word in found] == expected
    assert [word.id for word in found] == [str(index) for index in range(len(given))]


def test_more_words_than_there_is_time_stay_in_order():
    found = in_order(spoken(*[(0, 0)] * 20), 100)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))
    assert found[-1].end_ms <= 100


SPEECH = [Span(1_000, 2_000), Span(3_000, 4_000)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ((1_100, 1_400), (1_100, 1_400)),
        ((200, 1_300), (1_000, 1_300)),
        ((1_800, 2_900), (1_800, 2_000)),
        ((1_900, 3_600), (3_000, 3_600)),
        ((2_200, 2_800), (2_200, 2_800)),
        ((1_990, 2_500), (1_990, 2_500)),
    ],
)
def test_words_are_trimmed_to_speech(word, expected):
    (found,) = trimmed(spoken(word), SPEECH)
    assert (found.start_ms, found.end_ms) == expected


def test_segments_that_nobody_said_are_dropped():
    measures = SegmentMeasures(-0.2, 1.2, 0.0)
    inside, edge, outside = (
        RecognisedSegment(tuple(spoken(times)), measures)
        for times in [(1_100, 1_400), (1_900, 2_600), (2_100, 2_900)]
    )
    assert heard([inside, edge, outside], SPEECH) == [inside, edge]


# Models by name
def test_engines_and_models_have_names():
    assert load("whisper").name == "whisper"
    with pytest.raises(ValueError, match='no engine is called "other"'):
        load("other")
    assert resolve_model("demo") == str(builtin_path("demo"))
    assert resolve_model("small", ["small"]) == "small"


def test_a_path_to_weights_is_a_model(tmp_path):
    weights = tmp_path / "own.pt"
    weights.write_bytes(b"x")
    assert resolve_model(str(weights)) == str(weights)


@pytest.mark.parametrize("name", ["nonesuch", "no/such/file.pt"])
def test_unknown_models_are_named_with_two_ways_out(story, name):
    with pytest.raises(ModelUnavailable, match=name) as caught:
        load().transcribe(story.path, RecogniserOptions(model=name))
    assert "stories.toml" in str(caught.value)
    assert "--model demo" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_model_that_cannot_be_downloaded_says_so(story, tmp_path, monkeypatch):
    # nothing listens on this port, so every download is refused at once
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(
        ModelUnavailable, match=r'"tiny" is not available \(it could not be downloaded.*--model demo'
    ):
        load().transcribe(story.path, RecogniserOptions(model="tiny"))


class Evil:
    def __reduce__(self):
        return (print, ("this must not be run",))


def zipped():
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("a", b"b")
    return held.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"these are no weights",
        zipped(),
        pickle.dumps({"dims": {}, "model_state_dict": {}}, protocol=2),
        pickle.dumps({"dims": Evil()}, protocol=2),
        builtin_path("demo").read_bytes()[:100_000],
    ],
    ids=["empty", "text", "zip", "pickle", "code", "cut off"],
)
def test_damaged_weights_are_named(story, tmp_path, capsys, content):
    weights = tmp_path / "own.pt"
    weights.write_bytes(content)
    with pytest.raises(ModelDamaged, match=r"own\.pt.*is damaged or is not a Whisper checkpoint") as caught:
        load().transcribe(story.path, RecogniserOptions(model=str(weights)))
    assert "\n" not in str(caught.value)
    assert "must not be run" not in capsys.readouterr().out


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_a_device_that_is_not_there_is_named(story, device):
    with pytest.raises(DeviceUnavailable, match=device):
        load().transcribe(story.path, RecogniserOptions(model="demo", device=device))


@pytest.mark.parametrize("language", ["sv", "Swedish", "Klingon"])
def test_the_demo_model_knows_english_only(story, language):
    with pytest.raises(UnknownLanguage, match=language):
        load().transcribe(story.path, RecogniserOptions(model="demo", language=language))


# Recognising
@pytest.fixture(scope="module")
def recognised(interview):
    told = []
    return load().transcribe(interview.path, DEMO, told.append), told


def test_what_was_said_is_written_down(recognised, interview):
    recognition, _ = recognised
    assert word_error_rate(interview.text, recognition.transcript.text).rate < 0.05
    assert (recognition.language, recognition.language_probability) == ("en", 1.0)
    assert (recognition.engine, recognition.model) == ("whisper", "demo")
    assert len(recognition.model_sha256) == 64


def test_segments_are_sentences_with_measures(recognised):
    recognition, _ = recognised
    segments = recognition.transcript.segments
    assert len(recognition.measures) == len(segments)
    assert all(segment.text[-1] in ".?" for segment in segments)
    assert all(measures.avg_logprob > -0.7 for measures in recognition.measures)


def test_words_are_numbered_and_timed(recognised, interview):
    words = list(recognised[0].transcript.words())
    assert [word.id for word in words] == [str(index) for index in range(len(words))]
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(words))
    assert all(0 < word.probability <= 1 and word.end_ms - word.start_ms >= 20 for word in words)
    assert words[-1].end_ms <= soundfile.info(interview.path).frames / 16
    starts = np.array([word.start_ms for word in words])
    for line in interview.lines:
        assert np.abs(starts - line.start_ms).min() < 150


def test_progress_runs_forward_to_the_end(recognised, interview):
    told = recognised[1]
    assert told == sorted(set(told))
    assert told[-1] == soundfile.info(interview.path).frames // 16
    assert len(told) >= 2


def test_words_stand_under_their_speakers(recognised, interview):
    diarization = diarize(interview.path, speech_spans(interview.path))
    told = attribute(recognised[0].transcript, diarization)
    said = [(word, line.speaker) for line in interview.lines for word in line.text.split()]
    written = [(word.text, segment.speaker) for segment in told.segments for word in segment.words]
    errors = word_speaker_errors(said, written)
    assert errors.words > 0.9 * len(said)
    assert errors.rate < 0.03


SECOND_PROCESS = """
import sys
from pathlib import Path
from transcripts.engines import RecogniserOptions, load
print(repr(load().transcribe(Path(sys.argv[1]), RecogniserOptions(model="demo"))))
"""


def test_two_processes_agree_to_the_last_digit(recognised, interview):
    other = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS, str(interview.path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == repr(recognised[0])
    assert other.stderr == ""


def test_nothing_is_invented_where_nobody_speaks(not_speech):
    told = []
    recognition = load().transcribe(not_speech, DEMO, told.append)
    assert recognition.transcript.segments == ()
    assert recognition.measures == ()
    assert told[-1] == soundfile.info(not_speech).frames // 16


def test_long_silence_between_words_invents_nothing_and_shifts_nothing(story, sound_file):
    samples, rate_hz = soundfile.read(story.path)
    path = sound_file(np.concatenate([np.zeros(40 * rate_hz), samples, np.zeros(40 * rate_hz)]))
    words = list(load().transcribe(path, DEMO).transcript.words())
    assert abs(words[0].start_ms - 40_000 - story.lines[0].start_ms) < 150
    assert words[-1].end_ms <= 40_000 + story.lines[-1].end_ms + 150


def test_torch_keeps_its_threads(recognised, story):
    import torch

    before = torch.get_num_threads()
    again = load().transcribe(story.path, DEMO)
    assert torch.get_num_threads() == before
    assert load().transcribe(story.path, DEMO) == again


def test_the_demo_model_is_given_no_vocabulary(recognised, interview):
    prompted = load().transcribe(
        interview.path, RecogniserOptions(model="demo", vocabulary=("Eilidh", "Oban"))
    )
    assert prompted.prompted == ()
    assert prompted.transcript == recognised[0].transcript


def test_less_than_a_second_of_speech_does_no_harm(story, sound_file):
    samples, rate_hz = soundfile.read(story.path)
    path = sound_file(samples[rate_hz // 2 : rate_hz // 2 + rate_hz * 6 // 10])
    recognition = load().transcribe(path, DEMO)
    assert all(word.end_ms <= 600 for word in recognition.transcript.words())


# A model of many languages that hears nothing: it always answers "talk", and that the language is Swedish
@pytest.fixture(scope="module")
def multilingual(tmp_path_factory):
    import torch
    import whisper
    from whisper.tokenizer import get_tokenizer

    torch.manual_seed(4)
    sizes = whisper.ModelDimensions(80, 1500, 64, 1, 1, 51865, 16, 64, 1, 1)
    weights = whisper.model.Whisper(sizes).state_dict()
    tokens = get_tokenizer(multilingual=True, num_languages=99)
    direction = torch.full((64,), 1 / 8)
    weights["decoder.positional_embedding"].zero_()  # the library leaves it as the memory was
    weights["decoder.ln.weight"].zero_()
    weights["decoder.ln.bias"].copy_(direction)
    answers = {tokens.encode(" talk")[0]: 21.0, tokens.eot: 20.0, tokens.to_language_token("sv"): 5.0}
    weights["decoder.token_embedding.weight"].zero_()
    for token, score in answers.items():
        weights["decoder.token_embedding.weight"][token] = score * direction
    path = tmp_path_factory.mktemp("models") / "many.pt"
    torch.save({"dims": vars(sizes), "model_state_dict": weights}, path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # its steps are too short to share
    yield str(path)
    torch.set_num_threads(threads)


@pytest.mark.parametrize(("wanted", "code"), [("sv", "sv"), ("Finnish", "fi"), (" EN ", "en")])
def test_a_language_is_obeyed_by_code_and_by_name(multilingual, sentence, wanted, code):
    found = load().transcribe(sentence.path, RecogniserOptions(model=multilingual, language=wanted))
    assert (found.language, found.language_probability) == (code, 1.0)
    assert set(found.transcript.text.split()) == {"talk"}


def test_a_language_is_found_with_its_probability(multilingual, sentence):
    options = RecogniserOptions(model=multilingual)
    found = load().transcribe(sentence.path, options)
    assert found.language == found.transcript.language == "sv"
    assert found.language_probability == pytest.approx(np.exp(5) / (np.exp(5) + 98), abs=1e-3)
    assert load().transcribe(sentence.path, options) == found


def test_an_unknown_language_is_named(multilingual, sentence):
    with pytest.raises(UnknownLanguage, match=r'"Klingon".*a code such as'):
        load().transcribe(sentence.path, RecogniserOptions(model=multilingual, language="Klingon"))


def test_silence_has_no_language(multilingual, sound_file):
    found = load().transcribe(sound_file(np.zeros(16_000)), RecogniserOptions(model=multilingual))
    assert (found.language, found.language_probability) == ("und", 0.0)


def test_vocabulary_is_given_as_far_as_it_fits(multilingual, sentence):
    terms = ("Ann", "Orkney", "Auchtermuchty")
    options = RecogniserOptions(model=multilingual, language="en", vocabulary=terms)
    found = load().transcribe(sentence.path, options)
    assert found.prompted == ("Ann",)
