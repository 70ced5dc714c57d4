"""What a file is found to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from media.probe import probe

TONE = ("-f", "lavfi", "-i", "sine=d=2:r=44100")
BARS = ("-f", "lavfi", "-i", "testsrc2=s=322x182:r=25:d=2")
X264 = ("-c:v", "libx264", "-preset", "ultrafast")

FILES: list[tuple[str, tuple[object, ...], dict[str, Any]]] = [
    ("a.wav", TONE, {"container": "wav", "kind": "audio", "audio_codec": "pcm_s16le", "sample_rate_hz": 44_100}),
    ("a.mp3", TONE, {"container": "mp3", "audio_codec": "mp3", "channels": 1, "video_codec": None, "width": None}),
    ("a.m4a", TONE, {"container": "mov", "audio_codec": "aac", "kind": "audio"}),
    ("a.ogg", (*TONE, "-c:a", "libvorbis"), {"container": "ogg", "audio_codec": "vorbis"}),
    ("a.opus", (*TONE, "-c:a", "libopus"), {"container": "ogg", "audio_codec": "opus", "sample_rate_hz": 48_000}),
    ("a.aac", TONE, {"container": "aac"}),
    ("a.flac", (*TONE, "-ac", 2), {"container": "flac", "channels": 2}),
    ("a.aiff", TONE, {"container": "aiff"}),
    ("phone.wav", (*TONE, "-ar", 8000, "-c:a", "pcm_mulaw"), {"audio_codec": "pcm_mulaw", "sample_rate_hz": 8000}),
    ("v.mp4", (*BARS, *TONE, *X264), {"kind": "video", "video_codec": "h264", "width": 322, "height": 182,
     "frame_rate": 25.0, "variable_frame_rate": False, "rotation": 0, "has_audio": True}),
    ("silent.mov", (*BARS, *X264), {"kind": "video", "has_audio": False, "audio_codec": None, "channels": None}),
    ("v.mkv", (*BARS, *TONE, *X264), {"container": "matroska", "kind": "video"}),
    ("v.webm", (*BARS, *TONE, "-c:v", "libvpx", "-c:a", "libopus"), {"container": "matroska", "video_codec": "vp8"}),
    ("v.ts", (*BARS, *TONE, *X264), {"container": "mpegts", "kind": "video"}),
    ("v.avi", (*BARS, *TONE, "-c:v", "mpeg4", "-c:a", "libmp3lame"), {"container": "avi", "kind": "video"}),
    ("wide.mp4", (*BARS, *X264, "-vf", "scale=360:288,setsar=16/11"), {"width": 524, "height": 288}),
    ("vfr.mp4", (*BARS, *X264, "-vf", "select='not(mod(n,7))+not(mod(n,3))'", "-vsync", "vfr"),
     {"variable_frame_rate": True}),
    ("dated.mp4", (*BARS, *X264, "-metadata", "creation_time=2024-05-06T07:08:09Z"),
     {"created": "2024-05-06T07:08:09.000000Z"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "expected"), FILES, ids=[name for name, *_ in FILES])
def test_facts(
    name: str, args: tuple[object, ...], expected: dict[str, Any], make: Callable[..., Path]
) -> None:
    path = make(f"facts-{name}", *args)
    info = probe(path)
    assert {key: getattr(info, key) for key in expected} == expected
    assert abs(info.duration_ms - 2000) <= 90
    assert info.bytes == path.stat().st_size


@pytest.mark.parametrize("name", ["cover.mp3", "cover.m4a", "cover.flac"])
def test_a_cover_picture_is_not_film(name: str, make: Callable[..., Path]) -> None:
    cover = make("cover.png", "-f", "lavfi", "-i", "testsrc2=s=64x64:r=1:d=1", "-frames:v", 1)
    args = (*TONE, "-i", cover, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v:0", "attached_pic")
    info = probe(make(name, *args))
    assert info.kind == "audio"
    assert info.video_codec is None
    assert info.frame_rate is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_film_has_the_size_people_see(
    degrees: int, tmp_path: Path, film: Path, turn: Callable[[Path, Path, int], Path]
) -> None:
    info = probe(turn(film, tmp_path / "phone.mov", degrees))
    assert info.rotation == degrees
    assert (info.width, info.height) == ((160, 90) if degrees == 180 else (90, 160))


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("live.webm", ("-c:v", "libvpx", "-c:a", "libopus", "-live", 1)),
        ("noindex.mp3", ("-vn", "-q:a", 2, "-write_xing", 0)),
        ("stream.aac", ("-vn",)),
    ],
)
def test_a_length_no_header_knows_is_found(
    name: str, args: tuple[object, ...], make: Callable[..., Path], film: Path
) -> None:
    whole = make(f"endless-{name}", "-t", 6, "-i", film, *args)
    assert abs(probe(whole).duration_ms - 6000) <= 100


def test_a_live_recording_that_broke_off_is_as_long_as_what_there_is(
    tmp_path: Path, make: Callable[..., Path], film: Path
) -> None:
    args = ("-c:v", "libvpx", "-c:a", "libopus", "-live", 1)
    data = make("endless-live.webm", "-t", 6, "-i", film, *args).read_bytes()
    path = tmp_path / "call.webm"
    path.write_bytes(data[: len(data) // 2])
    assert 1500 < probe(path).duration_ms < 4500


def test_a_file_that_changes_is_probed_again(tmp_path: Path, make: Callable[..., Path]) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(make("facts-a.wav", *TONE).read_bytes())
    assert probe(path).channels == 1
    path.write_bytes(make("facts-a.flac", *TONE, "-ac", 2).read_bytes())
    assert probe(path).channels == 2
