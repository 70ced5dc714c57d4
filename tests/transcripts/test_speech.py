from itertools import pairwise

import numpy as np
import soundfile

from transcripts.span import Span
from transcripts.speech import speech_spans


def test_where_nobody_speaks_there_is_no_speech(not_speech):
    assert speech_spans(not_speech) == []


def test_speech_is_found_where_it_is(interview):
    spans = speech_spans(interview.path)
    said = [Span(line.start_ms, line.end_ms) for line in interview.lines]
    for line in said:
        heard = sum(line.overlap_ms(span) for span in spans)
        assert heard > 0.9 * line.duration_ms
    outside = sum(span.duration_ms - sum(span.overlap_ms(line) for line in said) for span in spans)
    assert outside < 0.2 * sum(line.duration_ms for line in said)


def test_spans_are_apart_in_order_and_inside(interview):
    spans = speech_spans(interview.path)
    assert all(one.end_ms < other.start_ms for one, other in pairwise(spans))
    assert spans[-1].end_ms <= soundfile.info(interview.path).frames / 16


def test_samples_and_their_file_give_the_same(story):
    samples, _ = soundfile.read(story.path, dtype="float32")
    before = samples.copy()
    assert speech_spans(samples) == speech_spans(story.path)
    assert np.array_equal(samples, before)


def test_quiet_speech_is_found(story):
    samples, _ = soundfile.read(story.path, dtype="float32")
    assert len(speech_spans(samples * 0.1)) >= 1
