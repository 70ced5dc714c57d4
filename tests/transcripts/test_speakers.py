import subprocess
import sys
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from transcripts.errors import SpeakersUnavailable
from transcripts.model import Segment, Transcript, Turn, Word
from transcripts.scoring import diarization_error
from transcripts.span import Span
from transcripts.speakers import Diarization, SpeakerHints, attribute, clusters, diarize
from transcripts.speakers.clusters import cluster, two_voices
from transcripts.speakers.compensation import _learned
from transcripts.speakers.encoder import mel_power, speech_gain, unit, windows
from transcripts.speakers.resegmentation import viterbi
from transcripts.speech import speech_spans


# Words to speakers
def words(text, start_ms=0, gaps=None):
    """Words of 300 ms that touch, but for the ``gaps`` in ms before words by index."""
    made, at_ms = [], start_ms
    for index, word in enumerate(text.split()):
        at_ms += (gaps or {}).get(index, 0)
        made.append(Word(str(index), at_ms, at_ms + 300, f" {word}"))
        at_ms += 300
    return tuple(made)


A_THEN_B = (Turn(1, 0, 1_500), Turn(2, 1_500, 6_000))


@pytest.mark.parametrize(
    ("text", "gaps", "turns", "expected"),
    [
        pytest.param("all by one voice here.", {}, (Turn(1, 0, 6_000),), [(1, 5)], id="one voice"),
        pytest.param(
            "one two three four five six", {}, A_THEN_B, [(1, 6)], id="no pause: not split, first has more"
        ),
        pytest.param(
            "one two three four five six", {4: 300}, A_THEN_B, [(1, 4), (2, 2)], id="pause at the change"
        ),
        pytest.param(
            "one two three four five six", {3: 300}, A_THEN_B, [(1, 3), (2, 3)], id="pause near the change"
        ),
        pytest.param(
            "one two three four five six", {5: 300}, (Turn(1, 0, 9_000),), [(1, 6)], id="pause, no change"
        ),
        pytest.param(
            "one two yes three four",
            {2: 300, 3: 300},
            (Turn(1, 0, 750), Turn(2, 800, 1_300), Turn(1, 1_350, 9_000)),
            [(1, 5)],
            id="an interjection",
        ),
        pytest.param(
            "one two three four",
            {},
            (Turn(1, 0, 500), Turn(2, 750, 1_200)),
            [(1, 2), (2, 2)],
            id="silence between turns, hidden by words that touch",
        ),
        pytest.param("one two", {}, (Turn(3, 1_600, 2_000),), [(3, 2)], id="nearest turn"),
        pytest.param("one two", {}, (Turn(3, 60_000, 61_000),), [(None, 2)], id="nobody near"),
        pytest.param("one two", {}, (), [(None, 2)], id="nobody"),
    ],
)
def test_words_go_to_speakers_at_pauses(text, gaps, turns, expected):
    said = words(text, gaps=gaps)
    told = attribute(Transcript("en", (Segment(said),)), Diarization(turns))
    assert [(segment.speaker, len(segment.words)) for segment in told.segments] == expected
    assert tuple(told.words()) == said


def test_short_sentences_have_their_own_speaker():
    question, answer = Segment(words("Was it hard?")), Segment(words("Yes.", 1_200))
    told = attribute(
        Transcript("en", (question, answer)), Diarization((Turn(1, 0, 1_000), Turn(2, 1_100, 1_600)))
    )
    assert [segment.speaker for segment in told.segments] == [1, 2]


# The parts
@pytest.mark.parametrize(
    ("speech", "expected"),
    [
        ([], []),
        ([Span(0, 300)], [(0, 300)]),
        ([Span(2_000, 2_400)], [(2_000, 400)]),
        ([Span(1_000, 3_700)], [(1_000, 1_600), (1_500, 1_600), (2_000, 1_600), (2_100, 1_600)]),
        ([Span(0, 1_600)], [(0, 1_600)]),
        ([Span(100, 300), Span(500, 2_200)], [(100, 200), (500, 1_600), (600, 1_600)]),
    ],
)
def test_windows_cover_speech_and_nothing_else(speech, expected):
    assert [tuple(window) for window in windows(speech, 500).tolist()] == expected


def test_windows_may_be_shorter():
    assert windows([Span(0, 1_400), Span(2_000, 2_300)], 300, 1_000).tolist() == [
        [0, 1_000],
        [300, 1_000],
        [400, 1_000],
        [2_000, 300],
    ]


