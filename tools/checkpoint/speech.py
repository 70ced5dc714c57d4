"""Speech for training: sentences spoken by many voices, in rooms and through codecs, kept as log-mel frames.

Shards are made side by side, each from its own seed, so the same seed gives the same speech on any number of cores.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import fftconvolve
from whisper.audio import HOP_LENGTH, N_FFT, mel_filters
from whisper.tokenizer import Tokenizer, get_tokenizer

from examples.voices import SAMPLE_RATE_HZ, SPEECH_RMS, Phone, Samples, Spoken, Voice, WordsLost, echo, speak
from tools.checkpoint import accents, text

Frames = npt.NDArray[np.float16]  # (frames, 80): log10 mel power, 100 frames a second, not normalised

FRAMES_PER_S, STATES_PER_S = 100, 50  # mel frames; states of Whisper's encoder
UTTERANCES_PER_SHARD, DRAWN_PER_SHARD = 1000, 100
REVERBERANT_SHARE, CODED_SHARE = 0.3, 0.3

# Held out for the evaluation: the accents en-us-nyc and en-029, the variants f4 and m6, and all of festival.
ACCENTS = ("en-gb-scotland",) * 3 + ("en", "en", "en-gb-x-rp", "en-us", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = (
    "+m1 +m2 +m3 +m4 +m5 +m7 +m8 +f1 +f2 +f3 +f5 +Alex +Alicia +Andrea +Andy +Annie +Denis +Diogo +Gene +Hugo +Jacky"
    " +Lee +Marco +Mario +Michael +Mike +Nguyen +adam +anika +antonio +aunty +belinda +benjamin +boris +caleb +david"
    " +ed +edward +grandma +grandpa +gustave +iven +john +linda +marcelo +max +michel +miguel +norbert +pablo +paul"
    " +pedro +quincy +rob +robert +sandro +shelby +steph +steph2 +steph3 +travis +victor +zac"
).split()
# What a line, a phone or a call does to speech: encoder, container.
CODECS: dict[str, tuple[list[str], str]] = {
    "opus": (["-c:a", "libopus", "-b:a", "16k"], "ogg"),
    "opus-phone": (["-ar", "8000", "-c:a", "libopus", "-b:a", "12k"], "ogg"),
    "aac": (["-c:a", "aac", "-b:a", "32k"], "matroska"),
    "mp3": (["-c:a", "libmp3lame", "-b:a", "32k"], "matroska"),
    "phone": (["-af", "highpass=f=300,lowpass=f=3400", "-ar", "8000", "-c:a", "pcm_mulaw"], "wav"),
    "phone-wide": (["-ar", "8000", "-c:a", "pcm_mulaw"], "wav"),
}
_GAP = np.zeros(SAMPLE_RATE_HZ // 4, np.float32)  # between the utterances of one coded stretch


@dataclass(frozen=True)
class Shard:
    """Utterances laid end to end.

    Attributes:
        mel: (frames, 80) float16, log10 mel power at 100 frames a second.
        frame_ends: (utterances,) where each utterance's frames end.
        tokens: (tokens,) int32 of all utterances; spans: (tokens, 2) float32, seconds from the utterance's start.
        token_ends: (utterances,) where each utterance's tokens end.
        states: (states,) int16 phone numbers at 50 a second, -1 between; state_ends: (utterances,).
        phones: the phones' names by number.
    """

    mel: Frames
    frame_ends: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int32]
    spans: npt.NDArray[np.float32]
    token_ends: npt.NDArray[np.int64]
    states: npt.NDArray[np.int16]
    state_ends: npt.NDArray[np.int64]
    phones: tuple[str, ...]


@cache
def tokenizer() -> Tokenizer:
    """The English vocabulary of openai-whisper's ``*.en`` models."""
    return get_tokenizer(multilingual=False)


def any_voice(draw: random.Random, drawn: Sequence[str] = (), share: float = 0.0) -> Voice:
    """A speaker for training: engine, voice, speed, pitch; this share of them one of the ``drawn`` voices."""
    chance = draw.random()
    if drawn:
        if chance < share:
            settings = {
                "rate": draw.uniform(130, 210),
                "pitch": draw.uniform(35, 65),
                "range": draw.uniform(25, 75),
            }
            return Voice("espeak", draw.choice(drawn), draw.uniform(0.95, 1.06), settings)
        chance = (chance - share) / (1 - share)
    if chance < 0.3:
        settings = {"stretch": draw.uniform(0.82, 1.25), "f0": draw.uniform(0.82, 1.25)}
        return Voice("flite", draw.choice(("awb", "rms", "slt")), draw.uniform(0.88, 1.14), settings)
    if chance < 0.42:
        settings = {"stretch": draw.uniform(0.9, 1.3), "f0": draw.uniform(0.85, 1.4)}
        return Voice("flite", draw.choice(("kal", "kal16", "kal16")), draw.uniform(0.88, 1.14), settings)
    name = draw.choice(ACCENTS) + (draw.choice(VARIANTS) if draw.random() < 0.85 else "")
    settings = {"rate": draw.uniform(130, 210), "pitch": draw.uniform(25, 75), "range": draw.uniform(25, 75)}
    return Voice("espeak", name, draw.uniform(0.9, 1.12), settings)


