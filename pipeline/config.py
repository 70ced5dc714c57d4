"""Settings: stories.toml and the environment, read here and nowhere else, frozen once read.

The environment wins over the file: STORIES_MODEL, STORIES_LANGUAGE, STORIES_DATABASE_URL, STORIES_AUTHOR.
"""

from __future__ import annotations

import getpass
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.errors import ConfigError

FILE = "stories.toml"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectionSettings(_Part):
    """What the collection is called."""

    title: str = "Our stories"


class TranscriptionSettings(_Part):
    """Which model listens, and for which language."""

    engine: Literal["whisper", "faster-whisper"] = "whisper"
    model: str = "small"
    language: str = ""
    beam_size: int = Field(5, ge=1, le=20)
    translate: bool = False


MAX_SPEAKERS = 30


class SpeakerSettings(_Part):
    """How many voices to expect; 0: find out."""

    count: int = Field(0, ge=0, le=MAX_SPEAKERS)


class ThemeSettings(_Part):
    """Where the codebook is, and what turns sentences into vectors."""

    codebook: str = "themes.yaml"
    embeddings: str = "all-MiniLM-L6-v2"


class ClipSettings(_Part):
    """The bounds of a proposed excerpt, in seconds, and how many a recording is asked for."""

    min_s: float = Field(10, ge=1)
    max_s: float = Field(90, le=600)
    most: int = Field(5, ge=0)


class PublishingSettings(_Part):
    """The Hugo site that approved clips go into, from the collection's folder."""

    site: str = ""


class DatabaseSettings(_Part):
    """Any SQLAlchemy address; a relative SQLite path counts from the collection's folder."""

    url: str = "sqlite:///stories.db"


class Settings(_Part):
    """Everything that stories.toml can say."""

    collection: CollectionSettings = CollectionSettings()
    transcription: TranscriptionSettings = TranscriptionSettings()
    speakers: SpeakerSettings = SpeakerSettings()
    themes: ThemeSettings = ThemeSettings()
    clips: ClipSettings = ClipSettings()
    publishing: PublishingSettings = PublishingSettings()
    database: DatabaseSettings = DatabaseSettings()

    def with_model(self, model: str) -> Settings:
        """The same settings with another recognition model."""
        transcription = self.transcription.model_copy(update={"model": model})
        return self.model_copy(update={"transcription": transcription})


_ENVIRONMENT = {
    "STORIES_MODEL": ("transcription", "model"),
    "STORIES_LANGUAGE": ("transcription", "language"),
    "STORIES_DATABASE_URL": ("database", "url"),
}


def read_settings(root: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the collection in ``root``.

    Raises:
        ConfigError: when the file is missing, is not TOML, or holds a key or value that is not known; the
            sentence names the place.
    """
    path = root / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{root} is no collection: it holds no {FILE}. `stories init {root}` makes one."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    return _validated(_with_environment(document, environment), path)


def author(environment: Mapping[str, str] = os.environ) -> str:
    """Who is at the keyboard: STORIES_AUTHOR, else the login name."""
    named = environment.get("STORIES_AUTHOR", "").strip()
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _with_environment(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for variable, (table, key) in _ENVIRONMENT.items():
        if variable in environment:
            document.setdefault(table, {})[key] = environment[variable]
    return document


def _validated(document: dict[str, Any], path: Path) -> Settings:
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        what = "is not a setting" if first["type"] == "extra_forbidden" else f"is wrong: {first['msg']}"
        raise ConfigError(f"{path}: {place} {what}.") from error
