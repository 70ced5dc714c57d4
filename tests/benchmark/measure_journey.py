"""The whole journey on the sample collection: words, speakers, loudness, times, and what a kill leaves behind.

Loudness is checked on the files themselves. Every process is a fresh one, as a user's would be.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from time import monotonic
from typing import Any

from media.loudness import measure
from tests.benchmark.report import BUILD, ROOT, Row, publish
from tests.journey.collections import stories, told, two_recordings
from tests.journey.content import content
from tests.journey.killing import killed_until_done
from transcripts.model import Turn
from transcripts.scoring import diarization_error, word_error_rate, word_speaker_errors

STAGES = ("normalise", "transcribe", "speakers", "corrections", "themes", "clips")


def main(quick: bool) -> int:
    """Measure; ``quick`` takes one recording, no goals that need them all, and no kills."""
    work = BUILD / "journey"
    shutil.rmtree(work, ignore_errors=True)
    root = _collection(work, quick)
    start = monotonic()
    first = told(root, "process", status=None)
    took = monotonic() - start
    start = monotonic()
    second = told(root, "process", status=None)
    again = monotonic() - start
    shown = [told(root, "show", str(one["id"])) for one in told(root, "status")["recordings"]]
    audio_s = sum(one["duration_ms"] for one in shown) / 1000
    rows = [
        *_words(shown),
        *_speakers(shown),
        *_loudness(root, shown),
        Row("first run", took, "s", note=f"{audio_s:.0f} s of recordings, {audio_s / took:.1f}x real time"),
        *_times(first, took),
        Row("second run", again, "s"),
        Row("stages done by the second run", sum(len(one["done"]) for one in second["recordings"]), "", 0),
        *_publishing(root, work, quick),
    ]
    if not quick:
        rows.append(_kills(work, 20))
    return publish("journey", rows)


def _collection(work: Path, quick: bool) -> Path:
    root = work / "collection"
    shutil.copytree(ROOT / "examples/collection", root)
    if quick:
        for path in sorted((root / "recordings").iterdir()):
            if path.stem != "isla-shetland":
                path.unlink()
    return root


def _truth(shown: dict[str, Any]) -> dict[str, Any]:
    path = ROOT / "examples/truth" / f"{Path(shown['recording']).stem}.json"
    return dict(json.loads(path.read_text()))


def _words(shown: list[dict[str, Any]]) -> list[Row]:
    spoken, heard, rows = [], [], []
    for one in shown:
        said = " ".join(line["text"] for line in _truth(one)["lines"])
        written = " ".join(segment["text"] for segment in one["transcript"]["segments"])
        rate = word_error_rate(said, written).rate
        rows.append(Row(f"word error rate, {Path(one['recording']).name}", 100 * rate, "%"))
        spoken.append(said)
        heard.append(written)
    whole = word_error_rate(" ".join(spoken), " ".join(heard))
    note = f"{whole.substitutions} wrong, {whole.insertions} added, {whole.deletions} missed of {whole.reference_words}"
    return [*rows, Row("word error rate", 100 * whole.rate, "%", 5.0, note=note)]


def _speakers(shown: list[dict[str, Any]]) -> list[Row]:
    wrong = words = missed = 0
    counted = 0
    for one in shown:
        lines = _truth(one)["lines"]
        numbers = {
            name: number for number, name in enumerate(dict.fromkeys(line["speaker"] for line in lines), 1)
        }
        truth = [(word, numbers[line["speaker"]]) for line in lines for word in line["text"].split()]
        known = {speaker["name"]: speaker["number"] for speaker in one["speakers"]}
        written = [
            (word, known.get(segment["speaker"]))
            for segment in one["transcript"]["segments"]
            for word in segment["text"].split()
        ]
        errors = word_speaker_errors(truth, written)
        wrong, words = wrong + errors.wrong, words + errors.words
        counted += len(one["speakers"]) == len(numbers)
        turns = [Turn(numbers[line["speaker"]], line["start_ms"], line["end_ms"]) for line in lines]
        found = [
            Turn(known[segment["speaker"]], segment["start_ms"], segment["end_ms"])
            for segment in one["transcript"]["segments"]
            if segment["speaker"] in known
        ]
        error = diarization_error(turns, found, collar_ms=250)
        missed += error.confused_ms
    return [
        Row(
            "words under the wrong speaker", 100 * wrong / max(1, words), "%", 2.0, note=f"{wrong} of {words}"
        ),
        Row(
            "recordings whose voices were counted right",
            100 * counted / max(1, len(shown)),
            "%",
            100,
            "higher",
        ),
        Row("speech under the wrong speaker", missed / 1000, "s"),
    ]


def _loudness(root: Path, shown: list[dict[str, Any]]) -> list[Row]:
    off = [
        abs(measure(root / one["path"]).integrated_lufs + 16)
        for recording in shown
        for one in recording["renditions"]
        if one["kind"] in ("speech", "web")
    ]
    return [Row("renditions, largest distance from -16 LUFS", max(off), "LU", 1.0, note=f"{len(off)} files")]


def _times(report: dict[str, Any], took: float) -> list[Row]:
    rows = []
    for stage in STAGES:
        seconds = sum(one["seconds"].get(stage, 0.0) for one in report["recordings"])
        rows.append(Row(f"time in {stage}", seconds, "s", note="two recordings at work at once"))
    return rows


def _publishing(root: Path, work: Path, quick: bool) -> list[Row]:
    site = work / "site"
    shutil.copytree(ROOT / "examples/site", site)
    start = monotonic()
    stories(root, "clip", "approve", "--all", "--author", "benchmark")
    cut = monotonic() - start
    clips = told(root, "clip", "list", "--state", "approved")
    media = [clip["files"]["media"] for clip in clips]
    off = [abs(measure(root / one["path"]).integrated_lufs + 16) for one in media]
    apart = [
        abs(one["duration_ms"] - (clip["end_ms"] - clip["start_ms"]))
        for one, clip in zip(media, clips, strict=True)
    ]
    report = told(root, "publish", site)
    return [
        Row("clips proposed", len(told(root, "clip", "list")), "", None if quick else 5, "higher"),
        Row("clips published", len(report["clips"]), "", None if quick else 3, "higher"),
        Row("time to cut them", cut, "s"),
        Row("clips, largest distance from -16 LUFS", max(off, default=0.0), "LU", 0.7),
        Row("clips, largest distance from the length asked", max(apart, default=0), "ms", 60),
    ]


def _kills(work: Path, rounds: int) -> Row:
    calm = two_recordings(work / "calm")
    stories(calm, "process")
    killed = work / "killed"
    shutil.copytree(calm, killed, ignore=shutil.ignore_patterns("stories.db*", "derived"))
    kills = killed_until_done(killed, rounds=rounds, seed=20)
    same = content(killed) == content(calm)
    return Row(
        "killed at random, then the same database",
        100.0 if same else 0.0,
        "%",
        100,
        "higher",
        f"{kills} kills",
    )


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
