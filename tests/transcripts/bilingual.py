"""Tiny Whispers of many languages for the tests: one that says what its task is, one of random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import whisper
from whisper.tokenizer import get_tokenizer

SIZES = whisper.ModelDimensions(80, 1500, 64, 1, 1, 51865, 24, 64, 1, 1)
SAID, MEANT = " prat", " talk"
TIMES_S = ((0.0, 1.0), (1.5, 2.5))
"""Of the two lines that it finds in every window, whatever is in it."""


def save_teller(path: Path) -> Path:
    """Write a model that hears Swedish: it says SAID when it is to transcribe, MEANT when it is to translate.

    Its one layer of attention adds up the tokens so far, so that the task's token leads to its word; the position says
    when a timestamp is due.
    """
    tokens = get_tokenizer(multilingual=True, num_languages=99)
    model = whisper.model.Whisper(SIZES)
    weights = {name: torch.zeros_like(held) for name, held in model.state_dict().items()}
    for name, held in weights.items():
        if "ln" in name and name.endswith("weight"):
            held.fill_(1.0)
    block = "decoder.blocks.0.attn."
    weights[f"{block}value.weight"].copy_(torch.eye(64))
    weights[f"{block}out.weight"].copy_(torch.eye(64) * 10)
    embedding, positions = weights["decoder.token_embedding.weight"], weights["decoder.positional_embedding"]
    for axis, (task, word) in enumerate(((tokens.transcribe, SAID), (tokens.translate, MEANT))):
        embedding[task, axis], embedding[tokens.encode(word)[0], axis] = 1_000.0, 20.0
    embedding[tokens.to_language_token("sv"), 9] = 1.0
    positions[0, 9] = 1_000.0
    (first, last), (third, fourth) = TIMES_S
    # start, language and task stand before the text
    due = {2: first, 6: last, 7: third, 11: fourth, 12: None}
    for axis, (place, time_s) in enumerate(due.items(), 2):
        token = tokens.eot if time_s is None else tokens.timestamp_begin + round(time_s / 0.02)
        embedding[token, axis] = 6.0
        positions[place, axis] = 1_000.0
    return _saved(weights, path)


def save_random(path: Path) -> Path:
    """Write a model of random weights."""
    torch.manual_seed(11)
    weights = whisper.model.Whisper(SIZES).state_dict()
    for name in ("decoder.token_embedding.weight", "decoder.positional_embedding"):
        weights[name].normal_()
    return _saved(weights, path)


def _saved(weights: dict[str, Any], path: Path) -> Path:
    torch.save({"dims": vars(SIZES), "model_state_dict": weights}, path)
    return path
