"""The journey's own promises, with stages that do nothing but keep count."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from db import models
from pipeline import overview
from pipeline.collection import Collection
from pipeline.journey import LEGS, Journey, Outcome, Stopped
from pipeline.stages import Progress, Work, Write
from transcripts.errors import ModelUnavailable


class Silent:
    """A watcher that looks away."""

    def started(self, work: Work, stage: str) -> None: ...
    def progress(self, work: Work, stage: str, share: float) -> None: ...
    def finished(self, work: Work, stage: str, seconds: float, error: str) -> None: ...
    def arrived(self, work: Work) -> None: ...


@dataclass
class Counting:
    """Notes which recordings it was run for; raises or spoils on request."""

    name: str
    setting: int = 0
    there: bool = True
    raises: Callable[[Work], BaseException | None] = lambda work: None
    writes: Callable[[Session], None] = lambda session: None
    runs: list[str] = field(default_factory=list)

    def fingerprint(self, work: Work, upstream: str) -> str:
        return f"{self.name}{self.setting}{upstream}"[:64]

    def intact(self, work: Work) -> bool:
        return self.there

    def run(self, work: Work, progress: Progress) -> Write:
        self.runs.append(work.name)
        progress(0.5)
        error = self.raises(work)
        if error is not None:
            raise error
        return self.writes


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    (tmp_path / "stories.toml").write_text("")
    return Collection.open(tmp_path)


def test_status_shows_every_stage_in_the_order_of_the_journey() -> None:
    assert tuple(stage.name for leg in LEGS for stage in leg) == overview.STAGES


def works(collection: Collection, *names: str) -> list[Work]:
    return [Work(collection, number, name * 32, "audio", 1000, name) for number, name in enumerate(names, 1)]


def travel(collection: Collection, stages: list[Counting], *names: str) -> list[Outcome]:
    return Journey(collection, Silent(), [stages]).run(works(collection, *names), jobs=1)


def test_what_is_done_is_passed_over(collection: Collection) -> None:
    stages = [Counting("one"), Counting("two")]
    assert [outcome.done for outcome in travel(collection, stages, "aa", "bb")] == [["one", "two"]] * 2
    assert [outcome.passed for outcome in travel(collection, stages, "aa", "bb")] == [["one", "two"]] * 2
    assert stages[0].runs == stages[1].runs == ["aa", "bb"]


def test_a_changed_setting_does_again_what_comes_after_it(collection: Collection) -> None:
    stages = [Counting("one"), Counting("two"), Counting("three")]
    travel(collection, stages, "aa")
    stages[1].setting = 7
    assert travel(collection, stages, "aa")[0].done == ["two", "three"]
    stages[1].setting = 0
    assert travel(collection, stages, "aa")[0].done == ["two", "three"], (
        "what was done before has been replaced"
    )


def test_a_leg_begins_when_all_have_come_to_the_end_of_the_one_before(collection: Collection) -> None:
    seen: list[str] = []

    class Seeing(Silent):
        def started(self, work: Work, stage: str) -> None:
            seen.append(f"{stage} {work.name}")

        def arrived(self, work: Work) -> None:
            seen.append(f"{work.name} is there")

    first = Counting("one", raises=lambda work: OSError("it broke") if work.name == "bb" else None)
    legs = [[first], [Counting("two")]]
    journey = Journey(collection, Seeing(), legs, between=lambda: seen.append("between"))
    outcomes = journey.run(works(collection, "aa", "bb", "cc"), jobs=1)
    assert seen == [
        "one aa", "one bb", "bb is there", "one cc", "between", "two aa", "aa is there", "two cc", "cc is there"
    ]  # fmt: skip
    assert [outcome.done for outcome in outcomes] == [["one", "two"], [], ["one", "two"]]
    assert [outcome.failed_stage for outcome in outcomes] == ["", "one", ""]
    again = Journey(collection, Silent(), legs).run(works(collection, "aa"), jobs=1)
    assert again[0].passed == ["one", "two"]


def test_lost_results_are_made_again(collection: Collection) -> None:
    stages = [Counting("one"), Counting("two")]
    travel(collection, stages, "aa")
    stages[0].there = False
    assert travel(collection, stages, "aa")[0].done == ["one"]


@pytest.mark.parametrize(
    "error",
    [OSError(28, "No space left on device"), RuntimeError("a fault of ours"), MemoryError()],
    ids=lambda error: type(error).__name__,
)
def test_one_recording_failing_is_its_own(collection: Collection, error: BaseException) -> None:
    stages = [Counting("one", raises=lambda work: error if work.name == "bb" else None), Counting("two")]
    first, second, third = travel(collection, stages, "aa", "bb", "cc")
    assert (first.error, third.error) == ("", "")
    assert (second.failed_stage, second.done) == ("one", [])
    assert second.error
    assert stages[1].runs == ["aa", "cc"]


def test_a_failed_stage_is_tried_again_and_counted(collection: Collection) -> None:
    stages = [Counting("one", raises=lambda work: OSError("the disk is full"))]
    travel(collection, stages, "aa")
    travel(collection, stages, "aa")
    with collection.sessions() as session:
        runs = session.query(models.StageRun).order_by(models.StageRun.id).all()
        assert [(run.attempt, run.state, run.error) for run in runs] == [
            (1, "failed", "the disk is full"),
            (2, "failed", "the disk is full"),
        ]


def test_a_broken_set_up_is_tried_once(collection: Collection) -> None:
    missing = ModelUnavailable("small", "no network", "name a file")
    stages = [Counting("one"), Counting("two", raises=lambda work: missing)]
    outcomes = travel(collection, stages, "aa", "bb", "cc")
    assert all(outcome.set_up and outcome.error == str(missing) for outcome in outcomes)
    assert stages[0].runs == ["aa", "bb", "cc"]
    assert stages[1].runs == ["aa"]


def test_rows_and_the_note_that_a_stage_is_done_are_one(collection: Collection) -> None:
    def spoil(session: Session) -> None:
        session.add(models.Theme(key="half", name="half"))
        session.flush()
        raise OSError("pulled the plug")

    (outcome,) = travel(collection, [Counting("one", writes=spoil)], "aa")
    assert outcome.error == "pulled the plug"
    with collection.sessions() as session:
        assert session.query(models.Theme).count() == 0
        assert session.query(models.StageRun).one().state == "failed"


def test_a_stop_is_no_failure_of_a_recording(collection: Collection) -> None:
    stages = [Counting("one", raises=lambda work: Stopped() if work.name == "bb" else None)]
    with pytest.raises(Stopped):
        travel(collection, stages, "aa", "bb", "cc")
    stages[0].raises = lambda work: None
    done = [outcome.done for outcome in travel(collection, stages, "aa", "bb", "cc")]
    assert done[:2] == [[], ["one"]]
    with collection.sessions() as session:
        states = {
            (run.recording_sha256[:2], run.attempt): run.state for run in session.query(models.StageRun)
        }
        assert states["bb", 1] == "failed"
        assert states["bb", 2] == "done"
