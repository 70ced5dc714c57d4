"""Cuts a clip out of the original recording: exact, faded, and as loud as every other clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media.errors import NotMedia, shown
from media.files import atomic_path, scratch_path
from media.hashing import sha256_file
from media.level import Level, encode_levelled
from media.loudness import Loudness, measure_own
from media.normalise import SOUND_CODEC
from media.probe import MediaInfo, Source, inspect
from media.process import Node, Progress, input_file, output_file, run_ffmpeg, share
from media.timeline import RATE_HZ, Span, require_readable, require_sound, sound, survey, timeout_s
from media.video import encoder_options, picture, playing_rate

_SAMPLE_BYTES = 4
_CHANNELS = 2
_ROUNDING_MS = 50


@dataclass(frozen=True)
class ClipMedia:
    """A cut clip; loudness and true peak (dBTP) were measured on the file itself."""

    path: Path
    bytes: int
    sha256: str
    duration_ms: int
    loudness_lufs: float | None
    true_peak_db: float | None
    media_type: str


def cut(
    source: Path,
    target: Path,
    start_ms: int,
    end_ms: int,
    info: MediaInfo,
    *,
    fade_ms: tuple[int, int] = (30, 120),
    progress: Progress | None = None,
) -> ClipMedia:
    """Write ``[start_ms, end_ms)`` of the original as MP4 (film) or M4A (sound, also the sound of a film).

    The first sample is the one at ``start_ms``; the length is right to a video frame, or to 25 ms. Only the
    clip is held in memory. Where -16 LUFS and a true peak of -1 dBTP cannot both be had, the peak is kept.

    Raises:
        ValueError: when the span is empty or not within the recording.
        NotMedia: sound into an .mp4.
        NoSound: film without sound into an .m4a.
        DamagedMedia, ToolFailed
    """
    opened = inspect(source)
    if not 0 <= start_ms < end_ms <= opened.duration_ms + _ROUNDING_MS:
        raise ValueError(f"no clip from {start_ms} to {end_ms} ms in a recording of {opened.duration_ms} ms")
    film = target.suffix.lower() == ".mp4"
    if film and opened.video is None:
        raise NotMedia(f"“{shown(source)}” is {info.kind}: its clips are .m4a, not {target.suffix}.")
    if not film:
        require_sound(opened)
    span = (start_ms, end_ms)
    with atomic_path(target) as made:
        if film:
            loudness = _cut_film(opened, target, made, span, fade_ms, progress)
        else:
            loudness = _cut_sound(opened, target, made, span, fade_ms, progress)
        return _described(made, target, film, loudness)


def _cut_film(
    source: Source, target: Path, made: Path, span: Span, fade_ms: tuple[int, int], progress: Progress | None
) -> Loudness | None:
    assert source.video is not None
    nodes: list[Node] = [picture(source, source.video, span=span)]
    options: dict[str, Any] = encoder_options(playing_rate(source.video))
    with scratch_path(target, ".m4a") as heard:
        loudness = None
        if source.audio:
            loudness = _cut_sound(source, target, heard, span, fade_ms, share(progress, 0, 0.3))
            nodes.append(input_file(heard)["a:0"])
            options["c:a"] = "copy"
        _run(output_file(*nodes, path=made, f="mp4", **options), source, span, share(progress, 0.3, 1))
    return loudness


def _cut_sound(
    source: Source, target: Path, made: Path, span: Span, fade_ms: tuple[int, int], progress: Progress | None
) -> Loudness:
    length_ms = span[1] - span[0]
    with scratch_path(target, ".wav") as faded:
        _write_faded(source, target, faded, span, fade_ms)

        def encode(level: Level, progress: Progress | None) -> None:
            node = level.apply(input_file(faded)["a:0"], RATE_HZ)
            _run(output_file(node, path=made, f="ipod", **SOUND_CODEC), source, span, progress)

        return encode_levelled(encode, made, length_ms, measure_own(faded, length_ms), progress=progress)


def _write_faded(source: Source, target: Path, faded: Path, span: Span, fade_ms: tuple[int, int]) -> None:
    from pydub import AudioSegment  # looks for ffmpeg when it is imported

    segment = AudioSegment(
        data=_samples(source, target, span),
        sample_width=_SAMPLE_BYTES,
        frame_rate=RATE_HZ,
        channels=_CHANNELS,
    )
    longest = (span[1] - span[0]) // 2
    fade_in_ms, fade_out_ms = (min(fade, longest) for fade in fade_ms)
    if fade_in_ms:  # pydub refuses a fade of no length
        segment = segment.fade_in(fade_in_ms)
    if fade_out_ms:
        segment = segment.fade_out(fade_out_ms)
    segment.export(faded, format="wav").close()


def _samples(source: Source, target: Path, span: Span) -> bytes:
    """The span's samples, 32-bit, two channels; silence where the sound has ended by its own header."""
    length_ms = span[1] - span[0]
    with scratch_path(target, ".s32") as raw:
        node = sound(source, survey(source.path, span).channels, span)
        _run(output_file(node, path=raw, f="s32le", **{"c:a": "pcm_s32le"}), source, span, None)
        data = raw.read_bytes()
    frame_bytes = _SAMPLE_BYTES * _CHANNELS
    got_ms = len(data) // frame_bytes * 1000 // RATE_HZ
    promised_ms = min(span[1], source.end_ms(require_sound(source)) or source.duration_ms) - span[0]
    require_readable(source.path, got_ms, promised_ms)
    return data.ljust(length_ms * RATE_HZ // 1000 * frame_bytes, b"\0")


def _run(node: Node, source: Source, span: Span, progress: Progress | None) -> None:
    run_ffmpeg(
        node,
        timeout_s=timeout_s(span[1]),
        duration_ms=span[1] - span[0],
        progress=progress,
        about=source.path,
    )


def _described(made: Path, target: Path, film: bool, loudness: Loudness | None) -> ClipMedia:
    return ClipMedia(
        path=target,
        bytes=made.stat().st_size,
        sha256=sha256_file(made),
        duration_ms=inspect(made).duration_ms,
        loudness_lufs=loudness.integrated_lufs if loudness else None,
        true_peak_db=loudness.true_peak_db if loudness else None,
        media_type="video/mp4" if film else "audio/mp4",
    )
