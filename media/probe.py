"""What a media file is, before anything is made of it.

Probing reads headers. It cannot find damage in the middle of a file: :mod:`media.timeline` does, by decoding.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from media.errors import DamagedMedia, MediaError, NotMedia, ToolFailed, ToolTimeout, shown
from media.process import discard, execute, input_file, run_ffprobe

_PLAYLISTS = frozenset({"hls", "concat", "dash", "sdp", "rtsp", "imf", "webm_dash_manifest", "applehttp"})
_MAGIC = (
    (4, b"ftyp"),
    (4, b"moov"),
    (4, b"mdat"),
    (0, b"RIFF"),
    (0, b"\x1a\x45\xdf\xa3"),
    (0, b"OggS"),
    (0, b"fLaC"),
)
_LOWEST_SCORE = 5  # ffprobe gives 1 to what has nothing but the right file name
_ENDLESS = 0xFFFFFF00  # sizes near the largest mean that nobody knew the size
_GUESSED = "Estimating duration from bitrate"
_VARIABLE_BEYOND = 0.01
_UNSEEN = ("attached_pic", "timed_thumbnails", "still_image")

Stream = dict[str, Any]
"""One stream as ffprobe describes it."""


@dataclass(frozen=True)
class MediaInfo:
    """One media file. ``width`` and ``height`` are as displayed: square pixels, after ``rotation``
    (clockwise).
    """

    container: str
    duration_ms: int
    bytes: int
    kind: Literal["audio", "video"]
    audio_codec: str | None
    sample_rate_hz: int | None
    channels: int | None
    video_codec: str | None
    width: int | None
    height: int | None
    rotation: int
    frame_rate: float | None
    variable_frame_rate: bool
    has_audio: bool
    created: str | None


@dataclass(frozen=True, eq=False)
class Source:
    """A probed file: the streams the project uses (one of sound, one of picture), and its length."""

    path: Path
    format: dict[str, Any]
    audio: Stream | None
    video: Stream | None
    duration_ms: int

    @property
    def container(self) -> str:
        """The first of the demuxer's names, for example ``mov`` or ``matroska``."""
        return str(self.format["format_name"]).partition(",")[0]

    def start_ms(self, stream: Stream) -> int:
        """When the stream starts on the file's timeline."""
        start_s = float(stream.get("start_time", 0)) - float(self.format.get("start_time", 0))
        return max(0, round(1000 * start_s))

    def end_ms(self, stream: Stream) -> int | None:
        """When the stream ends on the file's timeline by its own header; None where it has none."""
        if "duration" in stream:
            return self.start_ms(stream) + round(1000 * float(stream["duration"]))
        tagged = stream.get("tags", {}).get("DURATION")
        return _clock_ms(tagged) if tagged else None


def probe(path: Path) -> MediaInfo:
    """Say what ``path`` holds. A cover picture is not video; a video without sound has ``has_audio`` False.

    Where the container does not know its length (a web recording, an MP3 without an index) the packets are
    read to the end to find it.

    Raises:
        NotMedia: empty, text, a playlist, a format that is not accepted, neither sound nor picture.
        DamagedMedia: a known container that cannot be opened, such as an MP4 without its index.
        ToolMissing, ToolTimeout, MediaError (no such file, no permission)
    """
    return _info(inspect(path))


