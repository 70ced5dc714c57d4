"""Who spoke when: voices within one recording, and words to voices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transcripts.model import Turn
from transcripts.span import Span
from transcripts.speakers.attribution import attribute

if TYPE_CHECKING:
    from transcripts.speakers.encoder import Embeddings
    from transcripts.speakers.resegmentation import Frames

__all__ = ["Diarization", "SpeakerHints", "Voice", "attribute", "diarize"]

Progress = Callable[[int], None]
"""Told how many milliseconds of the recording are done."""

HOP_MS = 500
LONG_HOP_MS = 1_000
PENALTIES = (1.0, 0.5, 0.25, 0.1, 0.0)
"""For a change of voice: the first, unless a voice that is known to be there goes unheard."""
LONG_MS = 1_200_000
"""With more speech than this the encoder listens at the long hop."""


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

    ``turns`` are in order of time. ``overlaps`` would hold stretches in which several speak at once: this
    method hears one voice at a time, and leaves them empty.
    """

    turns: tuple[Turn, ...] = ()
    voices: tuple[Voice, ...] = ()
    overlaps: tuple[Span, ...] = ()


def diarize(
    path: Path, speech: Sequence[Span], hints: SpeakerHints | None = None, progress: Progress | None = None
) -> Diarization:
    """Find the voices of a recording and give each stretch of speech to one; the same file gives the same
    result.

    Args:
        path: the 16 kHz mono file.
        speech: where there is speech, as ``speech.speech_spans`` finds it.
        hints: what is known of the number of voices.
        progress: told the milliseconds listened to.

    Raises:
        AudioUnreadable: the file cannot be read as 16 kHz mono.
        SpeakersUnavailable: the voice encoder is not installed; the message says what to run.
    """
    from transcripts import audio
    from transcripts.speakers import encoder, resegmentation

    hints = hints or SpeakerHints()
    samples = audio.load(path)
    duration_ms = len(samples) // audio.SAMPLES_PER_MS
    speech = [span & Span(0, duration_ms) or Span(0, 0) for span in speech if span.start_ms < duration_ms]
    speech = [span for span in speech if span.duration_ms]
    if not speech:
        return Diarization()
    hop_ms = HOP_MS if sum(span.duration_ms for span in speech) <= LONG_MS else LONG_HOP_MS
    windows_ms = encoder.windows(speech, hop_ms, duration_ms)
    gain = encoder.speech_gain(samples, speech)
    embeddings = encoder.embed(samples, windows_ms, gain, progress)
    voices = _voices(embeddings, hints)
    frames_ms, stretch = resegmentation.frames_of(speech)
    for penalty in PENALTIES if hints.count else PENALTIES[:1]:
        spoken, learned = resegmentation.follow(embeddings, windows_ms, voices, frames_ms, penalty)
        if len(set(spoken.tolist())) == len(voices):
            break
    return _result(spoken, learned, frames_ms, stretch, speech)


def _voices(embeddings: Embeddings, hints: SpeakerHints) -> Embeddings:
    """The voices, as many as the hints let be."""
    from transcripts.speakers.clusters import LEANING_TO_ONE, cluster

    if hints.count is not None:
        return cluster(embeddings, least=hints.count, most=hints.count)
    if hints.single:
        return cluster(embeddings, likeness=LEANING_TO_ONE)
    return cluster(embeddings, least=2 if hints.single is False else 1)


def _result(
    path: Frames, voices: Embeddings, frames_ms: Frames, stretch: Frames, speech: Sequence[Span]
) -> Diarization:
    import numpy as np

    from transcripts.speakers.resegmentation import FRAME_MS

    _, first = np.unique(path, return_index=True)
    order = [int(path[index]) for index in sorted(first)]
    number = {voice: index + 1 for index, voice in enumerate(order)}
    turns: list[Turn] = []
    for index, (voice, start_ms) in enumerate(zip(path, frames_ms, strict=True)):
        speaker = number[int(voice)]
        end_ms = min(int(start_ms) + FRAME_MS, speech[int(stretch[index])].end_ms)
        if turns and turns[-1].speaker == speaker and turns[-1].end_ms == int(start_ms):
            turns[-1] = Turn(speaker, turns[-1].start_ms, end_ms)
        else:
            turns.append(Turn(speaker, int(start_ms), end_ms))
    heard = dict.fromkeys(number.values(), 0)
    for turn in turns:
        heard[turn.speaker] += turn.span.duration_ms
    return Diarization(
        turns=tuple(turns),
        voices=tuple(
            Voice(number[voice], tuple(float(x) for x in voices[voice]), heard[number[voice]])
            for voice in order
        ),
    )
