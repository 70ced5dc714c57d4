"""What is not a recording, points elsewhere, or is not all there is named and leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from media.cut import cut
from media.errors import DamagedMedia, MediaError, NoSound, NotMedia
from media.loudness import Loudness, measure
from media.normalise import speech_rendition, web_rendition
from media.poster import poster
from media.probe import probe

LOUDNESS = Loudness(-20.0, -6.0, 1.0, -30.0, 4.0)


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """The address of a server, and what was asked of it."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()
    server.server_close()


POINTERS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{there}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{there}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
    '<AdaptationSet><Representation id="1" bandwidth="1"><BaseURL>{there}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{there}"/></svg>',
    "srt": "1\n00:00:00,000 --> 00:00:01,000\n{there}\n",
    "webvtt": "WEBVTT\n\n00:00.000 --> 00:01.000\n{there}\n",
    "ass": "[Script Info]\nScriptType: v4.00+\n[Events]\n{there}\n",
    "asx": '<asx version="3"><entry><ref href="{there}"/></entry></asx>',
    "pls": "[playlist]\nFile1={there}\n",
}


@pytest.mark.parametrize("suffix", [".mp3", ".mp4", ".m3u8"])
@pytest.mark.parametrize("kind", POINTERS)
def test_what_points_elsewhere_is_not_followed(
    kind: str, suffix: str, tmp_path: Path, voice: Path, visits: tuple[str, list[str]]
) -> None:
    address, asked = visits
    (tmp_path / "secret.wav").write_bytes(voice.read_bytes())
    for there in (f"{address}/secret.wav", "secret.wav", str(tmp_path / "secret.wav")):
        path = tmp_path / f"recording{suffix}"
        path.write_text(POINTERS[kind].format(there=there))
        with pytest.raises(NotMedia, match="recording"):
            probe(path)
    assert asked == []


def test_a_playlist_is_called_one(tmp_path: Path) -> None:
    path = tmp_path / "story.mp3"
    path.write_text(POINTERS["hls"].format(there="x.ts"))
    with pytest.raises(NotMedia, match=r"“story.mp3” is a playlist that points to other files \(hls\)"):
        probe(path)


