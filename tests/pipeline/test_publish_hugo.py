"""Published clips built by real Hugo: Debian's and, where it is installed beside Python, the newest."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import subprocess
import sys
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.publish.site import publish
from pipeline.publish.values import PublishedClip

pytestmark = pytest.mark.hugo

HUGOS = sorted(
    {
        found
        for found in (shutil.which("hugo"), shutil.which("hugo", path=Path(sys.executable).parent))
        if found
    }
)

BASE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{{ .Title }}</title></head>
<body><main>{{ block "main" . }}{{ end }}</main></body></html>"""
PAGE = '{{ define "main" }}<h1>{{ .Title }}</h1>{{ .Content }}{{ end }}'

HOSTILE = [
    '{{< clip "nowhere" >}} {{% clip %}} {{</* x */>}} <!--more-->',
    '</script><script>alert("x")</script><img src=x onerror=alert(1)>',
    "+++\ntitle = 'stolen'\n+++\n# Heading\n- item\n    code",
    'a \\ backslash, \\(x\\) $$y$$ and "quotes" and \'more\' and """ three',
    "*bold* _italic_ `code` [link](javascript:alert(1)) ![i](x) ~~gone~~ <b>b</b> www.example.com :smile:",
    "1985) it began",
    "- so it was",
    "\u202eright to left \u05d0\u05d1 \u0645\u0631\u062d\u0628\u0627",
    "{{ .Site }} {{`raw`}} %s &amp; &#60;",
]


class Texts(HTMLParser):
    """Gathers the elements of a page, and the text of every element of one class."""

    def __init__(self, html: str, wanted: str = "") -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._wanted, self._depth = wanted, 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("meta", "link", "img", "source", "track", "input"):
            return
        if self._depth:
            self._depth += 1
        elif self._wanted and self._wanted in (dict(attrs).get("class") or "").split():
            self._depth = 1
            self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._depth = max(0, self._depth - 1)

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.texts[-1] += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def text_of(html: str, wanted: str) -> list[str]:
    return [" ".join(text.split()) for text in Texts(html, wanted).texts]


@pytest.fixture(params=HUGOS or ["hugo"])
def hugo(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "layouts/_default").mkdir(parents=True)
    (folder / "content").mkdir()
    (folder / "hugo.toml").write_text(
        'baseURL = "https://example.org/sub/"\ntitle = "A site"\nenableEmoji = true\n'
    )
    (folder / "layouts/_default/baseof.html").write_text(BASE)
    (folder / "layouts/_default/single.html").write_text(PAGE)
    (folder / "layouts/_default/list.html").write_text(PAGE)
    return folder


@pytest.fixture
def clip(tmp_path: Path) -> PublishedClip:
    media, captions, poster = (tmp_path / name for name in ("m.mp4", "c.vtt", "p.jpg"))
    media.write_bytes(b"film")
    poster.write_bytes(b"picture")
    captions.write_text("WEBVTT\n\n00:00.000 --> 00:02.000\n<v Margaret>We asked &lt;b&gt; what mattered.\n")
    return PublishedClip(
        slug="a-walk",
        title="A walk",
        theme_key="connected",
        theme_name="Keeping connected",
        theme_colour="#2a7f8e",
        storyteller="Margaret",
        role="Manager",
        sector="Third sector",
        place="Glasgow",
        phase="1",
        told_on=date(2020, 5, 14),
        kind="video",
        duration_ms=64_600,
        width=320,
        height=180,
        language="en",
        quote="We asked what mattered.",
        media=media,
        media_type="video/mp4",
        media_sha256=hashlib.sha256(b"film").hexdigest(),
        captions=captions,
        poster=poster,
    )


