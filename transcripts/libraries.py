"""The order in which heavy libraries are imported where several threads do so."""

from __future__ import annotations


def torch_first() -> None:
    """Have torch whole before scipy is imported; costs nothing once it is there.

    scipy looks whether torch has been imported, and fails when another thread is in the middle of that. An import of
    torch itself waits for the other thread.
    """
    import torch  # noqa: F401
