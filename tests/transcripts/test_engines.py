import io
import pickle
import subprocess
import sys
import zipfile
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from transcripts import audio
from transcripts.engines import (
    RecognisedSegment,
    RecogniserOptions,
    SegmentMeasures,
    builtin_path,
    load,
    resolve_model,
)
from transcripts.engines.aligning import APPENDED, PREPENDED, align
from transcripts.engines.decoding import Decoder, Memory, Rules, Start
from transcripts.engines.encoding import Encoder
from transcripts.engines.hearing import Text, odd
from transcripts.engines.listening import mels
from transcripts.engines.straighten import heard, in_order, trimmed
from transcripts.engines.values import Search, TimedWord
from transcripts.engines.windows import windows
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable, UnknownLanguage
from transcripts.model import Word
from transcripts.scoring import word_error_rate, word_speaker_errors
from transcripts.span import Span
from transcripts.speakers import attribute, diarize
from transcripts.speech import speech_spans

DEMO = RecogniserOptions(model="demo")


# Which windows are heard
MINUTE = 60_000


@pytest.mark.parametrize(
    ("speech", "expected"),
    [
        ([], []),
        ([Span(1_000, 2_000)], [Span(760, 2_240)]),
        ([Span(100, 2_000)], [Span(0, 2_240)]),
        ([Span(1_000, 2_000), Span(6_000, 8_000)], [Span(760, 8_240)]),
        ([Span(1_000, 2_000), Span(6_001, 8_000)], [Span(760, 2_240), Span(5_761, 8_240)]),
        ([Span(99 * MINUTE, 100 * MINUTE - 31_000)], [Span(99 * MINUTE - 240, 100 * MINUTE - 30_760)]),
        ([Span(100 * MINUTE - 900, 100 * MINUTE)], [Span(100 * MINUTE - 1_140, 100 * MINUTE)]),
    ],
    ids=["none", "one", "near the start", "short silence", "long silence", "long speech", "at the end"],
)
def test_windows_hold_speech_and_short_silence(speech, expected):
    assert windows(speech, 100 * MINUTE) == expected


def test_windows_hold_all_speech_and_never_more_than_thirty_seconds():
    draw = np.random.default_rng(5)
    for _ in range(50):
        speech, at_ms = [], 0
        for _ in range(int(draw.integers(1, 60))):
            at_ms += int(draw.choice([0, 100, 300, 700, 2_000, 9_000]))
            speech.append(Span(at_ms, at_ms + int(draw.integers(200, 29_000))))
            at_ms = speech[-1].end_ms
        found = windows(speech, at_ms)
        assert all(one.duration_ms <= 30_000 for one in found)
        assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))
        assert all(any((one & part) == part for one in found) for part in speech)


def test_a_full_window_is_cut_at_its_widest_silence():
    pauses = {3: 900, 4: 2_000, 5: 900}  # before the stretches of these numbers, each of 5 s
    speech, at_ms = [], 0
    for number in range(8):
        at_ms += pauses.get(number, 400)
        speech.append(Span(at_ms, at_ms + 5_000))
        at_ms += 5_000
    first, second = windows(speech, at_ms)
    assert first.end_ms == speech[3].end_ms + 240
    assert second.start_ms == speech[4].start_ms - 240


# Whisper's own functions, window by window, are what the batches are held to
@pytest.fixture(scope="module")
def heard_by_the_library(interview, mixed_interview):
    import torch
    import whisper

    model = whisper.load_model(str(builtin_path("demo")), device="cpu")
    sounds = [audio.load(talk.path, start, start + length) for talk, start, length in (
        (interview, 0, 30_000), (interview, 9_000, 21_000), (mixed_interview, 0, 30_000), (mixed_interview, 0, 6_000),
    )]  # fmt: skip
    spectra = mels([*sounds, np.zeros(48_000, np.float32)], 80, "cpu")
    with torch.inference_mode():
        features = model.encoder(spectra)
    return model, spectra, features


