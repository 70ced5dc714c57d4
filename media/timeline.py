"""The one timeline of a recording, shared by everything that is made of it.

Time 0 is the first thing the container plays. Sound that starts later, or has holes, is filled with silence;
sample n of :func:`sound` is always the instant n / rate. :func:`survey` decodes all the sound once and finds
out what no header tells: how much of the file can be read, and whether mixing the channels would cancel the
voice.

Tolerance: a stream may end, or hold, 2 % less than its header says (at least 200 ms, at most 1 s) before the
recording is called damaged. Holes without decoding errors are pauses of a recorder, not damage.
"""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from media.errors import DamagedMedia, NoSound, ToolFailed, ToolTimeout, clock, shown
from media.probe import Source, Stream, inspect, packets_end_ms
from media.process import Node, Outcome, discard, execute, input_file

RATE_HZ = 48_000
"""The rate of the sound that people hear."""

DUAL_MONO_LU = 3.01
"""How much louder one channel measures when it plays from two."""

Span = tuple[int, int]
"""Start and end, in milliseconds."""

Channels = Literal["both", "left", "right"]
"""Which of the two channels to use."""

_PREROLL_MS = 10_000
_SEEKS_EXACTLY = frozenset({"mov", "matroska", "wav", "w64"})
_CANCELS_DB = 10.0
_DEAD_DB = 30.0
_SMALLEST_HOLE_S = 0.05


@dataclass(frozen=True)
class Survey:
    """What decoding found: the sound's end on the timeline, and the level (RMS) of each channel and of their
    mix.
    """

    end_ms: int
    left_db: float
    right_db: float
    mixed_db: float

    @property
    def silent(self) -> bool:
        """Whether there is nothing but digital silence."""
        return max(self.left_db, self.right_db) < -90

    @property
    def channels(self) -> Channels:
        """Both, or the louder one where the other is dead or is the same in opposite phase."""
        if self.silent:
            return "both"
        dead = abs(self.left_db - self.right_db) > _DEAD_DB
        cancels = self.mixed_db < self._louder_db - _CANCELS_DB
        if not dead and not cancels:
            return "both"
        return "left" if self.left_db >= self.right_db else "right"

    @property
    def choosing_lu(self) -> float:
        """By how much the two channels get louder when one of them is played from both sides."""
        return 0.0 if self.channels == "both" else self._louder_db + DUAL_MONO_LU - self._sum_db

    @property
    def mixing_lu(self) -> float:
        """By how much they get louder (quieter: negative) when they become one."""
        if self.silent:
            return 0.0
        return (self.mixed_db if self.channels == "both" else self._louder_db) - self._sum_db

    @property
    def _louder_db(self) -> float:
        return max(self.left_db, self.right_db)

    @property
    def _sum_db(self) -> float:
        return 10 * math.log10(10 ** (self.left_db / 10) + 10 ** (self.right_db / 10))


def timeout_s(duration_ms: int) -> float:
    """How long ffmpeg may take on so much media before something must be wrong."""
    return 300 + 20 * duration_ms / 1000


