"""The sample collection is whole, is what it says it is, and can be made again from its scripts."""

import csv
import ctypes.util
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

EXAMPLES = Path(__file__).parents[2] / "examples"
RECORDINGS = EXAMPLES / "collection" / "recordings"
NAMES = sorted(path.stem for path in (EXAMPLES / "scripts").glob("*.toml"))
HEADER = "file,story,storyteller,role,sector,place,phase,date,method,language,consent,notes"


def script(name: str) -> dict[str, Any]:
    return tomllib.loads((EXAMPLES / "scripts" / f"{name}.toml").read_text("utf-8"))


def truth(name: str, folder: Path = EXAMPLES) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "truth" / f"{name}.json").read_text("utf-8"))
    return content


def intake() -> list[dict[str, str]]:
    with (EXAMPLES / "collection" / "intake.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def intake_line(name: str) -> dict[str, str]:
    return next(line for line in intake() if line["file"] == script(name)["file"])


@cache
def probe(path: Path) -> dict[str, Any]:
    command = ["ffprobe", "-v", "error", "-show_format", "-show_streams", "-of", "json", str(path)]
    content: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return content


def stream(path: Path, kind: str) -> dict[str, Any] | None:
    return next((stream for stream in probe(path)["streams"] if stream["codec_type"] == kind), None)


def duration_ms(path: Path) -> int:
    return round(1000 * float(probe(path)["format"]["duration"]))


def samples(path: Path) -> np.ndarray:
    """Mono at 16 kHz, as a listener hears it."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)


def rms_db(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-12))


def test_intake_names_exactly_the_recordings() -> None:
    files = [line["file"] for line in intake()]
    assert sorted(files) == sorted(path.name for path in RECORDINGS.iterdir())
    assert sorted(files) == sorted(script(name)["file"] for name in NAMES)
    assert len(set(files)) == len(files) >= 7
    head = (EXAMPLES / "collection" / "intake.csv").read_text("utf-8").splitlines()[0]
    assert head == HEADER


def test_intake_covers_phases_methods_and_consents() -> None:
    lines = intake()
    assert {line["phase"] for line in lines} == {"1", "2", "3"}
    assert {line["method"] for line in lines} == {"self-recorded", "interview"}
    consents = [line["consent"] for line in lines]
    assert consents.count("anonymous") == 1
    assert consents.count("internal") == 1
    assert set(consents) == {"public", "anonymous", "internal"}
    assert all(line[column] for line in lines for column in HEADER.split(",") if column != "notes")


def test_anonymous_storyteller_is_not_named_in_recording_or_file() -> None:
    for line in intake():
        if line["consent"] == "anonymous":
            name = Path(line["file"]).stem
            said = json.dumps(truth(name)) + line["file"] + line["story"]
            assert line["storyteller"].casefold() not in said.casefold()


def test_collection_is_small() -> None:
    assert sum(path.stat().st_size for path in RECORDINGS.iterdir()) < 8_000_000
    total_ms = sum(duration_ms(path) for path in RECORDINGS.iterdir())
    assert 9 * 60_000 <= total_ms <= 13 * 60_000


@pytest.mark.parametrize(
    ("name", "container", "audio", "video"),
    [
        ("margaret-glasgow", "mp4", "aac", None),
        ("isla-shetland", "mov", "aac", "h264"),
        ("carer-by-phone", "wav", "pcm_s16le", None),
        ("hamish-stirling", "mp4", "aac", "h264"),
        ("gordon-dundee", "mp3", "mp3", None),
        ("catriona-edinburgh", "ogg", "vorbis", None),
        ("eilidh-fife", "ogg", "opus", None),
        ("isla-shetland-again", "mp4", "aac", "h264"),
    ],
)
def test_recording_is_of_its_kind(name: str, container: str, audio: str, video: str | None) -> None:
    wanted = script(name)
    path = RECORDINGS / wanted["file"]
    assert container in probe(path)["format"]["format_name"].split(",")
    sound = stream(path, "audio")
    assert sound is not None
    assert sound["codec_name"] == audio
    assert int(sound["sample_rate"]) == wanted["sound"]["sample_rate_hz"]
    assert sound["channels"] == wanted["sound"]["channels"]
    picture = stream(path, "video")
    assert (picture and picture["codec_name"]) == video
    assert 30_000 <= duration_ms(path) <= 180_000


def test_portrait_film_is_stored_lying_down() -> None:
    picture = stream(RECORDINGS / "isla-shetland.mov", "video")
    assert picture is not None
    assert (picture["width"], picture["height"]) == (640, 360)
    assert [data["rotation"] for data in picture["side_data_list"]] == [-90]


def test_portrait_film_is_shown_upright(tmp_path: Path) -> None:
    """ffmpeg turns it as a player does: the sky is at the top, the hills at the bottom."""
    command = ["ffmpeg", "-v", "error", "-ss", "5", "-i", str(RECORDINGS / "isla-shetland.mov")]
    command += ["-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    frame = np.frombuffer(raw, np.uint8).reshape(640, 360, 3).astype(int)
    sky, horizon, hill = (
        [int(colour[index : index + 2], 16) for index in (1, 3, 5)]
        for colour in script("isla-shetland")["picture"]["colours"][0]
    )
    assert np.abs(frame[:6].mean((0, 1)) - sky).max() < 12
    assert np.abs(frame[-6:].mean((0, 1)) - hill).max() < 25
    assert np.abs(frame[:6].mean((0, 1)) - horizon).max() > 60


@pytest.mark.parametrize(
    ("name", "variable"),
    [("isla-shetland-again", True), ("hamish-stirling", False), ("isla-shetland", False)],
)
def test_frame_rate_varies_only_in_the_video_call(name: str, variable: bool) -> None:
    path = RECORDINGS / script(name)["file"]
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pts_time"]
    listing = subprocess.run(
        [*command, "-of", "csv=p=0", str(path)], check=True, capture_output=True, text=True
    )
    times = np.sort([float(time) for time in re.findall(r"\d+\.\d+", listing.stdout)])
    steps_ms = set(np.round(np.diff(times) * 1000).astype(int).tolist())
    if variable:
        assert {33, 67, 167} <= steps_ms
    else:
        assert steps_ms == {40}


@pytest.mark.parametrize("name", NAMES)
def test_truth_says_what_the_script_says(name: str) -> None:
    spoken = [
        (turn["speaker"], turn.get("theme"), sentence)
        for turn in script(name)["turns"]
        for sentence in turn["text"].strip().splitlines()
    ]
    facts = truth(name)
    assert facts["file"] == script(name)["file"]
    assert [(line["speaker"], line["theme"], line["text"]) for line in facts["lines"]] == spoken
    words = [(speaker, word) for speaker, _, sentence in spoken for word in sentence.split()]
    assert [(word["speaker"], word["text"]) for word in facts["words"]] == words


@pytest.mark.parametrize("name", NAMES)
def test_times_run_forwards_within_the_recording(name: str) -> None:
    facts = truth(name)
    end_ms = duration_ms(RECORDINGS / facts["file"])
    for rows in (facts["lines"], facts["words"]):
        assert all(row["start_ms"] < row["end_ms"] for row in rows)
        assert all(a["end_ms"] <= b["start_ms"] for a, b in pairwise(rows))
        assert 0 <= rows[0]["start_ms"] < rows[-1]["end_ms"] < end_ms
    first = 0
    for line in facts["lines"]:
        words = facts["words"][first : first + len(line["text"].split())]
        assert (words[0]["start_ms"], words[-1]["end_ms"]) == (line["start_ms"], line["end_ms"])
        first += len(words)


@pytest.mark.parametrize("name", NAMES)
def test_speech_is_heard_where_the_truth_says(name: str) -> None:
    facts = truth(name)
    sound = samples(RECORDINGS / facts["file"])
    lines = facts["lines"]
    for line, following in zip(lines, [*lines[1:], None], strict=True):
        speech = rms_db(sound[line["start_ms"] * 16 : line["end_ms"] * 16])
        # A room's echo and the codec's smear die away within the first 0.2 s of a pause.
        pause_end = following["start_ms"] - 60 if following else len(sound) // 16 - 300
        pause = rms_db(sound[(line["end_ms"] + 200) * 16 : pause_end * 16])
        assert speech > pause + 12, line


@pytest.mark.parametrize("name", NAMES)
def test_demo_model_knows_every_word(name: str) -> None:
    known = set((EXAMPLES / "scripts" / "words.txt").read_text("utf-8").split())
    said = {word.casefold() for line in truth(name)["lines"] for word in re.findall(r"[\w']+", line["text"])}
    assert said - known == set()


@pytest.mark.parametrize("name", NAMES)
def test_stories_touch_themes_of_the_codebook(name: str) -> None:
    codebook = yaml.safe_load((EXAMPLES / "collection" / "themes.yaml").read_text("utf-8"))["themes"]
    told = {line["theme"] for line in truth(name)["lines"]} - {None}
    assert told <= {theme["key"] for theme in codebook}
    assert 2 <= len(told) <= 4


def test_codebook_is_complete() -> None:
    codebook = yaml.safe_load((EXAMPLES / "collection" / "themes.yaml").read_text("utf-8"))["themes"]
    keys = [theme["key"] for theme in codebook]
    assert len(set(keys)) == len(keys) >= 8
    assert {theme["colour"] for theme in codebook if re.fullmatch("#[0-9a-f]{6}", theme["colour"])} == {
        theme["colour"] for theme in codebook
    }
    for theme in codebook:
        assert set(theme) == {"key", "name", "description", "examples", "colour"}
        assert re.fullmatch("[a-z]+(-[a-z]+)*", theme["key"])
        assert 2 <= len(theme["examples"]) <= 4


@pytest.mark.parametrize("name", NAMES)
def test_intake_agrees_with_the_script(name: str) -> None:
    line, wanted = intake_line(name), script(name)
    assert line["date"] == wanted["recorded"].isoformat()
    assert (line["method"] == "interview") == (len(wanted["speakers"]) == 2)


@pytest.mark.skipif(
    not (ctypes.util.find_library("flite") and ctypes.util.find_library("espeak-ng")),
    reason="the system voices are missing: sudo apt-get install flite espeak-ng",
)
@pytest.mark.parametrize("name", ["carer-by-phone"])
def test_recording_can_be_made_again(name: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLES / "make_samples.py"), "--out", str(tmp_path), name]
    subprocess.run(command, check=True, capture_output=True)
    made, kept = truth(name, tmp_path), truth(name)
    assert [word["text"] for word in made["words"]] == [word["text"] for word in kept["words"]]
    starts = [[word["start_ms"] for word in facts["words"]] for facts in (made, kept)]
    assert np.abs(np.subtract(starts[0], starts[1])).max() <= 20
    file = kept["file"]
    again = tmp_path / "collection" / "recordings" / file
    assert abs(duration_ms(again) - duration_ms(RECORDINGS / file)) <= 20
