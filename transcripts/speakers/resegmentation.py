"""Who speaks in each tenth of a second: the likeliest path through the voices, given that voices seldom
change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transcripts.span import Span
from transcripts.speakers.encoder import Embeddings, Windows, unit

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

FRAME_MS = 100
SMOOTHING_MS = 300
"""Standard deviation of the Gaussian that carries a window's likeness to the frames around its middle."""
REACH = 4
"""Frames further than this many standard deviations hear nothing of a window, unless no other is nearer."""
SWITCH_PENALTY = 1.0
"""What a change of voice costs, in units of a frame's cosine."""
MAX_ROUNDS = 5
NEIGHBOURS = 8
"""Windows looked at on each side of a frame."""
APART_MS = 10_000
BLOCK = 36_000
"""Frames whose windows are found at once: an hour."""

Frames = NDArray[np.int64]


def frames_of(speech: Sequence[Span]) -> tuple[Frames, Frames]:
    """The frames of the speech: their starts in ms, and the number of the stretch each lies in."""
    starts = [np.arange(span.start_ms, span.end_ms, FRAME_MS) for span in speech]
    stretch = [np.full(len(part), number) for number, part in enumerate(starts)]
    return np.concatenate(starts).astype(np.int64), np.concatenate(stretch).astype(np.int64)


def follow(
    embeddings: Embeddings,
    weights: csr_matrix,
    voices: Embeddings,
    switch_penalty: float = SWITCH_PENALTY,
) -> tuple[Frames, Embeddings]:
    """Give each frame to a voice; the voices are learned again from the result until nothing changes.

    Args:
        embeddings: what is heard in each window, shape (n, 256).
        weights: how much each frame hears of each window, shape (m, n), see ``hearing``.
        voices: a first guess of the voices, shape (k, 256).
        switch_penalty: what a change of voice costs; lower lets a voice be heard in shorter stretches.

    Returns:
        The voice of each frame, 0 to k - 1, shape (m,); and the voices, shape (k, 256). A voice that wins no
        frame keeps its first guess.
    """
    path = np.full(weights.shape[0], -1, dtype=np.int64)
    for _ in range(MAX_ROUNDS):
        scores = weights @ (embeddings @ voices.T)
        better = viterbi(scores, switch_penalty)
        if np.array_equal(better, path):
            break
        path = better
        voices = learn(weights, embeddings, path, voices)
    return path, voices


def viterbi(scores: NDArray[np.floating], switch_penalty: float) -> Frames:
    """The path with the highest sum of ``scores`` (m, k) less ``switch_penalty`` for every change; ties stay.

    Viterbi 1967.
    """
    count, voices = scores.shape
    came_from = np.zeros((count, voices), dtype=np.int16)
    best = scores[0].astype(np.float64)
    own = np.arange(voices, dtype=np.int16)
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


def hearing(windows_ms: Windows, of_window: Frames, frames_ms: Frames, of_frame: Frames) -> csr_matrix:
    """How much each frame hears of each window: shape (m, n), rows sum to 1, only some windows near each frame.

    A frame hears the windows of its own stretch; where that has none, those that are nearest.

    Args:
        windows_ms: the windows, ascending, shape (n, 2).
        of_window: the number of the stretch each lies in, ascending, shape (n,).
        frames_ms: the frames' starts, ascending, shape (m,).
        of_frame: the number of the stretch each lies in, ascending, shape (m,).
    """
    from scipy.sparse import vstack

    # as if the stretches lay far apart
    middles = windows_ms[:, 0] + windows_ms[:, 1] // 2 + APART_MS * of_window
    frames = frames_ms + FRAME_MS // 2 + APART_MS * of_frame
    parts = [_rows(middles, frames[first : first + BLOCK]) for first in range(0, len(frames), BLOCK)]
    return vstack(parts, format="csr")


def _rows(middles_ms: NDArray[np.int64], frames_ms: Frames) -> csr_matrix:
    from scipy.sparse import csr_matrix

    nearest = np.searchsorted(middles_ms, frames_ms)
    index = np.clip(nearest[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS), 0, len(middles_ms) - 1)
    distance = np.abs(middles_ms[index] - frames_ms[:, None]).astype(np.float64)
    closest = distance.min(axis=1, keepdims=True)
    # relative to the closest window, so that a frame far from all hears that one
    weight = np.exp(-0.5 * (distance**2 - closest**2) / SMOOTHING_MS**2)
    weight[distance > np.maximum(closest, REACH * SMOOTHING_MS)] = 0
    weight[:, 1:][index[:, 1:] == index[:, :-1]] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    frame, column = np.nonzero(weight)
    values = weight[frame, column].astype(np.float32)
    return csr_matrix((values, (frame, index[frame, column])), shape=(len(frames_ms), len(middles_ms)))


def learn(weights: csr_matrix, embeddings: Embeddings, path: Frames, voices: Embeddings) -> Embeddings:
    """The voices as they sound in the frames given to them, shape (k, 256); -1 in ``path`` is nobody's frame."""
    learned = voices.copy()
    for voice in range(len(voices)):
        share = weights.T @ (path == voice).astype(np.float32)
        if share.any():
            learned[voice] = unit((share @ embeddings)[None])[0]
    return learned
