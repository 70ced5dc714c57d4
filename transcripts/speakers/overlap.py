"""Where two voices speak at once, heard from embeddings alone.

The embedding of two voices together lies between theirs. So each frame is taken as a non-negative combination of the
voice that has it and of one other (least squares, Lawson and Hanson 1974, in closed form for two), and where the other
has a large share for long enough, both speak.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.encoder import Embeddings

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from transcripts.speakers.resegmentation import Frames

SHARE = 0.3
"""The other voice speaks too from this share of the combination on; half is as much as the first."""
LEAST_FRAMES = 5
"""For a shorter time, half a second, it is one voice that follows the other within a window."""


def second_voices(embeddings: Embeddings, hearing: csr_matrix, voices: Embeddings, path: Frames) -> Frames:
    """Who else speaks in each frame; -1 for nobody. Only a voice that has frames of its own is found in others'.

    Args:
        embeddings: what is heard in each window, shape (n, 256).
        hearing: how much each frame hears of each window, shape (m, n), see ``resegmentation.hearing``.
        voices: the voices, unit length, shape (k, 256).
        path: the voice that has the frame, 0 to k - 1, shape (m,).
    """
    from scipy.ndimage import binary_opening

    nobody = np.full(len(path), -1, dtype=np.int64)
    if len(voices) < 2:
        return nobody
    scores = hearing @ (embeddings @ voices.T)
    alike = voices @ voices.T
    second, share = nobody, np.zeros(len(path))
    best = np.full(len(path), -np.inf)
    for voice in np.unique(path):
        fit, part = _combination(scores, alike, path, voice)
        better = (fit > best) & (part > 0) & (path != voice)
        second, share = np.where(better, voice, second), np.where(better, part, share)
        best = np.where(better, fit, best)
    both = binary_opening(share > SHARE, np.ones(LEAST_FRAMES, dtype=bool))
    return np.where(both, second, -1).astype(np.int64)


def _combination(
    scores: NDArray[np.floating], alike: NDArray[np.floating], path: Frames, other: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well each frame's own voice and the other fit it together, and the other's share, 0 to 1."""
    own, its = scores[np.arange(len(path)), path].astype(np.float64), scores[:, other].astype(np.float64)
    cosine = alike[path, other].astype(np.float64)
    free = np.maximum(1 - cosine**2, 1e-6)
    of_own = np.maximum(0, (own - cosine * its) / free)
    of_other = np.maximum(0, (its - cosine * own) / free)
    return of_own * own + of_other * its, of_other / np.maximum(of_own + of_other, 1e-9)