def test_the_encoder_is_the_librarys(heard_by_the_library):
    import torch

    model, spectra, features = heard_by_the_library
    exact = Encoder(model, torch.float32)(spectra)
    assert torch.allclose(exact, features, atol=1e-4)
    rough = Encoder(model, torch.bfloat16)(spectra).float()
    assert (rough - features).norm() / features.norm() < 0.05


@pytest.mark.parametrize("layout", ["upright", "flat", "halved"])
@pytest.mark.parametrize("beams", [1, 2, 5])
def test_batches_find_what_the_library_finds_alone(heard_by_the_library, beams, layout):
    import torch
    import whisper

    model, spectra, features = heard_by_the_library
    tokenizer = whisper.tokenizer.get_tokenizer(False)
    start = Start(tuple(tokenizer.sot_sequence), 0, Rules(tokenizer))
    decoder = Decoder(model, torch.float32)
    decoder.layout = layout  # the layout for another processor than this one
    found = decoder.decode(decoder.memory(features), start, Search(beams))
    options = whisper.DecodingOptions(language="en", fp16=False, beam_size=beams if beams > 1 else None)
    for one, spectrum in zip(found, spectra, strict=True):
        alone = whisper.decode(model, spectrum, options)
        assert list(one.tokens) == alone.tokens
        assert one.avg_logprob == pytest.approx(alone.avg_logprob, abs=1e-3)
        assert one.no_speech_prob == pytest.approx(alone.no_speech_prob, abs=1e-3)


@pytest.mark.parametrize("beams", [1, 5])
def test_a_model_hears_by_pairs_of_bfloat16_what_it_hears_by_torch(heard_by_the_library, beams):
    import torch
    import whisper

    model, _, features = heard_by_the_library
    decoder = Decoder(model, torch.bfloat16)
    if decoder.layout != "paired":
        pytest.skip("this processor multiplies no pairs of bfloat16 by vectors")
    tokenizer = whisper.tokenizer.get_tokenizer(False)
    start = Start(tuple(tokenizer.sot_sequence), 0, Rules(tokenizer))
    found = decoder.decode(decoder.memory(features), start, Search(beams))
    decoder.layout = "flat"
    by_torch = decoder.decode(decoder.memory(features), start, Search(beams))
    assert any(len(one.tokens) > 40 for one in found)
    for one, other in zip(found, by_torch, strict=True):
        # both round to bfloat16, at other places: of two times that are as likely, each may choose another
        apart = [abs(a - b) for a, b in zip(one.tokens, other.tokens, strict=True)]
        words = [token < tokenizer.timestamp_begin for token in other.tokens]
        assert all(steps == 0 if word else steps <= 2 for steps, word in zip(apart, words, strict=True))
        assert one.avg_logprob == pytest.approx(other.avg_logprob, abs=0.01)


def test_a_prompt_stands_before_the_text_as_in_the_library(heard_by_the_library):
    import torch
    import whisper

    model, spectra, features = heard_by_the_library
    tokenizer = whisper.tokenizer.get_tokenizer(False)
    prompt = tokenizer.encode(" We talked about carers.")
    before = (tokenizer.sot_prev, *prompt, *tokenizer.sot_sequence)
    start = Start(before, len(prompt) + 1, Rules(tokenizer))
    decoder = Decoder(model, torch.float32)
    found = decoder.decode(decoder.memory(features), start, Search())
    options = whisper.DecodingOptions(language="en", fp16=False, prompt=prompt)
    for one, spectrum in zip(found, spectra, strict=True):
        alone = whisper.decode(model, spectrum, options)
        assert list(one.tokens) == alone.tokens
        assert one.no_speech_prob == pytest.approx(alone.no_speech_prob, abs=1e-3)


def test_sampling_is_repeatable_and_differs_by_its_seed(heard_by_the_library):
    import torch
    import whisper

    model, _, features = heard_by_the_library
    tokenizer = whisper.tokenizer.get_tokenizer(False)
    start = Start(tuple(tokenizer.sot_sequence), 0, Rules(tokenizer))
    decoder = Decoder(model, torch.float32)
    memory = decoder.memory(features)

    def drawn(seed):
        return decoder.decode(memory, start, Search(1, 1.0, 3), torch.Generator().manual_seed(seed))

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


