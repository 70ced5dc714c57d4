"""A collection: a folder, its settings and its database, opened once and handed around."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlalchemy import Engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session, sessionmaker

from db.engine import open_database, sessions
from pipeline import config
from pipeline.config import Settings
from pipeline.errors import ConfigError


@dataclass(frozen=True)
class Collection:
    """One project's folder. Paths in the database count from ``root``; what lies elsewhere is absolute."""

    root: Path
    settings: Settings

    @classmethod
    def open(cls, root: Path, *, model: str | None = None) -> Collection:
        """Open the collection in ``root``; ``model`` wins over the settings' model.

        Raises:
            ConfigError: when the folder is no collection or its settings are wrong.
        """
        root = root.resolve()
        settings = config.read_settings(root)
        return cls(root, settings.with_model(model) if model else settings)

    @cached_property
    def engine(self) -> Engine:
        """The database, migrated to what this program knows.

        Raises:
            DatabaseError: when it cannot be opened.
        """
        return open_database(self._database_url())

    @cached_property
    def sessions(self) -> sessionmaker[Session]:
        """Makes sessions; hold none during slow work."""
        return sessions(self.engine)

    @property
    def recordings(self) -> Path:
        """Where originals lie; never written to."""
        return self.root / "recordings"

    @property
    def derived(self) -> Path:
        """What can be deleted and made again."""
        return self.root / "derived"

    def derived_for(self, sha256: str) -> Path:
        """The folder of what is derived from one recording."""
        return self.derived / sha256[:16]

    def stored(self, path: Path) -> str:
        """The path as the database keeps it."""
        absolute = path.absolute()
        if absolute.is_relative_to(self.root):
            return absolute.relative_to(self.root).as_posix()
        return str(absolute)

    def absolute(self, stored_path: str) -> Path:
        """The file that a path of the database means."""
        return self.root / stored_path

    def _database_url(self) -> str:
        try:
            url = make_url(self.settings.database.url)
        except ArgumentError as error:
            raise ConfigError(
                f"{self.root / config.FILE}: database.url '{self.settings.database.url}' is no database address; "
                "leave it out for stories.db in this folder."
            ) from error
        if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_absolute():
            url = url.set(database=str(self.root / url.database))
        return url.render_as_string(hide_password=False)