def log_mel(samples: Samples) -> Frames:
    """Whisper's log-mel power before its clamping to the loudest frame: (frames, 80) float16."""
    window = torch.hann_window(N_FFT)
    spectrum = torch.stft(torch.from_numpy(samples), N_FFT, HOP_LENGTH, window=window, return_complex=True)
    power = mel_filters("cpu", 80) @ (spectrum[..., :-1].abs() ** 2)
    return torch.clamp(power, min=1e-10).log10().T.numpy().astype(np.float16)


def room(draw: random.Random) -> Samples:
    """A random room's impulse response."""
    length = int(SAMPLE_RATE_HZ * draw.uniform(0.08, 0.45))
    generator = np.random.default_rng(draw.randrange(1 << 30))
    return echo(length, draw.uniform(0.1, 0.6), generator).astype(np.float32)


def through_codec(name: str, stretches: list[Samples]) -> list[Samples]:
    """The same stretches after an encoder of ``CODECS`` and back, each of its old length.

    Raises:
        subprocess.CalledProcessError: when ffmpeg refuses.
    """
    encoder, container = CODECS[name]
    raw = ["-f", "f32le", "-ar", str(SAMPLE_RATE_HZ), "-ac", "1"]
    ffmpeg = ["ffmpeg", "-v", "error", "-nostdin"]
    joined = np.concatenate([part for stretch in stretches for part in (stretch, _GAP)])
    coded = subprocess.run(
        [*ffmpeg, *raw, "-i", "pipe:0", *encoder, "-f", container, "pipe:1"],
        input=joined.tobytes(), capture_output=True, check=True,
    ).stdout  # fmt: skip
    plain = subprocess.run(
        [*ffmpeg, "-i", "pipe:0", *raw, "pipe:1"], input=coded, capture_output=True, check=True
    ).stdout
    heard = np.frombuffer(plain, np.float32)
    heard = heard[_delay(joined, heard) :]
    heard = np.pad(heard, (0, max(0, len(joined) - len(heard))))
    found, position = [], 0
    for stretch in stretches:
        found.append(heard[position : position + len(stretch)].copy())
        position += len(stretch) + len(_GAP)
    return found


def _delay(sent: Samples, heard: Samples, most: int = 2048) -> int:
    """By how many samples an encoder shifted the sound: some prime their filters and a pipe keeps no edit list."""
    count = min(len(sent), len(heard), 60 * SAMPLE_RATE_HZ)
    likeness = fftconvolve(heard[:count], sent[:count][::-1])[count - 1 : count - 1 + most]
    return int(np.argmax(np.abs(likeness)))


def spoken_tokens(spoken: Spoken) -> tuple[list[int], list[tuple[float, float]]]:
    """Tokens of an utterance and the seconds each one sounds; punctuation fills the gap after its word."""
    tokens: list[int] = []
    spans: list[tuple[float, float]] = []
    for index, word in enumerate(spoken.words):
        ids = tokenizer().encode(" " + word.text)
        texts = [tokenizer().decode([token]).strip() for token in ids]
        sounding = [any(letter.isalnum() or letter == "'" for letter in part) for part in texts]
        letters = sum(len(part) for part, sounds in zip(texts, sounding, strict=True) if sounds)
        last = index + 1 == len(spoken.words)
        following = word.end_s + 0.25 if last else spoken.words[index + 1].start_s
        begin = word.start_s
        for part, sounds in zip(texts, sounding, strict=True):
            if sounds:
                end = begin + (word.end_s - word.start_s) * len(part) / letters
                spans.append((begin, end))
                begin = end
            else:
                spans.append((word.end_s, max(following, word.end_s + 0.06)))
        tokens += ids
    return tokens, spans


def phone_states(
    phones: Iterable[Phone], states: int, engine: str, numbers: dict[str, int]
) -> npt.NDArray[np.int16]:
    """The phone number at each of the encoder's states, -1 where none sounds; new names get new numbers."""
    found = np.full(states, -1, np.int16)
    for name, start_s, end_s in phones:
        number = numbers.setdefault(f"{engine}:{name}", len(numbers))
        found[round(start_s * STATES_PER_S) : round(end_s * STATES_PER_S)] = number
    return found


