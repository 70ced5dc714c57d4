"""The journey of recordings through the stages, in reading order.

    ingest -> normalise -> transcribe -> speakers -> corrections -> themes -> (all are there) -> clips

A theme's score depends on the whole collection, so clips are proposed once every recording has its passages, in a
second leg. Each stage commits on its own. A stage whose fingerprint is done, and whose results are still there, is
passed over; so a stopped run goes on where it was, and a second run does nothing twice. One recording's failure is
its own; what is wrong with the set-up (a model that cannot be fetched, say) is tried once and told once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from time import monotonic
from typing import Protocol

from db import store
from db.errors import DatabaseError, told
from media.errors import MediaError, ToolMissing
from pipeline.collection import Collection
from pipeline.errors import StoriesError
from pipeline.stages import Progress, Stage, Work
from pipeline.stages.clips import Clips
from pipeline.stages.corrections import Correct
from pipeline.stages.normalise import Normalise
from pipeline.stages.speakers import Speakers
from pipeline.stages.themes import Themes
from pipeline.stages.transcribe import Transcribe
from transcripts.errors import (
    CannotTranslate,
    CodebookError,
    CorrectionsError,
    DeviceUnavailable,
    EmbeddingsUnavailable,
    ModelDamaged,
    ModelUnavailable,
    SpeakersUnavailable,
    TranscriptsError,
)

log = logging.getLogger(__name__)

LEGS: tuple[tuple[Stage, ...], ...] = (
    (Normalise(), Transcribe(), Speakers(), Correct(), Themes()),
    (Clips(),),
)

SET_UP = (
    ToolMissing,
    ModelUnavailable,
    ModelDamaged,
    DeviceUnavailable,
    CannotTranslate,
    SpeakersUnavailable,
    EmbeddingsUnavailable,
    CodebookError,
    CorrectionsError,
)
"""Errors that every recording would meet again."""

RECORDING = (MediaError, TranscriptsError, StoriesError, DatabaseError, OSError)
"""Errors that are one recording's own."""


class Stopped(BaseException):
    """The person at the keyboard asked to stop; not an error of any stage."""


class Watcher(Protocol):
    """Is told how the journey goes; called from several threads."""

    def started(self, work: Work, stage: str) -> None:
        """A stage begins."""

    def progress(self, work: Work, stage: str, share: float) -> None:
        """A share of it, 0 to 1, is done."""

    def finished(self, work: Work, stage: str, seconds: float, error: str) -> None:
        """It ended, well when ``error`` is empty."""

    def arrived(self, work: Work) -> None:
        """The recording has come as far as it can today."""


@dataclass
class Outcome:
    """How one recording fared: stages done now, stages there already, and what stopped it.

    ``reached`` is the fingerprint of the last stage that is there, of the file itself before the first.
    """

    work: Work
    reached: str
    done: list[str] = field(default_factory=list)
    passed: list[str] = field(default_factory=list)
    failed_stage: str = ""
    error: str = ""
    set_up: bool = False
    seconds: dict[str, float] = field(default_factory=dict)


class Journey:
    """Takes recordings through the stages, several at a time; models are shared and used one at a time."""

    def __init__(
        self,
        collection: Collection,
        watcher: Watcher,
        legs: Sequence[Sequence[Stage]] = LEGS,
        between: Callable[[], None] = lambda: None,
    ) -> None:
        """A leg begins when every recording came to the end of the one before, and ``between`` was called."""
        self._collection = collection
        self._watcher = watcher
        self._legs = legs
        self._between = between
        self._stop = threading.Event()
        self._broken: dict[str, BaseException] = {}

    def run(self, works: Sequence[Work], executor: Executor | None = None, jobs: int = 2) -> list[Outcome]:
        """Every recording's outcome, in the order given.

        With no ``executor`` of the caller's, ``jobs`` threads of this process do the work.
        """
        with self._collection.sessions.begin() as session:
            store.close_interrupted(session)
        if executor is not None:
            return self._travelled(works, executor)
        with ThreadPoolExecutor(max_workers=max(1, jobs), thread_name_prefix="journey") as threads:
            try:
                return self._travelled(works, threads)
            except BaseException:
                self._stop.set()
                threads.shutdown(wait=False, cancel_futures=True)
                raise

    def _travelled(self, works: Sequence[Work], executor: Executor) -> list[Outcome]:
        outcomes = [Outcome(work, work.sha256) for work in works]
        for number, leg in enumerate(self._legs):
            if number:
                self._between()
            last = number == len(self._legs) - 1
            futures = [executor.submit(self._travel, outcome, leg, last) for outcome in outcomes]
            outcomes = [future.result() for future in futures]
        return outcomes

    def _travel(self, outcome: Outcome, leg: Sequence[Stage], last: bool) -> Outcome:
        """Take one recording as far as it comes on a leg; nowhere when something stopped it on an earlier one."""
        if outcome.error:
            return outcome
        work = outcome.work
        for stage in leg:
            key = store.StageKey(work.sha256, stage.name, stage.fingerprint(work, outcome.reached))
            if self._is_there(work, stage, key):
                outcome.passed.append(stage.name)
            elif not self._attempted(work, stage, key, outcome):
                last = True
                break
            outcome.reached = key.fingerprint
        if last:
            self._watcher.arrived(work)
        return outcome

    def _is_there(self, work: Work, stage: Stage, key: store.StageKey) -> bool:
        with self._collection.sessions() as session:
            done = store.is_done(session, key)
        return done and stage.intact(work)

    def _attempted(self, work: Work, stage: Stage, key: store.StageKey, outcome: Outcome) -> bool:
        """Run the stage; whether it went well."""
        with self._collection.sessions.begin() as session:
            run_id = store.begin(session, key).id
        self._watcher.started(work, stage.name)
        start = monotonic()
        error = self._worked(work, stage, run_id, outcome)
        if error:
            with self._collection.sessions.begin() as session:
                store.finish(session, run_id, error)
            outcome.failed_stage, outcome.error = stage.name, error
        else:
            outcome.done.append(stage.name)
        outcome.seconds[stage.name] = monotonic() - start
        self._watcher.finished(work, stage.name, outcome.seconds[stage.name], error)
        return not error

    def _worked(self, work: Work, stage: Stage, run_id: int, outcome: Outcome) -> str:
        """Run the stage and write what it found; what went wrong, in one sentence, empty when nothing did."""
        try:
            if stage.name in self._broken:
                raise self._broken[stage.name]
            write = stage.run(work, self._watched(work, stage))
            with told(self._collection.engine.url), self._collection.sessions.begin() as session:
                write(session)
                store.finish(session, run_id)
        except SET_UP as error:
            self._broken[stage.name] = error
            outcome.set_up = True
            return str(error)
        except RECORDING as error:
            return str(error)
        except MemoryError:
            return "there was not enough memory; close other programs, or choose a smaller model"
        except Exception as error:
            log.error("%s: %s", work.name, stage.name, exc_info=True)
            return f"an error we did not foresee ({type(error).__name__}: {error}); please report it"
        return ""

    def _watched(self, work: Work, stage: Stage) -> Progress:
        def progress(share: float) -> None:
            if self._stop.is_set():
                raise Stopped
            self._watcher.progress(work, stage.name, min(1.0, max(0.0, share)))

        return progress
