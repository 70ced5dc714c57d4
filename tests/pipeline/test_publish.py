"""Publishing into a folder: what is written, left, removed and refused."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pickle
import subprocess
import sys
import tomllib
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from pipeline.publish import files, pages
from pipeline.publish.captions import Turn, turns
from pipeline.publish.site import PublishError, publish
from pipeline.publish.text import clean, markdown
from pipeline.publish.values import PublishedClip

MakeClip = Callable[..., PublishedClip]

VTT = """WEBVTT

00:00:00.000 --> 00:00:02.000
<v Margaret>We kept asking what
mattered.

00:00:02.000 --> 00:00:04.000
<v Margaret>Not &lt;what&gt; was the matter &amp; how.
<v Ann>Yes.
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "hugo.toml").write_text('title = "A site"\n')
    return folder


@pytest.fixture
def make_clip(tmp_path: Path) -> MakeClip:
    def make(slug: str = "a-walk", **changes: object) -> PublishedClip:
        derived = tmp_path / "derived" / hashlib.sha256(slug.encode()).hexdigest()[:12]
        derived.mkdir(parents=True, exist_ok=True)
        for name, content in (("m.mp4", f"film {slug}"), ("c.vtt", VTT), ("p.jpg", f"picture {slug}")):
            if not (derived / name).exists():
                (derived / name).write_text(content)
        clip = PublishedClip(
            slug=slug,
            title="A walk",
            theme_key="connected",
            theme_name="Keeping connected",
            theme_colour="#2a7f8e",
            storyteller="Margaret",
            role="Manager",
            sector=None,
            place="Glasgow",
            phase="1",
            told_on=date(2020, 5, 14),
            kind="video",
            duration_ms=4000,
            width=320,
            height=180,
            language="en",
            quote="We kept asking what mattered.",
            media=derived / "m.mp4",
            media_type="video/mp4",
            media_sha256=hashlib.sha256(f"film {slug}".encode()).hexdigest(),
            captions=derived / "c.vtt",
            poster=derived / "p.jpg",
        )
        return dataclasses.replace(clip, **changes)  # type: ignore[arg-type]

    return make


def tree(site: Path) -> dict[str, bytes]:
    return {
        path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()
    }


def stamps(site: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in site.rglob("*")}


def front_matter(page: str) -> dict[str, object]:
    return tomllib.loads(page.split("+++\n")[1])


# --- text ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("two\n\n lines\t.", "two lines ."),
        ("nul\x00 bell\x07", "nul bell"),
        ("e\u0301", "é"),
        ("lone \ud800 surrogate", "lone surrogate"),
        ("line\u2028separator", "line separator"),
        ("\u202eleft open", "\u202eleft open\u202c"),
        ("\u2067closed\u2069", "\u2067closed\u2069"),
        ("\u202a\u2066both", "\u202a\u2066both\u2069\u202c"),
    ],
)
def test_text_is_kept_on_one_clean_line(text: str, expected: str) -> None:
    assert clean(text) == expected


@pytest.mark.parametrize(
    "text", ["Well, it's \"fine\" - isn't it? 50% (or so); yes/no.", "Så är det…", "It was 1985."]
)
def test_ordinary_speech_stays_readable_in_markdown(text: str) -> None:
    assert markdown(text) == text


@pytest.mark.parametrize(
    ("vtt", "expected"),
    [
        (
            VTT,
            (
                Turn("Margaret", "We kept asking what mattered. Not <what> was the matter & how."),
                Turn("Ann", "Yes."),
            ),
        ),
        ("WEBVTT\r\n\r\n1\r\n00:00.000 --> 00:01.000\r\nHello\r\n", (Turn(None, "Hello"),)),
        ("WEBVTT\n\nNOTE not said\n\nSTYLE\n::cue{}\n", ()),
        ("", ()),
        ("WEBVTT\n\n00:00.000 --> 00:01.000\n<v.loud Ann &amp; Bo><i>Hi</i></v>", (Turn("Ann & Bo", "Hi"),)),
    ],
)
def test_transcript_is_read_from_the_captions(vtt: str, expected: tuple[Turn, ...]) -> None:
    assert turns(vtt) == expected


# --- pages ---


