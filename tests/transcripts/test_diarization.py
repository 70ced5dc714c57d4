"""Long recordings, voices that speak at once, and sound in which nobody can be told apart."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from tests.transcripts.conftest import RATE_HZ, RMS, SLT, make_talk, noise, speak
from transcripts import speakers
from transcripts.model import Segment, Transcript, Turn, Word
from transcripts.scoring import diarization_error
from transcripts.span import Span
from transcripts.speakers import Diarization, SpeakerHints, attribute, clusters, diarize, encoder
from transcripts.speakers.clusters import cluster
from transcripts.speakers.compensation import _learned
from transcripts.speakers.encoder import unit
from transcripts.speakers.overlap import NOBODY, Both, pairs
from transcripts.speakers.resegmentation import FRAME_MS, frames_of, hearing
from transcripts.speech import speech_spans, voiced_spans


# Where somebody is heard
def test_rumble_does_not_hide_speech(story, sound_file):
    samples, _ = soundfile.read(story.path)
    spectrum = np.fft.rfft(noise(len(samples) / RATE_HZ, 1.0))[: len(samples) // 2 + 1]
    spectrum[int(150 * len(samples) / RATE_HZ) :] = 0
    rumble = np.fft.irfft(spectrum, len(samples))
    path = sound_file(samples + rumble * 0.2 / np.std(rumble))
    said = sum(line.end_ms - line.start_ms for line in story.lines)
    heard = voiced_spans(path)
    assert (
        sum(span.overlap_ms(Span(line.start_ms, line.end_ms)) for span in heard for line in story.lines)
        > 0.9 * said
    )
    assert sum(span.duration_ms for span in heard) < 1.3 * said


def test_somebody_next_door_is_no_speaker(story, sound_file):
    samples, _ = soundfile.read(story.path)
    path = sound_file(np.concatenate([samples, np.zeros(RATE_HZ), samples * 0.01]))
    heard = voiced_spans(path)
    assert heard == voiced_spans(story.path)
    assert speech_spans(path)[-1].start_ms > heard[-1].end_ms


def test_a_quieter_interviewer_is_heard(interview, sound_file):
    samples, _ = soundfile.read(interview.path)
    for line in interview.lines:
        if line.speaker == 1:
            samples[line.start_ms * 16 : line.end_ms * 16] *= 0.2
    path = sound_file(samples)
    found = diarize(path, voiced_spans(path))
    truth = [Turn(line.speaker, line.start_ms, line.end_ms) for line in interview.lines]
    assert len(found.voices) == 2
    assert diarization_error(truth, found.turns, collar_ms=250).rate < 0.05


def test_no_voice_is_heard_where_nobody_speaks(not_speech):
    assert diarize(not_speech, voiced_spans(not_speech)) == Diarization()


WHILE_TORCH_IS_IMPORTED = """
import builtins, sys, threading, time
from pathlib import Path
from transcripts.speech import voiced_spans

usual = builtins.__import__

def slow(name, *more, **named):
    if name.startswith("torch."):
        builtins.__import__ = usual
        time.sleep(4)
    return usual(name, *more, **named)

builtins.__import__ = slow
other = threading.Thread(target=lambda: __import__("torch"))
other.start()
while "torch" not in sys.modules:
    time.sleep(0.001)
print(len(voiced_spans(Path(sys.argv[1]))))
other.join()
"""


def test_another_thread_may_be_importing_torch(story):
    ran = subprocess.run(
        [sys.executable, "-c", WHILE_TORCH_IS_IMPORTED, story.path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.strip() == str(len(voiced_spans(story.path))), ran.stderr


# Long recordings
def test_a_file_is_read_in_parts_and_gives_what_its_samples_give(monkeypatch, interview):
    samples, _ = soundfile.read(interview.path, dtype="float32")
    heard = encoder.windows(speech_spans(samples), 500)
    whole = encoder.embed(samples, heard, 1.0)
    monkeypatch.setattr(encoder, "BLOCK_MS", 2_000)
    np.testing.assert_allclose(encoder.embed(interview.path, heard, 1.0), whole, atol=1e-5)
    spans = [Span(0, len(samples) // 16)]
    assert encoder.speech_gain(interview.path, spans) == pytest.approx(encoder.speech_gain(samples, spans))


def people(count, seed=3):
    """Unit means of made-up voices, shape (count, 256): like the encoder's mean voice, with something of their own."""
    own = 0.06 * np.random.default_rng(seed).standard_normal((count, 256))
    return unit(_learned()[0] + own)


def windows_of(said, means, spread=0.02, seed=1):
    """Embeddings of windows of the voices named by index."""
    draw = np.random.default_rng(seed)
    return unit(means[said] + spread * draw.standard_normal((len(said), 256)))


