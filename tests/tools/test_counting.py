"""The windows that the network of ``transcripts.speakers.counting`` learns from, and that it learns."""

from __future__ import annotations

import random
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch

from tools.voices import counting as making
from transcripts.speakers import counting


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> making.Pool:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "POOL", tmp_path_factory.mktemp("pool"))
        patch.setattr(making, "VOICES", 3)
        patch.setattr(making, "UTTERANCES", 4)
        path = making.make_part(1)
        assert making.make_part(1) == path
        return making.read_pool([path])


def test_the_pool_says_when_somebody_speaks(pool: making.Pool) -> None:
    assert [len(voice) for voice in pool] == [4, 4, 4]
    for said in (said for voice in pool for said in voice):
        seconds = len(said.samples) / 16_000
        assert (said.active_s[:, 0] < said.active_s[:, 1]).all()
        assert 0 <= said.active_s.min() < said.active_s.max() <= seconds + 0.01
        assert np.abs(said.samples).max() > 0.01


def test_windows_hold_what_is_said_of_them(pool: making.Pool) -> None:
    draw = random.Random(1)
    truths = []
    for _ in range(30):
        spectra, truth = making.window(draw, pool)
        assert spectra.shape == (500, counting.BINS)
        assert truth.shape == (250,)
        assert np.isfinite(spectra).all()
        truths.append(truth)
    shares = [float((np.concatenate(truths) == count).mean()) for count in range(3)]
    assert min(shares) > 0.05
    assert shares[1] > 0.4


def test_the_same_draw_gives_the_same_window(pool: making.Pool) -> None:
    one, other = (making.window(random.Random(5), pool) for _ in range(2))
    assert (one[0] == other[0]).all()
    assert (one[1] == other[1]).all()


def test_training_learns_what_it_is_shown(pool: making.Pool) -> None:
    draw = random.Random(2)
    windows = [making.window(draw, pool) for _ in range(4)]
    shown = np.stack([one for one, _ in windows]), np.stack([truth for _, truth in windows])

    def loss(weights: dict[str, torch.Tensor]) -> float:
        said = counting.logits(weights, torch.from_numpy(shown[0].astype(np.float32)))
        return float(torch.nn.functional.cross_entropy(said, torch.from_numpy(shown[1])))

    few, more = (making.train(repeat(shown), steps) for steps in (2, 60))
    assert {name: tuple(tensor.shape) for name, tensor in more.items()} == counting.shapes()
    assert loss(more) < 0.8 * loss(few)


def test_the_weights_that_are_there_fit_the_network() -> None:
    with np.load(Path(counting.__file__).with_name("counting.npz")) as held:
        assert {name: held[name].shape for name in held.files} == counting.shapes()
