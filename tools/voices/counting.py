"""Train the network of ``transcripts/speakers/counting.py``: how many speak at once.

Windows of ten seconds are composed of utterances of synthetic voices, each voice from its place in a room, at times two
at once, over noise or music, through a line or none; how many speak is known from the synthesiser's words.

    python -m tools.voices.counting [--steps 6000]
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.signal import butter, fftconvolve, sosfilt

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, WordsLost, speak
from tools.checkpoint import speech, text
from transcripts.speakers import counting

ROOT = Path(__file__).resolve().parents[2]
POOL = ROOT / "build/voices/utterances"
SEED = 20261125
PARTS, VOICES, UTTERANCES = 48, 10, 14
"""The pool: files, voices in each, utterances of each voice."""
SECONDS, BATCH = 10, 16
PAUSE_S = 0.3
"""A voice goes on over shorter pauses, as in NIST's Rich Transcription evaluations."""
INTERJECTIONS = ("Yes.", "Right.", "I see.", "Of course.", "Really?", "Mm.", "Oh no.", "That is true.")
STEPS, RATE, WARM = 2_600, 1.5e-3, 100
KINDS = (0.08, 0.3, 0.47, 0.15)
"""The shares of windows with nobody, one voice, two, three."""


@dataclass(frozen=True)
class Utterance:
    """Samples at 16 kHz, and the seconds in which somebody speaks, shape (n, 2)."""

    samples: Samples
    active_s: npt.NDArray[np.float64]


Pool = Sequence[Sequence[Utterance]]
"""The utterances of each voice."""


def voice(draw: random.Random) -> Voice:
    """One of flite's voices or espeak-ng's, with throats wide apart."""
    if draw.random() < 0.5:
        settings = {"stretch": draw.uniform(0.85, 1.25), "f0": draw.uniform(0.82, 1.25)}
        return Voice("flite", draw.choice(("awb", "rms", "slt", "kal16")), draw.uniform(0.84, 1.18), settings)
    name = draw.choice(speech.ACCENTS) + draw.choice(speech.VARIANTS)
    settings = {"rate": draw.uniform(130, 210), "pitch": draw.uniform(25, 75), "range": draw.uniform(25, 75)}
    return Voice("espeak", name, draw.uniform(0.88, 1.14), settings)


def make_part(number: int) -> Path:
    """One file of the pool, made once and kept."""
    path = POOL / f"{SEED}-{number:03}.npz"
    if path.is_file():
        return path
    draw = random.Random(f"{SEED} {number}")
    held: dict[str, Any] = {}
    for who in range(VOICES):
        speaker = voice(draw)
        for index in range(UTTERANCES):
            said = _spoken(draw, speaker, short=index % 4 == 3)
            held[f"{who:03}-{index:03}-samples"] = said.samples.astype(np.float16)
            held[f"{who:03}-{index:03}-active"] = said.active_s
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, **held)
    return part.rename(path)


def _spoken(draw: random.Random, speaker: Voice, *, short: bool) -> Utterance:
    while True:
        try:
            spoken = speak(speaker, draw.choice(INTERJECTIONS) if short else text.sentence(draw))
        except WordsLost:
            continue
        active = [[spoken.words[0].start_s, spoken.words[-1].end_s]]
        for word, following in pairwise(spoken.words):
            if following.start_s - word.end_s >= PAUSE_S:
                active[-1:] = [[active[-1][0], word.end_s], [following.start_s, active[-1][1]]]
        return Utterance(spoken.samples, np.array(active))


def read_pool(paths: Sequence[Path]) -> Pool:
    """The voices of these files."""
    voices: list[list[Utterance]] = []
    for path in paths:
        with np.load(path) as held:
            for who in range(VOICES):
                names = [f"{who:03}-{index:03}" for index in range(UTTERANCES)]
                voices.append(
                    [
                        Utterance(held[f"{name}-samples"].astype(np.float32), held[f"{name}-active"])
                        for name in names
                    ]
                )
    return voices


