"""The renditions that the rest works with: sound for recognition, and sound or film for the web player.

Both stand on the source's timeline (:mod:`media.timeline`): an instant in the transcript is that instant in
the player.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from media.errors import NotMedia, shown
from media.files import atomic_path, scratch_path
from media.hashing import sha256_file
from media.level import Level, encode_levelled
from media.loudness import Loudness, measure, measure_node
from media.probe import MediaInfo, Source, inspect
from media.process import Node, Progress, input_file, output_file, run_ffmpeg, share
from media.timeline import (
    DUAL_MONO_LU,
    RATE_HZ,
    Survey,
    mono,
    require_readable,
    require_sound,
    sound,
    survey,
    timeout_s,
)
from media.video import encoder_options, picture, playing_rate

SPEECH_RATE_HZ = 16_000
_LAST_PACKET_MS = 100
SOUND_CODEC = {"c:a": "aac", "b:a": "128k", "ar": RATE_HZ, "ac": 2, "movflags": "+faststart"}


@dataclass(frozen=True)
class Rendition:
    """A file made from a recording; ``kind`` is ``speech``, ``web``, ``poster`` or ``waveform``.

    ``loudness_lufs`` and ``true_peak_db`` (dBTP) were measured on the file itself.
    """

    kind: str
    path: Path
    bytes: int
    sha256: str
    duration_ms: int | None
    loudness_lufs: float | None
    true_peak_db: float | None
    media_type: str


def described(
    kind: str, made: Path, target: Path, media_type: str, duration_ms: int | None, loudness: Loudness | None
) -> Rendition:
    """The rendition that ``made`` will be once it is called ``target``."""
    return Rendition(
        kind=kind,
        path=target,
        bytes=made.stat().st_size,
        sha256=sha256_file(made),
        duration_ms=duration_ms,
        loudness_lufs=loudness.integrated_lufs if loudness else None,
        true_peak_db=loudness.true_peak_db if loudness else None,
        media_type=media_type,
    )


def speech_rendition(
    source: Path, target: Path, loudness: Loudness, *, progress: Progress | None = None
) -> Rendition:
    """Write one channel at 16 kHz, 16-bit FLAC, -16 LUFS as one channel, as long as the source.

    A channel that is dead, or cancels the other, is left out. Silence stays silence.

    Raises:
        NoSound, NotMedia, ToolFailed
        DamagedMedia: when only part of the sound can be decoded.
    """
    opened = inspect(source)
    found = survey(source)
    with atomic_path(target) as made:

        def encode(level: Level, progress: Progress | None) -> None:
            node = mono(_sound(opened, found), found.channels).filter("aresample", SPEECH_RATE_HZ)
            node = level.apply(node, SPEECH_RATE_HZ)
            node = node.filter("apad", whole_len=opened.duration_ms * SPEECH_RATE_HZ // 1000)
            written = output_file(
                node, path=made, f="flac", ar=SPEECH_RATE_HZ, ac=1, sample_fmt="s16", compression_level=5
            )
            _run(written, opened, progress)

        measured = _as_two_channels(opened, loudness)
        achieved = _levelled(encode, made, opened, measured, found.mixing_lu, progress)
        return described("speech", made, target, "audio/flac", inspect(made).duration_ms, achieved)


def web_rendition(
    source: Path,
    target: Path,
    info: MediaInfo,
    loudness: Loudness | None,
    *,
    progress: Progress | None = None,
) -> Rendition:
    """Write what browsers play: MP4 (H.264, AAC) of film, M4A (AAC) of sound; always two channels at 48 kHz.

    One voice plays from both sides, so -16 LUFS is equally loud everywhere. Film without sound stays without.

    Raises:
        NotMedia: film into an .m4a or sound into an .mp4.
        NoSound, ToolFailed
        DamagedMedia: when only part of the source can be decoded.
    """
    opened = inspect(source)
    if (target.suffix.lower() == ".mp4") != (opened.video is not None):
        raise NotMedia(f"“{shown(source)}” is {info.kind}: it cannot become {target.suffix}.")
    if opened.video is None:
        return _web_sound(opened, target, loudness, progress)
    return _web_film(opened, target, loudness, progress)


def _web_sound(
    source: Source, target: Path, loudness: Loudness | None, progress: Progress | None
) -> Rendition:
    require_sound(source)
    with atomic_path(target) as made:
        achieved = web_sound(source, made, loudness, progress)
        return described("web", made, target, "audio/mp4", inspect(made).duration_ms, achieved)


def _web_film(
    source: Source, target: Path, loudness: Loudness | None, progress: Progress | None
) -> Rendition:
    with atomic_path(target) as made, scratch_path(target, ".m4a") as heard:
        achieved = web_sound(source, heard, loudness, share(progress, 0, 0.2)) if source.audio else None
        _film(source, made, heard if achieved else None, share(progress, 0.2, 1))
        _require_whole_film(source, made)
        return described("web", made, target, "video/mp4", inspect(made).duration_ms, achieved)


def web_sound(source: Source, made: Path, loudness: Loudness | None, progress: Progress | None) -> Loudness:
    """Write all of the source's sound to ``made`` as AAC, levelled; return what it measures."""
    found = survey(source.path)
    measured = _as_two_channels(source, loudness)

    def encode(level: Level, progress: Progress | None) -> None:
        node = level.apply(_sound(source, found), RATE_HZ)
        _run(output_file(node, path=made, f="ipod", **SOUND_CODEC), source, progress)

    return _levelled(encode, made, source, measured, found.choosing_lu, progress)


