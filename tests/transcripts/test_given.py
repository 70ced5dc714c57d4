"""Given words found in the sound: each keeps its spelling and gets its time, whatever times the text came with.

The truth is flite's own: it tells when each sound of a sentence ends.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.transcripts.conftest import RATE_HZ
from transcripts.engines import RecogniserOptions, Recognition, load
from transcripts.formats.reading import Line
from transcripts.model import Word
from transcripts.span import Span

DEMO = RecogniserOptions(model="demo")
SAID = [
    "It was very lonely. We kept talking to families every day, and it made a real difference.",
    "My neighbours brought a hot meal, and I was grateful.",
    "What helped you to keep going?",
    "I remember singing together in the garden. Small things matter.",
    "The volunteers phoned older people every week because there was a lot of loneliness.",
    "Is there anything you would like to add?",
    "We need to look after carers better. Thank you for listening.",
    "My name is Margaret, and I live in Glasgow.",
    "I was very lonely at night. The phone never stopped ringing.",
    "We started a lunch club in the hall.",
    "I felt very tired, and my sister felt lonely too.",
    "We had to learn new skills.",
    "A video call made a real difference to my mother.",
    "In the end, we got through it together.",
]
UNSAID = "The old harbour was full of yellow boats."
PREFACE = (
    "This is the transcript of an interview which was made for the project in the summer of that year. "
    "The names in it have been changed, and the storyteller has read the text and agreed with it."
)


@dataclass(frozen=True)
class Timed:
    """A made recording and the true time of each word."""

    path: Path
    lines: tuple[Line, ...]
    words: tuple[tuple[tuple[str, Span], ...], ...]


def flite(voice: str, *order: str | Path) -> str:
    made = subprocess.run(["flite", "-voice", voice, *order], check=True, capture_output=True, text=True)
    return made.stdout


def sounds_of(voice: str, word: str) -> int:
    return len([sound for sound in flite(voice, "-t", word, "none", "-ps").split() if sound != "pau"])


def timed_words(voice: str, text: str, target: Path) -> list[tuple[str, Span]]:
    """Speak the text; when each word is said by the ends of its sounds."""
    sounds, before = [], 0
    for name, end_s in re.findall(r"(\S+):([\d.]+)", flite(voice, "-t", text, "-o", target, "-psdur")):
        end = round(float(end_s) * 1000)
        if name != "pau":
            sounds.append(Span(before, end))
        before = end
    words, at = [], 0
    for word in text.split():
        own = sounds[at : at + sounds_of(voice, word)]
        words.append((word, Span(own[0].start_ms, own[-1].end_ms)))
        at += len(own)
    assert at == len(sounds)
    return words


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Timed:
    folder = tmp_path_factory.mktemp("told")
    parts, lines, words, at_ms = [], [], [], 0
    for number, text in enumerate(SAID):
        own = timed_words(("slt", "rms")[number % 2], text, folder / "raw.wav")
        samples, rate_hz = soundfile.read(folder / "raw.wav")
        assert rate_hz == RATE_HZ
        samples = samples[: len(samples) // 16 * 16] * (0.08 / np.sqrt(np.mean(samples**2)))
        length = len(samples) // 16
        lines.append(Line(text, Span(at_ms, at_ms + length)))
        words.append(tuple((word, span.shift(at_ms)) for word, span in own))
        parts += [samples, np.zeros(300 * 16)]
        at_ms += length + 300
    sound = np.concatenate(parts)
    sound += np.random.default_rng(0).standard_normal(len(sound)) * 0.0005
    path = folder / "told.flac"
    soundfile.write(path, sound.astype(np.float32), RATE_HZ, subtype="PCM_16")
    return Timed(path, tuple(lines), tuple(words))


def untimed(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    return tuple(Line(line.text, None, line.speaker) for line in lines)


def shifted(lines: tuple[Line, ...], by_ms: int) -> tuple[Line, ...]:
    return tuple(Line(line.text, line.span.shift(by_ms), line.speaker) for line in lines if line.span)


def loose(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Captions as people make them: each edge up to 600 ms off, so that they overlap."""
    random = np.random.default_rng(1)
    edges = [(line.text, line.span, *random.integers(-600, 600, 2).tolist()) for line in lines]
    return tuple(
        Line(text, Span(max(0, span.start_ms + one), span.end_ms + 600 + other))
        for text, span, one, other in edges
        if span
    )


