"""Names that stand in paths and addresses."""

from __future__ import annotations

import re
import unicodedata


def slugify(text: str) -> str:
    """Lower-case ASCII letters, digits and hyphens; empty when nothing of the text can be kept.

    >>> slugify("Léa's  story: Part 2")
    'leas-story-part-2'
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")


def nfc(text: str) -> str:
    """The text in Unicode's composed form, as the database keeps it."""
    return unicodedata.normalize("NFC", text)