def build(hugo: str, site: Path) -> Path:
    run = subprocess.run(
        [hugo, "--source", str(site), "--quiet"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "WARN" not in run.stdout + run.stderr
    assert "deprecated" not in run.stdout + run.stderr
    return site / "public"


def page(site: Path, body: str, name: str = "phase.md") -> None:
    (site / "content" / name).write_text(
        f'+++\ntitle = "Phase 1"\ndate = 2021-05-01T15:13:22Z\n+++\n\n{body}\n'
    )


@pytest.mark.parametrize(
    "shortcode", ['{{< clip "a-walk" >}}', '{{< clip slug="a-walk" >}}', "{{< clip a-walk >}}"]
)
def test_the_shortcode_shows_the_clip_on_any_page(
    hugo: str, site: Path, clip: PublishedClip, shortcode: str
) -> None:
    publish(site, [clip], title="Clips")
    page(site, f"Before.\n\n{shortcode}\n\nAfter.")
    public = build(hugo, site)
    html = (public / "phase/index.html").read_text()
    found = Texts(html)
    assert found.attributes("source") == [{"src": "/sub/clips/a-walk/clip.mp4", "type": "video/mp4"}]
    (video,) = found.attributes("video")
    assert (video["preload"], video["poster"], video["aria-label"]) == (
        "metadata",
        "/sub/clips/a-walk/poster.jpg",
        "A walk",
    )
    assert "controls" in video
    (track,) = found.attributes("track")
    assert (track["kind"], track["src"], track["srclang"]) == (
        "captions",
        "/sub/clips/a-walk/captions.vtt",
        "en",
    )
    assert text_of(html, "stories-clip__quote") == ["We asked what mattered."]
    assert text_of(html, "stories-clip__transcript") == ["Transcript Margaret: We asked <b> what mattered."]
    assert text_of(html, "stories-clip__attribution") == ["MargaretManagerThird sectorGlasgow"]
    assert "Film, 1:05" in html
    assert "<script" not in html
    for name in ("clip.mp4", "captions.vtt", "poster.jpg", "index.html"):
        assert (public / "clips/a-walk" / name).exists()
    assert (public / "stories-clips.css").exists()


def test_an_unknown_slug_stops_the_build_and_is_named_with_its_page(
    hugo: str, site: Path, clip: PublishedClip
) -> None:
    publish(site, [clip], title="Clips")
    page(site, 'Text.\n\n{{< clip "a-wlak" >}}', "crisis.md")
    run = subprocess.run([hugo, "--source", str(site)], capture_output=True, text=True, check=False)
    said = run.stdout + run.stderr
    assert run.returncode != 0
    assert 'no published clip "a-wlak"' in said
    assert "crisis.md:8" in said


def test_a_shortcode_that_names_no_clip_stops_the_build(hugo: str, site: Path, clip: PublishedClip) -> None:
    publish(site, [clip], title="Clips")
    page(site, '{{< clip >}}\n{{< clip "" >}}\n{{< clip "../phase" >}}\n{{< clip name="a-walk" >}}')
    run = subprocess.run([hugo, "--source", str(site)], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    named = re.findall(r"phase\.md:(\d+):\d+\S*: there is no published clip", run.stdout + run.stderr)
    assert sorted(map(int, named)) == [6, 7, 8, 9]


def test_a_removed_clip_still_in_use_stops_the_build(hugo: str, site: Path, clip: PublishedClip) -> None:
    publish(site, [clip], title="Clips")
    page(site, '{{< clip "a-walk" >}}')
    build(hugo, site)
    publish(site, [], title="Clips")
    run = subprocess.run([hugo, "--source", str(site)], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert 'no published clip "a-walk"' in run.stdout + run.stderr


def test_the_index_lists_clips_under_their_themes(hugo: str, site: Path, clip: PublishedClip) -> None:
    other = dataclasses.replace(clip, slug="other", title="Another", theme_key=None, theme_name=None)
    publish(site, [other, clip, dataclasses.replace(clip, slug="two", title="Two")], title="Film & audio")
    html = (build(hugo, site) / "clips/index.html").read_text()
    found = Texts(html)
    assert [attrs.get("id") for attrs in found.attributes("h2")] == ["theme-connected", "theme-no-theme"]
    links = [attrs["href"] for attrs in found.attributes("a")]
    assert links == [
        "#theme-connected",
        "#theme-no-theme",
        *(f"/sub/clips/{slug}/" for slug in ("a-walk", "two", "other")),
    ]
    assert "<h1>Film &amp; audio</h1>" in html


def test_an_index_without_clips_says_so(hugo: str, site: Path) -> None:
    publish(site, [], title="Clips")
    assert "No clips have been published yet." in (build(hugo, site) / "clips/index.html").read_text()


def test_the_clips_own_page_offers_a_line_to_copy(hugo: str, site: Path, clip: PublishedClip) -> None:
    publish(site, [clip], title="Clips")
    html = (build(hugo, site) / "clips/a-walk/index.html").read_text()
    (line,) = (text for text in text_of(html, "stories-embed"))
    assert line.endswith('{{< clip "a-walk" >}}')
    assert "/sub/clips/#theme-connected" in [attrs.get("href") for attrs in Texts(html).attributes("a")]
    # the line it offers works as it is
    page(site, line.rpartition("stand:")[2].strip())
    assert "/sub/clips/a-walk/clip.mp4" in (build(hugo, site) / "phase/index.html").read_text()


def test_audio_has_a_picture_and_captions_too(hugo: str, site: Path, clip: PublishedClip) -> None:
    audio = dataclasses.replace(clip, kind="audio", media_type="audio/mp4", width=None, height=None)
    publish(site, [audio], title="Clips")
    page(site, '{{< clip "a-walk" >}}')
    found = Texts((build(hugo, site) / "phase/index.html").read_text())
    assert found.attributes("source") == [{"src": "/sub/clips/a-walk/clip.m4a", "type": "audio/mp4"}]
    assert [attrs["src"] for attrs in found.attributes("img")] == ["/sub/clips/a-walk/poster.jpg"]
    assert found.attributes("video") == []
    assert len(found.attributes("track")) == 1


@pytest.mark.parametrize(
    ("width", "height", "portrait"), [(720, 1280, True), (1280, 720, False), (None, None, False)]
)
def test_portrait_films_are_marked(
    hugo: str, site: Path, clip: PublishedClip, width: int | None, height: int | None, portrait: bool
) -> None:
    publish(site, [dataclasses.replace(clip, width=width, height=height)], title="Clips")
    html = (build(hugo, site) / "clips/a-walk/index.html").read_text()
    assert ("stories-clip--portrait" in html) is portrait


def test_hostile_text_is_shown_as_text_and_nothing_else(hugo: str, site: Path, clip: PublishedClip) -> None:
    (site / "layouts/_default/rss.xml").write_text(
        "{{ range .RegularPages }}<item>{{ .Content }}</item>{{ end }}"
    )
    clips = [
        dataclasses.replace(
            clip,
            slug=f"c{n}",
            title=text,
            storyteller=text,
            role=text,
            place=text,
            quote=text,
            theme_name=text,
            theme_key=f"t{n}",
        )
        for n, text in enumerate(HOSTILE)
    ]
    clip.captions.write_text(
        "WEBVTT\n\n00:00.000 --> 00:02.000\n" + HOSTILE[1].replace("<", "&lt;").replace(">", "&gt;") + "\n"
    )
    publish(site, clips, title=HOSTILE[1])
    page(site, "\n\n".join(f'{{{{< clip "c{n}" >}}}}' for n in range(len(HOSTILE))))
    public = build(hugo, site)
    embedded = text_of((public / "phase/index.html").read_text(), "stories-clip__quote")
    for number, text in enumerate(HOSTILE):
        shown = " ".join(text.split())
        html = (public / f"clips/c{number}/index.html").read_text()
        assert text_of(html, "stories-clip__quote")[0].rstrip("\u202c") == shown
        assert embedded[number].rstrip("\u202c") == shown
        assert {tag for tag, _ in Texts(html).elements} & {"script", "b", "em", "strong"} <= {"b"}
        assert not any(name.startswith("on") for _, attrs in Texts(html).elements for name in attrs)
    assert "<script" not in (public / "clips/index.html").read_text()


def test_the_pages_body_is_the_quote_as_plain_text(hugo: str, site: Path, clip: PublishedClip) -> None:
    (site / "layouts/_default/list.html").write_text(
        '{{ define "main" }}{{ range sort site.RegularPages "Params.clip.slug" }}'
        '<div class="body">{{ .Content }}</div>{{ end }}{{ end }}'
    )
    (site / "hugo.toml").write_text(
        'baseURL = "https://example.org/"\ntitle = "A site"\nenableEmoji = true\n'
        "[markup.goldmark.renderer]\nunsafe = true\n[markup.goldmark.extensions]\ntypographer = false\n"
    )
    clips = [dataclasses.replace(clip, slug=f"c{n}", quote=text) for n, text in enumerate(HOSTILE)]
    publish(site, clips, title="Clips")
    html = (build(hugo, site) / "index.html").read_text()
    shown = [text.rstrip("\u202c") for text in text_of(html, "body")]
    assert shown == [" ".join(text.split()) for text in HOSTILE]
    bodies = Texts(html[html.index('<div class="body"') :])
    assert {tag for tag, _ in bodies.elements} == {"div", "p"}


def test_a_page_in_another_language_can_show_the_clip(hugo: str, site: Path, clip: PublishedClip) -> None:
    with (site / "hugo.toml").open("a") as settings:
        settings.write(
            'defaultContentLanguage = "en"\n[languages.en]\nweight = 1\n[languages.sv]\nweight = 2\n'
        )
    publish(site, [clip], title="Clips")
    page(site, '{{< clip "a-walk" >}}', "fas.sv.md")
    assert "/sub/clips/a-walk/clip.mp4" in (build(hugo, site) / "sv/fas/index.html").read_text()


def test_clips_are_data_for_pages_of_ones_own(hugo: str, site: Path, clip: PublishedClip) -> None:
    publish(site, [clip], title="Clips")
    (site / "layouts/index.html").write_text(
        '{{ define "main" }}{{ range (index site.Data "clips").clips }}'
        '<i class="x">{{ .slug }} {{ .duration_ms }}</i>{{ end }}{{ end }}'
    )
    run = subprocess.run(
        [hugo, "--source", str(site), "--quiet"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert text_of((site / "public/index.html").read_text(), "x") == ["a-walk 64600"]