def test_mel_power_is_linear_and_puts_a_tone_in_its_place():
    sound = np.sin(2 * np.pi * 1_000 * np.arange(16_000) / 16_000).astype(np.float32)
    once, twice = mel_power(sound), mel_power(2 * sound)
    assert once.shape == (98, 40)
    np.testing.assert_allclose(twice, 4 * once, rtol=1e-4, atol=1e-6)
    assert set(once.argmax(axis=1)) == {once[0].argmax()}
    higher = mel_power(np.sin(2 * np.pi * 3_000 * np.arange(16_000) / 16_000).astype(np.float32))
    assert higher[0].argmax() > once[0].argmax()


@pytest.mark.parametrize(("level", "gain"), [(0.001, 10 ** (30 / 20)), (0.5, 1.0), (0.0, 1.0)])
def test_only_quiet_speech_is_raised(level, gain):
    sound = np.full(16_000, level, dtype=np.float32)
    assert speech_gain(sound, [Span(0, 1_000)]) == pytest.approx(gain, rel=1e-3)


def voices(*counts, spread=0.02, seed=1):
    """Embeddings of made-up voices that take turns, so many windows each, in blocks of five."""
    draw = np.random.default_rng(seed)
    # as the encoder's are: all like its mean voice, each with something of its own
    means = unit(_learned()[0] + 0.06 * draw.standard_normal((len(counts), 256)))
    blocks = []
    for voice, count in enumerate(counts):
        own = unit(means[voice] + spread * draw.standard_normal((count, 256)))
        blocks += [(index, voice, own[index : index + 5]) for index in range(0, count, 5)]
    return np.concatenate([block for *_, block in sorted(blocks, key=lambda one: one[:2])])


@pytest.mark.parametrize(
    ("counts", "bounds", "found"),
    [
        ((60,), {}, 1),
        ((40, 40), {}, 2),
        ((150, 10), {}, 2),
        ((40, 30, 20), {}, 3),
        ((1_500, 900), {}, 2),
        ((40, 30, 20), {"least": 2, "most": 2}, 2),
        ((40, 30), {"least": 4, "most": 4}, 4),
        ((60,), {"least": 3, "most": 3}, 3),
        ((3,), {"least": 5, "most": 5}, 3),
        ((1,), {}, 1),
        ((1,), {"least": 2}, 1),
        ((2,), {"least": 2}, 2),
        ((7,), {}, 1),
    ],
)
def test_voices_are_counted(counts, bounds, found):
    centres = cluster(voices(*counts), **bounds)
    assert len(centres) == found
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)