def window(draw: random.Random, pool: Pool) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]:
    """Ten seconds: spectrum (500, 128), and how many speak in each 40 ms, 0 to 2: (250,)."""
    count = draw.choices(range(len(KINDS)), KINDS)[0]
    lead_s = draw.uniform(0, 6)
    length = int((lead_s + SECONDS) * SAMPLE_RATE_HZ)
    tracks = np.zeros((max(1, count), length), np.float32)
    active = np.zeros((max(1, count), int((lead_s + SECONDS) * 1000)), bool)
    voices = draw.sample(range(len(pool)), count)
    if voices:
        _lay(draw, [pool[one] for one in voices], tracks, active)
    sound = np.zeros(length, np.float32)
    for track in tracks[:count]:
        wet = fftconvolve(track, speech.room(draw))[:length] if draw.random() < 0.75 else track
        sound += (wet * 10 ** (-draw.uniform(0, 10) / 20)).astype(np.float32)
    first = length - SECONDS * SAMPLE_RATE_HZ
    sound = _recorded(draw, sound[first:])
    speaking = active[:count].sum(axis=0)[-SECONDS * 1000 :].reshape(-1, counting.COUNT_MS)
    if not count:
        speaking = np.zeros((SECONDS * 1000 // counting.COUNT_MS, 1), int)
    # what somebody says for half of the time counts
    truth = np.minimum(np.round(speaking.mean(axis=1)).astype(np.int64), 2)
    return counting.spectrum(sound).astype(np.float16), truth


def _lay(
    draw: random.Random,
    voices: Sequence[Sequence[Utterance]],
    tracks: npt.NDArray[np.float32],
    active: npt.NDArray[np.bool_],
) -> None:
    """Utterances one after the other, with several voices some of them at once."""
    end_s, start_s, who = draw.uniform(0, 1), 0.0, 0
    free_s = [0.0] * len(voices)
    while end_s * SAMPLE_RATE_HZ < tracks.shape[1]:
        before, who = who, draw.randrange(len(voices))
        said = draw.choice(voices[who])
        length_s = len(said.samples) / SAMPLE_RATE_HZ
        at_s = end_s + (draw.uniform(0.05, 1.0) if draw.random() < 0.8 else draw.uniform(1.0, 3.0))
        if who != before and draw.random() < 0.7:
            last_s = end_s - start_s
            shared_s = min(length_s, draw.uniform(0.2, 3.0), 0.9 * last_s)
            at_s = end_s - shared_s - (draw.random() * (last_s - shared_s) if length_s < last_s else 0)
        at_s = max(at_s, free_s[who])
        place = int(at_s * SAMPLE_RATE_HZ)
        piece = said.samples[: max(0, tracks.shape[1] - place)]
        tracks[who, place : place + len(piece)] += piece
        for begin_s, stop_s in said.active_s:
            active[who, int((at_s + begin_s) * 1000) : int((at_s + stop_s) * 1000)] = True
        free_s[who] = at_s + length_s
        if at_s + length_s > end_s:
            start_s, end_s = at_s, at_s + length_s


def _recorded(draw: random.Random, sound: Samples) -> Samples:
    """Under noise or music, through a line or none."""
    generator = np.random.default_rng(draw.randrange(1 << 30))
    loud = float(np.sqrt(np.mean(sound**2))) or 0.05
    beside = (
        speech.music(generator, SECONDS)
        if draw.random() < 0.12
        else draw.choice((speech.gusts, speech.crackle))(generator, SECONDS)
        if draw.random() < 0.15
        else speech.noise(generator, SECONDS, draw.uniform(0, 1.2))
    )
    beside = speech.level(beside[: len(sound)]) / np.float32(0.08)
    sound = sound + beside * np.float32(loud * 10 ** (-draw.uniform(6, 40) / 20))
    if draw.random() < 0.25:
        band = (draw.uniform(80, 320), draw.uniform(3000, 3900))
        sound = sosfilt(butter(4, band, "bandpass", fs=SAMPLE_RATE_HZ, output="sos"), sound).astype(
            np.float32
        )
    if draw.random() < 0.5:
        tilt = draw.uniform(-0.6, 0.6)
        sound = np.convolve(sound, [1, tilt])[: len(sound)].astype(np.float32)
    return np.asarray(sound * draw.uniform(0.1, 1.5), np.float32)


_pool: Pool = ()


def _open_pool(paths: Sequence[Path]) -> None:
    global _pool
    torch.set_num_threads(1)
    _pool = read_pool(paths)


def batch(seed: str) -> tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]:
    """A batch of windows, the same for the same seed."""
    draw = random.Random(seed)
    made = [window(draw, _pool) for _ in range(BATCH)]
    return np.stack([one for one, _ in made]), np.stack([truth for _, truth in made])


def train(
    batches: Iterator[tuple[npt.NDArray[np.float16], npt.NDArray[np.int64]]], steps: int
) -> dict[str, torch.Tensor]:
    """The weights after so many batches; Adam, the rate falls as a cosine."""
    torch.manual_seed(SEED)
    weights = {
        name: torch.zeros(shape) if len(shape) == 1 or name.startswith("mix")
        else torch.randn(shape) * (2 / (shape[1] * shape[2])) ** 0.5
        for name, shape in counting.shapes().items()
    }  # fmt: skip
    for tensor in weights.values():
        tensor.requires_grad_(True)
    optimiser = torch.optim.AdamW(weights.values(), lr=RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, step / WARM) * 0.5 * (1 + np.cos(np.pi * min(1.0, step / steps)))
    )
    begun, sums = perf_counter(), np.zeros(2)
    for step, (spectra, truth) in zip(range(1, steps + 1), batches, strict=False):
        said = counting.logits(weights, torch.from_numpy(spectra.astype(np.float32)))
        loss = torch.nn.functional.cross_entropy(said, torch.from_numpy(truth))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(weights.values(), 2.0)
        optimiser.step()
        schedule.step()
        sums += loss.item(), float((said.argmax(dim=1) == torch.from_numpy(truth)).float().mean())
        if step % 200 == 0:
            print(
                f"step {step}: loss {sums[0] / 200:.3f}, right {sums[1] / 2:.1f} %, {perf_counter() - begun:.0f} s",
                flush=True,
            )
            sums[:] = 0
    return {name: tensor.detach() for name, tensor in weights.items()}


def main() -> None:
    """Make the pool, train, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=counting.LEARNED)
    asked = parser.parse_args()
    context = get_context("spawn")
    # a process for each part: espeak-ng remembers what it said, and a little of it is heard again
    with ProcessPoolExecutor(asked.processes, mp_context=context, max_tasks_per_child=1) as making:
        paths = list(making.map(make_part, range(PARTS)))
    print("speech is there", flush=True)
    torch.set_num_threads(1)
    with context.Pool(asked.processes, _open_pool, (paths,)) as composing:
        batches = composing.imap(
            batch, (f"{SEED} batch {number}" for number in range(asked.steps)), chunksize=4
        )
        weights = train(batches, asked.steps)
    held: dict[str, Any] = {name: tensor.numpy().astype(np.float16) for name, tensor in weights.items()}
    np.savez_compressed(asked.out, **held)
    print(f"{asked.out.name}: {asked.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
