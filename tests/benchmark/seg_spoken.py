"""Interviews of ``seg_stories``, spoken by synthetic voices and heard by the project's own recogniser and diarizer.

Voices, rooms and noise are those of ``conversations``. The pauses between stories are drawn like those within them.
A change of the recogniser's code is not noticed: delete build/benchmark/themes/interviews after one.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from examples.voices import SAMPLE_RATE_HZ, Samples, WordsLost, speak
from tests.benchmark.conversations import people
from tests.benchmark.report import BUILD
from tests.benchmark.seg_stories import Line, interview
from tools.checkpoint import speech
from transcripts import engines
from transcripts.engines import RecogniserOptions
from transcripts.model import Segment, Transcript, Word
from transcripts.scoring import word_error_rate
from transcripts.speakers import attribute, diarize
from transcripts.speech import voiced_spans

FOLDER = BUILD / "themes" / "interviews"
TELLERS = 3


@dataclass(frozen=True)
class Interview:
    """As a transcript, and the segments at which a new story begins."""

    transcript: Transcript
    boundaries: tuple[int, ...]


@dataclass(frozen=True)
class Timed:
    """A line as spoken: its words are texts with start and end in milliseconds."""

    speaker: int
    story: int
    words: list[tuple[str, int, int]]


def written(seed: int, subjects: tuple[str, ...], stories: tuple[int, int]) -> Interview:
    """The script's own text, its speakers and boundaries: nothing misheard."""
    lines = interview(seed, subjects, *stories)
    timed = [Timed(line.speaker, line.story, [(word, 0, 0) for word in line.text.split()]) for line in lines]
    told = _transcript([(line.speaker + 1, line.words) for line in timed])
    return Interview(told, tuple(i for i, (a, b) in enumerate(pairwise(lines), 1) if a.story != b.story))


def heard_all(
    seeds: Sequence[int], subjects: tuple[str, ...], stories: tuple[int, int], processes: int = 2
) -> list[tuple[Interview, float]]:
    """Each as recognised and attributed, made once and kept, and its word error rate in percent.

    Each is made in a process of its own: espeak-ng remembers what it said, and a little of it is heard again.
    """
    make = partial(heard, subjects=subjects, stories=stories)
    missing = [seed for seed in seeds if not _kept(_sound(seed, subjects, stories)).is_file()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        list(pool.map(make, missing))
    return [make(seed) for seed in seeds]


def heard(seed: int, subjects: tuple[str, ...], stories: tuple[int, int]) -> tuple[Interview, float]:
    """As recognised and attributed, made once and kept, and its word error rate in percent.

    A true boundary lies where the next story's first word begins; it is moved to the nearest start of a segment.
    """
    path, said = _told(seed, subjects, stories)
    kept = _kept(path)
    if not kept.is_file():
        found = _recognised(path)
        rows = [
            [one.speaker or 0, [(w.text, w.start_ms, w.end_ms) for w in one.words]] for one in found.segments
        ]
        kept.write_text(json.dumps(rows))
    told = _transcript(json.loads(kept.read_text()))
    rate = word_error_rate(" ".join(word for line in said for word, _, _ in line.words), told.text).rate
    return Interview(told, _mapped(said, told)), 100 * rate


def _told(seed: int, subjects: tuple[str, ...], stories: tuple[int, int]) -> tuple[Path, list[Timed]]:
    """The sound of an interview, made once, and what is said in it."""
    path = _sound(seed, subjects, stories)
    said = path.with_suffix(".said.json")
    if not said.is_file():
        lines = _spoken(path, seed, interview(seed, subjects, *stories))
        said.write_text(json.dumps([asdict(line) for line in lines]))
    return path, [Timed(**line) for line in json.loads(said.read_text())]


def _sound(seed: int, subjects: tuple[str, ...], stories: tuple[int, int]) -> Path:
    return FOLDER / f"{seed}-{subjects[0]}-{stories[0]}-{stories[1]}.flac"


def _kept(path: Path) -> Path:
    """What this checkpoint hears in a sound."""
    return path.with_suffix(f".{_checkpoint()}.json")


@cache
def _checkpoint() -> str:
    """What tells this checkpoint from every other: another hears otherwise."""
    return hashlib.sha256(engines.builtin_path("demo").read_bytes()).hexdigest()[:8]


def _mapped(said: Sequence[Timed], told: Transcript) -> tuple[int, ...]:
    starts = np.array([segment.start_ms for segment in told.segments])
    true = [b.words[0][1] for a, b in pairwise(said) if a.story != b.story]
    nearest = {int(np.abs(starts - start).argmin()) for start in true}
    return tuple(sorted(nearest - {0}))


def _transcript(rows: Sequence[tuple[int, Sequence[tuple[str, int, int]]]]) -> Transcript:
    numbers = iter(range(1 << 30))
    return Transcript(
        "en",
        tuple(
            Segment(
                tuple(Word(str(next(numbers)), start, end, f" {text.strip()}") for text, start, end in words),
                speaker or None,
            )
            for speaker, words in rows
        ),
    )


def _recognised(path: Path) -> Transcript:
    heard = engines.load().transcribe(path, RecogniserOptions(model="demo", language="en")).transcript
    return attribute(heard, diarize(path, voiced_spans(path)))


def _spoken(path: Path, seed: int, script: Sequence[Line]) -> list[Timed]:
    """The file, and what is said in it; a line that the synthesiser loses count of is left out."""
    draw = random.Random(f"sound {seed}")
    voices = people(draw, TELLERS + 1)
    rooms = [speech.room(draw) for _ in voices]
    parts: list[Samples] = [np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
    lines, at = list[Timed](), len(parts[0])
    for line in script:
        try:
            made = speak(voices[line.speaker], line.text)
        except WordsLost:
            continue
        wet = fftconvolve(made.samples, rooms[line.speaker])[: len(made.samples)].astype(np.float32)
        start_ms = 1000 * at / SAMPLE_RATE_HZ
        words = [
            (w.text, round(start_ms + 1000 * w.start_s), round(start_ms + 1000 * w.end_s)) for w in made.words
        ]
        lines.append(Timed(line.speaker, line.story, words))
        parts += [wet, np.zeros(int(draw.uniform(0.2, 0.9) * SAMPLE_RATE_HZ), np.float32)]
        at += len(parts[-1]) + len(parts[-2])
    sound = np.concatenate(parts)
    generator = np.random.default_rng(seed)
    noise = speech.level(speech.noise(generator, len(sound) / SAMPLE_RATE_HZ + 1, 0.5)[: len(sound)])
    sound = sound + noise * np.float32(10 ** (-draw.uniform(20, 30) / 20))
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(sound, -1, 1), SAMPLE_RATE_HZ, "PCM_16")
    return lines
