"""A run that is killed loses nothing and leaves nothing half done."""

import shutil
from pathlib import Path

import pytest

from tests.journey.collections import stories, told, two_recordings
from tests.journey.content import content
from tests.journey.killing import killed_until_done


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = two_recordings(tmp_path_factory.mktemp("undisturbed") / "collection")
    (root / "corrections.txt").write_text("lunch club -> lunch and tea club\n")
    stories(root, "process")
    return root


def test_a_second_run_does_nothing_twice(undisturbed: Path) -> None:
    before = content(undisturbed)
    files = {path: path.stat().st_mtime_ns for path in (undisturbed / "derived").rglob("*") if path.is_file()}
    again = told(undisturbed, "process")
    assert {row["state"] for row in again["recordings"]} == {"unchanged"}
    assert all(row["done"] == [] for row in again["recordings"])
    assert content(undisturbed) == before
    for path, mtime_ns in files.items():
        assert path.name == ".process.lock" or path.stat().st_mtime_ns == mtime_ns


def test_a_changed_correction_list_changes_only_what_it_concerns(undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    shutil.copytree(undisturbed, root)
    assert "lunch and tea club" in stories(root, "export", "told", "--format", "txt").stdout
    (root / "corrections.txt").write_text("lunch club -> supper club\n")
    again = {row["recording"]: row["done"] for row in told(root, "process")["recordings"]}
    # How well a theme fits is measured by the whole collection, so the other's clips are weighed anew.
    assert again == {
        "recordings/told.wav": ["corrections", "themes", "clips"],
        "recordings/asked.mp4": ["clips"],
    }
    written = stories(root, "export", "told", "--format", "txt").stdout
    assert ("supper club" in written, "tea" in written) == (True, False)
    (kept,) = content(root)["recordings"][told(root, "show", "told")["sha256"]]["transcripts"]
    assert [edit[1:3] for edit in kept["edits"]] == [("retext", "corrections.txt")] * 2


def test_killed_at_random_moments_and_run_again(undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    shutil.copytree(undisturbed, root, ignore=shutil.ignore_patterns("stories.db*", "derived"))
    kills = killed_until_done(root, rounds=4, seed=1)
    assert kills == 4
    assert content(root) == content(undisturbed)
    left = [path for path in (root / "derived").rglob("*") if ".part" in path.name or path.suffix == ".tmp"]
    assert left == []


def test_derived_files_can_be_deleted_and_made_again(undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    shutil.copytree(undisturbed, root)
    before = content(root)
    for folder in (root / "derived").iterdir():
        if folder.is_dir():
            shutil.rmtree(folder)
    again = told(root, "process")
    assert {tuple(row["done"]) for row in again["recordings"]} == {("normalise",)}
    assert content(root) == before


def test_a_changed_setting_does_again_only_what_it_concerns(undisturbed: Path, tmp_path: Path) -> None:
    root = tmp_path / "collection"
    shutil.copytree(undisturbed, root)
    with (root / "stories.toml").open("a") as settings:
        settings.write("[clips]\nmin_s = 5\n")
    again = told(root, "process")
    assert {tuple(row["done"]) for row in again["recordings"]} == {("clips",)}
