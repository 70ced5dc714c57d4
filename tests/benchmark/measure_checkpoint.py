"""What the built-in checkpoint hears of sentences, voices and lines it never met, and what it invents in silence.

Through ``whisper.load_model`` and ``whisper.transcribe(..., word_timestamps=True)``, unmodified, with their defaults.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np
import torch
import whisper

from examples.voices import SAMPLE_RATE_HZ, Voice
from tests.benchmark.report import Row, publish
from tools.checkpoint import evaluation
from tools.checkpoint.evaluation import Heard, Recording
from transcripts.engines import builtin_path

SEED = 20261122


def main(quick: bool, path: Path) -> int:
    """Measure a checkpoint; ``quick`` takes a quarter of everything."""
    torch.set_num_threads(1)  # the model's steps are too short to share
    model = whisper.load_model(str(path), device="cpu")
    whisper.transcribe(model, np.zeros(16_000, np.float32), word_timestamps=True, fp16=False)  # compiles once
    count = 30 if quick else 120
    draw = random.Random(SEED)
    single = evaluation.sentences(draw, count)
    pairs = evaluation.dialogues(draw, 2 if quick else 8)
    by_phone = [evaluation.by_phone(one, seed) for seed, one in enumerate(evaluation.sentences(draw, count))]
    heard = evaluation.hear(model, single)
    spoken = evaluation.hear(model, pairs)
    rows = [
        _errors("(a) sentences that training never had", heard, 1.0, quick),
        _errors("(b) dialogues of two voices, 2 to 3 min", spoken, 2.5, quick),
        *_unseen(model, draw, count, quick),
        _errors("(d) telephone band, noise at 15 dB", evaluation.hear(model, by_phone), 6.0, quick),
        _errors("(b) again, with 5 beams", evaluation.hear(model, pairs, beam_size=5), None, quick),
        *_times(heard, spoken),
        *_silence(model, 20 if quick else 240),
    ]
    return publish("checkpoint", rows)


def _errors(name: str, heard: Heard, goal: float | None, tell: bool) -> Row:
    if tell:
        for said, wrote in heard.wrong[:4]:
            print(f"{name}\n  said   {said[:300]}\n  heard  {wrote[:300]}")
    errors = heard.errors
    kinds = f"{errors.substitutions} wrong, {errors.insertions} added, {errors.deletions} missed"
    note = f"{kinds} of {errors.reference_words}"
    return Row(f"word error rate {name}", 100 * errors.rate, "%", goal, note=note)


def _unseen(model: whisper.Whisper, draw: random.Random, count: int, tell: bool) -> list[Row]:
    """Voices that training never heard; festival is an engine it never heard either."""
    rows, all_recordings = [], list[Recording]()
    for name in evaluation.UNSEEN:
        recordings = evaluation.sentences(draw, count // 3, [Voice("espeak", name)])
        all_recordings += recordings
        rows.append(_errors(f"(c) {name}", evaluation.hear(model, recordings), None, tell))
    strangers = evaluation.festival(draw, count // 3)
    if not strangers:
        missing = "sudo apt-get install festival festvox-us-slt-hts"
        return [*rows, Row("word error rate (c) unseen voices", None, "%", 3.0, note=missing)]
    rows.append(_errors("(c) festival slt", evaluation.hear(model, strangers), None, tell))
    whole = evaluation.hear(model, all_recordings + strangers)
    return [*rows, _errors("(c) unseen voices, all three", whole, 3.0, False)]


def _times(*heard: Heard) -> list[Row]:
    distances = np.abs(np.concatenate([one.starts_s for one in heard])) * 1000
    note = f"{len(distances)} words heard right"
    return [
        Row("word start, median error", float(np.median(distances)), "ms", 25.0, note=note),
        Row("word start, 95 % within", float(np.quantile(distances, 0.95)), "ms", 100.0, note=note),
    ]


def _silence(model: whisper.Whisper, seconds: float) -> list[Row]:
    invented, hours, rows = 0, 0.0, []
    for name, samples in evaluation.without_speech(SEED, seconds):
        text, _ = evaluation.transcribe(model, samples)
        hours += len(samples) / SAMPLE_RATE_HZ / 3600
        invented += len(text.split())
        if text:
            rows.append(Row(f"words invented in {name}", len(text.split()), "", note=text[:80]))
    note = f"{hours * 60:.0f} min of silence, noises and music"
    return [*rows, Row("words invented an hour", invented / hours, "", 0.0, note=note)]


if __name__ == "__main__":
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    sys.exit(main("--quick" in sys.argv[1:], Path(named[0]) if named else builtin_path("demo")))