def test_page_holds_what_is_known_of_the_clip(make_clip: MakeClip) -> None:
    page = pages.clip_page(make_clip(), [Turn("Margaret", "We kept asking.")])
    front = front_matter(page)
    assert (front["title"], front["date"]) == ("A walk", date(2020, 5, 14))
    clip = front["clip"]
    assert isinstance(clip, dict)
    assert {
        key: clip[key] for key in ("theme", "theme_key", "storyteller", "phase", "duration_ms", "media")
    } == {
        "theme": "Keeping connected",
        "theme_key": "connected",
        "storyteller": "Margaret",
        "phase": "1",
        "duration_ms": 4000,
        "media": "clip.mp4",
    }
    assert "sector" not in clip
    assert clip["transcript"] == [{"speaker": "Margaret", "text": "We kept asking."}]
    assert page.endswith("+++\n\nWe kept asking what mattered.\n")


def test_no_text_can_end_the_front_matter(make_clip: MakeClip) -> None:
    hostile = 'x\n+++\ntitle = "stolen"\n"""\n\\u0041 \' "'
    clip = make_clip(title=hostile, storyteller=hostile, quote=hostile, theme_name=hostile)
    page = pages.clip_page(clip, [Turn(hostile, hostile)])
    assert page.startswith("+++\n")
    assert page.splitlines().count("+++") == 2
    assert front_matter(page)["title"] == clean(hostile)


@pytest.mark.parametrize("colour", ["red; background: url(//x)", "#12345", "expression(1)", ""])
def test_a_colour_that_is_none_is_left_out(make_clip: MakeClip, colour: str) -> None:
    assert "theme_colour" not in pages.clip_page(make_clip(theme_colour=colour), [])


def test_themes_keep_their_order_and_clips_without_one_come_last(make_clip: MakeClip) -> None:
    clips = [
        make_clip("one", theme_key=None, theme_name=None),
        make_clip("two", theme_key="b", theme_name="B"),
        make_clip("three", theme_key="a", theme_name="A"),
        make_clip("four", theme_key="b", theme_name="B"),
    ]
    groups = pages.group_by_theme(clips)
    assert [(group.name, [clip.slug for clip in group.clips]) for group in groups] == [
        ("B", ["two", "four"]),
        ("A", ["three"]),
        ("Other clips", ["one"]),
    ]


# --- the site ---


def test_a_clip_is_written_with_all_that_belongs_to_it(site: Path, make_clip: MakeClip) -> None:
    report = publish(site, [make_clip()], title="Clips")
    written = tree(site)
    assert set(report.written) | {"hugo.toml", "stories-manifest.json"} == set(written)
    assert {name for name in written if name.startswith("content/")} == {
        "content/clips/_index.md",
        *(f"content/clips/a-walk/{name}" for name in ("index.md", "clip.mp4", "captions.vtt", "poster.jpg")),
    }
    assert {"layouts/shortcodes/clip.html", "layouts/clips/list.html", "static/stories-clips.css"} <= set(
        written
    )
    assert written["content/clips/a-walk/clip.mp4"] == b"film a-walk"
    data = json.loads(written["data/clips.json"])
    assert data["clips"][0]["media"] == "clips/a-walk/clip.mp4"
    assert data["themes"] == [
        {"key": "connected", "name": "Keeping connected", "colour": "#2a7f8e", "clips": ["a-walk"]}
    ]


def test_the_manifest_lists_every_file_with_its_hash_and_clip(site: Path, make_clip: MakeClip) -> None:
    publish(site, [make_clip("one"), make_clip("two")], title="Clips")
    written = tree(site)
    rows = json.loads(written.pop("stories-manifest.json"))["files"]
    del written["hugo.toml"]
    assert {row["path"]: (row["sha256"], row["bytes"]) for row in rows} == {
        path: (hashlib.sha256(content).hexdigest(), len(content)) for path, content in written.items()
    }
    assert {row["slug"] for row in rows if "/one/" in row["path"]} == {"one"}
    assert {row["slug"] for row in rows if not row["path"].startswith("content/clips/")} == {None}


def test_a_second_publish_writes_nothing(site: Path, make_clip: MakeClip) -> None:
    clips = [make_clip("one"), make_clip("two")]
    first = publish(site, clips, title="Clips")
    before = stamps(site)
    second = publish(site, clips, title="Clips")
    assert (second.written, second.removed) == ((), ())
    assert second.unchanged == first.written
    assert stamps(site) == before


def test_only_what_changed_is_written(site: Path, make_clip: MakeClip) -> None:
    publish(site, [make_clip()], title="Clips")
    report = publish(site, [make_clip(role="Carer")], title="Clips")
    assert report.written == ("content/clips/a-walk/index.md", "data/clips.json")


