"""Kills `stories process` at random moments, as a power cut would."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
from pathlib import Path

from tests.journey.collections import command, environment, stories


def killed_until_done(root: Path, *, rounds: int, seed: int) -> int:
    """Start `stories process` and SIGKILL it ``rounds`` times, then let it end; how often it was really killed.

    The moments are spread over the time that one undisturbed run of a copy takes, start-up left out: a run that
    ends before its moment does not count, and starts again from nothing.
    """
    moments = random.Random(seed)
    kills = 0
    while kills < rounds:
        process = subprocess.Popen(
            command(root, "process"),
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            process.wait(timeout=moments.uniform(0.5, 12.0))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            kills += 1
        else:
            _forget(root)
        process.communicate()
    stories(root, "process")
    return kills


def _forget(root: Path) -> None:
    """Take the collection back to its start, so that later kills meet work."""
    for path in root.glob("stories.db*"):
        path.unlink()
    shutil.rmtree(root / "derived", ignore_errors=True)
