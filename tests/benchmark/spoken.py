"""Synthetic speech as files, made once and kept: dialogues with the time of every word, and sounds without any."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from examples.voices import SAMPLE_RATE_HZ, Samples, SpokenWord
from tests.benchmark.report import BUILD
from tools.checkpoint import evaluation
from tools.checkpoint.evaluation import Recording

SOUNDS = BUILD / "transcription" / "sounds"
SEED = 20261124
DIALOGUE_S = 120
BLOCK_S, PAUSE_S = 28, 5
NEEDED = {"flite": "flite", "espeak-ng": "espeak-ng", "ffmpeg": "ffmpeg"}


@dataclass(frozen=True)
class Spoken:
    """A file at 16 kHz, how long it lasts, and what is said in it, if anything."""

    path: Path
    seconds: float
    said: str = ""
    words: tuple[SpokenWord, ...] = ()


def missing() -> str | None:
    """What must be installed before anything can be spoken."""
    packages = [package for program, package in NEEDED.items() if shutil.which(program) is None]
    return f"sudo apt-get install {' '.join(packages)}" if packages else None


def dialogue(seconds: int, number: int = 0) -> Spoken:
    """About so many seconds of dialogues in one file, every two minutes by other voices; others for each number."""
    path = SOUNDS / (f"dialogue-{seconds}-{number}.flac" if number else f"dialogue-{seconds}.flac")
    told = path.with_suffix(".json")
    if not told.is_file():
        draw = random.Random(SEED + seconds + 100_000 * number)
        parts = max(1, round(seconds / DIALOGUE_S))
        length = seconds / parts
        whole = _joined(evaluation.dialogues(draw, parts, (length, length)))
        _write(path, whole.samples)
        words = [(word.text, word.start_s, word.end_s) for word in whole.words]
        told.write_text(json.dumps({"said": whole.said, "words": words}))
    document = json.loads(told.read_text())
    words = tuple(SpokenWord(*word) for word in document["words"])
    return Spoken(path, soundfile.info(path).duration, document["said"], words)


def without_speech(seconds: float) -> list[tuple[str, Spoken]]:
    """Silence, noises, hum and music, by name, ``seconds`` each."""
    found = []
    for number, (name, samples) in enumerate(evaluation.without_speech(SEED, seconds)):
        path = SOUNDS / f"without-speech-{seconds:g}-{number}.flac"
        if not path.is_file():
            _write(path, samples)
        found.append((name, Spoken(path, len(samples) / SAMPLE_RATE_HZ)))
    return found


def lasting(spoken: Spoken, seconds: int) -> Spoken:
    """The file cut, or heard over and over again, until it lasts so long; never more than one of them in memory."""
    path = SOUNDS / f"{spoken.path.stem}-lasting-{seconds}.flac"
    if not path.is_file():
        samples, _ = soundfile.read(spoken.path, dtype="int16")
        part = path.with_suffix(".part.flac")
        with soundfile.SoundFile(part, "w", SAMPLE_RATE_HZ, 1, "PCM_16") as file:
            left = seconds * SAMPLE_RATE_HZ
            while left > 0:
                file.write(samples[:left])
                left -= len(samples)
        part.replace(path)
    return Spoken(path, float(seconds))


def blocks(spoken: Spoken, count: int) -> Spoken:
    """Its speech in ``count`` blocks of 28 s with 5 s of silence between them: each fills one window of a Whisper."""
    path = SOUNDS / f"{spoken.path.stem}-blocks-{count}.flac"
    if not path.is_file():
        samples, _ = soundfile.read(spoken.path, dtype="float32", stop=count * BLOCK_S * SAMPLE_RATE_HZ)
        parts = np.resize(samples, (count, BLOCK_S * SAMPLE_RATE_HZ))
        _write(path, np.pad(parts, ((0, 0), (0, PAUSE_S * SAMPLE_RATE_HZ))).ravel())
    return Spoken(path, float(count * (BLOCK_S + PAUSE_S)))


def _joined(recordings: Sequence[Recording]) -> Recording:
    words, at_s = list[SpokenWord](), 0.0
    for one in recordings:
        words += [SpokenWord(word.text, word.start_s + at_s, word.end_s + at_s) for word in one.words]
        at_s += len(one.samples) / SAMPLE_RATE_HZ
    samples = np.concatenate([one.samples for one in recordings])
    return Recording(samples, " ".join(one.said for one in recordings), tuple(words))


def _write(path: Path, samples: Samples) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part.flac")
    soundfile.write(part, np.clip(samples, -1, 1), SAMPLE_RATE_HZ, "PCM_16")
    part.replace(path)
