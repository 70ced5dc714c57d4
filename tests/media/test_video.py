"""The encoder's settings, held by what they give."""

import hashlib
import subprocess
from fractions import Fraction
from pathlib import Path

from media.video import encoder_options


def test_the_same_film_gives_the_same_bytes_each_time(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    make = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=25:duration=13",
    ]
    subprocess.run([*make, "-c:v", "libx264", "-preset", "ultrafast", film], check=True)
    options = [
        piece for key, value in encoder_options(Fraction(25)).items() for piece in (f"-{key}", str(value))
    ]
    encode = ["ffmpeg", "-nostdin", "-v", "error", "-i", film, *options, "-f", "mpegts", "-"]
    runs = [subprocess.run(encode, capture_output=True, check=True).stdout for _ in range(16)]
    assert len({hashlib.sha256(run).hexdigest() for run in runs}) == 1