def test_a_clip_no_longer_given_leaves_nothing_behind(site: Path, make_clip: MakeClip) -> None:
    publish(site, [make_clip("one")], title="Clips")
    expected = tree(site)
    publish(site, [make_clip("one"), make_clip("two")], title="Clips")
    report = publish(site, [make_clip("one")], title="Clips")
    assert tree(site) == expected
    assert not (site / "content/clips/two").exists()
    assert len(report.removed) == 4
    assert b"two" not in b"".join(tree(site).values())


def test_a_clip_that_becomes_audio_loses_its_film(site: Path, make_clip: MakeClip) -> None:
    publish(site, [make_clip()], title="Clips")
    report = publish(site, [make_clip(kind="audio", media_type="audio/mp4")], title="Clips")
    assert report.removed == ("content/clips/a-walk/clip.mp4",)
    assert (site / "content/clips/a-walk/clip.m4a").exists()
    assert report.kept == ()


def test_files_of_others_in_a_removed_clips_folder_are_kept_and_named(
    site: Path, make_clip: MakeClip
) -> None:
    publish(site, [make_clip()], title="Clips")
    (site / "content/clips/a-walk/notes.txt").write_text("mine")
    report = publish(site, [], title="Clips")
    assert report.kept == ("content/clips/a-walk/notes.txt",)
    assert (site / "content/clips/a-walk/notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "path", ["content/clips/a-walk/index.md", "content/clips/a-walk/clip.mp4", "layouts/clips/list.html"]
)
@pytest.mark.parametrize("after", ["the same", "another", "none"])
def test_a_file_changed_by_hand_is_never_lost(site: Path, make_clip: MakeClip, path: str, after: str) -> None:
    publish(site, [make_clip()], title="Clips")
    (site / path).unlink()  # an editor that replaces: the original's link stays as it is
    (site / path).write_text("changed by hand")
    clips = {"the same": [make_clip()], "another": [make_clip(title="New")], "none": []}[after]
    before = tree(site)
    with pytest.raises(PublishError, match=r"by hand.*" + path) as caught:
        publish(site, clips, title="Clips")
    assert "--force" in str(caught.value)
    assert tree(site) == before
    publish(site, clips, title="Clips", force=True)
    assert b"changed by hand" not in tree(site).values()


@pytest.mark.parametrize(
    "path",
    [
        "layouts/shortcodes/clip.html",
        "content/clips/a-walk/index.md",
        "data/clips.json",
        "static/stories-clips.css",
    ],
)
def test_a_file_we_did_not_write_is_never_overwritten(site: Path, make_clip: MakeClip, path: str) -> None:
    (site / path).parent.mkdir(parents=True)
    (site / path).write_text("the author's own")
    with pytest.raises(PublishError, match=r"did not write.*" + path):
        publish(site, [make_clip()], title="Clips")
    assert set(tree(site)) == {"hugo.toml", path}
    publish(site, [make_clip()], title="Clips", force=True)
    assert (site / path).read_text() != "the author's own"


def test_a_link_at_our_place_is_not_followed(site: Path, make_clip: MakeClip, tmp_path: Path) -> None:
    outside = tmp_path / "outside.css"
    outside.write_text("mine")
    (site / "static").mkdir()
    (site / "static/stories-clips.css").symlink_to(outside)
    with pytest.raises(PublishError, match=r"stories-clips\.css"):
        publish(site, [], title="Clips")
    publish(site, [], title="Clips", force=True)
    assert outside.read_text() == "mine"
    assert not (site / "static/stories-clips.css").is_symlink()


def test_a_file_of_ours_that_went_missing_is_written_again(site: Path, make_clip: MakeClip) -> None:
    publish(site, [make_clip()], title="Clips")
    (site / "content/clips/a-walk/captions.vtt").unlink()
    assert publish(site, [make_clip()], title="Clips").written == ("content/clips/a-walk/captions.vtt",)


def test_the_authors_own_files_are_left_alone(site: Path, make_clip: MakeClip) -> None:
    mine = {
        "content/clips/about.md": "a page",
        "layouts/shortcodes/button.html": "a button",
        "data/staff.json": "{}",
    }
    for path, text in mine.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    publish(site, [make_clip()], title="Clips")
    publish(site, [], title="Clips")
    assert {path: tree(site)[path].decode() for path in mine} == mine


@pytest.mark.parametrize("slug", ["", "Walk", "a walk", "../up", "a/b", "-a", "å", "a_b", "a\n", "x" * 101])
def test_a_slug_that_cannot_stand_in_an_address_is_refused(
    site: Path, make_clip: MakeClip, slug: str
) -> None:
    with pytest.raises(PublishError, match="slug"):
        publish(site, [make_clip(slug)], title="Clips")
    assert set(tree(site)) == {"hugo.toml"}