def inspect(path: Path) -> Source:
    """As :func:`probe`, with the streams chosen. Remembered until the file changes."""
    try:
        state = path.stat()
        with path.open("rb"):
            pass
    except IsADirectoryError:
        raise NotMedia(f"“{shown(path)}” is a folder, not a recording.") from None
    except OSError as error:
        raise MediaError(f"“{shown(path)}” cannot be opened: {error.strerror}.") from error
    if state.st_size == 0:
        raise NotMedia(f"“{shown(path)}” is empty (0 bytes): copy it again from where it was recorded.")
    return _inspect(path.absolute(), state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _inspect(path: Path, _size: int, _mtime_ns: int) -> Source:
    found, log = _ffprobe(path)
    if int(found["format"].get("probe_score", 100)) < _LOWEST_SCORE:
        raise _not_media(path)
    audio, video = _sound(found["streams"]), _picture(found["streams"])
    if audio is None and video is None:
        raise NotMedia(f"“{shown(path)}” holds neither sound nor film.")
    return Source(path, found["format"], audio, video, _duration_ms(path, found["format"], audio, video, log))


def _ffprobe(path: Path) -> tuple[dict[str, Any], str]:
    try:
        found, log = run_ffprobe(path, "-show_format", "-show_streams")
    except ToolTimeout:
        raise
    except ToolFailed as error:
        raise _unreadable(path, error.stderr_tail) from error
    _restore_promise(path, found)
    return found, log


def _restore_promise(path: Path, found: dict[str, Any]) -> None:
    """Give a WAV or AVI that was cut off the length its header promised: ffprobe states what is left of it."""
    with path.open("rb") as file:
        head = file.read(8)
    promised, size = int.from_bytes(head[4:], "little") + 8, path.stat().st_size
    if head[:4] != b"RIFF" or promised <= size or promised >= _ENDLESS:
        return
    for part in (found["format"], *found["streams"]):
        if "duration" in part:
            part["duration"] = str(float(part["duration"]) * promised / size)


def _unreadable(path: Path, log: str) -> MediaError:
    if "Format not on whitelist" in log:
        line = next(line for line in log.splitlines() if "Format not on whitelist" in line)
        demuxer = line.lstrip("[").partition(" @")[0].partition(",")[0]
        if demuxer in _PLAYLISTS:
            return NotMedia(
                f"“{shown(path)}” is a playlist that points to other files ({demuxer}); it was not followed: "
                "add the recordings themselves."
            )
        return NotMedia(f"“{shown(path)}” is not sound or film but {demuxer}: convert or replace it.")
    if "moov atom not found" in log and _begins_like_media(path):
        return DamagedMedia(
            f"“{shown(path)}” was cut off before its index was written (an MP4 without its end): copy it again "
            "from the device that recorded it."
        )
    if _begins_like_media(path):
        return DamagedMedia(f"“{shown(path)}” is damaged: nothing in it can be read; copy it again.")
    return _not_media(path)


def _not_media(path: Path) -> NotMedia:
    return NotMedia(
        f"“{shown(path)}” is not sound or film, whatever its name says: replace it or leave it out."
    )


def _begins_like_media(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(16)
    return any(head[at : at + len(magic)] == magic for at, magic in _MAGIC)


def _sound(streams: list[Stream]) -> Stream | None:
    """The default sound stream among those that can be decoded, else the first."""
    known = [
        s for s in streams if s["codec_type"] == "audio" and s.get("codec_name") and int(s.get("channels", 0))
    ]
    return max(known, key=lambda s: s["disposition"].get("default", 0), default=None)


def _picture(streams: list[Stream]) -> Stream | None:
    known = [
        s for s in streams if s["codec_type"] == "video" and s.get("codec_name") and int(s.get("width", 0))
    ]
    moving = [s for s in known if not any(s["disposition"].get(flag) for flag in _UNSEEN)]
    return max(moving, key=lambda s: s["disposition"].get("default", 0), default=None)


def _duration_ms(
    path: Path, container: dict[str, Any], audio: Stream | None, video: Stream | None, log: str
) -> int:
    stated = float(container.get("duration", 0))
    guessed = _GUESSED in log and container["format_name"] != "wav"  # what is guessed of PCM is exact
    if stated > 0 and not guessed:
        return round(stated * 1000)
    return packets_end_ms(path, audio, video)


def packets_end_ms(path: Path, audio: Stream | None, video: Stream | None) -> int:
    """When the last packet ends: all of the file is read, none of it decoded.

    Raises:
        DamagedMedia: when there is no packet to read.
    """
    source = input_file(path)
    streams = [source[str(stream["index"])] for stream in (audio, video) if stream]
    node = discard(*streams, c="copy")
    try:
        end_ms = execute(node, timeout_s=3600, about=path).out_time_ms
    except ToolTimeout:
        raise
    except ToolFailed as error:
        raise DamagedMedia(
            f"“{shown(path)}” is damaged: nothing in it can be read; copy it again."
        ) from error
    if end_ms <= 0:
        raise DamagedMedia(f"“{shown(path)}” holds no sound or film after its header; copy it again.")
    return end_ms


def _info(source: Source) -> MediaInfo:
    audio, video = source.audio or {}, source.video or {}
    width, height = displayed_size(video) if video else (None, None)
    rate = frame_rate(video)
    return MediaInfo(
        container=source.container,
        duration_ms=source.duration_ms,
        bytes=source.path.stat().st_size,
        kind="video" if video else "audio",
        audio_codec=audio.get("codec_name"),
        sample_rate_hz=int(audio["sample_rate"]) if audio else None,
        channels=int(audio["channels"]) if audio else None,
        video_codec=video.get("codec_name"),
        width=width,
        height=height,
        rotation=rotation(video),
        frame_rate=float(rate) if rate else None,
        variable_frame_rate=bool(video) and has_variable_frame_rate(video),
        has_audio=bool(audio),
        created=_created(source.format.get("tags", {})),
    )


def rotation(video: Stream) -> int:
    """By how much the picture is turned clockwise when it is shown: 0, 90, 180 or 270 degrees."""
    turned = next((d["rotation"] for d in video.get("side_data_list", []) if "rotation" in d), 0)
    return round(-float(turned) / 90) * 90 % 360


def displayed_size(video: Stream) -> tuple[int, int]:
    """Width and height as shown: with square pixels, after rotation."""
    pixel = _ratio(video.get("sample_aspect_ratio", "1:1").replace(":", "/")) or Fraction(1)
    width, height = round(video["width"] * pixel), int(video["height"])
    return (height, width) if rotation(video) in (90, 270) else (width, height)


def frame_rate(video: Stream) -> Fraction | None:
    """Frames a second, on average."""
    return _ratio(video.get("avg_frame_rate", "0/0")) or _ratio(video.get("r_frame_rate", "0/0"))


def has_variable_frame_rate(video: Stream) -> bool:
    """Whether the average rate is not the rate that its time stamps stand on."""
    average, base = _ratio(video.get("avg_frame_rate", "0/0")), _ratio(video.get("r_frame_rate", "0/0"))
    return average is None or base is None or abs(base / average - 1) > _VARIABLE_BEYOND


def _ratio(text: str) -> Fraction | None:
    above, _, below = text.partition("/")
    return Fraction(int(above), int(below)) if int(above) and int(below or 1) else None


def _clock_ms(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    return round(1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds)))


def _created(tags: dict[str, str]) -> str | None:
    known = ("com.apple.quicktime.creationdate", "creation_time", "date", "DATE", "DATE_RECORDED")
    return next((tags[name] for name in known if tags.get(name)), None)
