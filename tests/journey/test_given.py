"""Existing transcripts beside recordings: they are aligned instead of recognised, word for word."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import docx
import pytest

from tests.journey.collections import ANSWERED, ASKED, HEADER, TOLD, joined, made, say, stories, told
from transcripts.scoring import words_of

NAMES = ("captions", "subtitles", "text", "document", "broken", "missing", "heard")
BY_HAND = "transcripts/sent in by post.txt"


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    root = made(tmp_path_factory.mktemp("given") / "collection")
    lines = [f"{name}.wav,{name},Ann,,,,1,,,en,public,,\n" for name in NAMES]
    lines[NAMES.index("text")] = f"text.wav,text,Ann,,,,1,,,en,public,,{BY_HAND}\n"
    lines[NAMES.index("missing")] = "missing.wav,missing,Ann,,,,1,,,en,public,,transcripts/nowhere.vtt\n"
    (root / "intake.csv").write_text(HEADER.strip() + ",transcript\n" + "".join(lines))
    sound = say(TOLD, root / "told.wav")
    for number, name in enumerate(NAMES):
        shutil.copy(sound, root / "recordings" / f"{name}.wav")
        with (root / "recordings" / f"{name}.wav").open("ab") as more:
            more.write(b"\0\0" * (number + 1))  # each its own recording
    parts = [say(ASKED, root / "q.wav", "rms"), say(ANSWERED, root / "a.wav", "slt")]
    joined(parts, root / "recordings" / "asked.wav")
    folder = root / "transcripts"
    folder.mkdir()
    first, rest = TOLD.split(". ", 1)
    (folder / "captions.vtt").write_text(
        f"WEBVTT\n\n00:00.000 --> 00:03.000\n<v Margaret>{first}.\n\n00:03.000 --> 00:17.900\n{rest}\n"
    )
    (folder / "SUBTITLES.srt").write_text(f"1\n00:00:00,000 --> 00:00:18,000\n{TOLD}\n")
    (root / BY_HAND).write_text(f"[00:00:00] {TOLD} Nobody ever says this sentence.", encoding="utf-16")
    document = docx.Document()
    document.add_paragraph(TOLD.replace("lonely", "lonesome"))
    document.save(str(folder / "document.docx"))
    (folder / "broken.srt").write_text("1\n00:00:00 -> 00:00:02\nHello.\n")
    (folder / "asked.txt").write_text(f"Interviewer: {ASKED}\nJean Gray: {ANSWERED}\n")
    (folder / "nobody's.txt").write_text("Hello.")
    return root, told(root, "process", status=1)


def row(report: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (one for one in report["recordings"] if one["recording"] == f"recordings/{name}.wav")
    return dict(found)


def text(root: Path, name: str) -> str:
    return " ".join(one["text"] for one in told(root, "show", f"{name}.wav")["transcript"]["segments"])


@pytest.mark.parametrize(
    ("name", "source", "said"),
    [
        ("captions", "transcripts/captions.vtt", TOLD),
        ("subtitles", "transcripts/SUBTITLES.srt", TOLD),
        ("text", BY_HAND, f"{TOLD} Nobody ever says this sentence."),
        ("document", "transcripts/document.docx", TOLD.replace("lonely", "lonesome")),
        ("asked", "transcripts/asked.txt", f"{ASKED} {ANSWERED}"),
    ],
)
def test_a_given_transcript_is_kept_word_for_word(
    processed: tuple[Path, dict[str, Any]], name: str, source: str, said: str
) -> None:
    root, report = processed
    assert row(report, name)["state"] == "done"
    assert text(root, name) == said
    assert told(root, "show", f"{name}.wav")["transcript"]["source"] == source
    assert f"\nimported from {source}\n" in stories(root, "show", f"{name}.wav").stdout


def test_without_one_the_recording_is_heard(processed: tuple[Path, dict[str, Any]]) -> None:
    root, report = processed
    assert row(report, "heard")["state"] == "done"
    shown = told(root, "show", "heard.wav")["transcript"]
    assert shown["source"] == ""
    assert "imported" not in stories(root, "show", "heard.wav").stdout


def words(root: Path, name: str) -> list[tuple[str, int]]:
    document = json.loads(stories(root, "export", name, "--format", "json").stdout)
    return [
        (plain, word["start_ms"])
        for segment in document["segments"]
        for word in segment["words"]
        for plain in words_of(word["text"])
    ]


@pytest.mark.parametrize("name", ["captions.wav", "subtitles.wav", "text.wav"])
def test_times_are_those_of_the_sound(processed: tuple[Path, dict[str, Any]], name: str) -> None:
    heard, given = words(processed[0], "heard.wav"), words(processed[0], name)
    pairs = zip(heard, given, strict=False)
    off = [abs(one - other) for (word, one), (same, other) in pairs if word == same]
    assert len(off) > 0.9 * len(heard)
    assert max(off) < 300


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("broken", ("broken.srt, line 1", "no caption of an SRT file", "write a number")),
        ("missing", ("intake.csv names the transcript 'transcripts/nowhere.vtt'", "put it there")),
    ],
)
def test_a_bad_transcript_fails_its_recording_alone(
    processed: tuple[Path, dict[str, Any]], name: str, said: tuple[str, ...]
) -> None:
    found = row(processed[1], name)
    assert found["state"] == "failed"
    assert found["reason"].startswith("transcribe: ")
    assert all(one in found["reason"] for one in said)
    assert "\n" not in found["reason"]


def test_a_file_that_belongs_to_nothing_is_told(processed: tuple[Path, dict[str, Any]]) -> None:
    (note,) = (note for note in processed[1]["notes"] if "belongs to no recording" in note)
    assert note.startswith("transcripts/nobody's.txt")


def test_its_speakers_have_their_names_and_words(processed: tuple[Path, dict[str, Any]]) -> None:
    shown = told(processed[0], "show", "asked.wav")
    assert [one["name"] for one in shown["speakers"]] == ["Interviewer", "Jean Gray"]
    said: dict[str, list[str]] = {}
    for one in shown["transcript"]["segments"]:
        said.setdefault(one["speaker"], []).append(one["text"])
    assert {name: " ".join(texts) for name, texts in said.items()} == {
        "Interviewer": ASKED,
        "Jean Gray": ANSWERED,
    }


def test_it_is_marked_as_imported(processed: tuple[Path, dict[str, Any]]) -> None:
    from db import models
    from pipeline.collection import Collection

    collection = Collection.open(processed[0])
    with collection.sessions() as session:
        rows = session.query(models.Transcript).all()
        origins = {row.source: (row.origin, row.engine, row.model) for row in rows}
        silence = {one.no_speech_prob for row in rows if row.source for one in row.segments}
    collection.engine.dispose()
    assert origins[""] == ("machine", "whisper", "demo")
    assert origins[BY_HAND] == ("import", "whisper", "demo")
    assert silence == {None}


def test_a_changed_file_is_aligned_anew_and_nothing_is_done_twice(
    processed: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    root = tmp_path / "collection"
    shutil.copytree(processed[0], root)
    again = {
        Path(one["recording"]).stem: one["done"] for one in told(root, "process", status=1)["recordings"]
    }
    assert again == {name: [] for name in again}
    (root / "transcripts" / "broken.srt").unlink()
    (root / "transcripts" / "document.docx").unlink()
    (root / "transcripts" / "document.txt").write_text("My name is Margaret.")
    shutil.copy(root / BY_HAND, root / "transcripts" / "nowhere.txt")
    (root / "intake.csv").write_text((root / "intake.csv").read_text().replace("nowhere.vtt", "nowhere.txt"))
    changed = {Path(one["recording"]).stem: one["done"] for one in told(root, "process")["recordings"]}
    assert {name for name, done in changed.items() if "transcribe" in done} == {
        "document",
        "broken",
        "missing",
    }
    assert text(root, "document") == "My name is Margaret."
    assert told(root, "show", "broken.wav")["transcript"]["source"] == ""
    assert text(root, "missing").endswith("Nobody ever says this sentence.")
