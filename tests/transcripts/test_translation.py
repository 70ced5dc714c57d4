"""English beside what is said: the second decoding of the same windows, and its lines' times."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import whisper

from tests.transcripts.bilingual import MEANT, SAID, TIMES_S, save_random, save_teller
from transcripts import audio
from transcripts.engines import RecogniserOptions, builtin_path, load, openai_whisper
from transcripts.engines.decoding import Decoder, Rules, Search, Start
from transcripts.engines.listening import mels
from transcripts.engines.translating import lines
from transcripts.engines.windows import windows
from transcripts.errors import CannotTranslate
from transcripts.model import Segment, Transcript, TranslatedLine, Word
from transcripts.span import Span
from transcripts.speech import speech_spans
from transcripts.translation import beside

# Where a line lies
WINDOW = Span(10_000, 20_000)


class Spelled:
    """Tokens below 1,000 are letters; those above are times in steps of 20 ms."""

    def text(self, tokens):
        return "".join(map(chr, tokens))

    def is_time(self, token):
        return token >= 1_000

    def time_ms(self, token):
        return (token - 1_000) * 20


def tokens(*parts):
    """Texts and times in milliseconds, as a model writes them."""
    return [
        token
        for part in parts
        for token in ([ord(letter) for letter in part] if isinstance(part, str) else [1_000 + part // 20])
    ]


SPEECH = [Span(10_200, 12_000), Span(12_500, 14_000), Span(16_000, 19_800)]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], []),
        ([0, " One.", 1_800], [(10_200, 11_800, "One.")]),
        ([0, " One.", 3_000, 3_000, " Two.", 9_000], [(10_200, 13_000, "One."), (13_000, 19_000, "Two.")]),
        ([0, " One.", 2_200, 2_300, " Two.", 3_000], [(10_200, 12_000, "One."), (12_500, 13_000, "Two.")]),
        ([0, " One.", 1_000, 4_200, " Nobody.", 5_800, 6_000, " Two.", 7_000],
         [(10_200, 11_000, "One."), (16_000, 17_000, "Two.")]),
        ([0, " One.", 1_000, 6_000, " No  end"], [(10_200, 11_000, "One."), (16_000, 19_800, "No end")]),
        ([0, " Late.", 29_980], [(10_200, 19_800, "Late.")]),
        ([0, "  ", 1_000], []),
        ([0, 1_000], []),
        ([" no time at all"], [(10_200, 19_800, "no time at all")]),
    ],
)  # fmt: skip
def test_lines_lie_in_speech_in_order_and_apart(parts, expected):
    found = lines(Spelled(), tokens(*parts), WINDOW, SPEECH)
    assert [(line.start_ms, line.end_ms, line.text) for line in found] == expected


def test_whatever_a_model_writes_lines_are_in_order_inside_speech():
    draw = np.random.default_rng(2)
    for _ in range(300):
        parts = [draw.choice([" a", " b.", *range(0, 12_000, 500)]) for _ in range(draw.integers(1, 12))]
        parts = [part if part.startswith(" ") else int(part) for part in map(str, parts)]
        found = lines(Spelled(), tokens(*parts), WINDOW, SPEECH)
        assert all(one.end_ms <= other.start_ms for one, other in pairwise(found))
        for line in found:
            assert line.start_ms < line.end_ms
            assert any(one.start_ms <= line.start_ms < one.end_ms for one in SPEECH)
            assert any(one.start_ms < line.end_ms <= one.end_ms for one in SPEECH)


# What the model is asked
@pytest.fixture(scope="module")
def teller(tmp_path_factory):
    return str(save_teller(tmp_path_factory.mktemp("models") / "teller.pt"))


def test_the_translation_is_what_the_library_decodes(tmp_path, interview):
    path = save_random(tmp_path / "random.pt")
    ear = openai_whisper._load(str(path), "cpu").ear("sv", (), "translate")
    model = whisper.load_model(str(path), device="cpu")
    spectra = mels(
        [audio.load(interview.path, 0, 30_000), audio.load(interview.path, 9_000, 21_000)], 80, "cpu"
    )
    with torch.inference_mode():
        features = model.encoder(spectra)
    decoder = Decoder(model, torch.float32)
    found = decoder.decode(decoder.memory(features), Start(ear.start, 0, Rules(ear.tokenizer)), Search())
    for one, spectrum in zip(found, spectra, strict=True):
        alone, other = (
            whisper.decode(model, spectrum, whisper.DecodingOptions(task=task, language="sv", fp16=False))
            for task in ("translate", "transcribe")
        )
        assert list(one.tokens) == alone.tokens
        assert one.avg_logprob == pytest.approx(alone.avg_logprob, abs=1e-3)
        assert abs(one.avg_logprob - other.avg_logprob) > 0.01


@pytest.mark.parametrize(("engine", "beams"), [("whisper", 1), ("whisper", 5), ("faster-whisper", 1)])
def test_the_same_windows_are_heard_and_translated(teller, sentence, engine, beams, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where converted weights are kept
    options = RecogniserOptions(model=teller, beam_size=beams, translate=True)
    found = load(engine).transcribe(sentence.path, options)
    assert found.language == "sv"
    assert set(found.transcript.text.split()) == {SAID.strip()}
    (span,) = speech_spans(sentence.path)
    (window,) = windows([span], audio.duration_ms(sentence.path))
    model = whisper.load_model(teller, device="cpu")
    spectrum = mels([audio.load(sentence.path, window.start_ms, window.end_ms)], 80, "cpu")[0]
    options = whisper.DecodingOptions(task="translate", language="sv", fp16=False)
    assert " ".join(line.text for line in found.translation) == whisper.decode(model, spectrum, options).text
    assert [line.text.split() for line in found.translation] == [[MEANT.strip()] * 3] * 2
    first, second = found.translation
    assert (first.start_ms, first.end_ms) == (span.start_ms, window.start_ms + 1_000)
    assert (second.start_ms, second.end_ms) == (window.start_ms + 1_500, span.end_ms)


def test_translation_changes_nothing_else(teller, interview):
    plain = load().transcribe(interview.path, RecogniserOptions(model=teller, beam_size=1))
    both = load().transcribe(interview.path, RecogniserOptions(model=teller, beam_size=1, translate=True))
    assert plain.translation == ()
    assert (both.transcript, both.measures, both.prompted) == (
        plain.transcript,
        plain.measures,
        plain.prompted,
    )
    assert len(both.translation) == 2 * len(TIMES_S)  # the interview is longer than a window
    assert (
        load().transcribe(interview.path, RecogniserOptions(model=teller, beam_size=1, translate=True))
        == both
    )


@pytest.mark.parametrize(
    ("language", "translated"), [("sv", True), ("Finnish", True), ("en", False), (None, True)]
)
def test_english_is_not_translated(teller, sentence, language, translated):
    options = RecogniserOptions(model=teller, language=language, beam_size=1, translate=True)
    assert bool(load().transcribe(sentence.path, options).translation) is translated


def test_silence_is_not_translated(teller, not_speech):
    options = RecogniserOptions(model=teller, beam_size=1, translate=True)
    assert load().transcribe(not_speech, options).translation == ()


@pytest.mark.parametrize("name", ["demo", "turbo.pt", "large-v3-Turbo-own.pt"])
def test_a_model_that_cannot_translate_says_so(teller, tmp_path, sentence, name):
    model = name
    if name != "demo":
        model = str(tmp_path / name)
        Path(model).write_bytes(Path(teller).read_bytes())
    with pytest.raises(CannotTranslate, match="cannot translate .*translate = false") as caught:
        load().transcribe(sentence.path, RecogniserOptions(model=model, translate=True))
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


# Beside the original
def said(start_ms, end_ms, speaker):
    return Segment((Word("0", start_ms, end_ms, " ord"),), speaker)


def test_lines_become_segments_of_who_speaks_in_their_time():
    original = Transcript("sv", (said(0, 2_000, 1), said(2_000, 5_000, 2), said(8_000, 9_000, None)))
    given = [
        TranslatedLine(0, 3_000, "One two."),
        TranslatedLine(3_000, 5_000, "Three."),
        TranslatedLine(6_000, 7_000, "Nobody."),
        TranslatedLine(7_500, 9_000, "Who?"),
        TranslatedLine(9_000, 9_500, " "),
    ]
    found = beside(given, original)
    assert (found.language, found.revision) == ("en", 0)
    assert [(one.speaker, one.text) for one in found.segments] == [
        (1, "One two."), (2, "Three."), (None, "Nobody."), (None, "Who?")
    ]  # fmt: skip
    assert [(one.start_ms, one.end_ms) for one in found.segments] == [
        (line.start_ms, line.end_ms) for line in given[:4]
    ]
    assert [word.id for word in found.words()] == ["0", "1", "2", "3", "4"]
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(found.words()))


# A vocabulary, given to a model that takes one
@pytest.fixture(scope="module")
def demo_with_prompt(tmp_path_factory):
    """The built-in weights under another hash, so that they are given the vocabulary."""
    path = tmp_path_factory.mktemp("models") / "own.pt"
    held = torch.load(builtin_path("demo"), map_location="cpu", weights_only=True)
    torch.save({**held, "note": 1}, path)
    return str(path)


TERMS = ("Margaret Ross", "Auchtermuchty", "Fife")


def test_a_vocabulary_does_not_leak_into_silence(demo_with_prompt, not_speech):
    found = load().transcribe(not_speech, RecogniserOptions(model=demo_with_prompt, vocabulary=TERMS))
    assert found.prompted
    assert found.transcript.segments == ()


def test_a_vocabulary_does_not_leak_into_the_silence_around_speech(demo_with_prompt, sentence, sound_file):
    samples, rate_hz = soundfile.read(sentence.path)
    path = sound_file(np.concatenate([np.zeros(20 * rate_hz), samples, np.zeros(20 * rate_hz)]))
    options = RecogniserOptions(model=demo_with_prompt, vocabulary=TERMS, beam_size=1)
    words = list(load().transcribe(path, options).transcript.words())
    speech = speech_spans(path)
    assert all(any(word.span.overlaps(one) for one in speech) for word in words)
    given = {part for term in TERMS for part in term.casefold().split()}
    assert given.isdisjoint(word.text.strip(" .,?!").casefold() for word in words)