def check(found: Recognition, given: tuple[Line, ...]) -> list[Word]:
    """All that must hold for any given text; its words."""
    words = list(found.transcript.words())
    assert "".join(word.text for word in words) == "".join(f" {line.text}" for line in given)
    assert [word.text.strip() for word in words] == " ".join(line.text for line in given).split()
    assert [word.id for word in words] == [str(index) for index in range(len(words))]
    assert all(word.start_ms <= word.end_ms for word in words)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(words))
    assert all(0 <= word.probability <= 1 for word in words)
    assert len(found.measures) == len(found.labels) == len(found.transcript.segments)
    return words


def errors_ms(words: list[Word], truth: list[tuple[str, Span]]) -> np.ndarray:
    """How far each word's start is off; ``words`` and ``truth`` say the same."""
    assert [word.text.strip() for word in words] == [word for word, _ in truth]
    return np.abs([word.start_ms - span.start_ms for word, (_, span) in zip(words, truth, strict=True)])


TIMES = {
    "exact": lambda lines: lines,
    "loose": loose,
    "none": untimed,
    "half a second late": lambda lines: shifted(lines, 500),
    "of another cut": lambda lines: shifted(lines, 20_000),
}


@pytest.mark.parametrize(
    ("engine", "times"),
    [*(("whisper", times) for times in TIMES), ("faster-whisper", "exact"), ("faster-whisper", "none")],
)
def test_words_get_their_times(told: Timed, engine: str, times: str) -> None:
    given = TIMES[times](told.lines)
    progress: list[int] = []
    found = load(engine).align(told.path, given, DEMO, progress.append)
    off = errors_ms(check(found, given), [word for line in told.words for word in line])
    assert np.median(off) < 30
    assert np.percentile(off, 95) < 130
    assert off.max() < 400
    assert progress == sorted(set(progress))
    assert progress[-1] == soundfile.info(told.path).frames // 16
    assert (found.engine, found.model, found.language) == (engine, "demo", "en")
    assert np.mean([measures.avg_logprob for measures in found.measures]) > -0.3


@pytest.mark.parametrize("timed", [True, False], ids=["captions", "text"])
@pytest.mark.parametrize("place", [0, 7, 14], ids=str)
def test_a_sentence_that_nobody_says_stays_and_moves_nothing(told: Timed, place: int, timed: bool) -> None:
    lines = told.lines if timed else untimed(told.lines)
    at = told.lines[min(place, 13)].span
    assert at is not None
    stranger = Line(UNSAID, Span(max(0, at.start_ms - 800), at.start_ms + 300) if timed else None)
    given = (*lines[:place], stranger, *lines[place:])
    words = check(load().align(told.path, given, DEMO), given)
    before, count = sum(len(line) for line in told.words[:place]), len(UNSAID.split())
    unsaid = words[before : before + count]
    rest = words[:before] + words[before + count :]
    # some words of it may be likely by themselves, as "of" is after "full"
    assert np.median([word.probability for word in unsaid]) < 0.05
    assert max(word.probability for word in unsaid) < 0.5
    off = errors_ms(rest, [word for line in told.words for word in line])
    assert np.percentile(off, 95) < 130
    assert off.max() < 400


@pytest.mark.parametrize("timed", [True, False], ids=["captions", "text"])
def test_a_preface_does_not_push_the_words(told: Timed, timed: bool) -> None:
    preface = Line(PREFACE, Span(0, 300) if timed else None)
    given = (preface, *(told.lines if timed else untimed(told.lines)))
    words = check(load().align(told.path, given, DEMO), given)[len(PREFACE.split()) :]
    assert errors_ms(words, [word for line in told.words for word in line]).max() < 400


