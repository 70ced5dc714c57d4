"""A batch with everything in it that producers send: the good is done, the bad is named with its reason."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.overview import STAGES
from tests.journey.collections import TOLD, environment, ffmpeg, filmed, made, say, stories, told


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = made(
        tmp_path_factory.mktemp("batch") / "collection",
        "good.wav,Good,Ann,,,,1,,,en,public,\nlost.wav,Lost,,,,,1,,,en,public,\n",
    )
    recordings = root / "recordings"
    good = say(TOLD, recordings / "good.wav")
    shutil.copy(good, recordings / "twice the same.wav")
    film = filmed(good, root / "film.mp4")
    whole = film.read_bytes()
    (recordings / "truncated.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (recordings / "empty.wav").touch()
    (recordings / "letter.mp3").write_text("Dear all, please find my story below.\n")
    ffmpeg("-f", "lavfi", "-i", "testsrc2=duration=3:size=160x120:rate=25", recordings / "silent film.mp4")
    (recordings / "list.mp3").write_text(f"#EXTM3U\n#EXTINF:10,\n{good}\n")
    (recordings / "notes.docx").write_bytes(b"PK\x03\x04 no media")
    shutil.copy(good, recordings / '-i odd: "name" %03d 😀.wav')
    with (recordings / '-i odd: "name" %03d 😀.wav').open("ab") as more:
        more.write(b"\0\0" * 8)
    return root, told(root, "process", status=1)


def row(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in report["recordings"] if one["recording"] == f"recordings/{name}")
    return dict(found)


@pytest.mark.parametrize("name", ["good.wav", '-i odd: "name" %03d 😀.wav'])
def test_good_recordings_are_done_whole(batch: tuple[Path, dict[str, Any]], name: str) -> None:
    assert row(batch[1], name)["state"] == "done"
    assert row(batch[1], name)["done"] == list(STAGES)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("truncated.mp4", ("cut off", "truncated", "damaged", "incomplete", "end")),
        ("empty.wav", ("empty",)),
        ("letter.mp3", ("text", "sound", "media")),
        ("list.mp3", ("playlist", "list", "sound", "media")),
        ("silent film.mp4", ("no sound",)),
    ],
)
def test_each_bad_file_is_named_with_its_reason(
    batch: tuple[Path, dict[str, Any]], name: str, said: tuple[str, ...]
) -> None:
    bad = row(batch[1], name)
    assert bad["state"] == "failed"
    assert any(word in bad["reason"].lower() for word in said), bad["reason"]
    assert "Traceback" not in bad["reason"]
    assert "Invalid data found" not in bad["reason"]


def test_the_same_bytes_twice_are_one_recording(batch: tuple[Path, dict[str, Any]]) -> None:
    root, report = batch
    assert row(report, "twice the same.wav")["state"] == "duplicate"
    assert "good.wav" in row(report, "twice the same.wav")["reason"]
    assert len(told(root, "status")["recordings"]) == 2


def test_what_the_intake_and_the_folder_do_not_share_is_told(batch: tuple[Path, dict[str, Any]]) -> None:
    notes = "\n".join(batch[1]["notes"])
    assert "'lost.wav' is not in recordings/" in notes
    assert "odd: " in notes
    assert "no line for" in notes
    assert "notes.docx" in notes


def test_status_keeps_the_reasons(batch: tuple[Path, dict[str, Any]]) -> None:
    problems = {Path(one["path"]).name: one["reason"] for one in told(batch[0], "status")["problems"]}
    assert set(problems) >= {"empty.wav", "letter.mp3", "list.mp3", "silent film.mp4"}


def test_originals_are_never_written_to(batch: tuple[Path, dict[str, Any]]) -> None:
    assert sorted(path.name for path in (batch[0] / "recordings").iterdir()) == sorted(
        [
            "good.wav",
            "twice the same.wav",
            "truncated.mp4",
            "empty.wav",
            "letter.mp3",
            "list.mp3",
            "notes.docx",
            "silent film.mp4",
            '-i odd: "name" %03d 😀.wav',
        ]
    )


@pytest.fixture
def good(batch: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy with the good recording only, everything done."""
    root = tmp_path / "collection"
    shutil.copytree(batch[0], root)
    for path in (root / "recordings").iterdir():
        if path.name != "good.wav":
            path.unlink()
    (root / "intake.csv").write_text((root / "intake.csv").read_text().replace("lost.wav", "# lost.wav"))
    return root