def _levelled(
    encode: Callable[[Level, Progress | None], None],
    made: Path,
    source: Source,
    loudness: Loudness,
    added_lu: float,
    progress: Progress | None,
) -> Loudness:
    return encode_levelled(encode, made, source.duration_ms, loudness, added_lu=added_lu, progress=progress)


def _film(source: Source, made: Path, heard: Path | None, progress: Progress | None) -> None:
    assert source.video is not None
    nodes: list[Node] = [picture(source, source.video)]
    options = encoder_options(playing_rate(source.video))
    if heard:
        nodes.append(input_file(heard)["a:0"])
        options["c:a"] = "copy"
    _run(output_file(*nodes, path=made, f="mp4", **options), source, progress)


def _run(node: Node, source: Source, progress: Progress | None) -> None:
    length_ms = source.duration_ms
    run_ffmpeg(
        node, timeout_s=timeout_s(length_ms), duration_ms=length_ms, progress=progress, about=source.path
    )


def _require_whole_film(source: Source, made: Path) -> None:
    """Hold the film's own end against the header's (the sound was held against it before)."""
    film = inspect(made)
    assert source.video is not None
    stated_ms = source.end_ms(source.video)
    if stated_ms is None and source.audio is None:
        stated_ms = source.duration_ms
    if stated_ms is not None and film.video is not None:
        frame_ms = round(1000 / playing_rate(source.video))
        require_readable(source.path, film.end_ms(film.video) or 0, stated_ms, slack_ms=2 * frame_ms)


def _sound(source: Source, found: Survey) -> Node:
    """All of the sound; what a codec's last packet holds beyond the recording's end is left out."""
    ends_there = found.end_ms <= source.duration_ms + _LAST_PACKET_MS
    return sound(source, found.channels, (0, source.duration_ms) if ends_there else None)


def _as_two_channels(source: Source, loudness: Loudness | None) -> Loudness:
    """The loudness of the source's sound once it plays from two sides."""
    channels = int(require_sound(source)["channels"])
    if channels > 2:
        return measure_node(sound(source), source.duration_ms, source.path)
    measured = loudness or measure(source.path)
    added_lu = DUAL_MONO_LU if channels == 1 else 0.0
    return replace(
        measured,
        integrated_lufs=measured.integrated_lufs + added_lu,
        threshold_lufs=measured.threshold_lufs + added_lu,
        offset_lu=measured.offset_lu - added_lu,
    )