@pytest.mark.parametrize("timed", [True, False], ids=["captions", "text"])
@pytest.mark.parametrize("left_out", [{0}, set(range(5, 10)), {13}], ids=str)
def test_what_is_said_but_not_written_moves_nothing(told: Timed, left_out: set[int], timed: bool) -> None:
    kept = [number for number in range(len(told.lines)) if number not in left_out]
    lines = told.lines if timed else untimed(told.lines)
    given = tuple(lines[number] for number in kept)
    words = check(load().align(told.path, given, DEMO), given)
    off = errors_ms(words, [word for number in kept for word in told.words[number]])
    assert np.percentile(off, 95) < 130
    assert off.max() < 400


def test_a_sentence_written_more_smoothly_keeps_its_place(told: Timed) -> None:
    smooth = "I remembered us singing out in our garden, and small things mattered."
    given = (*untimed(told.lines[:3]), Line(smooth), *untimed(told.lines[4:]))
    words = check(load().align(told.path, given, DEMO), given)
    first = sum(len(line) for line in told.words[:3])
    own = words[first : first + len(smooth.split())]
    assert abs(own[0].start_ms - told.words[3][0][1].start_ms) < 200
    assert abs(own[-1].end_ms - told.words[3][-1][1].end_ms) < 200


def test_no_segment_is_of_two_speakers(told: Timed) -> None:
    given = (
        Line("It was very lonely. We kept talking to families every day,", None, "Ann"),
        Line("and it made a real difference.", None, "Bo"),
        *(Line(line.text, None, "Bo") for line in told.lines[1:]),
    )
    found = load().align(told.path, given, DEMO)
    check(found, given)
    said = [
        (label, segment.text) for label, segment in zip(found.labels, found.transcript.segments, strict=True)
    ]
    assert said[:4] == [
        ("Ann", "It was very lonely."),
        ("Ann", "We kept talking to families every day,"),
        ("Bo", "and it made a real difference."),
        ("Bo", "My neighbours brought a hot meal, and I was grateful."),
    ]


def test_words_in_silence_are_kept_with_no_probability(sound_file) -> None:
    path = sound_file(np.zeros(5 * RATE_HZ))
    given = (Line("Nobody says this.", Span(0, 2_000)), Line("Nor – “that”!", Span(9_000, 9_500)))
    found = load().align(path, given, DEMO)
    words = check(found, given)
    assert words[-1].end_ms <= 5_000
    assert max(word.probability for word in words) < 0.05
    assert max(measures.avg_logprob for measures in found.measures) < -3


def test_writing_without_spaces_and_odd_marks_are_kept(told: Timed) -> None:
    given = (Line("これは、日本語です。"), Line("中文 and <|endoftext|> — “so”…"))
    words = list(load().align(told.path, given, DEMO).transcript.words())
    assert "".join(word.text for word in words) == "これは、日本語です。中文 and <|endoftext|> — “so”…"


@pytest.mark.parametrize("engine", ["whisper", "faster-whisper"])
def test_a_corrected_segment_is_aligned_by_itself(told: Timed, engine: str) -> None:
    off = []
    for number in range(len(SAID)):
        truth = told.words[number]
        span = Span(truth[0][1].start_ms, truth[-1][1].end_ms)
        words = load(engine).align_segment(told.path, span, SAID[number], DEMO)
        off += errors_ms(list(words), list(truth)).tolist()
    assert np.median(off) < 30
    assert np.percentile(off, 95) < 130


def test_a_corrected_segment_keeps_words_that_nobody_said(told: Timed) -> None:
    truth = told.words[3]
    span = Span(truth[0][1].start_ms, truth[-1][1].end_ms)
    text = "I remember the singing together out in garden. Small things mattered."
    words = load().align_segment(told.path, span, text, DEMO)
    assert "".join(word.text for word in words) == f" {text}"
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(words))
    assert span.start_ms - 120 <= words[0].start_ms
    assert words[-1].end_ms <= span.end_ms + 120
    small = next(word for word in words if word.text == " Small")
    assert abs(small.start_ms - truth[-3][1].start_ms) < 150


def test_the_same_again(told: Timed) -> None:
    given = untimed(told.lines[:6])
    assert load().align(told.path, given, DEMO) == load().align(told.path, given, DEMO)
