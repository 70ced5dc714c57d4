"""When each word of a text was said: cross-attention and dynamic time warping, for many windows at once.

The method is openai-whisper's ``timing.find_alignment``; here the encoder's states that the decoder heard are used
again, and the texts of a batch are read together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 (torch's own convention)
from torch import Tensor

from transcripts.engines.decoding import Decoder, Memory, logsumexp
from transcripts.engines.past import ROOM
from transcripts.engines.values import MS_A_STATE, TimedWord

MEDIAN_WIDTH = 7
SCORED = 32
"""So many tokens get their chances at once: scores over a whole vocabulary are large."""
PREPENDED = "\"'“¿([{-"
APPENDED = "\"'.。,，!！?？:：”)]}、"


@torch.inference_mode()
def align(
    decoder: Decoder,
    tokenizer: Any,
    memory: Memory,
    texts: Sequence[Sequence[int]],
    states: Sequence[int],
) -> list[list[TimedWord]]:
    """Words with times for each window.

    Args:
        decoder: of the model that the memory comes from.
        tokenizer: openai-whisper's, with the language of the text.
        memory: of the windows.
        texts: the tokens of each window's text, without timestamps; a text too long for the context is cut.
        states: how many of each window's states hold sound; the rest is padding.
    """
    sot = list(tokenizer.sot_sequence)
    cut = cut_to_fit(tokenizer, decoder.context, texts)
    found: list[list[TimedWord]] = [[] for _ in cut]
    spoken = [row for row, text in enumerate(cut) if text]
    if not spoken:
        return found
    rows = [[*sot, tokenizer.no_timestamps, *cut[row], tokenizer.eot] for row in spoken]
    longest = max(len(row) for row in rows)
    room = min(decoder.context, longest + -longest % ROOM)
    given = torch.tensor([row + [tokenizer.eot] * (room - len(row)) for row in rows], device=decoder.device)
    read, products, _ = decoder.read(given, memory if len(spoken) == len(memory) else memory[spoken])
    for place, row in enumerate(spoken):
        text, first = cut[row], len(sot)
        chances = _chances(decoder, read[place, first : first + len(text)], text, tokenizer.eot)
        path = _path(products[place, :, : first + len(text) + 2, : max(1, states[row])], first)
        found[row] = words(tokenizer, text, path, chances)
    return found


def _chances(decoder: Decoder, states: Tensor, text: Sequence[int], vocabulary: int) -> list[float]:
    """The probability of each token of a text among the first ``vocabulary`` ones, by the state before it."""
    found: list[float] = []
    room = -len(text) % SCORED
    wanted = torch.tensor([*text, *[0] * room], device=decoder.device)
    parts = torch.split(F.pad(states, (0, 0, 0, room)), SCORED)
    for some, ones in zip(parts, torch.split(wanted, SCORED), strict=True):
        scores = decoder.scores(some)[:, :vocabulary]
        found += (scores.gather(1, ones[:, None])[:, 0] - logsumexp(scores, spent=True)).exp().tolist()
    return found[: len(text)]


def cut_to_fit(tokenizer: Any, context: int, texts: Sequence[Sequence[int]]) -> list[list[int]]:
    """As much of each text as can be read with what stands before it and behind it; ``context`` in tokens."""
    room = context - len(tokenizer.sot_sequence) - 2
    return [list(text)[:room] for text in texts]


def _path(products: Tensor, first: int) -> tuple[np.ndarray, np.ndarray]:
    """Which token sounds in which state: the cheapest way through the attention, (steps,) and (steps,)."""
    from whisper.timing import dtw

    weights = products.float().softmax(-1)
    deviation, mean = torch.std_mean(weights, dim=-2, keepdim=True, unbiased=False)
    matrix = median((weights - mean) / deviation.clamp(min=1e-8), MEDIAN_WIDTH).mean(0)[first:-1]
    tokens, states = dtw(-matrix)
    return tokens, states


def median(values: Tensor, width: int) -> Tensor:
    """The median of every ``width`` neighbours along the last of three dimensions, as ``whisper.timing.median_filter``.

    The library sorts each neighbourhood. Here all are compared at once: of half of the neighbours and two more, neither
    the least nor the greatest is the median, so both are dropped for one of the rest, until one is left.
    """
    edge = width // 2
    if values.shape[-1] <= edge:
        return values
    beside = F.pad(values, (edge, edge, 0, 0), mode="reflect").unfold(-1, width, 1).unbind(-1)
    kept, rest = list(beside[: edge + 2]), list(beside[edge + 2 :])
    while True:
        for i in range(1, len(kept)):
            kept[0], kept[i] = torch.minimum(kept[0], kept[i]), torch.maximum(kept[0], kept[i])
        for i in range(1, len(kept) - 1):
            kept[i], kept[-1] = torch.minimum(kept[i], kept[-1]), torch.maximum(kept[i], kept[-1])
        kept = kept[1:-1]
        if not rest:
            return kept[0]
        kept.append(rest.pop())


def words(
    tokenizer: Any, text: list[int], path: tuple[np.ndarray, np.ndarray], chances: Sequence[float]
) -> list[TimedWord]:
    """The words of a text with their times.

    Args:
        tokenizer: openai-whisper's, with the language of the text.
        text: its tokens, without timestamps and without an end.
        path: which token, the end's included, sounds in which state: (steps,) and (steps,).
        chances: the probability of each token.
    """
    from whisper.timing import WordTiming, merge_punctuations

    tokens, states = path
    texts, of_words = tokenizer.split_to_word_tokens([*text, tokenizer.eot])
    ends = np.cumsum([len(part) for part in of_words])
    jumps = np.pad(np.diff(tokens), (1, 0), constant_values=1).astype(bool)
    times_ms = states[jumps] * MS_A_STATE
    timings, begin = [], 0
    for word, part, end in zip(texts[:-1], of_words[:-1], ends[:-1].tolist(), strict=True):
        chance = float(np.mean(chances[begin:end]))
        timings.append(WordTiming(word, part, float(times_ms[begin]), float(times_ms[end]), chance))
        begin = end
    merge_punctuations(timings, PREPENDED, APPENDED)
    return [
        TimedWord(one.word, round(one.start), round(one.end), one.probability, len(one.tokens))
        for one in timings
        if one.word
    ]