def alike(counts, cosine, seed=1):
    """Windows of two voices whose means have about this cosine, so many of each, in blocks of five; and whose."""
    draw = np.random.default_rng(seed)
    mean, own = _learned()[0], 0.06 * draw.standard_normal((2, 256))
    apart = np.sqrt((1 - cosine) / 0.5)
    means = unit(np.stack([mean + own[0], mean + (1 - apart) * own[0] + apart * own[1]]))
    said = np.concatenate([np.repeat(voice, count) for voice, count in enumerate(counts)])
    order = np.argsort(np.concatenate([np.arange(count) // 5 for count in counts]), kind="stable")
    return unit(means[said] + 0.02 * draw.standard_normal((len(said), 256)))[order], said[order]


@pytest.mark.parametrize(
    ("counts", "cosine", "found"),
    [((60, 30), 0.55, 2), ((60, 30), 0.75, 2), ((60, 0), 0.5, 1), ((60, 30), 0.95, 1), ((8, 4), 0.5, 1)],
)
def test_two_voices_are_believed_in_where_they_are_expected(counts, cosine, found):
    centres = two_voices(alike(counts, cosine)[0])
    assert len(centres) == found
    np.testing.assert_allclose(np.linalg.norm(centres, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize(("counts", "found"), [((60, 60), 2), ((60, 8), 1), ((900, 30), 1)])
def test_it_takes_more_to_join_voices_that_are_both_heard_for_long(counts, found):
    heard, whose = alike(counts, 0.85)
    assert clusters._merge(heard, whose, 1, 20, clusters.SAME_VOICE).max() + 1 == found


def test_clustering_leaves_the_global_generator_alone():
    np.random.seed(7)
    expected = np.random.random()
    np.random.seed(7)
    cluster(voices(40, 40))
    assert np.random.random() == expected


@pytest.mark.parametrize(
    ("scores", "penalty", "expected"),
    [
        ([[1, 0], [0, 1], [1, 0]], 0.4, [0, 1, 0]),
        ([[1, 0], [0, 1], [1, 0]], 2.0, [0, 0, 0]),
        ([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]], 1.5, [0, 0, 1, 1, 1]),
        ([[0, 0], [0, 0]], 1.0, [0, 0]),
    ],
)
def test_viterbi_changes_voice_only_where_it_pays(scores, penalty, expected):
    assert viterbi(np.array(scores, dtype=float), penalty).tolist() == expected


# Whole recordings
@pytest.mark.parametrize("talk", ["interview", "mixed_interview", "story"])
def test_speakers_are_counted_and_their_turns_found(request, talk):
    talk = request.getfixturevalue(talk)
    speech = speech_spans(talk.path)
    found = diarize(talk.path, speech)
    assert len(found.voices) == talk.speakers
    assert found.turns[0].speaker == 1
    truth = [Turn(line.speaker, line.start_ms, line.end_ms) for line in talk.lines]
    assert diarization_error(truth, found.turns, collar_ms=250).rate < 0.05
    assert all(any(turn.span & span == turn.span for span in speech) for turn in found.turns)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(found.turns))


def test_voices_tell_how_much_they_spoke_and_how_they_sound(interview):
    found = diarize(interview.path, speech_spans(interview.path))
    heard = Counter()
    for turn in found.turns:
        heard[turn.speaker] += turn.span.duration_ms
    assert {voice.speaker: voice.speech_ms for voice in found.voices} == dict(heard)
    one, other = (np.array(voice.embedding) for voice in found.voices)
    assert one.shape == (256,)
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ other < 0.9


@pytest.mark.parametrize(
    ("talk", "hints", "count"),
    [
        ("interview", SpeakerHints(count=1), 1),
        ("interview", SpeakerHints(count=3), 3),
        ("interview", SpeakerHints(single=False), 2),
        ("story", SpeakerHints(single=True), 1),
        ("story", SpeakerHints(count=2), 2),
        ("story", SpeakerHints(single=False), 1),
    ],
)
def test_hints_are_heard(request, talk, hints, count):
    path = request.getfixturevalue(talk).path
    assert len(diarize(path, speech_spans(path), hints).voices) == count


def test_a_count_must_make_sense():
    with pytest.raises(ValueError, match="not 0"):
        SpeakerHints(count=0)


@pytest.mark.parametrize(
    "hints", [SpeakerHints(), SpeakerHints(count=2), SpeakerHints(single=False)], ids=str
)
@pytest.mark.parametrize("seconds", [0.2, 0.9, 2.0])
def test_a_short_recording_does_no_harm(story, sound_file, seconds, hints):
    samples, rate_hz = soundfile.read(story.path)
    path = sound_file(samples[rate_hz : rate_hz + int(seconds * rate_hz)])
    duration_ms = int(seconds * 1_000)
    found = diarize(path, [Span(0, duration_ms)], hints)
    assert 1 <= len(found.voices) <= 2
    assert (found.turns[0].start_ms, found.turns[-1].end_ms) == (0, duration_ms)


def test_no_speech_no_speakers(not_speech):
    assert diarize(not_speech, []) == Diarization()


def test_speech_past_the_end_is_left_out(sound_file):
    path = sound_file(np.random.default_rng(1).standard_normal(16_000) * 0.1)
    found = diarize(path, [Span(500, 4_000), Span(5_000, 6_000)])
    assert found.turns == (Turn(1, 500, 1_000),)


def test_sound_of_pure_silence_called_speech_does_no_harm(sound_file):
    found = diarize(sound_file(np.zeros(160_000)), [Span(0, 10_000)])
    assert found.turns == (Turn(1, 0, 10_000),)


SECOND_PROCESS = """
import sys
from pathlib import Path
from transcripts.speakers import diarize
from transcripts.speech import speech_spans
path = Path(sys.argv[1])
print(repr(diarize(path, speech_spans(path))))
"""


def test_two_processes_agree_to_the_last_digit(interview):
    other = subprocess.run(
        [sys.executable, "-c", SECOND_PROCESS, str(interview.path)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert other.stdout.strip() == repr(diarize(interview.path, speech_spans(interview.path)))


def test_a_missing_encoder_says_what_to_run(monkeypatch, story):
    from transcripts.speakers import encoder

    encoder._encoder.cache_clear()
    monkeypatch.setattr(encoder, "find_spec", lambda name: None)
    with pytest.raises(SpeakersUnavailable, match=r"pip install --no-deps Resemblyzer==0\.1\.4$"):
        diarize(story.path, [Span(0, 2_000)])


HEAVY = [
    "torch",
    "sklearn",
    "scipy",
    "onnxruntime",
    "faster_whisper",
    "whisper",
    "soundfile",
]
ROOM = "engines.openai_whisper speakers speech scoring sentences audio".split()


def test_nothing_heavy_is_imported_before_it_is_needed():
    imports = ", ".join(f"transcripts.{module}" for module in ROOM)
    code = f"import sys, {imports}; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"


def test_the_encoder_leaves_no_trace_among_modules(story):
    diarize(story.path, [Span(0, 2_000)])
    assert not [name for name in sys.modules if name.startswith("resemblyzer")]
