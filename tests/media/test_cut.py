"""Clips: exact to the sample, at the target loudness, and nothing else on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from media.cut import cut
from media.probe import inspect, probe

Make = Callable[..., Path]
Samples = Callable[..., np.ndarray]
Frames = Callable[[Path], tuple[np.ndarray, np.ndarray]]
Listen = Callable[[Path], tuple[float, float]]

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-g", 250)
# Every second a click of 5 ms; of every frame the brightness is its number (modulo 200).
CLICKS = "aevalsrc='if(lt(mod(t,1),0.005),0.8*sin(2*PI*2000*t),0.02*sin(2*PI*300*t))':s=48000:d=22"
COUNTED = "nullsrc=s=64x48:r=25:d=22,geq=lum='20+mod(N\\,200)':cb=128:cr=128"


def _counted(make: Make, name: str) -> Path:
    args = {
        "c.wav": (), "c.m4a": ("-c:a", "aac", "-b:a", "192k"),
        "c.mp3": ("-b:a", "192k"), "noindex.mp3": ("-q:a", 2, "-write_xing", 0),
        "c44.m4a": ("-ar", 44_100, "-c:a", "aac", "-b:a", "192k"),
    }  # fmt: skip
    clicks = make("clicks.wav", "-f", "lavfi", "-i", CLICKS)
    if name in args:
        return make(f"cut-{name}", "-i", clicks, *args[name])
    picture = ("-f", "lavfi", "-i", COUNTED, "-i", clicks)
    return make(f"cut-{name}", *picture, *X264, "-crf", 10, "-c:a", "aac", "-b:a", "192k")


@pytest.mark.parametrize(
    ("name", "tolerance_samples"),
    [("c.wav", 2),  ("c.m4a", 2), ("c44.m4a", 2), ("c.mp3", 2), ("noindex.mp3", 2), 
     ("c.mp4", 2), ("c.mkv", 50), ("c.ts", 50)],
)  # fmt: skip
def test_a_clip_begins_on_its_sample(
    name: str, tolerance_samples: int, tmp_path: Path, make: Make, samples: Samples
) -> None:
    # Matroska and MPEG-TS keep times to 1 ms and to a packet: that is all that can be known of them.
    source = _counted(make, name)
    start_ms, end_ms = 13_456, 17_789
    clip = cut(source, tmp_path / "clip.m4a", start_ms, end_ms, probe(source), fade_ms=(0, 0))
    assert clip.duration_ms == pytest.approx(end_ms - start_ms, abs=25)
    heard, whole = samples(clip.path)[:, 0], samples(source)[:, 0]
    asked = whole[start_ms * 48 : end_ms * 48]
    assert abs(_lag(asked, heard[: len(asked)])) <= tolerance_samples


def _lag(reference: np.ndarray, heard: np.ndarray) -> int:
    """By how many samples ``heard`` is late."""
    size = 1 << (2 * len(reference)).bit_length()
    spectrum = np.fft.rfft(heard, size) * np.conj(np.fft.rfft(reference, size))
    at = int(np.argmax(np.fft.irfft(spectrum)))
    return at if at < size // 2 else at - size


@pytest.mark.parametrize("name", ["c.mp4", "c.mkv"])
def test_a_film_clip_begins_on_its_frame_and_is_in_time_with_its_sound(
    name: str, tmp_path: Path, make: Make, frames: Frames, samples: Samples
) -> None:
    source = _counted(make, name)
    # In Matroska the AAC encoder's 21 ms of lead-in are sound, and come before the first frame.
    opened = inspect(source)
    start_ms = 13_400 + opened.start_ms(opened.video or {})
    clip = cut(source, tmp_path / "clip.mp4", start_ms, start_ms + 4_600, probe(source), fade_ms=(0, 0))
    times, pictures = frames(clip.path)
    brightness = pictures.mean(axis=(1, 2))
    # the frame shown at 13.4 s is number 335; grey levels are stretched from 16–235 to 0–255
    expected = (20 + (335 + np.arange(115)) % 200 - 16) * 255 / 219
    assert len(times) == 115
    assert times[0] == 0
    assert np.abs(brightness - expected).max() < 4
    assert np.abs(np.diff(brightness[:10]) - 255 / 219).max() < 0.9
    level = np.abs(samples(clip.path)[:, 0])
    first = int(np.argmax(level > 0.5 * level.max()))
    assert first == pytest.approx(600 * 48, abs=60)
    assert clip.duration_ms == pytest.approx(4600, abs=40)
    assert clip.media_type == "video/mp4"


VOICES = {
    "plain": ("", 10_000),
    "quiet": ("volume=-25dB", 10_000),
    "with thumps": ("volume=-14dB,volume='if(lt(mod(t,2.3),0.01),5,1)':eval=frame", 10_000),
    "sibilant": ("highpass=f=4000,volume=20dB", 10_000),
    "short": ("", 1_200),
}


@pytest.mark.parametrize("kind", VOICES)
def test_a_clip_is_as_loud_as_it_should_be(kind: str, tmp_path: Path, make: Make, listen: Listen) -> None:
    chain, length_ms = VOICES[kind]
    graph = "aevalsrc='0.2*sin(2*PI*(180+40*sin(3*t))*t)*(0.55+0.45*sin(9*t))+0.05*random(0)*(1+sin(4*t))':s=44100:d=15"
    source = make(
        f"loud-{kind}.wav",
        "-f",
        "lavfi",
        "-i",
        graph,
        *(("-af", chain) if chain else ()),
        "-c:a",
        "pcm_f32le",
    )
    clip = cut(source, tmp_path / "clip.m4a", 2_000, 2_000 + length_ms, probe(source))
    loudness, peak = listen(clip.path)
    assert loudness == pytest.approx(-16, abs=0.5)
    assert peak <= -1.0
    assert clip.loudness_lufs == pytest.approx(loudness, abs=0.2)
    assert clip.true_peak_db == pytest.approx(peak, abs=0.2)
    assert list(tmp_path.iterdir()) == [clip.path]


def test_where_both_cannot_be_had_the_peak_is_kept(tmp_path: Path, make: Make, listen: Listen) -> None:
    source = make("pops.wav", "-f", "lavfi", "-i", "aevalsrc='if(lt(mod(t,1),0.0005),0.9,0)':s=48000:d=12")
    clip = cut(source, tmp_path / "clip.m4a", 500, 10_500, probe(source))
    assert listen(clip.path)[1] <= -1.0


def test_a_silent_clip_is_silent(tmp_path: Path, make: Make, samples: Samples) -> None:
    source = make("nothing.wav", "-f", "lavfi", "-i", "anullsrc=r=48000:cl=mono", "-t", 8)
    clip = cut(source, tmp_path / "clip.m4a", 1_000, 4_000, probe(source))
    assert np.abs(samples(clip.path)).max() == 0


def test_it_fades_in_and_out(tmp_path: Path, make: Make, samples: Samples) -> None:
    source = make("tone.wav", "-f", "lavfi", "-i", "sine=f=1000:d=8:r=48000")
    clip = cut(source, tmp_path / "clip.m4a", 1_000, 5_000, probe(source), fade_ms=(100, 400))
    level = np.abs(samples(clip.path)[: 4_000 * 48, 0]).reshape(-1, 480).max(axis=1)  # each 10 ms
    assert level[0] < 0.25 * level[200]
    assert level[5] < 0.9 * level[200]
    assert level[12] == pytest.approx(level[200], rel=0.05)
    assert level[-1] < 0.1 * level[200]
    assert level[-20] < 0.8 * level[200]
    assert level[-45] == pytest.approx(level[200], rel=0.05)


def test_fades_longer_than_the_clip_are_shortened(tmp_path: Path, voice: Path) -> None:
    assert cut(voice, tmp_path / "c.m4a", 1_000, 1_100, probe(voice), fade_ms=(500, 500)).duration_ms == 100


@pytest.mark.parametrize(("start_ms", "end_ms"), [(0, 2_000), (10_000, 12_000)])
def test_the_edges_of_a_recording(start_ms: int, end_ms: int, tmp_path: Path, film: Path) -> None:
    clip = cut(film, tmp_path / "c.mp4", start_ms, end_ms, probe(film))
    assert clip.duration_ms == pytest.approx(end_ms - start_ms, abs=34)


def test_sound_and_picture_that_end_early_are_held(
    tmp_path: Path, make: Make, frames: Frames, film: Path
) -> None:
    sound_ends = make("sound-ends.mp4", "-i", film, "-t", 6, "-i", film, "-map", "0:v", "-map", "1:a",
                      "-c:v", "copy", "-filter:a", "atrim=end=4")  # fmt: skip
    picture_ends = make("picture-ends.mp4", "-i", film, "-map", "0:a", "-map", "0:v", "-c:a", "copy", *X264,
                        "-vf", "trim=end=4")  # fmt: skip
    for source, start_ms in ((sound_ends, 3_000), (picture_ends, 3_000), (picture_ends, 9_000)):
        clip = cut(source, tmp_path / "c.mp4", start_ms, start_ms + 2_500, probe(source))
        assert clip.duration_ms == pytest.approx(2_500, abs=34)
        assert len(frames(clip.path)[0]) == 75


def test_a_clip_without_any_sound_left_is_silent(
    tmp_path: Path, make: Make, samples: Samples, film: Path
) -> None:
    source = make("sound-ends.mp4", "-i", film, "-t", 6, "-i", film, "-map", "0:v", "-map", "1:a",
                  "-c:v", "copy", "-filter:a", "atrim=end=4")  # fmt: skip
    clip = cut(source, tmp_path / "c.mp4", 4_500, 5_500, probe(source))
    assert np.abs(samples(clip.path)).max() == 0


@pytest.mark.parametrize(("start_ms", "end_ms"), [(-1, 100), (500, 500), (900, 100), (11_000, 13_000)])
def test_a_span_outside_the_recording_is_refused(
    start_ms: int, end_ms: int, tmp_path: Path, voice: Path
) -> None:
    with pytest.raises(ValueError, match="no clip from"):
        cut(voice, tmp_path / "c.m4a", start_ms, end_ms, probe(voice))
    assert list(tmp_path.iterdir()) == []


def test_progress_rises_to_one(tmp_path: Path, film: Path) -> None:
    seen: list[float] = []
    cut(film, tmp_path / "c.mp4", 1_000, 6_000, probe(film), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0
