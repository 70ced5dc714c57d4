"""The likeliest tokens that may follow, found in one pass by each row of scores.

Whisper's rules for timestamps need the greatest score of all words and the sum over all timestamps; the search needs
the sum over both and a handful of the greatest. General functions read 50,000 scores of every hypothesis for each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from transcripts.engines.compiling import as_float, as_numbers, compiled, exponential, on_threads
from transcripts.engines.values import NEVER

_BLOCK, _LANES = 64, 16
_NEVER, _LEAST = np.float32(NEVER), np.float32(-80)
_ZERO = np.float32(0)


def likeliest(
    scores: Tensor, never: Tensor, words_from: Tensor, times: Tensor, first_time: int, count: int
) -> tuple[Tensor, Tensor]:
    """The likeliest tokens of each hypothesis, by the rule that a timestamp is due when all of them together are
    likelier than any one word.

    Args:
        scores: (hypotheses, vocabulary) logits, float32 or bfloat16; words stand before timestamps.
        never: (``first_time``,) float32, zero for words that may be written, ``NEVER`` for others.
        words_from: (hypotheses,) int64, the first word that may follow; ``first_time`` where none may.
        times: (hypotheses, 2) int64, the first timestamp that may follow, and the one after the last.
        first_time: the first timestamp of the vocabulary.
        count: how many are asked for.

    Returns:
        (hypotheses, count) each: log-probabilities among all that may follow, greatest first, and tokens; near
        ``NEVER``, and any tokens, where fewer may follow.
    """
    chances = torch.empty(len(scores), count)
    tokens = torch.empty(len(scores), count, dtype=torch.int64)
    with on_threads():
        _likeliest(
            as_numbers(scores), never.numpy(), words_from.numpy(), times.numpy(), first_time, chances.numpy(),
            tokens.numpy(),
        )  # fmt: skip
    return chances, tokens


@njit(inline="always")
def _block_top(line: Any, first: int, lanes: Any) -> Any:
    for lane in range(_LANES):
        lanes[lane] = line[first + lane]
    for start in range(first + _LANES, first + _BLOCK, _LANES):
        for lane in range(_LANES):
            lanes[lane] = max(lanes[lane], line[start + lane])
    top = lanes[0]
    for lane in range(1, _LANES):
        top = max(top, lanes[lane])
    return top


@njit(inline="always")
def _sum_above(line: Any, tops: Any, first: int, last: int, most: Any) -> Any:
    """The sum of exponentials of blocks of scores less the greatest; of blocks that weigh nothing none are made."""
    lanes = np.zeros(_LANES, np.float32)
    for block in range(first, last):
        if tops[block] - most < _LEAST:
            continue
        for start in range(block * _BLOCK, (block + 1) * _BLOCK, _LANES):
            for lane in range(_LANES):
                lanes[lane] += exponential(line[start + lane] - most)
    total = _ZERO
    for lane in range(_LANES):
        total += lanes[lane]
    return total


@njit(inline="always")
def _greatest(tops: Any, first: int, last: int) -> Any:
    top = _NEVER
    for block in range(first, last):
        top = max(top, tops[block])
    return top


@compiled
def _likeliest(
    scores: Any, never: Any, words_from: Any, times: Any, first_time: int, chances: Any, tokens: Any
) -> None:
    rows, vocabulary = scores.shape
    count = chances.shape[1]
    words = (first_time + _BLOCK - 1) // _BLOCK  # blocks of words, then of timestamps
    blocks = words + (vocabulary - first_time + _BLOCK - 1) // _BLOCK
    shift = words * _BLOCK - first_time
    for row in prange(rows):
        line, tops = np.empty(blocks * _BLOCK, np.float32), np.empty(blocks, np.float32)
        lanes = np.empty(_LANES, np.float32)
        own, begin, end = scores[row], times[row, 0], times[row, 1]
        for token in range(first_time):
            line[token] = as_float(own[token]) + never[token]
        line[: words_from[row]] = _NEVER
        line[first_time : begin + shift] = _NEVER
        for token in range(begin, end):
            line[token + shift] = as_float(own[token])
        line[max(begin, end) + shift :] = _NEVER
        for block in range(blocks):
            tops[block] = _block_top(line, block * _BLOCK, lanes)
        word, time = _greatest(tops, 0, words), _greatest(tops, words, blocks)
        first, most, total = 0, max(word, time), _ZERO
        if time > _NEVER / 2:
            total = _sum_above(line, tops, words, blocks, time)
            if time + np.log(total) > word:  # a timestamp is due
                first, most = words, time
        if first == 0:
            total = _sum_above(line, tops, first, blocks, most)
        best, which = chances[row], tokens[row]
        best[:] = _NEVER
        which[:] = 0
        for block in range(first, blocks):
            if tops[block] <= best[count - 1]:
                continue
            for place in range(block * _BLOCK, (block + 1) * _BLOCK):
                score = line[place]
                if score <= best[count - 1]:
                    continue
                at = count - 1
                while at > 0 and score > best[at - 1]:
                    best[at], which[at] = best[at - 1], which[at - 1]
                    at -= 1
                best[at], which[at] = score, place if place < first_time else place - shift
        for at in range(count):
            best[at] = best[at] - most - np.log(total)
