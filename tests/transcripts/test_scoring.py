import random
import warnings

import pytest

from transcripts.model import Turn
from transcripts.scoring import (
    diarization_error,
    parse_rttm,
    word_error_rate,
    word_speaker_errors,
    words_of,
)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "substitutions", "insertions", "deletions"),
    [
        ("We kept talking.", "we KEPT, talking", 0, 0, 0),
        ("We didn’t know", "We didn't know.", 0, 0, 0),
        ("a well-known place", "a well known place", 0, 0, 0),
        ("one two three", "one too three", 1, 0, 0),
        ("one two three", "one three", 0, 0, 1),
        ("one two three", "one two two three", 0, 1, 0),
        ("one two three", "", 0, 0, 3),
        ("", "invented words", 0, 2, 0),
        ("Det är många på ön", "det ar många på ön", 1, 0, 0),
    ],
)
def test_word_errors_are_counted_by_kind(reference, hypothesis, substitutions, insertions, deletions):
    found = word_error_rate(reference, hypothesis)
    assert (found.substitutions, found.insertions, found.deletions) == (substitutions, insertions, deletions)
    assert found.reference_words == len(words_of(reference))


def test_word_error_rate_agrees_with_jiwer():
    jiwer = pytest.importorskip("jiwer")
    draw = random.Random(3)
    for _ in range(50):
        one, other = (" ".join(draw.choices("abcdef", k=draw.randint(1, 30))) for _ in range(2))
        assert word_error_rate(one, other).rate == pytest.approx(jiwer.wer(one, other))


def test_rates_of_a_collection_weigh_by_words():
    both = word_error_rate("one two three", "one two three") + word_error_rate("four", "five")
    assert both.rate == 0.25


SAID = [Turn(1, 0, 1000), Turn(2, 1000, 3000)]


@pytest.mark.parametrize(
    ("found", "missed", "false_alarm", "confused"),
    [
        ([Turn(7, 0, 1000), Turn(4, 1000, 3000)], 0, 0, 0),
        ([Turn(1, 0, 3000)], 0, 0, 1000),
        ([], 3000, 0, 0),
        ([Turn(1, 0, 1000), Turn(2, 1000, 3500)], 0, 500, 0),
        ([Turn(1, 0, 1000), Turn(2, 1000, 3000), Turn(3, 1000, 1500)], 0, 500, 0),
        ([Turn(1, 0, 1200), Turn(2, 1200, 3000)], 0, 0, 200),
    ],
)
def test_diarization_errors_are_counted_by_kind(found, missed, false_alarm, confused):
    errors = diarization_error(SAID, found)
    assert (errors.missed_ms, errors.false_alarm_ms, errors.confused_ms) == (missed, false_alarm, confused)
    assert errors.reference_ms == 3000


@pytest.mark.parametrize("collar_ms", [0, 250])
def test_diarization_error_agrees_with_pyannote(collar_ms):
    core = pytest.importorskip("pyannote.core")
    metrics = pytest.importorskip("pyannote.metrics.diarization")

    def annotation(turns):
        told = core.Annotation()
        for track, turn in enumerate(turns):
            told[core.Segment(turn.start_ms / 1000, turn.end_ms / 1000), track] = str(turn.speaker)
        return told

    def turns(draw, speakers):
        starts = [(speaker, draw.randrange(20_000)) for speaker in speakers for _ in range(4)]
        return [Turn(speaker, start, start + draw.randint(100, 5_000)) for speaker, start in starts]

    draw = random.Random(5)
    for _ in range(20):
        said, found = turns(draw, [1, 2, 3]), turns(draw, [1, 2])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            told = annotation(said).support(), annotation(found).support()
            theirs = metrics.DiarizationErrorRate(collar=2 * collar_ms / 1000)(*told)
        # pyannote lays collars around the merged turns, so ours get the same
        merged = [
            [Turn(int(label), round(1000 * part.start), round(1000 * part.end)) for part, _, label in one]
            for one in (list(one.itertracks(yield_label=True)) for one in told)
        ]
        assert diarization_error(*merged, collar_ms=collar_ms).rate == pytest.approx(theirs, abs=1e-6)


def test_words_under_the_wrong_speaker_are_counted_whatever_the_speakers_are_called():
    reference = [("How", 1), ("are", 1), ("you?", 1), ("Very", 2), ("well.", 2)]
    hypothesis = [("how", 2), ("are", 2), ("you", 2), ("vary", 1), ("well", 2)]
    errors = word_speaker_errors(reference, hypothesis)
    assert (errors.wrong, errors.words) == (1, 4)


def test_rttm_is_read():
    text = "SPEAKER talk 1 2.977 0.391 <NA> <NA> ANNA <NA> <NA>\n;; a note\nSPEAKER talk 1 3 1 <NA> <NA> BO <NA> <NA>"
    assert parse_rttm(text) == [Turn(1, 2977, 3368), Turn(2, 3000, 4000)]


def test_a_broken_rttm_line_is_named():
    with pytest.raises(ValueError, match="line 2"):
        parse_rttm("\nSPEAKER talk 1 2.977")
