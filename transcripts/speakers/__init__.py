"""Who spoke when: voices within one recording, and words to voices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from transcripts.model import Turn
from transcripts.span import Span, merge, shared
from transcripts.speakers.attribution import attribute

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from transcripts.audio import Read
    from transcripts.speakers.clusters import Likeness
    from transcripts.speakers.counting import Counts
    from transcripts.speakers.encoder import Embeddings, Windows
    from transcripts.speakers.resegmentation import Frames
    from transcripts.speakers.segmentation import LocalVoices

__all__ = ["Diarization", "SpeakerHints", "Voice", "attribute", "diarize"]

Progress = Callable[[int], None]
"""Told how many milliseconds of the recording are done."""

HOP_MS, LONG_HOP_MS = 500, 700
"""How far apart the encoder's windows are; the other in a recording that is not short, which has enough of them."""
BOTH_WINDOW_MS, BOTH_HOP_MS = 1_000, 250
"""Where two speak at once the encoder listens for shorter: who they are may change before a whole window is over."""
PAUSE_MS = 400
"""Somebody who pauses for less within a stretch of speech is still heard to speak."""
SEGMENTED = 0.8
"""How much of what is believed of the number of voices is pyannote's network's, where it is there."""
SOLID_MS, FEW = 600, 8
"""Shorter windows tell no voices apart, unless there are fewer than so many longer ones."""
CROWD = 7
"""From so many voices on, found without a known count, some are likely to be several people who sound alike."""
CROWDED = "So many voices were found that some speakers may be several people."
PENALTIES = (0.25, 0.1, 0.05, 0.0)
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
    from transcripts.speakers import encoder
    from transcripts.speakers.apart import part
    from transcripts.speakers.segmentation import SHORT_MS

    hints = hints or SpeakerHints()
    duration_ms = audio.duration_ms(path)
    within = [span & Span(0, duration_ms) for span in speech]
    counts, local = _counts(audio.reader(path), duration_ms)
    speech = _spoken([span for span in within if span], counts)
    if not speech:
        return Diarization()
    frames = _frames(speech, counts)
    parts = frames.parts
    windows_ms = _windows(frames, HOP_MS if duration_ms <= SHORT_MS else LONG_HOP_MS)
    of_window = np.searchsorted([one.start_ms for one in parts], windows_ms[:, 0], side="right") - 1
    embeddings = encoder.embed(path, windows_ms, encoder.speech_gain(path, speech), progress)
    alone = frames.of_part(frames.speaking == 1)[of_window]
    if not alone.any():
        alone[:] = True
    solid = alone & (windows_ms[:, 1] >= SOLID_MS)
    certain = embeddings[solid if solid.sum() >= FEW else alone]
    heard = windows_ms[alone], of_window[alone], embeddings[alone]
    spoken, voices = _follow(frames, *heard, _voices(certain, replace(hints, count=None)))
    if local is not None:
        whose = _whose(frames, spoken, windows_ms[alone])
        parted = part(local, embeddings[alone], windows_ms[alone], whose, voices, _likeness(hints).apart)
        if len(parted) > len(voices):
            spoken, voices = _follow(frames, *heard, parted)
    if hints.count not in (None, len(set(spoken.tolist()))):
        spoken, voices = _follow(frames, *heard, _voices(certain, hints), known=True)
    voices = _sound(frames, spoken, voices, windows_ms[solid], embeddings[solid])
    spoken, second = _both(frames, spoken, voices, windows_ms, of_window, embeddings)
    found = _result(spoken, second, voices, frames)
    crowded = hints.count is None and len(found.voices) >= CROWD
    return replace(found, uncertain=CROWDED) if crowded else found


def _counts(read: Read, duration_ms: int) -> tuple[Counts, LocalVoices | None]:
    """How many speak at once, by both networks: one learned from people, the other from single voices laid together;
    and who speaks alone within each ten seconds, as only the first one knows.

    Each hears overlap where the other does not, so their mean is better than either (the linear opinion pool of
    Stone 1961).
    """
    from transcripts.speakers import counting, segmentation

    counts = counting.count_voices(read, 0, duration_ms)
    if not segmentation.available():
        return counts, None
    others, local = segmentation.listen(read, duration_ms)
    return (1 - SEGMENTED) * counts + SEGMENTED * others, local


