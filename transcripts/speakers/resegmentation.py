"""Who speaks in each tenth of a second: the likeliest path through the voices, given that voices seldom
change."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from transcripts.span import Span
from transcripts.speakers.clusters import unit
from transcripts.speakers.encoder import WINDOW_MS, Embeddings

FRAME_MS = 100
SMOOTHING_MS = 300
"""Standard deviation of the Gaussian that carries a window's likeness to the frames around its middle."""
REACH = 4
"""Frames further than this many standard deviations hear nothing of a window, unless no other is nearer."""
SWITCH_PENALTY = 1.0
"""What a change of voice costs, in units of a frame's cosine."""
MAX_ROUNDS = 5

Frames = NDArray[np.int64]


def frames_of(speech: Sequence[Span]) -> tuple[Frames, Frames]:
    """The frames of the speech: their starts in ms, and the number of the stretch each lies in."""
    starts = [np.arange(span.start_ms, span.end_ms, FRAME_MS) for span in speech]
    stretch = [np.full(len(part), number) for number, part in enumerate(starts)]
    return np.concatenate(starts).astype(np.int64), np.concatenate(stretch).astype(np.int64)


def follow(
    embeddings: Embeddings,
    windows_ms: NDArray[np.int64],
    voices: Embeddings,
    frames_ms: Frames,
    switch_penalty: float = SWITCH_PENALTY,
) -> tuple[Frames, Embeddings]:
    """Give each frame to a voice; the voices are learned again from the result until nothing changes.

    Args:
        embeddings: what is heard in each window, shape (n, 256).
        windows_ms: the windows' starts, ascending, shape (n,).
        voices: a first guess of the voices, shape (k, 256).
        frames_ms: the frames' starts, ascending, shape (m,), m >= 1.
        switch_penalty: what a change of voice costs; lower lets a voice be heard in shorter stretches.

    Returns:
        The voice of each frame, 0 to k - 1, shape (m,); and the voices, shape (k, 256). A voice that wins no
        frame keeps its first guess.
    """
    weights = _weights(windows_ms + WINDOW_MS // 2, frames_ms + FRAME_MS // 2)
    path = np.full(len(frames_ms), -1, dtype=np.int64)
    for _ in range(MAX_ROUNDS):
        scores = _apply(weights, embeddings @ voices.T)
        better = viterbi(scores, switch_penalty)
        if np.array_equal(better, path):
            break
        path = better
        voices = _learn(weights, embeddings, path, voices)
    return path, voices


def viterbi(scores: NDArray[np.floating], switch_penalty: float) -> Frames:
    """The path with the highest sum of ``scores`` (m, k) less ``switch_penalty`` for every change; ties stay.

    Viterbi 1967.
    """
    count, voices = scores.shape
    came_from = np.zeros((count, voices), dtype=np.int64)
    best = scores[0].astype(np.float64)
    own = np.arange(voices)
    for frame in range(1, count):
        leader = int(best.argmax())
        switched = best[leader] - switch_penalty
        stays = best >= switched
        came_from[frame] = np.where(stays, own, leader)
        best = np.where(stays, best, switched) + scores[frame]
    path = np.empty(count, dtype=np.int64)
    path[-1] = int(best.argmax())
    for frame in range(count - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


class _Weights:
    """A banded matrix: for each frame, the few windows that it hears and how much of each."""

    def __init__(self, index: NDArray[np.int64], weight: NDArray[np.float64]) -> None:
        self.index, self.weight = index, weight


def _weights(middles_ms: NDArray[np.int64], frames_ms: Frames) -> _Weights:
    around = 8
    nearest = np.searchsorted(middles_ms, frames_ms)
    index = np.clip(nearest[:, None] + np.arange(-around, around), 0, len(middles_ms) - 1)
    distance = np.abs(middles_ms[index] - frames_ms[:, None]).astype(np.float64)
    closest = distance.min(axis=1, keepdims=True)
    # relative to the closest window, so that a frame far from all hears that one
    weight = np.exp(-0.5 * (distance**2 - closest**2) / SMOOTHING_MS**2)
    weight[distance > np.maximum(closest, REACH * SMOOTHING_MS)] = 0
    repeated = np.zeros_like(index, dtype=bool)
    repeated[:, 1:] = index[:, 1:] == index[:, :-1]
    weight[repeated] = 0
    return _Weights(index, weight / weight.sum(axis=1, keepdims=True))


def _apply(weights: _Weights, of_windows: NDArray[np.floating]) -> NDArray[np.float64]:
    blended: NDArray[np.float64] = np.einsum("mw,mwk->mk", weights.weight, of_windows[weights.index])
    return blended


def _learn(weights: _Weights, embeddings: Embeddings, path: Frames, voices: Embeddings) -> Embeddings:
    share = np.zeros((len(embeddings), len(voices)))
    np.add.at(share, (weights.index, path[:, None]), weights.weight)
    sums = share.T @ embeddings
    learned = unit(sums)
    return np.where(share.sum(axis=0)[:, None] > 0, learned, voices).astype(np.float32)
