"""Small recordings made for the tests, and what an independent ear and eye make of the results."""

from __future__ import annotations

import json
import re
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Make = Callable[..., Path]


def _ffmpeg(*args: object) -> subprocess.CompletedProcess[bytes]:
    argv = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-y", *map(str, args)]
    return subprocess.run(argv, check=True, capture_output=True)


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """make(name, *ffmpeg arguments): a file, made once a session."""
    folder = tmp_path_factory.mktemp("made")

    def made(name: str, *args: object) -> Path:
        path = folder / name
        if not path.exists():
            _ffmpeg(*args, f"file:{path}")
        return path

    return made


VOICE = "aevalsrc='0.2*sin(2*PI*(180+40*sin(3*t))*t)*(0.55+0.45*sin(9*t))+0.02*random(0)':s=48000"
"""Something as uneven as a voice."""


@pytest.fixture(scope="session")
def voice(make: Make) -> Path:
    return make("voice.wav", "-f", "lavfi", "-i", f"{VOICE}:d=12", "-ac", 1)


@pytest.fixture(scope="session")
def film(make: Make, voice: Path) -> Path:
    """12 s of film, its index at the front."""
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x90:r=30:d=12"]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-movflags", "+faststart"]
    return make("film.mp4", *picture, "-i", voice, *coded)


@pytest.fixture(scope="session")
def turn() -> Callable[[Path, Path, int], Path]:
    """Write a copy of an MP4 whose first track is to be shown turned clockwise by 90, 180 or 270 degrees."""

    def turned(path: Path, target: Path, degrees: int) -> Path:
        one = 0x10000
        a, b = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
        matrix = struct.pack(">9i", a, b, 0, -b, a, 0, 0, 0, 0x40000000)
        data = bytearray(path.read_bytes())
        at = data.index(b"tkhd") + 44
        data[at : at + 36] = matrix
        target.write_bytes(data)
        return target

    return turned


@pytest.fixture(scope="session")
def listen() -> Callable[[Path], tuple[float, float]]:
    """Integrated loudness and true peak by ffmpeg's other meter, which the product does not use."""

    def heard(path: Path) -> tuple[float, float]:
        result = _ffmpeg("-i", f"file:{path}", "-map", "0:a", "-af", "ebur128=peak=true", "-f", "null", "-")
        summary = result.stderr.decode().rpartition("Summary:")[2]
        found = [re.search(rf"{name}:\s+(\S+)", summary) for name in ("I", "Peak")]
        assert found[0]
        assert found[1]
        return float(found[0][1]), float(found[1][1])

    return heard


@pytest.fixture(scope="session")
def samples() -> Callable[[Path], np.ndarray]:
    """samples(path): float32 (n, channels) as a player plays it, from time 0 on."""

    def decoded(path: Path, rate: int = 48_000, channels: int = 2) -> np.ndarray:
        chain = f"aresample={rate}:async=1:first_pts=0"
        result = _ffmpeg(
            "-i", f"file:{path}", "-map", "0:a:0", "-af", chain, "-ac", channels, "-f", "f32le", "-"
        )
        return np.frombuffer(result.stdout, np.float32).reshape(-1, channels)

    return decoded


@pytest.fixture(scope="session")
def frames() -> Callable[[Path], tuple[np.ndarray, np.ndarray]]:
    """frames(path): presentation times in ms, and each frame's grey picture (n, 32, 32)."""

    def decoded(path: Path) -> tuple[np.ndarray, np.ndarray]:
        argv = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "json"]
        asked = [*argv, "-show_entries", "frame=pts_time", f"file:{path}"]
        found = json.loads(subprocess.run(asked, check=True, capture_output=True).stdout)["frames"]
        times = np.array([1000 * float(frame["pts_time"]) for frame in found])
        args = [
            "-i",
            f"file:{path}",
            "-map",
            "0:v:0",
            "-vf",
            "scale=32:32,format=gray",
            "-vsync",
            "passthrough",
        ]
        raw = _ffmpeg(*args, "-f", "rawvideo", "-").stdout
        return times, np.frombuffer(raw, np.uint8).reshape(-1, 32, 32)

    return decoded
