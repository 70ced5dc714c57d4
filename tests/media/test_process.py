"""Running ffmpeg: names, failures, time limits, and what is left when a process is killed."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import ffmpeg
import pytest

from media import process
from media.cut import cut
from media.errors import ToolFailed, ToolMissing, ToolTimeout
from media.loudness import Loudness
from media.normalise import speech_rendition
from media.poster import waveform_poster
from media.probe import probe

HOSTILE = [
    "-i.wav",
    "a:b.wav",
    "file:x.wav",
    'it\'s "so" quoted.wav',
    "frame%03d.wav",
    "two\nlines.wav",
    "📼 Göteborg.wav",
    "a;b|c,[d]=e\\f.wav",
    "$(touch x) `y` & z.wav",
    "concat:a|b.wav",
    os.fsdecode(b"latin1-\xe9.wav"),
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_any_name_is_only_a_name(name: str, tmp_path: Path, make: Callable[..., Path], voice: Path) -> None:
    folder = tmp_path / f"in {name}"
    folder.mkdir()
    source = folder / name
    source.write_bytes(make("short.wav", "-t", 2, "-i", voice).read_bytes())
    info = probe(source)
    stem = source.stem
    clip = cut(source, folder / f"{stem}.m4a", 500, 1500, info)
    picture = waveform_poster(source, folder / f"{stem}.jpg")
    assert clip.duration_ms == 1000
    assert picture.path.read_bytes()[:2] == b"\xff\xd8"
    assert sorted(folder.iterdir()) == sorted([source, clip.path, picture.path])
    assert list(tmp_path.iterdir()) == [folder]


def test_a_name_below_the_current_folder(
    tmp_path: Path, voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-v.wav").write_bytes(voice.read_bytes())
    assert probe(Path("-v.wav")).duration_ms == 12_000


def test_progress_rises_to_one(tmp_path: Path, film: Path) -> None:
    seen: list[float] = []
    loudness = Loudness(-20.0, -6.0, 1.0, -30.0, 4.0)
    speech_rendition(film, tmp_path / "s.flac", loudness, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == 1.0


def _endless(path: Path) -> object:
    return ffmpeg.input("testsrc2=s=640x360:r=30", f="lavfi").output(
        f"file:{path}", f="matroska", **{"c:v": "ffv1"}
    )


def test_a_time_limit_stops_ffmpeg(tmp_path: Path) -> None:
    with pytest.raises(ToolTimeout, match=r"stopped on two\\nlines\.mp4: it took longer than 1 s"):
        process.run_ffmpeg(_endless(tmp_path / "e.mkv"), timeout_s=1, about=Path("two\nlines.mp4"))
    assert _running_with(str(tmp_path)) == []


def test_an_exception_while_it_runs_stops_ffmpeg(tmp_path: Path) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run_ffmpeg(_endless(tmp_path / "e.mkv"), timeout_s=60, duration_ms=1000, progress=interrupt)
    assert _running_with(str(tmp_path)) == []


def test_a_failure_says_what_was_run_and_why(tmp_path: Path, voice: Path) -> None:
    node = process.input_file(voice).output(str(tmp_path / "a.flac"), f="flac", **{"c:a": "no-such-codec"})
    with pytest.raises(ToolFailed, match=r"failed on voice\.wav: Unknown encoder") as caught:
        process.run_ffmpeg(node, timeout_s=10, about=voice)
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.returncode == 1
    assert "no-such-codec" in error.argv
    assert "Unknown encoder" in error.stderr_tail


def test_without_ffmpeg_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    process.find_tool.cache_clear()
    with pytest.raises(ToolMissing, match="apt install ffmpeg"):
        process.find_tool("ffprobe")
    process.find_tool.cache_clear()


def test_the_version_is_known() -> None:
    assert process.ffmpeg_version()[0].isdigit() or process.ffmpeg_version().startswith("N-")
    assert "loudnorm" in process.ffmpeg_filters()


_SCRIPT = """
import sys
from pathlib import Path
import ffmpeg
from media.files import atomic_path
from media.process import run_ffmpeg
with atomic_path(Path(sys.argv[1])) as made:
    node = ffmpeg.input("testsrc2=s=640x360:r=30", f="lavfi")
    run_ffmpeg(node.output(f"file:{made}", f="matroska", **{"c:v": "ffv1"}), timeout_s=60)
"""


def test_sigkill_leaves_no_process_and_one_file_that_the_next_run_removes(tmp_path: Path, film: Path) -> None:
    target = tmp_path / "out.flac"
    child = subprocess.Popen([sys.executable, "-c", _SCRIPT, str(target)], cwd=Path(__file__).parents[2])
    _wait_until(lambda: any(path.stat().st_size for path in tmp_path.iterdir()))
    assert _running_with(str(tmp_path)) != [child.pid]
    child.send_signal(signal.SIGKILL)
    child.wait()
    _wait_until(lambda: _running_with(str(tmp_path)) == [])
    assert [path.name.startswith(".out.") and ".part" in path.name for path in tmp_path.iterdir()] == [True]
    speech_rendition(film, target, Loudness(-20.0, -6.0, 1.0, -30.0, 4.0))
    assert list(tmp_path.iterdir()) == [target]


def _wait_until(holds: Callable[[], bool]) -> None:
    while not holds():
        time.sleep(0.02)


def _running_with(text: str) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:  # it has ended in the meantime
            continue
    return found
