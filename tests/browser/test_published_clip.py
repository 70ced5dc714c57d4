"""Published clips in a real Chromium: they play, with captions, on a page and on their own."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page

from pipeline.publish.site import publish
from pipeline.publish.values import PublishedClip
from tests.browser.chromium import served

pytestmark = [pytest.mark.browser, pytest.mark.hugo]

VTT = """WEBVTT

00:00.000 --> 00:01.000
<v Ann>We walked.

00:01.000 --> 00:03.000
<v Ann>We talked &amp; walked.
"""
BASE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ .Title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<style>:root { color-scheme: light dark }</style></head>
<body><main>{{ block "main" . }}{{ end }}</main></body></html>"""
PAGE = '{{ define "main" }}{{ .Content }}{{ end }}'
PLAYED = """async media => {
  const track = media.textTracks[0];
  media.muted = true;
  await media.play();
  while (media.currentTime <= 0.5) await new Promise(next => setTimeout(next, 50));
  media.pause();
  return {cues: [...track.cues].map(cue => [cue.startTime, cue.endTime, cue.getCueAsHTML().textContent]),
          mode: track.mode, time: media.currentTime, duration: media.duration};
}"""


def ffmpeg(*arguments: str) -> None:
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *arguments], check=True)


def make_clip(
    folder: Path, slug: str, kind: Literal["audio", "video"], size: tuple[int, int] | None, theme: str | None
) -> PublishedClip:
    media = folder / f"{slug}.{'mp4' if kind == 'video' else 'm4a'}"
    width, height = size or (320, 180)
    tone = ["-f", "lavfi", "-i", "sine=330:duration=3"]
    picture = ["-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25:duration=3"]
    video = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"] if size else []
    ffmpeg(*tone, *(picture if size else []), *video, "-c:a", "aac", "-movflags", "+faststart", str(media))
    poster, captions = folder / f"{slug}.jpg", folder / f"{slug}.vtt"
    ffmpeg(*picture, "-frames:v", "1", "-update", "1", str(poster))
    captions.write_text(VTT)
    return PublishedClip(
        slug=slug,
        title=f"A clip, {slug}",
        theme_key=theme and theme.lower(),
        theme_name=theme,
        theme_colour="#2a7f8e",
        storyteller="Ann",
        role="Carer",
        sector=None,
        place="Fife",
        phase="1",
        told_on=date(2020, 5, 14),
        kind=kind,
        duration_ms=3000,
        width=size and size[0],
        height=size and size[1],
        language="en",
        quote="We walked. We talked & walked.",
        media=media,
        media_type="video/mp4" if kind == "video" else "audio/mp4",
        media_sha256=hashlib.sha256(media.read_bytes()).hexdigest(),
        captions=captions,
        poster=poster,
    )


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("published")
    site = folder / "site"
    (site / "layouts/_default").mkdir(parents=True)
    (site / "content").mkdir()
    (site / "hugo.toml").write_text('baseURL = "/"\ntitle = "A site"\n')
    (site / "layouts/_default/baseof.html").write_text(BASE)
    for name in ("single", "list"):
        (site / f"layouts/_default/{name}.html").write_text(PAGE)
    clips = [
        make_clip(folder, "film", "video", (320, 180), "Connected"),
        make_clip(folder, "tall", "video", (720, 1280), "Connected"),
        make_clip(folder, "audio", "audio", None, None),
    ]
    lines = "\n\n".join(f'{{{{< clip "{clip.slug}" >}}}}' for clip in clips)
    (site / "content/phase.md").write_text(f'+++\ntitle = "Phase 1"\n+++\n\n{lines}\n')
    publish(site, clips, title="Clips")
    subprocess.run(["hugo", "--source", str(site), "--quiet"], check=True)
    with served(site / "public") as served_at:
        yield served_at


@pytest.mark.parametrize("slug", ["film", "tall", "audio"])
@pytest.mark.parametrize("place", ["/phase/", "/clips/{slug}/"])
def test_a_clip_plays_with_its_captions(page: Page, address: str, place: str, slug: str) -> None:
    page.goto(address + place.format(slug=slug))
    media = page.locator("video, audio").filter(has=page.locator(f'source[src*="/clips/{slug}/"]'))
    media.scroll_into_view_if_needed()
    page.wait_for_function(
        "slug => [...document.querySelectorAll('track')]"
        ".find(track => track.src.includes(`/${slug}/`)).readyState === 2",
        arg=slug,
    )
    played = media.evaluate(PLAYED)
    assert played["time"] > 0.5
    assert played["duration"] == pytest.approx(3, abs=0.1)
    assert played["mode"] == "showing"
    assert played["cues"] == [[0, 1, "We walked."], [1, 3, "We talked & walked."]]


@pytest.mark.parametrize(("width", "height"), [(1000, 800), (360, 640)])
def test_a_portrait_film_stays_within_the_window(page: Page, address: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address + "/clips/tall/")
    page.wait_for_function("document.querySelector('video').readyState >= 1")
    box = page.locator("video").bounding_box()
    assert box is not None
    assert box["height"] <= 0.75 * height
    assert box["height"] > box["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_picture_keeps_its_place_while_films_load(page: Page, address: str) -> None:
    page.route("**/*.mp4", lambda route: None)  # never answered
    page.route("**/*.jpg", lambda route: None)
    page.goto(address + "/clips/tall/", wait_until="domcontentloaded")
    page.wait_for_function("[...document.styleSheets].some(sheet => sheet.href?.includes('stories-clips'))")
    box = page.locator("video").bounding_box()
    assert box is not None
    assert box["width"] / box["height"] == pytest.approx(720 / 1280, rel=0.02)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(
    browser: Browser, address: str, scheme: Literal["light", "dark"]
) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(address + "/clips/")
    ink, card = page.evaluate("""() => {
      const look = selector => getComputedStyle(document.querySelector(selector));
      return [look(".stories-card__quote").color, look(".stories-card").backgroundColor];
    }""")
    page.close()
    assert ink == {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
    assert card == "rgba(128, 128, 128, 0.09)"


def test_without_scripts_everything_is_there(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + "/phase/")
    assert page.locator("video[controls], audio[controls]").count() == 3
    transcript = page.locator(".stories-clip__transcript").first
    transcript.locator("summary").click()
    assert transcript.inner_text().split("\n")[-1] == "Ann: We walked. We talked & walked."
    context.close()
