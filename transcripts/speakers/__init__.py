"""Who spoke when: voices within one recording, and words to voices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transcripts.model import Turn
from transcripts.span import Span, merge
from transcripts.speakers.attribution import attribute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from transcripts.speakers.encoder import Embeddings
    from transcripts.speakers.resegmentation import Frames

__all__ = ["Diarization", "SpeakerHints", "Voice", "attribute", "diarize"]

Progress = Callable[[int], None]
"""Told how many milliseconds of the recording are done."""

HOP_MS = 500
CROWD = 7
"""From so many voices on, found without a known count, some are likely to be several people who sound alike."""
CROWDED = (
    "So many voices were found that some speakers may be several people; tell how many speak if you know."
)
PENALTIES = (1.0, 0.5, 0.25, 0.1, 0.0)
"""For a change of voice: the first, unless a voice that is known to be there goes unheard."""


@dataclass(frozen=True, slots=True)
class SpeakerHints:
    """What is known beforehand.

    ``count``: exactly so many voices. ``single``: True when one is expected (a self-recorded story), False
    when more than one is (an interview), None when nothing is known. The count is obeyed, ``single`` leans.
    """

    count: int | None = None
    single: bool | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"a recording has one speaker or more, not {self.count}")


@dataclass(frozen=True, slots=True)
class Voice:
    """One speaker's voice: ``embedding`` has 256 numbers and unit length, ``speech_ms`` is how much was
    heard."""

    speaker: int
    embedding: tuple[float, ...]
    speech_ms: int


@dataclass(frozen=True, slots=True)
class Diarization:
    """Who spoke when. Speakers count from 1 in the order in which they first speak.

    ``turns`` are in order of time; those of two speakers overlap where both speak at once. ``overlaps`` are these
    stretches, in order and apart. ``uncertain`` says in a sentence why the speakers may not be those who spoke;
    it is empty where there is no such reason.
    """

    turns: tuple[Turn, ...] = ()
    voices: tuple[Voice, ...] = ()
    overlaps: tuple[Span, ...] = ()
    uncertain: str = ""


def diarize(
    path: Path, speech: Sequence[Span], hints: SpeakerHints | None = None, progress: Progress | None = None
) -> Diarization:
    """Find the voices of a recording and give each stretch of speech to one, or to two who speak at once.

    The same file gives the same result. The sound is read a minute or two at a time; what is kept is an embedding
    for each half second of speech, so twelve hours need little more memory than one.

    Args:
        path: the 16 kHz mono file.
        speech: where there is speech, as ``speech.voiced_spans`` finds it.
        hints: what is known of the number of voices.
        progress: told the milliseconds listened to.

    Raises:
        AudioUnreadable: the file cannot be read as 16 kHz mono.
        SpeakersUnavailable: the voice encoder is not installed; the message says what to run.
    """
    import numpy as np

    from transcripts import audio
    from transcripts.speakers import encoder, overlap, resegmentation

    hints = hints or SpeakerHints()
    duration_ms = audio.duration_ms(path)
    within = [span & Span(0, duration_ms) for span in speech]
    speech = [span for span in within if span]
    if not speech:
        return Diarization()
    windows_ms = encoder.windows(speech, HOP_MS, duration_ms)
    gain = encoder.speech_gain(path, speech)
    embeddings = encoder.embed(path, windows_ms, gain, progress)
    voices = _voices(embeddings, hints)
    frames_ms, stretch = resegmentation.frames_of(speech)
    hearing = resegmentation.hearing(windows_ms, frames_ms)
    for penalty in PENALTIES if hints.count else PENALTIES[:1]:
        spoken, learned = resegmentation.follow(embeddings, hearing, voices, penalty)
        if len(set(spoken.tolist())) == len(voices):
            break
    second = overlap.second_voices(embeddings, hearing, learned, spoken)
    alone = np.where(second < 0, spoken, -1)
    learned = resegmentation.learn(hearing, embeddings, alone, learned)
    ends_ms = np.array([span.end_ms for span in speech])[stretch]
    found = _result(spoken, second, learned, frames_ms, ends_ms)
    crowded = hints.count is None and len(found.voices) >= CROWD
    return replace(found, uncertain=CROWDED) if crowded else found


def _voices(embeddings: Embeddings, hints: SpeakerHints) -> Embeddings:
    """The voices, as many as the hints let be."""
    from transcripts.speakers.clusters import LEANING_TO_ONE, MAX_SPEAKERS, cluster

    if hints.count is not None:
        return cluster(embeddings, least=hints.count, most=hints.count)
    if hints.single:
        return cluster(embeddings, likeness=LEANING_TO_ONE)
    return cluster(embeddings, least=2 if hints.single is False else 1, most=MAX_SPEAKERS)


def _result(
    path: Frames, second: Frames, voices: Embeddings, frames_ms: Frames, ends_ms: Frames
) -> Diarization:
    """The turns of the frames, which start at ``frames_ms`` in stretches of speech that end at ``ends_ms``."""
    import numpy as np

    from transcripts.speakers.resegmentation import FRAME_MS

    ends_ms = np.minimum(frames_ms + FRAME_MS, ends_ms)
    found = []
    for voice in range(len(voices)):
        spans = _runs((path == voice) | (second == voice), frames_ms, ends_ms)
        if spans:
            found.append((spans, tuple(float(x) for x in voices[voice])))
    found.sort(key=lambda one: one[0][0])
    turns = [Turn(number, *_edges(span)) for number, (spans, _) in enumerate(found, 1) for span in spans]
    return Diarization(
        turns=tuple(sorted(turns, key=lambda turn: (turn.start_ms, turn.end_ms, turn.speaker))),
        voices=tuple(
            Voice(number, embedding, sum(span.duration_ms for span in spans))
            for number, (spans, embedding) in enumerate(found, 1)
        ),
        overlaps=tuple(_runs(second >= 0, frames_ms, ends_ms)),
    )


def _runs(chosen: NDArray[np.bool_], starts_ms: Frames, ends_ms: Frames) -> list[Span]:
    """The chosen frames as spans; those that touch are one."""
    return merge(
        Span(int(start), int(end)) for start, end in zip(starts_ms[chosen], ends_ms[chosen], strict=True)
    )


def _edges(span: Span) -> tuple[int, int]:
    return span.start_ms, span.end_ms
