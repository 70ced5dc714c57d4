from pathlib import Path

import pytest

from pipeline import config
from pipeline.errors import ConfigError


def settings(tmp_path: Path, text: str, **environment: str) -> config.Settings:
    (tmp_path / "stories.toml").write_text(text)
    return config.read_settings(tmp_path, environment)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert settings(tmp_path, "") == config.Settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[transcription]\nmodell = 'small'", "transcription.modell is not a setting"),
        ("[transcription]\nbeam_size = 0", "transcription.beam_size is wrong"),
        ("[clips]\nmin_s = 'ten'", "clips.min_s is wrong"),
        ("[transcription\n", "is not TOML"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match="stories.toml") as caught:
        settings(tmp_path, text)
    assert said in str(caught.value)


def test_no_collection_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="stories init"):
        config.read_settings(tmp_path, {})


def test_the_environment_wins(tmp_path: Path) -> None:
    read = settings(tmp_path, "[transcription]\nmodel = 'small'", STORIES_MODEL="demo", STORIES_LANGUAGE="sv")
    assert (read.transcription.model, read.transcription.language) == ("demo", "sv")


def test_the_author(tmp_path: Path) -> None:
    assert config.author({"STORIES_AUTHOR": " Ruth "}) == "Ruth"
    assert config.author({})
