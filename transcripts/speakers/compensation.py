"""Embeddings with what rooms, noise and lines do to them discounted, so that recordings can be compared.

Within-class covariance normalisation (Hatch, Kajarekar & Stolcke 2006, "Within-Class Covariance Normalization for
SVM-based Speaker Recognition"): a direction in which one voice varies from recording to recording counts the less,
the more it does. The directions belong to the encoder of ``encoder.py``; ``tools/voices`` learns them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.encoder import DIMENSION, Embeddings, unit

LEARNED = Path(__file__).with_name("conditions.npz")
RIDGE = 0.3
"""Added to every direction's variance, in units of the mean one: the higher, the less is discounted."""


def compensated(embeddings: Embeddings) -> Embeddings:
    """The embeddings, shape (n, 256), without what their recordings did to them; unit length, numbers of any sign.

    Raises:
        ValueError: the embeddings are not of this encoder: they have another shape.
    """
    if embeddings.ndim != 2 or embeddings.shape[1] != DIMENSION:
        raise ValueError(f"embeddings of shape (n, {DIMENSION}) are meant, these have {embeddings.shape}")
    mean, discount = _learned()
    return unit((embeddings - mean) @ discount)


@lru_cache(maxsize=1)
def _learned() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean voice, and the matrix that takes out each direction as far as it varies."""
    with np.load(LEARNED) as held:
        mean = held["mean"].astype(np.float32)
        directions = held["directions"].astype(np.float32)
        variances = held["variances"].astype(np.float32)
    taken = 1.0 - np.sqrt(RIDGE / (variances + RIDGE))
    discount = np.eye(DIMENSION, dtype=np.float32) - (directions.T * taken) @ directions
    return mean, discount.astype(np.float32)
