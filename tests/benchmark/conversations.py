"""Conversations of made-up people: synthetic voices in rooms and noise who now and then speak at once.

A person is one of flite's voices of recorded people (awb, rms, slt) or its diphone voice kal16, with a larger or
smaller throat by being played slower or faster, pitch and all. espeak-ng's variants are left out: an encoder that
learned human voices hears most of them as one. What is said and when is known to the word.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, WordsLost, speak
from tests.benchmark.report import BUILD
from tools.checkpoint import speech, text
from transcripts.model import Segment, Turn, Word

SOUNDS = BUILD / "speakers" / "sounds"
BASES = ("awb", "rms", "slt", "kal16")
THROATS = (0.88, 0.94, 1.0, 1.06, 1.12)
PAUSE_MS = 300
"""A turn goes on over shorter pauses, as in NIST's Rich Transcription evaluations."""
INTERJECTIONS = ("Yes.", "Right.", "I see.", "Of course.", "Really?")


@dataclass(frozen=True)
class Said:
    """A sentence in a conversation: who says it, from 1, and its words."""

    speaker: int
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Conversation:
    """A file at 16 kHz and what is said in it, in the order in which it begins."""

    path: Path
    sentences: tuple[Said, ...]

    @property
    def speakers(self) -> int:
        """How many speak."""
        return len({said.speaker for said in self.sentences})

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The sentences as a recogniser would write them, by nobody yet."""
        return tuple(Segment(said.words) for said in self.sentences)

    @property
    def turns(self) -> list[Turn]:
        """Who speaks when: words, and the short pauses between them."""
        found: list[Turn] = []
        for speaker in sorted({said.speaker for said in self.sentences}):
            own = [word for said in self.sentences if said.speaker == speaker for word in said.words]
            start_ms = own[0].start_ms
            for word, following in pairwise([*own, None]):
                if word and (following is None or following.start_ms - word.end_ms >= PAUSE_MS):
                    found.append(Turn(speaker, start_ms, word.end_ms))
                    start_ms = following.start_ms if following else 0
        return sorted(found, key=lambda turn: (turn.start_ms, turn.end_ms))


def people(draw: random.Random, count: int) -> list[Voice]:
    """Different people: of different voices as far as there are, then of clearly different throats."""
    throats = [(base, throat) for base in BASES for throat in THROATS]
    draw.shuffle(throats)
    chosen: list[tuple[str, float]] = []
    for base, throat in throats * 2:
        used = [name for name, _ in chosen].count(base)
        if used <= len(chosen) // len(BASES) and (base, throat) not in chosen and len(chosen) < count:
            chosen.append((base, throat))
    return [
        Voice("flite", base, throat, {"f0": draw.uniform(0.95, 1.05), "stretch": draw.uniform(0.95, 1.15)})
        for base, throat in chosen
    ]


def conversation(name: str, seed: int, voices: int, seconds: float, overlap: float = 0.1) -> Conversation:
    """About so many seconds of talk between so many people, made once and kept.

    Args:
        name: of the file.
        seed: of everything that is drawn.
        voices: how many people; one alone tells a story.
        seconds: how long.
        overlap: about the share of the time with speech in which two speak at once.
    """
    path = SOUNDS / f"{name}-{seed}-{voices}-{seconds:g}-{overlap:g}.flac"
    told = path.with_suffix(".json")
    if not told.is_file():
        draw = random.Random(f"{seed} {voices} {seconds}")
        samples, sentences = _laid(draw, people(draw, voices), seconds, overlap)
        SOUNDS.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.clip(samples, -1, 1), SAMPLE_RATE_HZ, "PCM_16")
        rows = [
            [said.speaker, [[word.text, word.start_ms, word.end_ms] for word in said.words]]
            for said in sentences
        ]
        told.write_text(json.dumps(rows))
    return Conversation(path, tuple(_numbered(json.loads(told.read_text()))))


def _numbered(rows: Sequence[tuple[int, list[tuple[str, int, int]]]]) -> Iterator[Said]:
    number = 0
    for speaker, words in rows:
        yield Said(
            speaker,
            tuple(Word(str(number + i), start, end, said) for i, (said, start, end) in enumerate(words)),
        )
        number += len(words)


def _laid(
    draw: random.Random, voices: Sequence[Voice], seconds: float, overlap: float
) -> tuple[Samples, list[Said]]:
    """The sentences at their places, each person from a place in the room, over pink noise at 15 to 30 dB."""
    rooms = [speech.room(draw) for _ in voices]
    levels = [10 ** (draw.uniform(-6, 0) / 20) for _ in voices]
    sound = np.zeros(int((seconds + 60) * SAMPLE_RATE_HZ), np.float32)
    sentences: list[Said] = []
    end_s, both_s = 0.5, 0.0
    for speaker, sentence, interjected in _script(draw, len(voices)):
        try:
            spoken = speak(voices[speaker], sentence)
        except WordsLost:
            continue
        length_s = len(spoken.samples) / SAMPLE_RATE_HZ
        at_s = end_s + draw.uniform(0.1, 0.8)
        changes = bool(sentences) and sentences[-1].speaker != speaker + 1
        if changes and both_s < overlap * end_s:
            last_s = end_s - sentences[-1].words[0].start_ms / 1000
            shared_s = min(length_s if interjected else draw.uniform(0.4, 2.0), 0.7 * last_s, length_s)
            at_s = end_s - shared_s - (draw.uniform(0.2, 0.5) * (last_s - shared_s) if interjected else 0)
            both_s += shared_s
        wet = fftconvolve(spoken.samples, rooms[speaker]).astype(np.float32) * np.float32(levels[speaker])
        first = int(at_s * SAMPLE_RATE_HZ)
        sound[first : first + len(wet)] += wet
        words = tuple(
            Word("", round(1000 * (at_s + w.start_s)), round(1000 * (at_s + w.end_s)), f" {w.text}")
            for w in spoken.words
        )
        sentences.append(Said(speaker + 1, words))
        end_s = max(end_s, at_s + length_s)
        if end_s >= seconds:
            break
    sound = sound[: int((end_s + 0.5) * SAMPLE_RATE_HZ)]
    generator = np.random.default_rng(draw.randrange(1 << 30))
    noise = speech.level(speech.noise(generator, len(sound) / SAMPLE_RATE_HZ + 1, 0.5)[: len(sound)])
    sentences.sort(key=lambda said: said.words[0].start_ms)
    return sound + noise * np.float32(10 ** (-draw.uniform(15, 30) / 20)), sentences


def _script(draw: random.Random, voices: int) -> Iterator[tuple[int, str, bool]]:
    """Who says what, without end: the first asks, others answer, and a listener puts in a word now and then."""
    speaker = 0
    while True:
        for _ in range(1 if speaker == 0 and voices > 1 else draw.randint(1, 4)):
            yield speaker, text.question(draw) if speaker == 0 and voices > 1 else text.plain(draw), False
            if voices > 1 and draw.random() < 0.15:
                listener = draw.choice([one for one in range(voices) if one != speaker])
                yield listener, draw.choice(INTERJECTIONS), True
        if voices > 1:
            speaker = draw.choice([one for one in range(voices) if one != speaker])