NOT_MEDIA = {
    "empty.mp4": (b"", "is empty"),
    "text.mp3": (b"Dear all,\nplease find the story attached.\n" * 50, "not sound or film"),
    "noise.mp3": (bytes((7 * n * n + n // 3) % 251 for n in range(40_000)), "not sound or film"),
    "letter.docx": (b"PK\x03\x04" + bytes(5_000), "not sound or film"),
    "photo.mp3": (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(5_000), "is not sound or film but"),
    "page.mp4": (b"<html><body>Not found</body></html>", "not sound or film"),
    "zeros.mp4": (bytes(50_000), "not sound or film"),
}


@pytest.mark.parametrize("name", NOT_MEDIA)
def test_what_is_not_media_is_named(name: str, tmp_path: Path) -> None:
    content, reason = NOT_MEDIA[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(NotMedia, match=reason) as caught:
        probe(path)
    assert f"“{name}”" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotMedia, match="is a folder"):
        probe(tmp_path)
    with pytest.raises(MediaError, match=r"“gone\.mp4” cannot be opened: No such file"):
        probe(tmp_path / "gone.mp4")


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def _without_index(data: bytes) -> bytes:
    return data[: data.index(b"moov") - 4]


def _zeroed_end(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


def _hole(data: bytes) -> bytes:
    third = len(data) // 3
    return data[:third] + bytes(third) + data[2 * third :]


def test_a_film_without_its_index_is_damaged(tmp_path: Path, make: Callable[..., Path], film: Path) -> None:
    plain = make("plain.mp4", "-i", film, "-c", "copy")
    path = tmp_path / "story.mp4"
    path.write_bytes(_without_index(plain.read_bytes()))
    with pytest.raises(DamagedMedia, match="cut off before its index was written"):
        probe(path)


DAMAGE = [
    ("film.mp4", ("-c", "copy", "-movflags", "+faststart"), _half),
    ("film.mp4", ("-c", "copy", "-movflags", "+faststart"), _zeroed_end),
    ("film.mp4", ("-c", "copy", "-movflags", "+faststart"), _hole),
    ("film.mkv", ("-c", "copy"), _half),
    ("film.avi", ("-c:v", "mpeg4", "-c:a", "libmp3lame"), _half),
    ("voice.m4a", ("-vn", "-c:a", "aac", "-movflags", "+faststart"), _half),
    ("voice.wav", ("-vn",), _half),
    ("voice.flac", ("-vn",), _half),
    ("voice.mp3", ("-vn", "-b:a", "64k"), _half),
]


@pytest.mark.parametrize(
    ("name", "args", "harm"), DAMAGE, ids=lambda value: getattr(value, "__name__", str(value)[:9])
)
def test_what_can_be_read_only_in_part_is_damaged(
    name: str,
    args: tuple[str, ...],
    harm: Callable[[bytes], bytes],
    tmp_path: Path,
    make: Callable[..., Path],
    film: Path,
) -> None:
    whole = make(f"whole-{name}", "-i", film, *args)
    path = tmp_path / name
    path.write_bytes(harm(whole.read_bytes()))
    with pytest.raises(DamagedMedia, match=r"only 0:0\d\.\d of its 0:1[12]\.\d can be read") as caught:
        speech_rendition(path, tmp_path / "out.flac", LOUDNESS)
    assert caught.value.readable_ms is not None
    assert caught.value.duration_ms is not None
    assert 1_000 < caught.value.readable_ms < 11_000
    assert abs(caught.value.duration_ms - 12_000) < 400
    with pytest.raises(DamagedMedia):
        measure(path)
    assert list(tmp_path.iterdir()) == [path]


def test_a_film_without_sound_that_is_cut_off_is_damaged(
    tmp_path: Path, make: Callable[..., Path], film: Path
) -> None:
    whole = make("silent-film.mp4", "-i", film, "-an", "-c", "copy", "-movflags", "+faststart")
    path = tmp_path / "story.mp4"
    path.write_bytes(_half(whole.read_bytes()))
    with pytest.raises(DamagedMedia, match="can be read"):
        web_rendition(path, tmp_path / "out.mp4", probe(path), None)
    assert list(tmp_path.iterdir()) == [path]


def test_a_clip_from_the_missing_part_is_refused(tmp_path: Path, film: Path) -> None:
    path = tmp_path / "story.mp4"
    path.write_bytes(_half(film.read_bytes()))
    with pytest.raises(DamagedMedia):
        cut(path, tmp_path / "clip.m4a", 8_000, 10_000, probe(path))
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["story.mp4", "story.mkv", "story.mp3", "story.wav", "story.m4a"])
def test_what_is_whole_is_not_called_damaged(name: str, make: Callable[..., Path], film: Path) -> None:
    args = () if name in ("story.mp4", "story.mkv") else ("-vn",)
    assert measure(make(f"sound-{name}", "-i", film, *args)).integrated_lufs < -10


def test_a_film_without_sound_is_named(tmp_path: Path, make: Callable[..., Path], film: Path) -> None:
    path = make("silent-film.mp4", "-i", film, "-an", "-c", "copy", "-movflags", "+faststart")
    info = probe(path)
    assert not info.has_audio
    assert info.audio_codec is None
    for attempt in (
        lambda: measure(path),
        lambda: speech_rendition(path, tmp_path / "s.flac", LOUDNESS),
        lambda: cut(path, tmp_path / "c.m4a", 0, 1000, info),
    ):
        with pytest.raises(NoSound, match=r"“silent-film\.mp4” has no sound track"):
            attempt()
    web = web_rendition(path, tmp_path / "w.mp4", info, None)
    assert web.loudness_lufs is None
    assert abs(probe(web.path).duration_ms - 12_000) <= 50
    assert list(tmp_path.iterdir()) == [web.path]


def test_sound_is_not_made_into_film(tmp_path: Path, voice: Path) -> None:
    info = probe(voice)
    for attempt in (
        lambda: web_rendition(voice, tmp_path / "w.mp4", info, LOUDNESS),
        lambda: cut(voice, tmp_path / "c.mp4", 0, 1000, info),
        lambda: poster(voice, tmp_path / "p.jpg", 0),
    ):
        with pytest.raises(NotMedia, match=r"“voice.wav”"):
            attempt()
    assert list(tmp_path.iterdir()) == []