@pytest.mark.parametrize("layout", ["upright", "flat", "halved"])
def test_words_are_aligned_as_the_library_aligns_them(heard_by_the_library, layout):
    import torch
    import whisper
    from whisper.timing import find_alignment, merge_punctuations

    model, spectra, features = heard_by_the_library
    tokenizer = whisper.tokenizer.get_tokenizer(False)
    texts = [
        tokenizer.encode(text)
        for text in (" It was very lonely.", " Small things, and carers.", "", " Yes", " I")
    ]
    states = [1_500, 700, 1_500, 300, 150]
    decoder = Decoder(model, torch.float32)
    decoder.layout = layout
    found = align(decoder, tokenizer, decoder.memory(features), texts, states)
    for words, text, spectrum, count in zip(found, texts, spectra, states, strict=True):
        alone = find_alignment(model, tokenizer, text, spectrum, 2 * count)
        merge_punctuations(alone, PREPENDED, APPENDED)
        alone = [one for one in alone if one.word]
        assert [one.text for one in words] == [one.word for one in alone]
        assert [one.start_ms for one in words] == pytest.approx([one.start * 1000 for one in alone])
        assert [one.end_ms for one in words] == pytest.approx([one.end * 1000 for one in alone])
        assert [one.probability for one in words] == pytest.approx(
            [one.probability for one in alone], abs=1e-3
        )


# Which windows are heard again
@pytest.mark.parametrize(
    ("logprob", "ratio", "silence", "doubtful", "silent"),
    [
        (-0.2, 1.5, 0.0, False, False),
        (-1.2, 1.5, 0.0, True, False),
        (-0.2, 2.5, 0.0, True, False),
        (-1.2, 1.5, 0.7, False, True),
        (-1.2, 2.5, 0.7, True, True),
        (-0.2, 1.5, 0.7, False, False),
    ],
)
def test_what_looks_wrong_is_heard_again(logprob, ratio, silence, doubtful, silent):
    text = Text((), SegmentMeasures(logprob, ratio, silence))
    assert (text.doubtful, text.silent) == (doubtful, silent)


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([(0, 300), (300, 700), (700, 900)], False),
        ([(0, 0), (0, 0), (0, 900), (900, 1_200)], True),
        ([(0, 0), (0, 900)], False),
        ([(0, 8_000), (8_000, 8_200), (8_200, 8_600)], True),
        ([(at, at + 300) for at in range(0, 9_000, 300)] + [(9_000, 9_000)] * 2, False),
        ([(at, at + 300) for at in range(0, 9_000, 300)] + [(9_000, 9_000)] * 3, True),
    ],
)
def test_impossible_lengths_are_noticed(spans, expected):
    words = [TimedWord(" word", start, end, 0.4, 1) for start, end in spans]
    assert odd(words) is expected


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


def test_windows_that_told_the_language_are_encoded_once(multilingual, interview, monkeypatch):
    encoded, encode = [], Encoder.__call__

    def counted(encoder, mel):
        encoded.append(len(mel))
        return encode(encoder, mel)

    monkeypatch.setattr(Encoder, "__call__", counted)
    given = load().transcribe(interview.path, RecogniserOptions(model=multilingual, language="sv"))
    once = sum(encoded)
    encoded.clear()
    found = load().transcribe(interview.path, RecogniserOptions(model=multilingual))
    assert found.transcript == given.transcript
    assert once > 1
    assert sum(encoded) == once


@pytest.mark.parametrize("layout", ["upright", "flat", "halved"])
def test_windows_encoded_apart_are_one_batch(heard_by_the_library, layout):
    import torch

    model, _, features = heard_by_the_library
    decoder = Decoder(model, torch.float32)
    decoder.layout = layout
    whole = decoder.memory(features)
    again = Memory.joined([whole[3:], whole[:1], whole[1:3]])[[2, 3, 4, 0, 1]]
    assert all(
        torch.equal(a, b)
        for pair in zip(whole.layers, again.layers, strict=True)
        for a, b in zip(*pair, strict=True)
    )


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
