"""A still picture for a recording: a frame of film, or the shape of its sound."""

from __future__ import annotations

from pathlib import Path

from media.errors import NotMedia, shown
from media.files import atomic_path
from media.normalise import Rendition, described
from media.probe import inspect
from media.process import Node, output_file, run_ffmpeg
from media.timeline import require_sound, sound, survey, timeout_s
from media.video import LONGEST_SIDE, picture

_SIZE = (1280, 720)
_DRAWN = (1120, 320)
_PAPER, _INK = "0xF4F1EA", "0x5B7F95"
_MOST_SAMPLES = 20_000_000  # showwavespic keeps all of them in memory
_JPEG = {"f": "image2pipe", "c:v": "mjpeg", "q:v": 3, "pix_fmt": "yuvj420p", "frames:v": 1}


def poster(source_video: Path, target: Path, at_ms: int, *, max_side: int = LONGEST_SIDE) -> Rendition:
    """Write the frame shown at ``at_ms`` as JPEG, upright, its long side at most ``max_side``.

    A time past the end gives the last frame.

    Raises:
        NotMedia: when there is no film.
        ToolFailed
    """
    source = inspect(source_video)
    if source.video is None:
        raise NotMedia(f"“{shown(source_video)}” holds no film to take a picture from.")
    at_ms = max(0, min(at_ms, source.duration_ms))
    node = picture(source, source.video, span=(at_ms, at_ms + 1), longest=max_side)
    return _written(node, target, source_video, timeout_s(source.duration_ms))


def waveform_poster(source_audio: Path, target: Path) -> Rendition:
    """Write a calm picture of the sound, 1280 x 720, as JPEG.

    Raises:
        NoSound, DamagedMedia, ToolFailed
    """
    source = inspect(source_audio)
    require_sound(source)
    rate_hz = max(400, min(8000, _MOST_SAMPLES * 1000 // max(1, source.duration_ms)))
    node = sound(source, survey(source_audio).channels).filter("aresample", rate_hz)
    node = node.filter("dynaudnorm", f=500, g=15, m=20, p=0.9)
    drawn = {"s": "x".join(map(str, _DRAWN)), "colors": _INK, "split_channels": 0}
    node = node.filter("showwavespic", scale="sqrt", filter="peak", **drawn)
    return _written(_on_paper(node), target, source_audio, timeout_s(source.duration_ms))


def _on_paper(drawing: Node) -> Node:
    import ffmpeg

    width, height = _SIZE
    paper = ffmpeg.input(f"color=c={_PAPER}:s={width}x{height}:d=1", f="lavfi")
    return ffmpeg.overlay(paper, drawing, x=(width - _DRAWN[0]) // 2, y=(height - _DRAWN[1]) // 2)


def _written(node: Node, target: Path, about: Path, limit_s: float) -> Rendition:
    with atomic_path(target) as made:
        run_ffmpeg(output_file(node, path=made, **_JPEG), timeout_s=limit_s, about=about)
        return described("poster", made, target, "image/jpeg", None, None)