def make_shard(seed: int, count: int = UTTERANCES_PER_SHARD, drawn: float = 0.0) -> Shard:
    """Draw and speak ``count`` utterances; what a voice cannot say word by word is drawn again.

    A share of ``drawn`` is said by voices that are drawn for this shard. That takes a process in which nothing was
    spoken before.
    """
    draw = random.Random(f"speech {seed}")
    torch.set_num_threads(1)
    said: list[tuple[Spoken, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        voices = accents.draw_voices(draw, DRAWN_PER_SHARD, Path(folder)) if drawn else ()
        while len(said) < count:
            voice = any_voice(draw, voices, drawn)
            try:
                said.append((speak(voice, text.sentence(draw)), voice.engine))
            except WordsLost:
                continue
    sounds = [one.samples for one, _ in said]
    for index, samples in enumerate(sounds):
        if draw.random() < REVERBERANT_SHARE:
            sounds[index] = fftconvolve(samples, room(draw))[: len(samples)].astype(np.float32)
    for name, chosen in _coded(draw, count):
        for index, samples in zip(chosen, through_codec(name, [sounds[i] for i in chosen]), strict=True):
            sounds[index] = samples
    return _packed(said, sounds)


def _coded(draw: random.Random, count: int) -> Iterator[tuple[str, list[int]]]:
    chosen = [index for index in range(count) if draw.random() < CODED_SHARE]
    names = [draw.choice(list(CODECS)) for _ in chosen]
    for name in CODECS:
        mine = [index for index, codec in zip(chosen, names, strict=True) if codec == name]
        if mine:
            yield name, mine


def _packed(said: list[tuple[Spoken, str]], sounds: list[Samples]) -> Shard:
    numbers: dict[str, int] = {}
    mels, tokens, spans, states = [], [], [], []
    for (spoken, engine), samples in zip(said, sounds, strict=True):
        mels.append(log_mel(samples))
        ids, times = spoken_tokens(spoken)
        tokens.append(np.array(ids, np.int32))
        spans.append(np.array(times, np.float32))
        states.append(phone_states(spoken.phones, (len(mels[-1]) + 1) // 2, engine, numbers))
    ends = [np.cumsum([len(part) for part in parts]) for parts in (mels, tokens, states)]
    return Shard(
        np.concatenate(mels), ends[0], np.concatenate(tokens), np.concatenate(spans), ends[1],
        np.concatenate(states), ends[2], tuple(numbers),
    )  # fmt: skip


# ---- what is not speech ----


def backgrounds(seed: int, seconds: int = 240) -> list[Frames]:
    """Noises and music without words, ``seconds`` each at the level of speech, as log-mel frames."""
    generator = np.random.default_rng([seed, 7])
    sounds = [noise(generator, seconds, slope) for slope in (0.0, 0.25, 0.5, 0.75, 1.0, 1.3)]
    sounds += [hum(generator, seconds, mains_hz) for mains_hz in (50.0, 100.0, 60.0)]
    sounds += [gusts(generator, seconds), crackle(generator, seconds), sweep(generator, seconds)]
    sounds += [music(generator, seconds) for _ in range(8)]
    return [log_mel(level(samples)) for samples in sounds]


def level(samples: npt.NDArray[np.floating]) -> Samples:
    """The samples at the common level of speech (RMS 0.08)."""
    scale = SPEECH_RMS / (float(np.sqrt(np.mean(np.square(samples)))) + 1e-9)
    return np.asarray(samples * scale, np.float32)


def noise(generator: np.random.Generator, seconds: float, slope: float) -> Samples:
    """Gaussian noise whose amplitude falls with frequency to the power ``slope``: 0 white, 0.5 pink, 1 brown."""
    count = int(seconds * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    spectrum /= np.maximum(1, np.arange(len(spectrum))) ** slope
    spectrum[: int(20 * seconds)] *= 0.1
    return np.fft.irfft(spectrum, count).astype(np.float32)


def hum(generator: np.random.Generator, seconds: float, mains_hz: float) -> Samples:
    """Mains hum with its harmonics, over a little noise."""
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tone = sum(np.sin(2 * np.pi * mains_hz * k * time_s) / k for k in range(1, 8))
    return np.asarray(tone + level(noise(generator, seconds, 0.5)) * generator.uniform(0.5, 3), np.float32)


def gusts(generator: np.random.Generator, seconds: float) -> Samples:
    """Noise that swells and dies away, as wind or traffic do."""
    knots = generator.uniform(-2, 0, int(seconds * 1.5) + 2)
    count = int(seconds * SAMPLE_RATE_HZ)
    swell = 10 ** np.interp(np.linspace(0, len(knots) - 1, count), np.arange(len(knots)), knots)
    return np.asarray(noise(generator, seconds, 0.8) * swell, np.float32)


def crackle(generator: np.random.Generator, seconds: float) -> Samples:
    """Clicks and knocks at random moments over faint noise."""
    samples = level(noise(generator, seconds, 0.3)) * 0.05
    for start in generator.integers(0, len(samples) - 4000, int(seconds * 4)):
        length = int(generator.integers(40, 3000))
        samples[start : start + length] += generator.standard_normal(length).astype(np.float32) * np.exp(
            -5 * np.arange(length, dtype=np.float32) / length
        )
    return samples


def sweep(generator: np.random.Generator, seconds: float) -> Samples:
    """A siren: a tone that wanders between 300 and 1,500 Hz."""
    count = int(seconds * SAMPLE_RATE_HZ)
    pitch = 900 + 600 * np.sin(2 * np.pi * generator.uniform(0.1, 0.6) * np.arange(count) / SAMPLE_RATE_HZ)
    return np.asarray(np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE_HZ), np.float32)


def music(generator: np.random.Generator, seconds: float) -> Samples:
    """Chords of decaying harmonic tones, a melody above them, now and then a drum."""
    count = int(seconds * SAMPLE_RATE_HZ)
    samples = np.zeros(count + 4 * SAMPLE_RATE_HZ, np.float32)
    beat = int(SAMPLE_RATE_HZ * generator.uniform(0.25, 0.7))
    harmonics = generator.uniform(0.2, 1.0, 8) / np.arange(1, 9)
    decay, drums = generator.uniform(0.5, 6), generator.random() < 0.5
    scale = (0, 2, 4, 5, 7, 9, 11)
    for start in range(0, count, beat):
        root = int(generator.integers(0, 7))
        notes = [scale[(root + step) % 7] for step in (0, 2, 4)] if start % (4 * beat) == 0 else []
        notes.append(12 + scale[int(generator.integers(0, 7))])
        length = int(beat * generator.choice([1, 2, 4]))
        time_s = np.arange(min(length, len(samples) - start)) / SAMPLE_RATE_HZ
        for note in notes:
            pitch = 130.8 * 2 ** (note / 12)
            tone = sum(a * np.sin(2 * np.pi * pitch * (k + 1) * time_s) for k, a in enumerate(harmonics))
            samples[start : start + len(time_s)] += (tone * np.exp(-decay * time_s)).astype(np.float32)
        if drums:
            hit = generator.standard_normal(2000).astype(np.float32) * np.exp(
                -np.arange(2000, dtype=np.float32) / 300
            )
            samples[start : start + 2000] += hit
    return samples[:count]


def recorded(
    draw: random.Random, samples: Samples, noise_db: tuple[float, float], codecs: Sequence[str | None]
) -> Samples:
    """The speech as a recording has it: over noise so many dB below it, through a codec of ``CODECS`` or none."""
    generator = np.random.default_rng(draw.randrange(1 << 30))
    beside = noise(generator, len(samples) / SAMPLE_RATE_HZ + 1, draw.choice((0.0, 0.5, 1.0)))
    noisy = level(samples) + level(beside[: len(samples)]) * np.float32(10 ** (-draw.uniform(*noise_db) / 20))
    codec = draw.choice(codecs)
    return through_codec(codec, [noisy])[0] if codec else noisy


# ---- on disk ----


def make_all(
    folder: Path,
    shards: Iterable[int],
    seed: int,
    processes: int,
    count: int = UTTERANCES_PER_SHARD,
    drawn: float = 0.0,
) -> Iterator[Path]:
    """Make the shards of these numbers that ``folder`` lacks, ``processes`` at once; each one's path when it is whole.

    ``drawn`` is the share of utterances by voices drawn at random; see ``make_shard``.

    Every shard has a process of its own: espeak-ng remembers what it said, and a little of it is heard again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {number: folder / f"speech-{seed}-{number:03}.npz" for number in shards}
    missing = [number for number, path in paths.items() if not path.is_file()]
    yield from (path for number, path in paths.items() if number not in missing)
    seeds = [seed * 1000 + number for number in missing]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(partial(_make_file, count, drawn), [paths[number] for number in missing], seeds)


def _make_file(count: int, drawn: float, path: Path, seed: int) -> Path:
    shard = make_shard(seed, count, drawn)
    unfinished = path.with_suffix(".part")
    with unfinished.open("wb") as file:
        parts: dict[str, Any] = {name: getattr(shard, name) for name in Shard.__dataclass_fields__}
        np.savez(file, **parts)
    return unfinished.rename(path)


def read(path: Path) -> Shard:
    """A shard from its file."""
    with np.load(path) as file:
        return Shard(**{name: file[name] for name in Shard.__dataclass_fields__ if name != "phones"},
                     phones=tuple(file["phones"].tolist()))  # fmt: skip
