"""How well a checkpoint hears what training never said: sentences, voices, lines and silences it does not know.

Everything goes through ``whisper.load_model`` and ``whisper.transcribe(..., word_timestamps=True)``, unmodified.
"""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import whisper
from whisper.audio import load_audio

from examples.voices import SAMPLE_RATE_HZ, Samples, SpokenWord, Voice, WordsLost, speak
from tools.checkpoint import speech, text
from transcripts.scoring import WordErrors, word_error_rate

FESTIVAL_VOICE = "voice_cmu_us_slt_arctic_hts"
UNSEEN = ("en-us-nyc+f4", "en-029+m6")
SPEECH_TO_NOISE_DB = 15.0


@dataclass(frozen=True)
class Recording:
    """Samples at 16 kHz and the words said in them; a word's span is in seconds; none where no engine told."""

    samples: Samples
    said: str
    words: tuple[SpokenWord, ...] = ()


@dataclass(frozen=True)
class Heard:
    """What the checkpoint made of some recordings.

    Attributes:
        errors: word errors over all of them.
        starts_s: for each word that was heard right, heard start minus true start in seconds.
        wrong: the recordings with errors: what was said, what was heard.
    """

    errors: WordErrors
    starts_s: tuple[float, ...]
    wrong: tuple[tuple[str, str], ...]


def transcribe(
    model: whisper.Whisper, samples: Samples, **options: Any
) -> tuple[str, list[tuple[str, float]]]:
    """The text and each word's start in seconds, by the library's own function."""
    found = whisper.transcribe(model, samples, word_timestamps=True, fp16=False, **options)
    words = [
        (word["word"].strip(), word["start"]) for segment in found["segments"] for word in segment["words"]
    ]
    return str(found["text"]).strip(), words


def hear(model: whisper.Whisper, recordings: Sequence[Recording], **options: Any) -> Heard:
    """Transcribe recordings and compare with what was said."""
    errors = WordErrors(0, 0, 0, 0)
    starts: list[float] = []
    wrong: list[tuple[str, str]] = []
    for recording in recordings:
        heard, words = transcribe(model, recording.samples, **options)
        found = word_error_rate(recording.said, heard)
        errors += found
        if found.errors:
            wrong.append((recording.said, heard))
        starts += _start_errors(recording.words, words)
    return Heard(errors, tuple(starts), tuple(wrong))


def _start_errors(said: Sequence[SpokenWord], heard: Sequence[tuple[str, float]]) -> Iterator[float]:
    def key(word: str) -> str:
        return "".join(letter for letter in word.lower() if letter.isalnum())

    matcher = SequenceMatcher(None, [key(w.text) for w in said], [key(w) for w, _ in heard], autojunk=False)
    for first, second, count in matcher.get_matching_blocks():
        for step in range(count):
            yield heard[second + step][1] - said[first + step].start_s


def unheard(make: Callable[[random.Random], str], draw: random.Random) -> str:
    """A sentence that training never had."""
    while not text.held_out(sentence := make(draw)):
        pass
    return sentence


def sentences(draw: random.Random, count: int, voices: Sequence[Voice] | None = None) -> list[Recording]:
    """Single sentences, each between two short silences, by random voices of training's kinds or by given ones."""
    found: list[Recording] = []
    while len(found) < count:
        voice = voices[len(found) % len(voices)] if voices else speech.any_voice(draw)
        try:
            said = speak(voice, unheard(text.plain, draw))
        except WordsLost:
            continue
        lead = draw.uniform(0.05, 0.5)
        found.append(_laid([(lead, said.samples, said.words)], tail_s=draw.uniform(0.1, 0.6)))
    return found


def dialogues(draw: random.Random, count: int, seconds: tuple[float, float] = (120, 180)) -> list[Recording]:
    """Questions and answers of two voices over faint noise."""
    return [_dialogue(draw, draw.uniform(*seconds)) for _ in range(count)]