def test_a_model_that_cannot_be_fetched_is_told_once_and_nothing_is_lost(good: Path) -> None:
    before = told(good, "show", "good.wav")
    ended = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", "-C", str(good), "process", "--model", "base"],
        # An address where nobody listens: the same as no network.
        env={**environment(), "https_proxy": "http://127.0.0.1:9", "XDG_CACHE_HOME": str(good / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stdout + ended.stderr
    last = ended.stdout[ended.stdout.rindex("recordings/good.wav: transcribe:") :]
    assert "base" in last
    assert "--model demo" in last
    assert "stories.toml" in last
    assert "Traceback" not in ended.stdout + ended.stderr
    assert told(good, "show", "good.wav")["transcript"] == before["transcript"]
    assert told(good, "process")["recordings"][0]["state"] == "unchanged"


@pytest.mark.parametrize(
    ("break_it", "said"),
    [
        (lambda root: (root / "themes.yaml").write_text("themes:\n  - nome: x\n"), "themes.yaml, line 2"),
        (
            lambda root: (root / "stories.toml").write_text("[transcription]\nmodel = 'weights.pt'\n"),
            "weights.pt",
        ),
    ],
    ids=["codebook", "weights"],
)
def test_a_broken_set_up_is_told_with_its_place(good: Path, break_it: Any, said: str) -> None:
    break_it(good)
    ended = stories(good, "process", status=2)
    assert said in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr


def test_two_at_once_do_not_disturb_each_other(good: Path) -> None:
    from filelock import FileLock

    with FileLock(good / "derived" / ".process.lock"):
        assert "at work" in stories(good, "process", status=2).stderr


def test_a_moved_recording_is_known_again(good: Path) -> None:
    (good / "recordings" / "phase 1").mkdir()
    (good / "recordings" / "good.wav").rename(good / "recordings" / "phase 1" / "better.wav")
    (moved,) = told(good, "process")["recordings"]
    assert moved["state"] == "unchanged"
    assert json.loads(stories(good, "status", "--json").stdout)["recordings"][0]["words"] > 0


def test_what_an_editor_corrected_outlives_another_model_run(good: Path) -> None:
    from db import store
    from pipeline import editing
    from pipeline.collection import Collection

    collection = Collection.open(good)
    shown = told(good, "show", "good.wav")
    first = shown["transcript"]["segments"][0]
    with collection.sessions() as session:
        row = store.current_transcript(session, shown["id"])
        assert row is not None
    editing.retext_segment(collection, row.id, first["id"], "My name is Margo.", author="Ruth", revision=0)
    editing.name_speaker(collection, shown["id"], 1, name="Margo", role="storyteller", author="Ruth")
    collection.engine.dispose()
    (good / "stories.toml").write_text('[transcription]\nmodel = "demo"\nbeam_size = 2\n')
    assert "transcribe" in told(good, "process")["recordings"][0]["done"]
    shown = told(good, "show", "good.wav")
    assert shown["transcript"]["segments"][0]["text"] == "My name is Margo."
    assert shown["transcript"]["segments"][0]["speaker"] == "Margo"
    assert shown["transcript"]["revision"] == 2
    assert [hit["text"] for hit in told(good, "search", "Margo")] == ["My name is Margo."]


def test_how_many_speak_can_be_said_and_is_kept(good: Path) -> None:
    named = good / "recordings/good.wav"
    assert len(told(good, "show", "good.wav")["speakers"]) == 1
    (said,) = told(good, "process", str(named), "--speakers", "2")["recordings"]
    assert said["done"][0] == "speakers"
    assert len(told(good, "show", "good.wav")["speakers"]) == 2
    assert told(good, "process")["recordings"][0]["state"] == "unchanged"
    told(good, "process", str(named), "--speakers", "0")
    assert len(told(good, "show", "good.wav")["speakers"]) == 1
    refused = stories(good, "process", "--speakers", "2", status=2)
    assert "recordings that are named" in refused.stderr


def test_where_nobody_can_be_told_apart_it_is_said(good: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "anoisesrc=c=pink:a=0.1:d=6", good / "recordings/hiss.wav")
    told(good, "process")
    shown = told(good, "show", "hiss.wav")
    assert shown["speakers"] == []
    assert shown["speakers_uncertain"].startswith("No speaker could be told apart")
    assert shown["speakers_uncertain"] in stories(good, "show", "hiss.wav").stdout
