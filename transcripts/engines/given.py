"""When each word of a given text was said: an existing transcript is aligned instead of recognised.

Each word first gets a rough time: from the captions' own times, or, where there are none, from the words that the model
hears by itself, compared with the given ones by Levenshtein's distance. Then windows of at most 30 s are aligned with
their given words through the model's attention; nothing is decoded, so no word is lost, added or spelt anew. A sentence
that the sound does not bear out is left out of its window; it keeps its low probability, and a time between its
neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from pathlib import Path

from transcripts import audio
from transcripts.engines import Progress, RecogniserOptions, Recognition, SegmentMeasures
from transcripts.engines.forcing import Aligner, Placed, logprob_of, windows_of
from transcripts.engines.hearing import Ear, hear
from transcripts.engines.recognising import LONGEST_SPEECH_MS, Forward, Loaded, language_of, one_at_a_time
from transcripts.engines.rough import (
    Given,
    has_times,
    laid,
    rough_by_ear,
    rough_by_lines,
    sentences_of,
    words_given,
)
from transcripts.engines.straighten import heard, in_order, trimmed
from transcripts.engines.windows import windows
from transcripts.formats.reading import Line
from transcripts.model import Segment, Transcript, Word
from transcripts.sentences import resegment
from transcripts.span import Span
from transcripts.speech import speech_spans

ENOUGH_HEARD = 0.5
"""Lines of which less was found at their times have the times of another cut of the recording."""
FAR_MS = 1_000
"""A word that was heard by itself this far from where its window's text puts it, is where it was heard."""
SEGMENT_EDGE_MS = 120
"""What a segment that is aligned anew may take of the time around it."""

Tell = Callable[[int], None]


