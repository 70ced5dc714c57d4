"""`stories process`: the main job, from recordings to proposed clips."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import click
from filelock import FileLock, Timeout
from rich.console import Console
from rich.text import Text

from db import store
from pipeline import console
from pipeline.cli import App
from pipeline.collection import Collection
from pipeline.config import MAX_SPEAKERS
from pipeline.errors import StoriesError
from transcripts.errors import TranscriptsError


@click.command("process")
@click.argument("paths", nargs=-1, metavar="[PATH]…", type=click.Path(path_type=Path))
@click.option("--model", help="Another recognition model than the settings', for this run.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    help="Recordings at work at once; the models are shared.",
)
@click.option(
    "--speakers",
    type=click.IntRange(0, MAX_SPEAKERS),
    help="How many speak in the recordings of PATH; kept for later runs. 0: find out again.",
)
@console.json_option
@click.pass_obj
def command(
    app: App, paths: tuple[Path, ...], model: str | None, jobs: int, speakers: int | None, as_json: bool
) -> None:
    """Take recordings all the way: normalise, transcribe, find speakers and themes, propose clips.

    PATHs are files or folders; none means the collection's recordings/. What was done before is not done again,
    and a run that was stopped goes on where it was. Exit status: 0 all done, 1 some recordings failed (each is
    named with its reason), 2 the set-up is broken.
    """
    if speakers is not None and not paths:
        raise click.UsageError("--speakers is about recordings that are named: add their files.")
    collection = Collection.open(app.folder, model=model)
    out = console.console(stderr=as_json)
    collection.derived.mkdir(exist_ok=True)
    lock = FileLock(collection.derived / ".process.lock")
    try:
        with lock.acquire(timeout=0):
            report = _process(collection, paths, jobs, speakers, out)
    except Timeout:
        raise StoriesError(
            f"Another `stories process` is at work in {collection.root}; wait for it, or stop it first."
        ) from None
    except KeyboardInterrupt:
        out.print("Stopped. What was done is kept; the same command goes on from here.")
        sys.exit(130)
    if as_json:
        console.print_json(report.as_json())
    else:
        report.show(out)
    sys.exit(report.exit_status)


@dataclass(frozen=True)
class _Row:
    recording: str
    state: str
    done: tuple[str, ...]
    passed: tuple[str, ...]
    reason: str
    set_up: bool
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Report:
    rows: tuple[_Row, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def exit_status(self) -> int:
        if any(row.set_up for row in self.rows):
            return 2
        return 1 if any(row.state == "failed" for row in self.rows) else 0

    def as_json(self) -> dict[str, object]:
        return {
            "recordings": [
                {
                    "recording": row.recording,
                    "state": row.state,
                    "done": list(row.done),
                    "passed": list(row.passed),
                    "reason": row.reason,
                    "seconds": {stage: round(took, 3) for stage, took in row.seconds.items()},
                }
                for row in self.rows
            ],
            "notes": list(self.notes),
            "seconds": round(self.seconds, 3),
        }

    def show(self, out: Console) -> None:
        for note in self.notes:
            out.print(Text(note, style="yellow"))
        failed = [row for row in self.rows if row.state == "failed"]
        for reason in dict.fromkeys(row.reason for row in failed):
            names = [row.recording for row in failed if row.reason == reason]
            out.print(Text(_failure(names, reason), style="red"))
        counts = {
            state: sum(row.state == state for row in self.rows) for state in ("done", "unchanged", "failed")
        }
        told = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "nothing to do"
        out.print(Text(f"{told}, in {self.seconds:.1f} s"))


def _failure(names: list[str], reason: str) -> str:
    if len(names) == 1:
        return f"{names[0]}: {reason}"
    return f"{len(names)} recordings ({', '.join(names)}): {reason}"


def _process(
    collection: Collection, paths: tuple[Path, ...], jobs: int, speakers: int | None, out: Console
) -> _Report:
    from pipeline.journey import Journey
    from pipeline.stages.ingest import ingest
    from pipeline.watching import watcher

    start = monotonic()
    with out.status("looking at the files") as status:
        found = ingest(
            collection, paths, lambda path, share: status.update(Text(f"reading {path.name} {share:.0%}"))
        )
    if speakers is not None:
        with collection.sessions.begin() as session:
            store.set_speaker_count(session, (work.recording_id for work in found.works), speakers)
    rows = [_Row(name, "failed", (), (), reason, False, {}) for name, reason in found.failed.items()]
    rows += [
        _Row(name, "duplicate", (), (), f"the same recording as {twin}", False, {})
        for name, twin in found.duplicates.items()
    ]
    unsettled: list[str] = []
    with watcher(out, len(found.works)) as watching:
        journey = Journey(collection, watching, between=lambda: unsettled.extend(_unsettled(collection)))
        outcomes = journey.run(found.works, jobs=jobs)
    for outcome in outcomes:
        state = "failed" if outcome.error else "done" if outcome.done else "unchanged"
        rows.append(
            _Row(
                outcome.work.name,
                state,
                tuple(outcome.done),
                tuple(outcome.passed),
                f"{outcome.failed_stage}: {outcome.error}" if outcome.error else "",
                outcome.set_up,
                outcome.seconds,
            )
        )
    notes = [
        *found.intake_problems,
        *(
            f"{name}: the same recording as {twin}; it is kept once."
            for name, twin in found.duplicates.items()
        ),
        *_without_line(found.without_line),
        *unsettled,
        *found.lines_without_file,
        *found.transcripts_of_none,
        *(
            [f"passed over, not media by their names: {', '.join(found.passed_over)}"]
            if found.passed_over
            else []
        ),
    ]
    return _Report(tuple(rows), tuple(notes), monotonic() - start)


def _unsettled(collection: Collection) -> list[str]:
    """Weigh the themes of the whole collection; what went wrong, in words."""
    from pipeline import labelling

    try:
        labelling.settle(collection)
    except (TranscriptsError, OSError) as error:
        return [f"The themes of the whole collection could not be weighed: {error}"]
    return []


def _without_line(names: list[str]) -> list[str]:
    if not names:
        return []
    if len(names) == 1:
        return [f"{names[0]}: intake.csv has no line for it, so it cannot be published."]
    listed = ", ".join(names)
    return [f"intake.csv has no line for {len(names)} recordings, so they cannot be published: {listed}."]