def _spoken(speech: Sequence[Span], counts: Counts) -> list[Span]:
    """The speech in which somebody is heard to speak; all of it, where that leaves little."""
    from transcripts.speakers import counting

    heard = shared(speech, merge(counting.active(counts), PAUSE_MS))
    enough = sum(span.duration_ms for span in heard) * 2 > sum(span.duration_ms for span in speech)
    return heard if enough else list(speech)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """The frames of the speech, in order; arrays have shape (m,).

    ``stretch`` is the number of the stretch of speech that each lies in, ``speaking`` how many speak, 0 to 2, ``part``
    the number of the part: a stretch is parted where another number of voices speaks. ``edges`` are where parts begin,
    and the end.
    """

    starts_ms: Frames
    ends_ms: Frames
    stretch: Frames
    speaking: Frames
    part: Frames
    edges: Frames

    @property
    def parts(self) -> list[Span]:
        """The parts, in order."""
        ends = self.edges[1:] - 1
        return [
            Span(int(start), int(end))
            for start, end in zip(self.starts_ms[self.edges[:-1]], self.ends_ms[ends], strict=True)
        ]

    def of_part(self, of_frame: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """What holds for the frames of each part, by part."""
        return of_frame[self.edges[:-1]]


def _frames(speech: Sequence[Span], counts: Counts) -> _Frames:
    import numpy as np

    from transcripts.speakers import counting
    from transcripts.speakers.resegmentation import FRAME_MS, frames_of

    starts_ms, stretch = frames_of(speech)
    ends_ms = np.minimum(starts_ms + FRAME_MS, np.array([span.end_ms for span in speech])[stretch])
    speaking = counting.speaking(counts, starts_ms, FRAME_MS)
    part = np.cumsum((np.diff(speaking, prepend=speaking[:1]) != 0) | (np.diff(stretch, prepend=0) > 0))
    edges = np.flatnonzero(np.diff(part, prepend=-1, append=-1))
    return _Frames(starts_ms, ends_ms, stretch, speaking, part, edges)


def _windows(frames: _Frames, hop_ms: int) -> Windows:
    """Where the encoder listens, in order: where two speak at once more closely."""
    import numpy as np

    from transcripts.speakers import encoder

    parts, two = frames.parts, frames.of_part(frames.speaking == 2)
    alone = [part for part, both in zip(parts, two, strict=True) if not both]
    together = [part for part, both in zip(parts, two, strict=True) if both]
    found = [encoder.windows(alone, hop_ms), encoder.windows(together, BOTH_HOP_MS, BOTH_WINDOW_MS)]
    windows_ms = np.concatenate(found)
    return windows_ms[np.argsort(windows_ms[:, 0], kind="stable")]


def _follow(
    frames: _Frames,
    windows_ms: Windows,
    of_window: Frames,
    embeddings: Embeddings,
    voices: Embeddings,
    *,
    known: bool = False,
) -> tuple[Frames, Embeddings]:
    """The voice of each frame, and the voices as they sound where one speaks alone, which is all that is listened to.

    When their number is ``known``, a change of voice costs less and less until each of them is heard.
    """
    from transcripts.speakers.resegmentation import follow, hearing

    heard = hearing(windows_ms, of_window, frames.starts_ms, frames.part)
    heard = heard.multiply((frames.speaking < 2)[:, None]).tocsr()
    for penalty in PENALTIES if known else PENALTIES[:1]:
        spoken, learned = follow(embeddings, heard, voices, penalty)
        if len(set(spoken.tolist())) == len(voices):
            break
    return spoken, learned


def _sound(
    frames: _Frames,
    spoken: Frames,
    voices: Embeddings,
    windows_ms: Windows,
    embeddings: Embeddings,
) -> Embeddings:
    """The voices as they sound in their longer windows; one that has none stays as it is."""
    import numpy as np

    from transcripts.speakers.encoder import unit

    sound = voices.copy()
    whose = _whose(frames, spoken, windows_ms)
    for voice in np.unique(whose):
        sound[voice] = unit(embeddings[whose == voice].mean(axis=0)[None])[0]
    return sound


def _whose(frames: _Frames, spoken: Frames, windows_ms: Windows) -> Frames:
    """The voice at the middle of each window."""
    import numpy as np

    middles = windows_ms.sum(axis=1) - windows_ms[:, 1] // 2
    whose: Frames = spoken[np.searchsorted(frames.starts_ms, middles, side="right") - 1]
    return whose


def _both(
    frames: _Frames,
    spoken: Frames,
    voices: Embeddings,
    windows_ms: Windows,
    of_window: Frames,
    embeddings: Embeddings,
) -> tuple[Frames, Frames]:
    """The voice of each frame, and the second one where two speak at once, else -1."""
    import numpy as np

    from transcripts.speakers.overlap import NOBODY, pairs, stretches

    first, second = spoken.copy(), np.full(len(spoken), NOBODY, dtype=np.int64)
    together = frames.speaking == 2
    there = set(spoken[~together].tolist())
    middles = windows_ms[:, 0] + windows_ms[:, 1] // 2
    for both in stretches(together, spoken, frames.stretch) if len(there) > 1 else ():
        bounds = frames.part[both.first], frames.part[both.last - 1] + 1
        heard = slice(*np.searchsorted(of_window, bounds).tolist())
        start_ms, end_ms = int(frames.starts_ms[both.first]), int(frames.ends_ms[both.last - 1])
        halves = _halves(embeddings[heard], middles[heard], (start_ms + end_ms) // 2)
        two = pairs(halves, voices, there, both, end_ms - start_ms)
        half = (both.first + both.last) // 2
        for (one, other), part in zip(two, (slice(both.first, half), slice(half, both.last)), strict=True):
            first[part], second[part] = one, other
    return first, second


def _halves(heard: Embeddings, middles_ms: Frames, middle_ms: int) -> Embeddings:
    """The mean of what is heard up to the middle, and from there on; of everything, where a half has no window."""
    import numpy as np

    sides = [heard[middles_ms <= middle_ms], heard[middles_ms >= middle_ms]]
    return np.stack([(side if len(side) else heard).mean(axis=0) for side in sides])


def _voices(embeddings: Embeddings, hints: SpeakerHints) -> Embeddings:
    """The voices, as many as the hints let be."""
    from transcripts.speakers.clusters import cluster, two_voices

    if hints.count is not None:
        return cluster(embeddings, least=hints.count, most=hints.count)
    voices = cluster(embeddings, likeness=_likeness(hints))
    if hints.single is False and len(voices) == 1:
        return two_voices(embeddings)
    return voices


def _likeness(hints: SpeakerHints) -> Likeness:
    """How alike voices must be to be one."""
    from transcripts.speakers.clusters import LEANING_TO_ONE, Likeness

    return LEANING_TO_ONE if hints.single else Likeness()


def _result(path: Frames, second: Frames, voices: Embeddings, frames: _Frames) -> Diarization:
    """The turns of the frames."""
    found = []
    for voice in range(len(voices)):
        spans = _runs((path == voice) | (second == voice), frames)
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
        overlaps=tuple(_runs(second >= 0, frames)),
    )


def _runs(chosen: NDArray[np.bool_], frames: _Frames) -> list[Span]:
    """The chosen frames as spans; those that touch are one."""
    starts_ms, ends_ms = frames.starts_ms[chosen], frames.ends_ms[chosen]
    return merge(Span(int(start), int(end)) for start, end in zip(starts_ms, ends_ms, strict=True))


def _edges(span: Span) -> tuple[int, int]:
    return span.start_ms, span.end_ms