def test_two_clips_of_one_slug_are_refused(site: Path, make_clip: MakeClip) -> None:
    with pytest.raises(PublishError, match="Two clips have the slug a-walk"):
        publish(site, [make_clip(), make_clip()], title="Clips")


def test_a_folder_that_is_no_hugo_site_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PublishError, match="not a Hugo site"):
        publish(tmp_path, [], title="Clips")
    with pytest.raises(PublishError, match="not a folder"):
        publish(tmp_path / "nowhere", [], title="Clips")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("config", ["hugo.yaml", "config.toml", "config.json", "config/_default/hugo.toml"])
def test_every_form_of_a_hugo_sites_settings_is_known(tmp_path: Path, config: str) -> None:
    (tmp_path / config).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / config).write_text("")
    assert publish(tmp_path, [], title="Clips").written


def test_media_that_is_not_what_was_approved_is_refused(site: Path, make_clip: MakeClip) -> None:
    clip = make_clip()
    clip.media.write_text("another film")
    with pytest.raises(PublishError, match="not the media that was approved for the clip a-walk"):
        publish(site, [clip], title="Clips")
    assert set(tree(site)) == {"hugo.toml"}


@pytest.mark.parametrize("part", ["media", "captions", "poster"])
def test_a_missing_source_is_named(site: Path, make_clip: MakeClip, part: str) -> None:
    clip = make_clip()
    source: Path = getattr(clip, part)
    source.unlink()
    with pytest.raises(PublishError, match=r"a-walk.*cannot be read") as caught:
        publish(site, [clip], title="Clips")
    assert str(source) in str(caught.value)


def test_media_already_on_the_site_needs_no_source(site: Path, make_clip: MakeClip) -> None:
    clip = make_clip()
    publish(site, [clip], title="Clips")
    clip.media.unlink()
    assert publish(site, [dataclasses.replace(clip, role="Carer")], title="Clips").written


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        '{"version": 1}',
        '{"version": 1, "files": [{"path": "../x", "sha256": "", "bytes": 0, "slug": null}]}',
        '{"version": 1, "files": [{"path": "/etc/x", "sha256": "", "bytes": 0, "slug": null}]}',
        '{"version": 2, "files": []}',
    ],
)
def test_a_manifest_that_is_not_ours_stops_everything(site: Path, make_clip: MakeClip, text: str) -> None:
    (site / "stories-manifest.json").write_text(text)
    with pytest.raises(PublishError, match=r"stories-manifest\.json"):
        publish(site, [make_clip()], title="Clips")
    assert set(tree(site)) == {"hugo.toml", "stories-manifest.json"}


def test_a_publish_beside_another_is_refused(site: Path) -> None:
    with files.locked(site), pytest.raises(PublishError, match="still running"):
        publish(site, [], title="Clips")
    publish(site, [], title="Clips")


def test_a_full_or_forbidden_place_is_named(site: Path, make_clip: MakeClip) -> None:
    (site / "data").write_text("a file where a folder must be")
    with pytest.raises(PublishError, match=r"stopped at .*data"):
        publish(site, [make_clip()], title="Clips")
    (site / "data").unlink()
    publish(site, [make_clip()], title="Clips")


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from pipeline.publish.site import publish
site, clips, event, left = pickle.loads(Path(sys.argv[1]).read_bytes())
def count(name, args):
    global left
    if name == event:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
publish(site, clips, title="Clips")
"""


@pytest.mark.parametrize(
    ("event", "nth"), [("os.rename", 1), ("os.rename", 2), ("os.rename", 6), ("os.remove", 12)]
)
def test_a_killed_publish_is_finished_by_the_next(
    site: Path, make_clip: MakeClip, tmp_path: Path, event: str, nth: int
) -> None:
    one, other = make_clip("one"), make_clip("other")
    publish(site, [one, make_clip("gone")], title="Clips")
    job = tmp_path / "job"
    changed = dataclasses.replace(one, title="Interrupted", quote="Broken off")
    job.write_bytes(pickle.dumps((site, [changed, other], event, nth)))
    run = subprocess.run([sys.executable, "-c", KILLED, str(job)], cwd=Path(__file__).parents[2], check=False)
    assert run.returncode == -9
    # what comes next is neither what was there nor what was broken off
    final = [dataclasses.replace(one, title="Third")]
    publish(site, final, title="Clips")
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    (fresh / "hugo.toml").write_text('title = "A site"\n')
    publish(fresh, final, title="Clips")
    assert tree(site) == tree(fresh)
    assert not (site / "content/clips/other").exists()