@pytest.mark.parametrize(
    ("stretches", "bounds", "found"),
    [
        ([[0, 1]] * 6, {}, 2),
        ([[0, 1], [0, 1], [0, 2], [0, 1], [3, 1]], {}, 4),
        ([[0]] * 5, {}, 1),
        ([[0, 1]] * 3 + [[2, 1]], {"least": 3, "most": 3}, 3),
        ([[0, 1, 2]] * 3, {"least": 2, "most": 2}, 2),
        ([[0]] * 3, {"least": 2}, 2),
    ],
)
def test_stretches_are_clustered_and_their_voices_joined(monkeypatch, stretches, bounds, found):
    monkeypatch.setattr(clusters, "MAX_WINDOWS", 60)
    said = np.concatenate([np.repeat(who, 60 // len(who)) for who in stretches])
    centres = cluster(windows_of(said, people(4)), **bounds)
    assert len(centres) == found
    if not bounds:
        alike = people(4)[np.unique(said)] @ centres.T
        assert (alike.max(axis=1) > 0.98).all()


@pytest.mark.parametrize(("others", "found"), [(30, 2), (200, 1)])
def test_a_few_words_are_a_voice_in_a_short_recording_only(others, found):
    said = np.array([0] * others + [1] * 2)
    assert len(cluster(windows_of(said, people(2)))) == found


def test_a_voice_keeps_its_number_through_a_long_recording(monkeypatch, interview, sound_file):
    monkeypatch.setattr(clusters, "MAX_WINDOWS", 60)
    samples, _ = soundfile.read(interview.path)
    samples = samples[: len(samples) // 16 * 16]
    shifts = [turn * (len(samples) // 16) for turn in range(4)]
    path, told = sound_file(np.tile(samples, len(shifts))), []
    found = diarize(path, voiced_spans(path), progress=told.append)
    truth = [
        Turn(line.speaker, line.start_ms + shift, line.end_ms + shift)
        for shift in shifts
        for line in interview.lines
    ]
    assert len(found.voices) == 2
    assert diarization_error(truth, found.turns, collar_ms=250).rate < 0.05
    assert told == sorted(told)


def test_frames_hear_the_windows_of_their_stretch(monkeypatch):
    stretches = [Span(0, 60_000), Span(60_100, 60_500), Span(90_000, 91_000)]
    frames, of_frame = frames_of(stretches)
    windows_ms = encoder.windows(stretches, 500)
    of_window = np.searchsorted([one.start_ms for one in stretches], windows_ms[:, 0], side="right") - 1
    weights = hearing(windows_ms, of_window, frames, of_frame)
    monkeypatch.setattr("transcripts.speakers.resegmentation.BLOCK", 37)
    assert (weights != hearing(windows_ms, of_window, frames, of_frame)).nnz == 0
    np.testing.assert_allclose(np.asarray(weights.sum(axis=1)).ravel(), 1, rtol=1e-5)
    heard, frame = weights.T.nonzero()
    assert (of_window[heard] == of_frame[frame]).all()
    loudest = windows_ms[np.asarray(weights.argmax(axis=1)).ravel(), 0] + encoder.WINDOW_MS // 2
    assert np.abs(loudest - (frames + FRAME_MS // 2))[10:590].max() <= 300


# Two at once
@pytest.mark.parametrize(
    ("mixed", "before", "after", "length_ms", "expected"),
    [
        pytest.param([(0, 1)] * 2, NOBODY, NOBODY, 600, [(0, 1)] * 2, id="nobody beside"),
        pytest.param([(1, 2)] * 2, NOBODY, 2, 600, [(1, 2)] * 2, id="one goes on"),
        pytest.param([(0,)] * 2, 0, 0, 600, [(0, 1)] * 2, id="the other is faint"),
        pytest.param([()] * 2, 1, 2, 600, [(1, 2)] * 2, id="nothing is heard"),
        pytest.param([(2,)] * 2, 0, NOBODY, 600, [(0, 2)] * 2, id="one of them was there before"),
        pytest.param([(0, 3), (2, 3)], 0, 2, 1_500, [(0, 3), (3, 2)], id="a third while one follows another"),
        pytest.param([(0, 2)] * 2, 0, 2, 1_500, [(0, 2)] * 2, id="one begins before the other ends"),
        pytest.param([(0, 3), (2, 3)], 0, 2, 600, [(2, 3)] * 2, id="too short for a third"),
    ],
)
def test_two_at_once_are_the_pair_that_fits(mixed, before, after, length_ms, expected):
    means = people(4)
    means[1] = unit((means[0] + 0.2 * means[1])[None])[0]
    halves = unit(np.stack([means[list(who)].sum(axis=0) for who in mixed]))
    assert pairs(halves, means, range(4), Both(0, 10, before, after), length_ms) == tuple(expected)


@pytest.fixture(scope="module")
def argument(tmp_path_factory):
    """Two voices that take turns, then speak at once for more than four seconds."""
    folder = tmp_path_factory.mktemp("speech")
    lines = [
        (SLT, "My neighbours brought a hot meal, and I was grateful for all of it."),
        (RMS, "The volunteers phoned older people every week because there was a lot of loneliness."),
    ]
    talk = make_talk(
        folder / "turns.flac", [SLT, RMS], [(1 + turn % 2, lines[turn % 2][1]) for turn in range(6)]
    )
    samples, _ = soundfile.read(talk.path)
    one, other = (speak(*line, folder) for line in lines)
    start = len(samples)
    both = np.zeros(max(len(one), len(other)))
    both[: len(one)] += one
    both[: len(other)] += other
    path = folder / "argument.flac"
    soundfile.write(path, np.concatenate([samples, both, np.zeros(RATE_HZ)]), RATE_HZ)
    turns = [Turn(line.speaker, line.start_ms, line.end_ms) for line in talk.lines]
    turns += [
        Turn(1, start // 16, (start + len(one)) // 16),
        Turn(2, start // 16, (start + len(other)) // 16),
    ]
    return path, turns, Span(start // 16, (start + min(len(one), len(other))) // 16)


def test_two_who_speak_at_once_both_have_the_time(argument):
    path, turns, both = argument
    found = diarize(path, voiced_spans(path))
    assert len(found.voices) == 2
    assert sum(span.overlap_ms(both) for span in found.overlaps) > 0.6 * both.duration_ms
    assert sum(span.duration_ms - span.overlap_ms(both) for span in found.overlaps) < 1_500
    assert diarization_error(turns, found.turns, collar_ms=250).rate < 0.08
    assert all(one.end_ms < other.start_ms for one, other in pairwise(found.overlaps))
    assert list(found.turns) == sorted(found.turns, key=lambda turn: (turn.start_ms, turn.end_ms))
    for overlap in found.overlaps:
        assert {turn.speaker for turn in found.turns if turn.span.overlap_ms(overlap)} == {1, 2}


def test_taking_turns_is_no_overlap(interview):
    assert diarize(interview.path, voiced_spans(interview.path)).overlaps == ()


# Words where turns overlap
def words(text, start_ms):
    return tuple(
        Word(f"{start_ms}.{number}", start_ms + 300 * number, start_ms + 300 * number + 300, f" {word}")
        for number, word in enumerate(text.split())
    )


@pytest.mark.parametrize(
    ("sentences", "turns", "expected"),
    [
        pytest.param(
            [("So we met in the garden again.", 0), ("And who came?", 1_800)],
            (Turn(1, 0, 2_200), Turn(2, 1_700, 2_700)),
            [1, 2],
            id="the other begins before the last word",
        ),
        pytest.param(
            [("So we met in the garden again.", 0), ("Yes.", 900)],
            (Turn(1, 0, 2_100), Turn(2, 850, 1_250)),
            [1, 2],
            id="an interjection while the other goes on",
        ),
        pytest.param(
            [("So we met in the garden again.", 0), ("Yes.", 900)],
            (Turn(1, 0, 2_100), Turn(2, 3_000, 4_000), Turn(3, 4_000, 9_000)),
            [1, 2],
            id="an interjection that is not heard",
        ),
        pytest.param(
            [("So we met in the garden again.", 0), ("Yes.", 900)],
            (Turn(1, 0, 2_100), Turn(2, 90_000, 91_000)),
            [1, 1],
            id="nobody else is near",
        ),
        pytest.param(
            [("We met in the garden every week.", 0)],
            (Turn(1, 0, 2_100), Turn(2, 600, 1_400)),
            [1],
            id="an interjection that nobody wrote down",
        ),
        pytest.param(
            [("We met in the garden every week.", 0)],
            (Turn(1, 0, 1_900), Turn(2, 1_750, 4_000)),
            [1],
            id="an edge that is early",
        ),
    ],
)
def test_sentences_stay_whole_where_turns_overlap(sentences, turns, expected):
    said = [words(*sentence) for sentence in sentences]
    told = attribute(Transcript("en", tuple(Segment(one) for one in said)), Diarization(turns))
    assert [segment.speaker for segment in told.segments] == expected
    assert [segment.words for segment in told.segments] == said


# What cannot be told apart
def test_a_second_of_speech_is_one_speaker(story, sound_file):
    samples, _ = soundfile.read(story.path)
    path = sound_file(samples[RATE_HZ : 2 * RATE_HZ])
    found = diarize(path, voiced_spans(path))
    assert [voice.speaker for voice in found.voices] == [1]
    assert found.overlaps == ()


def test_more_voices_than_seven_are_found():
    said = np.repeat(np.arange(30), 30)
    means = people(30)
    assert len(cluster(windows_of(said[said < 12], means))) == 12
    assert len(cluster(windows_of(said, means))) == clusters.MAX_SPEAKERS


def test_a_crowd_is_called_uncertain_unless_its_number_is_known(monkeypatch, interview):
    monkeypatch.setattr(speakers, "CROWD", 2)
    found = diarize(interview.path, voiced_spans(interview.path))
    assert "some speakers may be several people" in found.uncertain
    known = diarize(interview.path, voiced_spans(interview.path), SpeakerHints(count=2))
    assert known.uncertain == ""


def test_as_many_voices_are_heard_as_are_known_to_be_there(monkeypatch, interview):
    monkeypatch.setattr(speakers, "PENALTIES", (500.0, 0.25))  # at first nobody is let take over
    found = diarize(interview.path, voiced_spans(interview.path), SpeakerHints(count=2))
    assert len(found.voices) == 2