@dataclass(frozen=True)
class _GivenText:
    """A given text in a stretch of a recording.

    ``tell`` hears how many milliseconds are done; ``judged``: some of the text may not be in the sound.
    """

    ear: Ear
    path: Path
    lines: Sequence[Line]
    speech: Sequence[Span]
    within: Span
    tell: Tell = lambda _: None
    judged: bool = True

    @cached_property
    def given(self) -> list[Given]:
        """The lines' words."""
        return words_given(self.ear, self.lines)

    def aligned(self, listen: Callable[[Tell], Sequence[Word]]) -> list[Placed]:
        """Where each word lies; ``listen`` gives the words that the model hears, should the lines' times not do."""
        timed = None
        if has_times(self.lines, self.within.end_ms):
            timed = self.by_lines()
            if _share_heard(timed) >= ENOUGH_HEARD:
                return timed
        length = self.within.end_ms
        known_words = listen(lambda done_ms: self.tell(done_ms // 2))
        rough, known = rough_by_ear(self.given, known_words, self.speech, length)
        may_end = [*(one and other for one, other in pairwise(known)), True]
        forced = self._by_rough(rough, may_end, lambda done_ms: self.tell((length + done_ms) // 2))
        placed = [
            replace(place, span=time, heard=True)
            if sure and (not place.heard or _apart_ms(place.span, time) > FAR_MS)
            else place
            for place, time, sure in zip(forced, rough, known, strict=True)
        ]
        return timed if timed is not None and _share_heard(timed) > _share_heard(placed) else placed

    def by_lines(self) -> list[Placed]:
        """Where each word lies by the times of its line; every line must have one."""
        rough = rough_by_lines(self.given, self.lines, self.speech)
        may_end = [*(one.line != other.line for one, other in pairwise(self.given)), True]
        return self._by_rough(rough, may_end, self.tell)

    def _by_rough(self, rough: Sequence[Span], may_end: Sequence[bool], tell: Tell) -> list[Placed]:
        aligner = Aligner(self.ear, self.path, self.given, sentences_of(self.given), judged=self.judged)
        aligner.align(windows_of(self.given, rough, may_end, self.within), tell)
        return [
            place if place.heard else replace(place, span=time)
            for place, time in zip(aligner.placed, rough, strict=True)
        ]

    def words(self, placed: Sequence[Placed]) -> list[Word]:
        """All words, numbered, in order; those that were not heard lie between their neighbours.

        They share what of the gap is theirs by their rough times, or else all of it.
        """
        known = [index for index, place in enumerate(placed) if place.heard]
        said = [
            Word("", placed[index].span.start_ms, placed[index].span.end_ms, self.given[index].text)
            for index in known
        ]
        ordered = in_order(trimmed(said, self.speech), self.within.end_ms)
        spans = {index: word.span for index, word in zip(known, ordered, strict=True)}
        before = self.within.start_ms
        for is_heard, run in groupby(range(len(self.given)), key=lambda index: placed[index].heard):
            indices = list(run)
            if not is_heard:
                following = spans.get(indices[-1] + 1)
                after = following.start_ms if following else self.within.end_ms
                gap = Span(before, max(before, after))
                own = Span(
                    placed[indices[0]].span.start_ms, max(placed[index].span.end_ms for index in indices)
                )
                texts = [self.given[index].text for index in indices]
                spans.update(zip(indices, laid(texts, gap & own or gap, ()), strict=True))
            before = spans[indices[-1]].end_ms
        return [
            Word(str(index), spans[index].start_ms, spans[index].end_ms, word.text, placed[index].probability)
            for index, word in enumerate(self.given)
        ]

    def speaker(self, word: Word) -> str:
        """Who says a word, as the lines tell."""
        return self.lines[self.given[int(word.id)].line].speaker

    def sentences(self, words: Sequence[Word]) -> tuple[Segment, ...]:
        """The words cut into sentences, none of two speakers."""
        return tuple(segment for _, run in groupby(words, key=self.speaker) for segment in resegment(run))

    def measures(self, segment: Segment) -> SegmentMeasures:
        """How likely its tokens are; whether there is speech is not asked, as the text is given."""
        from whisper.utils import compression_ratio

        logprob = logprob_of((self.given[int(word.id)], word.probability) for word in segment.words)
        return SegmentMeasures(logprob, float(compression_ratio(segment.text)), no_speech_prob=0.0)


def _apart_ms(one: Span, other: Span) -> int:
    return abs(one.start_ms - other.start_ms)


def _share_heard(placed: Sequence[Placed]) -> float:
    return sum(one.heard for one in placed) / max(1, len(placed))


def align(
    engine: str,
    load: Callable[[], Loaded],
    path: Path,
    lines: Sequence[Line],
    options: RecogniserOptions,
    progress: Progress | None,
) -> Recognition:
    """Find the given words in the file with the model that ``load`` gives; see ``engines.Recogniser``."""
    duration = audio.duration_ms(path)
    speech = speech_spans(path, longest_ms=LONGEST_SPEECH_MS)
    tell = Forward(progress or (lambda _: None))
    with one_at_a_time:
        loaded = load()
        parts = windows(speech, duration)
        language, probability, known = language_of(loaded, path, parts, options.language)
        ear = loaded.ear(language, () if loaded.plain else options.vocabulary)

        def listen(tell: Tell) -> list[Word]:
            said = hear(
                ear, path, parts, speech, beams=options.beam_size, seed=options.seed, tell=tell, known=known
            )
            return [word for segment in heard(said.segments, speech) for word in segment.words]

        task = _GivenText(ear, path, lines, speech, Span(0, duration), tell)
        sentences = task.sentences(task.words(task.aligned(listen)))
    tell(duration)
    return Recognition(
        transcript=Transcript(language, sentences),
        language=language,
        language_probability=probability,
        engine=engine,
        model=loaded.name,
        model_sha256=loaded.sha256,
        measures=tuple(task.measures(sentence) for sentence in sentences),
        labels=tuple(task.speaker(sentence.words[0]) for sentence in sentences),
    )


def align_segment(
    load: Callable[[], Loaded], path: Path, span: Span, text: str, options: RecogniserOptions
) -> tuple[Word, ...]:
    """The words of a text that is said within a span of the file; see ``engines.Recogniser``."""
    duration = audio.duration_ms(path)
    within = Span(
        max(0, min(span.start_ms, duration) - SEGMENT_EDGE_MS), min(duration, span.end_ms + SEGMENT_EDGE_MS)
    )
    sound = audio.load(path, within.start_ms, within.end_ms)
    speech = [part.shift(within.start_ms) for part in speech_spans(sound, longest_ms=LONGEST_SPEECH_MS)]
    with one_at_a_time:
        loaded = load()
        language = language_of(loaded, path, windows(speech, duration), options.language).language
        ear = loaded.ear(language, ())
        task = _GivenText(ear, path, [Line(" ".join(text.split()), span)], speech, within, judged=False)
        return tuple(task.words(task.by_lines()))
