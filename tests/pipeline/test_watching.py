"""Progress where there is no terminal."""

from __future__ import annotations

import io
from typing import Any, cast

from rich.console import Console

from pipeline.stages import Work
from pipeline.watching import LineWatcher


def test_every_line_says_how_many_have_come() -> None:
    out = io.StringIO()
    watching = LineWatcher(Console(file=out), 2)
    works = [Work(cast("Any", None), n, "", "audio", 1000, f"{n}.wav") for n in (1, 2)]
    for work in works:
        watching.finished(work, "clips", 0.0, "")
        watching.arrived(work)
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["[0/2]", "[1/2]"]
