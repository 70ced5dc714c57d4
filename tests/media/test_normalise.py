"""Renditions: one timeline, the target loudness, and every odd thing a recorder does."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from media.loudness import Loudness, measure, parse_loudnorm
from media.normalise import Rendition, speech_rendition, web_rendition
from media.poster import poster, waveform_poster
from media.probe import probe
from media.waveform import peaks

Make = Callable[..., Path]
Samples = Callable[..., np.ndarray]
Frames = Callable[[Path], tuple[np.ndarray, np.ndarray]]
Listen = Callable[[Path], tuple[float, float]]

NOISE = "anoisesrc=c=pink:a=0.2:r=48000:seed=7"


def renditions(source: Path, folder: Path) -> tuple[Rendition, Rendition]:
    info, loudness = probe(source), measure(source)
    speech = speech_rendition(source, folder / "speech.flac", loudness)
    web = web_rendition(source, folder / ("web.mp4" if info.kind == "video" else "web.m4a"), info, loudness)
    return speech, web


# A flash of 200 ms from 3 s on, a click at 3 s, on a timeline of 6 s.
FLASH = "color=black:s=160x120:r={rate}:d=6,drawbox=c=white:t=fill:enable='between(t,2.999,3.199)'"
CLICK = "aevalsrc='if(between(t,3,3.02),0.5*sin(2*PI*1000*t),0.001*(random(0)-0.5))':s=48000:d=6"
X264 = ("-c:v", "libx264", "-preset", "ultrafast")

TIMELINES: dict[str, tuple[int, float, tuple[str, ...]]] = {
    "plain.mp4": (30, 0.0, ("-c:a", "aac")),
    "sound-late.mp4": (30, 0.7, ("-c:a", "aac")),
    "sound-late.mkv": (30, 0.7, ("-c:a", "aac")),
    "sound-late.webm": (30, 0.7, ("-c:v", "libvpx", "-c:a", "libopus")),
    "sound-late.ts": (30, 0.7, ("-c:a", "aac")),
    "picture-late.mp4": (30, -0.6, ("-c:a", "aac")),
    "fast.mov": (60, 0.0, ("-c:a", "pcm_s16le")),
    "slow.avi": (10, 0.0, ("-c:v", "mpeg4", "-c:a", "pcm_s16le")),
    "variable.mp4": (
        30,
        0.3,
        ("-c:a", "aac", "-vf", "select='not(n)+gt(mod(n,7),2)+between(n,88,98)'", "-vsync", "vfr"),
    ),
}


def _clicked(make: Make, name: str) -> Path:
    rate, late, codecs = TIMELINES[name]
    flash: tuple[object, ...] = ("-f", "lavfi", "-i", FLASH.format(rate=rate))
    sound = make("click.wav", "-f", "lavfi", "-i", CLICK)
    click = ("-itsoffset", max(late, 0), "-ss", max(late, 0), "-i", sound)
    if late < 0:
        flash = ("-itsoffset", -late, "-f", "lavfi", "-i", FLASH.format(rate=rate).replace("2.999", "2.399"))
    encoder = () if "-c:v" in codecs else X264
    return make(f"click-{name}", *flash, *click, *encoder, *codecs)


def _click_ms(sound: np.ndarray, rate_hz: int) -> float:
    level = np.abs(sound[:, 0])
    return 1000 * float(np.argmax(level > 0.3 * level.max())) / rate_hz


def _flash_ms(times: np.ndarray, pictures: np.ndarray) -> float:
    return float(times[np.argmax(pictures.mean(axis=(1, 2)) > 128)])


@pytest.mark.parametrize("name", TIMELINES)
def test_an_instant_in_the_transcript_is_that_instant_in_the_player(
    name: str, tmp_path: Path, make: Make, samples: Samples, frames: Frames
) -> None:
    source = _clicked(make, name)
    speech, web = renditions(source, tmp_path)
    sound, rate_hz = soundfile.read(speech.path, always_2d=True)
    in_transcript = _click_ms(sound, rate_hz)
    in_player = _click_ms(samples(web.path), 48_000)
    frame_ms = 1000 / (probe(web.path).frame_rate or 1)
    assert in_transcript == pytest.approx(3000, abs=8)
    assert in_player == pytest.approx(in_transcript, abs=2)
    assert _flash_ms(*frames(web.path)) == pytest.approx(3000, abs=frame_ms + 1)
    length_ms = probe(source).duration_ms
    assert speech.duration_ms == pytest.approx(length_ms, abs=1)
    assert web.duration_ms == pytest.approx(length_ms, abs=50)


def test_holes_in_the_sound_stay_in_their_place(tmp_path: Path, make: Make) -> None:
    beeps = "aevalsrc='if(lt(mod(t,2),0.1),0.5*sin(2*PI*1000*t),0)':s=48000:d=10"
    holes = "aselect='not(between(t,2.5,3.5)+between(t,4.5,5.5))'"
    source = make("holes.mkv", "-f", "lavfi", "-i", beeps, "-af", holes,
                  "-c:a", "libopus")  # fmt: skip
    speech = speech_rendition(source, tmp_path / "s.flac", measure(source))
    sound, rate = soundfile.read(speech.path)
    for at in range(0, 10, 2):
        inside, after = (sound[at * rate + ms * 16 :][:1_000] for ms in (20, 120))
        assert np.abs(inside).max() > 0.1
        assert np.abs(after).max() < 0.02


LAYOUTS = {
    "mono": (f"{NOISE}:d=4", ("-ac", 1)),
    "stereo": (f"{NOISE}:d=4[a];{NOISE}1:d=4[b];[a][b]amerge=2", ()),
    "5.1": (f"{NOISE}:d=4,pan=5.1|FC=c0|FL=0.2*c0|FR=0.2*c0|LFE=0*c0|BL=0*c0|BR=0*c0", ()),
    "opposite phase": (f"{NOISE}:d=4,pan=stereo|c0=c0|c1=-1*c0", ()),
    "one dead channel": (f"{NOISE}:d=4,pan=stereo|c0=0*c0|c1=c0", ()),
    "telephone": (f"{NOISE}:d=4", ("-ar", 8000, "-ac", 1)),
    "96 kHz float": (f"{NOISE}:d=4", ("-ar", 96_000, "-c:a", "pcm_f32le")),
    "very quiet": (f"{NOISE}:d=4,volume=-30dB", ()),
    "very loud": (f"{NOISE}:d=4,volume=10dB", ()),
    "peaks": (f"{NOISE}:d=4,volume=-12dB,volume='if(lt(mod(t,1.5),0.02),12,1)':eval=frame", ()),
    "a far table": (f"{NOISE}:d=8,volume=-24dB,volume='if(lt(mod(t,1.9),0.05),16,1)':eval=frame", ()),
    "one second": (f"{NOISE}:d=1", ()),
    "a quarter second": (f"{NOISE}:d=0.25", ()),
    "constant": ("sine=d=4", ()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_renditions_reach_the_target(
    layout: str, tmp_path: Path, make: Make, listen: Listen, samples: Samples
) -> None:
    graph, args = LAYOUTS[layout]
    source = make(f"layout-{layout}.wav", "-f", "lavfi", "-i", graph, *args)
    speech, web = renditions(source, tmp_path)
    long_enough = layout != "a quarter second"  # the other meter needs 400 ms
    for made in (speech, web):
        if long_enough:
            loudness, peak = listen(made.path)
            assert loudness == pytest.approx(-16, abs=0.5)
            assert made.loudness_lufs == pytest.approx(loudness, abs=0.2)
            assert peak <= -1.0
        assert made.loudness_lufs == pytest.approx(-16, abs=0.5)
        assert made.true_peak_db is not None
        assert made.true_peak_db <= -1.0
    info = soundfile.info(speech.path)
    assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
    assert probe(web.path).channels == 2
    assert probe(web.path).sample_rate_hz == 48_000
    left, right = np.abs(samples(web.path)).max(axis=0)
    assert 0.3 < left / right < 3
    assert made.bytes == made.path.stat().st_size


def test_a_recorder_with_ten_channels(tmp_path: Path) -> None:
    noise = np.random.default_rng(7).normal(0, 0.05, 48_000 * 4)
    soundfile.write(tmp_path / "field.wav", np.stack([noise] * 10, axis=1), 48_000)
    for made in renditions(tmp_path / "field.wav", tmp_path):
        assert made.loudness_lufs == pytest.approx(-16, abs=0.5)


@pytest.mark.parametrize("args", [(), ("-ac", 1)])
def test_silence_stays_silence(args: tuple[object, ...], tmp_path: Path, make: Make) -> None:
    source = make(
        f"silence{len(args)}.wav", "-f", "lavfi", "-i", "anullsrc=r=44100:cl=stereo", "-t", 5, *args
    )
    loudness = measure(source)
    assert loudness.silent
    assert loudness.integrated_lufs == -math.inf
    speech, web = renditions(source, tmp_path)
    assert np.abs(soundfile.read(speech.path)[0]).max() == 0
    assert speech.duration_ms == 5000
    assert web.loudness_lufs == -math.inf


PICTURES = {
    "odd sides": ("testsrc2=s=321x241:r=25:d=2", (*X264, "-pix_fmt", "yuv444p"), (320, 240)),
    "too large": ("testsrc2=s=1920x1080:r=25:d=1", X264, (1280, 720)),
    "tall": ("testsrc2=s=1080x1920:r=25:d=1", X264, (720, 1280)),
    "interlaced": ("testsrc2=s=320x240:r=50:d=2,interlace",
                   (*X264, "-flags", "+ildct+ilme", "-x264opts", "tff=1"), (320, 240)),
    "wide pixels": ("testsrc2=s=352x288:r=25:d=2,setsar=12/11", X264, (384, 288)),
    "10 bit": ("testsrc2=s=320x180:r=25:d=2", (*X264, "-pix_fmt", "yuv420p10le"), (320, 180)),
    "HDR": ("testsrc2=s=320x180:r=25:d=2", (*X264, "-pix_fmt", "yuv420p10le", "-color_trc", "arib-std-b67",
            "-color_primaries", "bt2020", "-colorspace", "bt2020nc"), (320, 180)),
}  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_any_picture_becomes_one_that_browsers_play(
    name: str, tmp_path: Path, make: Make, frames: Frames
) -> None:
    graph, args, size = PICTURES[name]
    source = make(f"picture-{name}.mp4", "-f", "lavfi", "-i", graph, *args)
    web = web_rendition(source, tmp_path / "w.mp4", probe(source), None)
    info = probe(web.path)
    assert (info.width, info.height) == size
    assert info.video_codec == "h264"
    assert not info.variable_frame_rate
    assert web.duration_ms == pytest.approx(probe(source).duration_ms, abs=50)
    data = web.path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert frames(web.path)[1].std() > 20


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_phone_film_stands_upright(
    degrees: int, tmp_path: Path, make: Make, frames: Frames, turn: Callable[[Path, Path, int], Path]
) -> None:
    # One bright corner, top left as recorded; turned clockwise it is seen somewhere else.
    graph = "color=black:s=320x160:r=25:d=1,drawbox=w=80:h=40:c=white:t=fill"
    source = turn(make("corner.mp4", "-f", "lavfi", "-i", graph, *X264), tmp_path / "p.mov", degrees)
    web = web_rendition(source, tmp_path / "w.mp4", probe(source), None)
    made = probe(web.path)
    assert made.rotation == 0
    assert (made.width, made.height) == ((320, 160) if degrees == 180 else (160, 320))
    picture = frames(web.path)[1][0]
    corners = {90: picture[:6, -6:], 180: picture[-6:, -6:], 270: picture[-6:, :6]}
    assert corners[degrees].mean() > 200
    assert picture[:6, :6].mean() < 50
    still = poster(source, tmp_path / "p.jpg", 0)
    assert frames(still.path)[1][0][:6, -6:].mean() == pytest.approx(
        corners[90].mean() if degrees == 90 else 0, abs=60
    )


def test_a_frame_rate_above_thirty_is_halved(tmp_path: Path, make: Make) -> None:
    source = make("quick.mp4", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=60000/1001:d=2", *X264)
    web = web_rendition(source, tmp_path / "w.mp4", probe(source), None)
    assert probe(web.path).frame_rate == pytest.approx(30_000 / 1001)


def test_the_same_again_is_the_same_bytes(tmp_path: Path, film: Path) -> None:
    first = web_rendition(film, tmp_path / "a.mp4", probe(film), measure(film))
    again = web_rendition(film, tmp_path / "b.mp4", probe(film), measure(film))
    assert first.sha256 == again.sha256


def test_where_it_was_recorded_is_not_passed_on(tmp_path: Path, make: Make, film: Path) -> None:
    place = ("-metadata", "location=+57.7089+011.9746/", "-metadata", "title=Anna's story")
    source = make("placed.mov", "-t", 2, "-i", film, "-c", "copy", *place, "-movflags", "use_metadata_tags")
    assert b"+57.7089" in source.read_bytes()
    _, web = renditions(source, tmp_path)
    for word in (b"57.7089", b"Anna"):
        assert word not in web.path.read_bytes()
        assert word not in (tmp_path / "speech.flac").read_bytes()


def test_a_measurement_is_read_from_the_end_of_the_log() -> None:
    log = '[info] {odd}\n[Parsed_loudnorm_1 @ 0x1] [info] \n{\n"input_i" : "-23.50",\n"input_tp" : "-inf",\n' \
          '"input_lra" : "4.10",\n"input_thresh" : "-33.90",\n"target_offset" : "0.02"\n}\n'  # fmt: skip
    found = parse_loudnorm(log.replace("{odd}", ""))
    assert found == Loudness(-23.5, -math.inf, 4.1, -33.9, 7.5)
    with pytest.raises(ValueError, match="no loudnorm"):
        parse_loudnorm("[error] nothing")


def test_a_span_is_measured_by_itself(make: Make) -> None:
    source = make("steps.wav", "-f", "lavfi", "-i", f"{NOISE}:d=20,volume='if(gt(t,10),0.1,1)':eval=frame")
    loud, quiet = measure(source, span=(1_000, 9_000)), measure(source, span=(11_000, 19_000))
    assert loud.integrated_lufs - quiet.integrated_lufs == pytest.approx(20, abs=0.5)


def test_pictures_for_the_player(tmp_path: Path, film: Path, voice: Path, frames: Frames, make: Make) -> None:
    flash = _clicked(make, "plain.mp4")
    assert frames(poster(flash, tmp_path / "a.jpg", 2_900).path)[1].mean() < 30
    assert frames(poster(flash, tmp_path / "b.jpg", 3_100).path)[1].mean() > 220
    small = poster(film, tmp_path / "c.jpg", 999_000, max_side=100)
    assert probe_size(small.path) == (100, 56)
    wave = waveform_poster(voice, tmp_path / "d.jpg")
    assert probe_size(wave.path) == (1280, 720)
    assert frames(wave.path)[1].std() > 5
    assert wave.media_type == "image/jpeg"


def probe_size(path: Path) -> tuple[int, int]:
    """Width and height of a JPEG, from its frame header."""
    data = path.read_bytes()
    at = next(n for n in range(len(data)) if data[n] == 0xFF and data[n + 1] in (0xC0, 0xC1, 0xC2))
    return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")


def test_peaks_are_those_of_the_sound(tmp_path: Path) -> None:
    sound = np.zeros(16_000 * 3 + 100, np.float32)
    sound[16_000:16_800] = -0.5
    sound[-50:] = 1.0
    soundfile.write(tmp_path / "s.flac", sound, 16_000)
    made = peaks(tmp_path / "s.flac", tmp_path / "peaks.json")
    found = json.loads(made.path.read_text())
    assert found["bins_per_s"] == 20
    assert found["peaks"] == [0] * 20 + [50] + [0] * 39 + [100]
