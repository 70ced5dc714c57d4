"""Progress for people: bars in a terminal, a line for each finished stage where there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from pipeline.stages import Work


def speed(work: Work, seconds: float) -> str:
    """How long a stage took, and how much faster than listening that is."""
    if seconds < 0.05:
        return "at once"
    return f"{seconds:.1f} s ({work.duration_ms / 1000 / seconds:.1f}x real time)"


class LineWatcher:
    """Prints a line when a stage ends; for logs and pipes. Long stages say where they are every tenth."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._total = total
        self._arrived = 0
        self._tenths: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def started(self, work: Work, stage: str) -> None:
        """Note that nothing is done yet."""
        self._tenths[work.name, stage] = 0

    def progress(self, work: Work, stage: str, share: float) -> None:
        """Say every tenth of a stage of a long recording."""
        tenth = int(share * 10)
        if work.duration_ms >= 600_000 and self._tenths.get((work.name, stage), 0) < tenth < 10:
            self._tenths[work.name, stage] = tenth
            self._say(f"{work.name}: {stage} {tenth * 10} %")

    def finished(self, work: Work, stage: str, seconds: float, error: str) -> None:
        """Say how a stage ended."""
        self._say(
            f"{work.name}: {stage} failed: {error}"
            if error
            else f"{work.name}: {stage} done, {speed(work, seconds)}"
        )

    def arrived(self, work: Work) -> None:
        """Count it."""
        with self._lock:
            self._arrived += 1

    def _say(self, text: str) -> None:
        self._console.print(Text(f"[{self._arrived}/{self._total}] {text}"))


class BarWatcher:
    """A bar for the batch and one for each recording at work."""

    def __init__(self, console: Console, total: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._all = self._progress.add_task("all recordings", total=total, note=f"0 of {total}")
        self._total = total
        self._arrived = 0
        self._bars: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def shown(self) -> Progress:
        """What draws the bars for as long as it is entered."""
        return self._progress

    def started(self, work: Work, stage: str) -> None:
        """Show a bar for this stage in the place of the recording's last one."""
        with self._lock:
            self._drop(work)
            self._bars[work.name] = self._progress.add_task(f"  {work.name}", total=1.0, note=stage)

    def progress(self, work: Work, stage: str, share: float) -> None:
        """Move the bar; the note says how much of the sound is done."""
        bar = self._bars.get(work.name)
        if bar is not None:
            seconds = work.duration_ms / 1000
            note = f"{stage}: {share * seconds:.0f} of {seconds:.0f} s"
            self._progress.update(bar, completed=share, note=note)

    def finished(self, work: Work, stage: str, seconds: float, error: str) -> None:
        """Take the bar away, and keep a line of what went wrong."""
        with self._lock:
            self._drop(work)
        if error:
            self._progress.console.print(Text(f"{work.name}: {stage} failed: {error}", style="red"))

    def arrived(self, work: Work) -> None:
        """Move the batch's bar."""
        with self._lock:
            self._drop(work)
            self._arrived += 1
            self._progress.update(
                self._all, completed=self._arrived, note=f"{self._arrived} of {self._total}"
            )

    def _drop(self, work: Work) -> None:
        bar = self._bars.pop(work.name, None)
        if bar is not None:
            self._progress.remove_task(bar)


@contextmanager
def watcher(console: Console, total: int) -> Iterator[LineWatcher | BarWatcher]:
    """Bars in a terminal, taken away at the end; lines elsewhere."""
    if not console.is_terminal:
        yield LineWatcher(console, total)
        return
    bars = BarWatcher(console, total)
    with bars.shown():
        yield bars
