"""The picture as browsers play it: H.264, upright, square pixels, even sides, a constant frame rate, 8-bit
SDR.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from media.probe import Source, Stream, displayed_size, frame_rate, has_variable_frame_rate
from media.process import Node, ffmpeg_filters
from media.timeline import Span, opened, seek_point_ms

LONGEST_SIDE = 1280
_HIGHEST_RATE = 31
_USUAL_RATE = Fraction(30)
_INTERLACED = frozenset({"tt", "bb", "tb", "bt"})
_HDR = frozenset({"smpte2084", "arib-std-b67"})


def encoder_options(rate: Fraction) -> dict[str, Any]:
    """x264, for every browser, with a key frame at least every 4 s so that seeking is quick."""
    return {
        "c:v": "libx264", "preset": "veryfast", "crf": 23, "profile:v": "high", "pix_fmt": "yuv420p",
        "g": round(rate * 4), "color_range": "tv", "movflags": "+faststart",
        # Threads that share out frames, not slices, now and then give a frame other bytes.
        "x264-params": "sliced-threads=1",
    }  # fmt: skip


def fitted_size(width: int, height: int, longest: int = LONGEST_SIDE) -> tuple[int, int]:
    """The size with even sides that fits; never larger than the source but for a side of 1.

    >>> fitted_size(1920, 1080), fitted_size(1080, 1920), fitted_size(321, 241)
    ((1280, 720), (720, 1280), (320, 240))
    """
    scale = min(Fraction(1), Fraction(longest, max(width, height)))
    return max(2, int(width * scale) // 2 * 2), max(2, int(height * scale) // 2 * 2)


def playing_rate(video: Stream) -> Fraction:
    """The constant rate for the web: the source's own, halved until it is 30 or less; 30 where it varies.

    >>> playing_rate({"avg_frame_rate": "60000/1001", "r_frame_rate": "60000/1001"})
    Fraction(30000, 1001)
    """
    rate = frame_rate(video)
    if rate is None or has_variable_frame_rate(video):
        return _USUAL_RATE
    while rate > _HIGHEST_RATE:
        rate /= 2
    return rate


def picture(source: Source, stream: Stream, *, span: Span | None = None, longest: int = LONGEST_SIDE) -> Node:
    """The frames on the timeline at :func:`playing_rate`; of ``span`` exactly those, the last held if it ends
    early.
    """
    rate = playing_rate(stream)
    seek_ms = _seek_ms(source, stream, span)
    node = opened(source, seek_ms)[str(stream["index"])]
    if span:
        node = node.filter("setpts", f"PTS-{(span[0] - seek_ms) / 1000:.3f}/TB")
        node = node.filter("tpad", stop=-1, stop_mode="clone")
    node = node.filter("fps", fps=f"{rate.numerator}/{rate.denominator}", start_time=0)
    if span:
        node = node.filter("trim", end_frame=max(1, round((span[1] - span[0]) * rate / 1000)))
    return _drawn(node, stream, fitted_size(*displayed_size(stream), longest))


def _seek_ms(source: Source, stream: Stream, span: Span | None) -> int:
    if span is None:
        return 0
    # Past its last frame there would be no frame to hold.
    end_ms = source.end_ms(stream) or source.duration_ms
    return seek_point_ms(source, min(span[0], end_ms))


def _drawn(node: Node, stream: Stream, size: tuple[int, int]) -> Node:
    if stream.get("field_order") in _INTERLACED:
        node = node.filter("bwdif", deint="interlaced", mode="send_frame")
    node = node.filter("scale", *size, flags="bicubic")
    if stream.get("color_transfer") in _HDR and {"zscale", "tonemap"} <= ffmpeg_filters():
        node = _toned(node, stream)
    return node.filter("format", "yuv420p").filter("setsar", 1)


def _toned(node: Node, stream: Stream) -> Node:
    """High dynamic range brought to BT.709, highlights rolled off (Hable's curve)."""
    node = node.filter(
        "zscale", tin=stream["color_transfer"], pin="bt2020", min="bt2020nc", t="linear", npl=100
    )
    node = node.filter("format", "gbrpf32le").filter("zscale", p="bt709")
    node = node.filter("tonemap", tonemap="hable", desat=0)
    return node.filter("zscale", t="bt709", m="bt709", r="tv")
