"""The sample collection, all the way to a built site in which a real browser plays a clip."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from media.loudness import measure
from media.probe import probe
from tests.browser.chromium import served
from tests.journey.collections import ROOT, stories, told
from transcripts.scoring import word_error_rate


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("samples") / "collection"
    shutil.copytree(ROOT / "examples/collection", root)
    stories(root, "process")
    return root


@pytest.fixture(scope="module")
def standings(samples: Path) -> list[dict[str, Any]]:
    return list(told(samples, "status")["recordings"])


def test_every_recording_goes_the_whole_way(standings: list[dict[str, Any]]) -> None:
    assert len(standings) == len(list((ROOT / "examples/truth").glob("*.json")))
    for standing in standings:
        assert set(standing["stages"].values()) == {"done"}, standing
        assert standing["story"]
        assert standing["words"] > 50


def test_the_words_are_heard(samples: Path, standings: list[dict[str, Any]]) -> None:
    spoken, heard = [], []
    for standing in standings:
        truth = json.loads((ROOT / f"examples/truth/{Path(standing['name']).stem}.json").read_text())
        spoken += [line["text"] for line in truth["lines"]]
        heard += [one["text"] for one in told(samples, "show", str(standing["id"]))["transcript"]["segments"]]
    assert word_error_rate(" ".join(spoken), " ".join(heard)).rate < 0.01


def test_interviews_have_two_speakers_and_tellings_one(
    samples: Path, standings: list[dict[str, Any]]
) -> None:
    for standing in standings:
        truth = json.loads((ROOT / f"examples/truth/{Path(standing['name']).stem}.json").read_text())
        voices = {line["speaker"] for line in truth["lines"]}
        assert len(told(samples, "show", str(standing["id"]))["speakers"]) == len(voices), standing["name"]


def test_renditions_are_equally_loud_and_play_everywhere(
    samples: Path, standings: list[dict[str, Any]]
) -> None:
    for standing in standings:
        shown = told(samples, "show", str(standing["id"]))
        made = {one["kind"]: samples / one["path"] for one in shown["renditions"]}
        assert abs(measure(made["web"]).integrated_lufs + 16) <= 1.0
        assert abs(measure(made["speech"]).integrated_lufs + 16) <= 1.0
        info = probe(made["web"])
        assert info.audio_codec == "aac"
        assert info.video_codec in (None, "h264")
        assert abs(info.duration_ms - shown["duration_ms"]) <= 60


def test_no_voiceprint_is_kept_of_the_anonymous(samples: Path) -> None:
    from db import models, store
    from pipeline.collection import Collection

    collection = Collection.open(samples)
    with collection.sessions() as session:
        kept = {
            store.consent_scope(recording): [speaker.embedding is not None for speaker in recording.speakers]
            for recording in store.recordings(session)
        }
        assert session.query(models.Speaker).count() > 0
    collection.engine.dispose()
    assert kept["anonymous"]
    assert not any(kept["anonymous"])
    assert all(kept["public"])


def test_proposed_clips_are_whole_sentences_of_one_theme(samples: Path) -> None:
    clips = told(samples, "clip", "list")
    assert len(clips) >= 5
    for clip in clips:
        assert 10_000 <= clip["end_ms"] - clip["start_ms"] <= 90_000
        assert clip["quote"][0].isupper()
        assert clip["quote"][-1] in ".?!"
        assert clip["theme"]


@pytest.mark.parametrize("form", ["vtt", "srt", "txt", "json", "tsv"])
def test_export(samples: Path, tmp_path: Path, form: str) -> None:
    name = "margaret-glasgow.m4a"
    stories(samples, "export", name, "--format", form, "-o", tmp_path / f"out.{form}")
    written = (tmp_path / f"out.{form}").read_text()
    said = stories(samples, "export", name, "--format", form).stdout
    assert written == said
    first = told(samples, "show", name)["transcript"]["segments"][0]["text"]
    assert first.split()[0] in written
    assert written.startswith("WEBVTT") == (form == "vtt")


def test_search_finds_who_said_what_when(samples: Path) -> None:
    shown = told(samples, "show", "margaret-glasgow.m4a")
    segment = shown["transcript"]["segments"][3]
    hits = told(samples, "search", *[word.strip(".,?!") for word in segment["text"].split()])
    assert (segment["start_ms"], segment["text"]) in [(hit["start_ms"], hit["text"]) for hit in hits]


@pytest.fixture(scope="module")
def site(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("hugo") / "site"
    shutil.copytree(ROOT / "examples/site", site)
    stories(samples, "clip", "approve", "--all")
    report = told(samples, "publish", site)
    page = site / "content" / "excerpt.md"
    page.write_text('+++\ntitle = "Excerpt"\n+++\n\n{{< clip "' + report["clips"][0] + '" >}}\n')
    build = subprocess.run(["hugo", "--source", site], capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stdout + build.stderr
    return site


@pytest.mark.hugo
def test_only_stories_that_may_be_seen_are_published(samples: Path, site: Path) -> None:
    by_consent: dict[str, set[str]] = {}
    for standing in told(samples, "status")["recordings"]:
        clips = told(samples, "clip", "list", "--recording", str(standing["id"]))
        by_consent.setdefault(standing["consent"], set()).update(clip["slug"] for clip in clips)
    published = {path.parent.name for path in (site / "content/clips").glob("*/index.md")}
    assert published
    assert published <= by_consent["public"] | by_consent["anonymous"]
    assert by_consent["internal"].isdisjoint(published)
    for slug in by_consent["anonymous"] & published:
        page = (site / f"public/clips/{slug}/index.html").read_text()
        assert "Anonymous" in page


@pytest.mark.hugo
def test_clips_are_cut_exactly_and_equally_loud(samples: Path, site: Path) -> None:
    clips = {clip["slug"]: clip for clip in told(samples, "clip", "list", "--state", "approved")}
    assert clips
    for slug, clip in clips.items():
        (media,) = [
            path for path in (site / "content/clips" / slug).iterdir() if path.suffix in (".mp4", ".m4a")
        ]
        assert abs(probe(media).duration_ms - (clip["end_ms"] - clip["start_ms"])) <= 60
        assert abs(measure(media).integrated_lufs + 16) <= 0.7
        assert measure(media).true_peak_db <= -0.9


@pytest.mark.hugo
def test_publishing_again_writes_nothing_and_a_rejected_clip_goes(samples: Path, site: Path) -> None:
    first = told(samples, "publish", site)
    assert (first["written"], first["removed"]) == ([], [])
    gone = first["clips"][-1]
    stories(samples, "clip", "reject", gone)
    second = told(samples, "publish", site)
    assert gone not in second["clips"]
    assert not (site / "content/clips" / gone).exists()
    assert gone not in (site / "data/clips.json").read_text()


@pytest.mark.hugo
@pytest.mark.browser
def test_a_browser_plays_a_clip_of_the_built_site(site: Path, page: Page) -> None:
    with served(site / "public") as address:
        page.goto(f"{address}/excerpt/")
        player = page.locator("video, audio").first
        player.evaluate("media => { media.muted = true; return media.play(); }")
        page.wait_for_function("document.querySelector('video, audio').currentTime > 0.5", timeout=20_000)
        assert player.evaluate("media => media.error") is None
