"""A Whisper of random weights that writes a text of the same length in every window, whatever it hears.

Libraries decode it unmodified, each by its own rules, and all of them do the same work. Two channels of the decoder's
states are kept for positions and tokens alone: one tells where a text ends, one where its two timestamps stand, at its
begin and at its end. All else is random: sure of itself, and without repetitions, so nobody decodes a window twice.
"""

from __future__ import annotations

import math
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import whisper
from whisper.model import ModelDimensions
from whisper.tokenizer import get_tokenizer

SMALL = ModelDimensions(80, 1500, 768, 12, 12, 51865, 448, 768, 12, 12)
START = 3
"""Tokens before a text: start, language, task."""
CERTAINTY = 30.0
"""How far the logits of the words lie apart: their standard deviation."""
STRENGTH = 10.0
"""What the two channels hold, in standard deviations of the others."""
HEARING = 0.6
"""How sharply a position of the text looks at its place in the sound."""
SPREAD = ((0.0, 1.0), (0, 1_380))
"""Which share of a text is said by which of the encoder's states: evenly over the 28 s that ``spoken.blocks`` gives it,
so that every word has a time, and nothing that is said is left without words."""
_END, _TIME = 0, 1


def fixed_text(path: Path, tokens: int, dims: ModelDimensions = SMALL, seed: int = 20261125) -> Path:
    """The checkpoint's file, made unless it is there; a text has so many ``tokens``, its two timestamps included."""
    if path.is_file():
        return path
    torch.manual_seed(seed)
    model = whisper.model.Whisper(dims)
    with torch.no_grad():
        _silence_channels(model)
        _set_words(model, dims)
        _set_positions(model, dims, tokens)
        _set_hearing(model)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    weights = {name: value.half() for name, value in model.state_dict().items()}
    torch.save({"dims": asdict(dims), "model_state_dict": weights}, part)
    part.replace(path)
    return path


def _silence_channels(model: whisper.Whisper) -> None:
    """No layer writes into the two channels."""
    for block in model.decoder.blocks:
        for layer in (block.attn.out, block.cross_attn.out, block.mlp[2]):
            layer.weight[: _TIME + 1] = 0
            layer.bias[: _TIME + 1] = 0


def _set_words(model: whisper.Whisper, dims: ModelDimensions) -> None:
    """English words and timestamps are what is likely; the end and the timestamps listen to their channels."""
    tokenizer = get_tokenizer(True, num_languages=model.num_languages)
    decoded = (tokenizer.encoding.decode_single_token_bytes(number) for number in range(tokenizer.eot))
    words = [number for number, text in enumerate(decoded) if re.fullmatch(rb" [a-z]{4,}", text)]
    scale = CERTAINTY / math.sqrt(dims.n_text_state)
    embedding = model.decoder.token_embedding.weight
    unlikely = torch.ones(dims.n_vocab, dtype=torch.bool)
    unlikely[words] = False
    unlikely[tokenizer.timestamp_begin :] = False
    embedding *= scale
    embedding[unlikely] *= 0.02
    embedding[:, : _TIME + 1] = 0
    embedding[tokenizer.eot] = 0
    embedding[tokenizer.eot, _END] = CERTAINTY
    embedding[tokenizer.timestamp_begin :, _TIME] = CERTAINTY


def _set_positions(model: whisper.Whisper, dims: ModelDimensions, tokens: int) -> None:
    """What is written at a position is decided there: so widely do positions differ that no word calls for itself."""
    places = model.decoder.positional_embedding
    # beside a random part, where in the sound its word would be said, in the encoder's own terms
    shares = np.arange(-START, dims.n_text_ctx - START) / (tokens - 2)
    states = torch.from_numpy(np.interp(shares, *SPREAD).round()).long()
    sound = model.encoder.positional_embedding[states]
    places.copy_(CERTAINTY * (torch.randn_like(places) + sound))
    strong = STRENGTH * CERTAINTY
    places[:, : _TIME + 1] = -strong
    places[START + tokens - 1 :, _END] = strong  # behind the last token
    places[[START - 1, START + tokens - 2], _TIME] = strong  # before the first and before the last token


def _set_hearing(model: whisper.Whisper) -> None:
    """Let positions look for their own place in the sound: words of ordinary lengths, as of speech."""
    for block in model.decoder.blocks:
        for layer in (block.cross_attn.query, block.cross_attn.key):
            layer.weight.copy_(HEARING * torch.eye(len(layer.weight)))