def tolerance_ms(duration_ms: int) -> int:
    """By how much a stream may fall short of its header."""
    return min(1000, max(200, duration_ms // 50))


def require_sound(source: Source) -> Stream:
    """The sound stream.

    Raises:
        NoSound
    """
    if source.audio is None:
        raise NoSound(f"“{shown(source.path)}” has no sound track: there is nothing to transcribe.")
    return source.audio


def sound(source: Source, channels: Channels = "both", span: Span | None = None) -> Node:
    """Two channels at :data:`RATE_HZ`, on the timeline; of ``span`` exactly its samples.

    Raises:
        NoSound
    """
    node = _two_channels(heard(source, span), require_sound(source))
    return node if channels == "both" else node.filter("pan", args=_same_in_both(channels))


def heard(source: Source, span: Span | None = None) -> Node:
    """As :func:`sound`, in the channels that the source has.

    Raises:
        NoSound
    """
    stream = require_sound(source)
    seek_ms = seek_point_ms(source, span[0]) if span else 0
    node = _filled(opened(source, seek_ms)[str(stream["index"])])
    return _exactly(node, span, seek_ms) if span else node


def mono(node: Node, channels: Channels) -> Node:
    """One channel of the two that :func:`sound` gives: their mean, or the one that is to be used."""
    mix = "0.5*c0+0.5*c1" if channels == "both" else "c0"
    return node.filter("pan", args=f"mono|c0={mix}")


def seek_point_ms(source: Source, start_ms: int) -> int:
    """From where to decode so that ``start_ms`` is exact: well before it, or the beginning of the file."""
    return max(0, start_ms - _PREROLL_MS) if source.container in _SEEKS_EXACTLY else 0


def opened(source: Source, seek_ms: int) -> Node:
    """The file from ``seek_ms`` on, its first instant (of all its streams) at time 0."""
    # Left to itself ffmpeg puts the first instant of the streams in use at 0 in MPEG files; an offset stops that.
    seek = {"ss": f"{seek_ms / 1000:.3f}"} if seek_ms else {}
    return input_file(source.path, itsoffset="0.000001", **seek)


def _filled(node: Node) -> Node:
    return node.filter(
        "aresample", RATE_HZ, **{"async": 1, "first_pts": 0, "min_hard_comp": _SMALLEST_HOLE_S}
    )


def _two_channels(node: Node, stream: Stream) -> Node:
    count = int(stream["channels"])
    if count == 1:
        return node.filter("pan", args="stereo|c0=c0|c1=c0")
    if count == 2:
        return node
    if stream.get("channel_layout", "unknown") != "unknown":
        return node.filter("aformat", channel_layouts="stereo")
    mix = "+".join(f"{1 / count:.4f}*c{n}" for n in range(count))
    return node.filter("pan", args=f"stereo|c0={mix}|c1={mix}")


def _same_in_both(channels: Channels) -> str:
    kept = 0 if channels == "left" else 1
    return f"stereo|c0=c{kept}|c1=c{kept}"


def _exactly(node: Node, span: Span, seek_ms: int) -> Node:
    first, last = ((ms - seek_ms) * RATE_HZ // 1000 for ms in span)
    return node.filter("atrim", start_sample=first, end_sample=last).filter("asetpts", "PTS-STARTPTS")


def survey(path: Path, span: Span | None = None) -> Survey:
    """Decode the sound (of ``span`` only, if given) and measure its channels. Remembered until the file
    changes.

    Raises:
        NoSound
        DamagedMedia: when all of the sound is asked for and part of it cannot be decoded.
    """
    state = path.stat()
    return _survey(path.absolute(), state.st_size, state.st_mtime_ns, span)


@functools.lru_cache(maxsize=64)
def _survey(path: Path, _size: int, _mtime_ns: int, span: Span | None) -> Survey:
    source = inspect(path)
    stream = require_sound(source)
    outcome = _decode(source, stream, span)
    if span is None:
        _require_whole(source, stream, outcome)
    levels = [float(level) for level in re.findall(r"RMS level dB: (\S+)", outcome.stderr)][:3]
    left_db, right_db, mixed_db = (-math.inf if math.isnan(level) else level for level in levels)
    return Survey(outcome.out_time_ms, left_db, right_db, mixed_db)


def _decode(source: Source, stream: Stream, span: Span | None) -> Outcome:
    if span:
        node = sound(source, span=span)
    else:
        counted = opened(source, 0)[str(stream["index"])].filter(
            "astats", measure_perchannel="none", measure_overall="Number_of_samples"
        )
        node = _two_channels(_filled(counted), stream)
    node = node.filter("pan", args="3.0|c0=c0|c1=c1|c2=0.5*c0+0.5*c1")
    node = node.filter("astats", measure_perchannel="RMS_level", measure_overall="none")
    length_ms = span[1] - span[0] if span else source.duration_ms
    try:
        return execute(discard(node), timeout_s=timeout_s(length_ms), about=source.path)
    except ToolTimeout:
        raise
    except ToolFailed as error:
        raise DamagedMedia(
            f"The sound of “{shown(source.path)}” cannot be decoded: copy the file again.",
            readable_ms=0,
            duration_ms=source.duration_ms,
        ) from error


def _require_whole(source: Source, stream: Stream, outcome: Outcome) -> None:
    samples = sum(int(count) for count in re.findall(r"Number of samples: (\d+)", outcome.stderr))
    decoded_ms = source.start_ms(stream) + samples * 1000 // int(stream["sample_rate"])
    readable_ms = min(outcome.out_time_ms, decoded_ms) if outcome.error_count else outcome.out_time_ms
    stated_ms = source.end_ms(stream)
    if stated_ms is not None:
        require_readable(source.path, readable_ms, stated_ms)
    elif readable_ms < source.duration_ms - tolerance_ms(source.duration_ms):
        # The container only knows when its last stream ends; that may be the picture.
        end_ms = packets_end_ms(source.path, source.audio, source.video)
        require_readable(source.path, max(readable_ms, end_ms), source.duration_ms)


def require_readable(path: Path, readable_ms: int, stated_ms: int, slack_ms: int = 0) -> None:
    """Hold what could be decoded against what the header promises.

    Raises:
        DamagedMedia
    """
    if readable_ms >= stated_ms - tolerance_ms(stated_ms) - slack_ms:
        return
    raise DamagedMedia(
        f"“{shown(path)}” is damaged: only {clock(max(0, readable_ms))} of its {clock(stated_ms)} can be read; "
        "copy it again from the device that recorded it.",
        readable_ms=max(0, readable_ms),
        duration_ms=stated_ms,
    )
