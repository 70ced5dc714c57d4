"""What can go wrong in the pipeline, each told in one sentence: what, where, what to do.

StoriesError
├── ConfigError        stories.toml, the environment or the folder is not as it must be
├── IntakeError        intake.csv cannot be read at all
├── NotFound           a recording, clip, speaker or person that is not there
├── EditError          an edit that cannot be made
│   └── EditConflict   somebody else changed the transcript first
└── NotAllowed         the consent gate says no
"""

from __future__ import annotations


class StoriesError(Exception):
    """One sentence for the person at the keyboard."""


class ConfigError(StoriesError):
    """The collection's settings or its folder are not as they must be."""


class IntakeError(StoriesError):
    """The intake cannot be read."""


class NotFound(StoriesError):
    """There is no such recording, clip, speaker or person."""


class EditError(StoriesError):
    """The edit cannot be made as asked."""


class EditConflict(EditError):
    """The transcript has changed since the editor saw it."""


class NotAllowed(StoriesError):
    """Consent does not cover this."""