def _dialogue(draw: random.Random, seconds: float) -> Recording:
    voices = speech.any_voice(draw), speech.any_voice(draw)
    parts: list[tuple[float, Samples, tuple[SpokenWord, ...]]] = []
    total, turn = 0.0, 0
    while total < seconds:
        for _ in range(1 if turn % 2 == 0 else draw.randint(1, 4)):
            sentence = unheard_reply(draw) if turn % 2 else unheard(text.question, draw)
            try:
                said = speak(voices[turn % 2], sentence)
            except WordsLost:
                continue
            parts.append((draw.uniform(0.25, 0.9), said.samples, said.words))
            total += parts[-1][0] + len(said.samples) / SAMPLE_RATE_HZ
        turn += 1
    recording = _laid(parts, tail_s=0.5)
    noise = np.random.default_rng(draw.randrange(1 << 30)).standard_normal(len(recording.samples))
    samples = (recording.samples + noise * draw.choice((0.0003, 0.001, 0.003))).astype(np.float32)
    return Recording(samples, recording.said, recording.words)


def unheard_reply(draw: random.Random) -> str:
    """An answer that training never had, or one so short that it cannot be kept from it."""
    while True:
        sentence = text.reply(draw)
        if (len(sentence.split()) < 6 and draw.random() < 0.2) or text.held_out(sentence):
            return sentence


def _laid(parts: Sequence[tuple[float, Samples, tuple[SpokenWord, ...]]], tail_s: float) -> Recording:
    """Utterances one after the other, each after its pause."""
    sounds, words, at_s = [], [], 0.0
    for pause_s, samples, said in parts:
        silence = np.zeros(int(pause_s * SAMPLE_RATE_HZ), np.float32)
        at_s += len(silence) / SAMPLE_RATE_HZ
        words += [SpokenWord(w.text, w.start_s + at_s, w.end_s + at_s) for w in said]
        sounds += [silence, samples]
        at_s += len(samples) / SAMPLE_RATE_HZ
    sounds.append(np.zeros(int(tail_s * SAMPLE_RATE_HZ), np.float32))
    return Recording(np.concatenate(sounds), " ".join(word.text for word in words), tuple(words))


def by_phone(recording: Recording, seed: int) -> Recording:
    """The recording with pink noise at 15 dB, through a telephone's band, 8 kHz and mu-law."""
    generator = np.random.default_rng(seed)
    noise = speech.noise(generator, len(recording.samples) / SAMPLE_RATE_HZ + 1, 0.5)[
        : len(recording.samples)
    ]
    sounding = recording.samples[np.abs(recording.samples) > 1e-4]
    wanted = float(np.sqrt(np.mean(sounding**2))) * 10 ** (-SPEECH_TO_NOISE_DB / 20)
    noisy = recording.samples + noise * (wanted / float(np.sqrt(np.mean(noise**2))))
    return Recording(
        speech.through_codec("phone", [noisy.astype(np.float32)])[0], recording.said, recording.words
    )


def festival(draw: random.Random, count: int) -> list[Recording]:
    """Sentences by festival's HTS voice, an engine that training never uses; none where it is not installed."""
    if shutil.which("festival") is None:
        return []
    said = [unheard(text.plain, draw) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"({FESTIVAL_VOICE})"]
        for number, sentence in enumerate(said):
            wave = Path(folder, f"{number}.wav")
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{sentence}")) "{wave}" \'riff)')
        script = Path(folder, "say.scm")
        script.write_text("\n".join(lines), encoding="utf-8")
        if subprocess.run(["festival", "-b", script], capture_output=True, check=False).returncode:
            return []
        return [
            Recording(load_audio(str(Path(folder, f"{n}.wav"))), sentence) for n, sentence in enumerate(said)
        ]


def without_speech(seed: int, seconds: float) -> Iterator[tuple[str, Samples]]:
    """Recordings in which nobody speaks, by name, ``seconds`` each: silence, noises, music."""
    generator = np.random.default_rng(seed)
    yield "silence", np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)
    for loudness in (0.01, 0.4, 1.0):
        for name, slope in (("white", 0.0), ("pink", 0.5), ("brown", 1.0)):
            yield (
                f"{name} noise",
                speech.level(speech.noise(generator, seconds, slope)) * np.float32(loudness),
            )
    yield "hum", speech.level(speech.hum(generator, seconds, 50.0))
    yield "gusts", speech.level(speech.gusts(generator, seconds))
    yield "knocks", speech.level(speech.crackle(generator, seconds))
    yield "siren", speech.level(speech.sweep(generator, seconds))
    for _ in range(3):
        yield "music", speech.level(speech.music(generator, seconds))
