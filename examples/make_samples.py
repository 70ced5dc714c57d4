"""Make the sample collection's recordings from their scripts, and the truth that goes with them.

    python examples/make_samples.py [--out FOLDER] [NAME ...]

Each ``examples/scripts/NAME.toml`` says who speaks which words in which voice, and what file a phone, a
recorder or a camera would have left. This writes ``FOLDER/collection/recordings/FILE`` and
``FOLDER/truth/NAME.json``: every sentence and every word with its speaker and its span in milliseconds. The
same script gives the same sound.

Needs ffmpeg, and libflite and libespeak-ng from the packages ``flite`` and ``espeak-ng``.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from pictures import Levels, Panel, frames
from scipy.signal import butter, fftconvolve, sosfilt
from voices import SAMPLE_RATE_HZ, Samples, Spoken, Voice, VoiceError, echo, speak

HERE = Path(__file__).resolve().parent
LEAD_S, END_S = 0.6, 1.2  # silence before the first and after the last sentence
SENTENCE_GAP_S, TURN_GAP_S = (0.35, 0.75), (0.55, 1.0)
CEILING = 0.89  # -1 dBFS

Sound = npt.NDArray[np.float32]  # (n, channels) at 16 kHz


@dataclass(frozen=True)
class Line:
    """One sentence: who says it, on which theme (None: a question or thanks), and when (seconds)."""

    speaker: str
    theme: str | None
    text: str
    start_s: float
    spoken: Spoken

    @property
    def end_s(self) -> float:
        """When its last word ends."""
        return self.start_s + self.spoken.words[-1].end_s


@dataclass(frozen=True)
class Script:
    """One recording's script; ``scripts/README.md`` explains what the tables hold."""

    name: str
    file: str
    recorded: str
    seed: int
    sound: dict[str, Any]
    picture: dict[str, Any] | None
    voices: dict[str, Voice]
    pans: dict[str, float]
    turns: tuple[dict[str, str], ...] = field(default=())


def read_script(path: Path) -> Script:
    """Read one script.

    Raises:
        tomllib.TOMLDecodeError, KeyError: when it is not one.
    """
    content = tomllib.loads(path.read_text("utf-8"))
    voices, pans = {}, {}
    for name, speaker in content["speakers"].items():
        settings = dict(speaker)
        pans[name] = settings.pop("pan", 0.0)
        engine, voice, factor = settings.pop("engine"), settings.pop("voice"), settings.pop("factor", 1.0)
        voices[name] = Voice(engine, voice, factor, settings)
    return Script(
        name=path.stem,
        file=content["file"],
        recorded=content["recorded"].isoformat(),
        seed=content["seed"],
        sound=content["sound"],
        picture=content.get("picture"),
        voices=voices,
        pans=pans,
        turns=tuple(content["turns"]),
    )


# ---- sound ----


def perform(script: Script, chance: np.random.Generator) -> tuple[list[Line], float]:
    """Speak every sentence in turn, with pauses; also the length of the whole, in seconds."""
    lines: list[Line] = []
    at_s = LEAD_S
    for turn in script.turns:
        if lines:
            at_s += chance.uniform(*TURN_GAP_S) - SENTENCE_GAP_S[0]
        for sentence in turn["text"].strip().splitlines():
            spoken = speak(script.voices[turn["speaker"]], sentence)
            lines.append(Line(turn["speaker"], turn.get("theme"), sentence, at_s, spoken))
            at_s += len(spoken.samples) / SAMPLE_RATE_HZ + chance.uniform(*SENTENCE_GAP_S)
    return lines, at_s + END_S


def mix(script: Script, lines: list[Line], total_s: float, chance: np.random.Generator) -> Sound:
    """Put the lines where they belong, in a room with some noise, at the level that the script asks for."""
    channels = script.sound["channels"]
    sound = np.zeros((int(total_s * SAMPLE_RATE_HZ), channels), np.float32)
    for line in lines:
        start = int(line.start_s * SAMPLE_RATE_HZ)
        sound[start : start + len(line.spoken.samples)] += _panned(
            line.spoken.samples, script.pans[line.speaker], channels
        )
    if "room" in script.sound:
        sound = _in_a_room(sound, script.sound["room"], chance)
    speech = np.concatenate([sound[_samples_of(line)] for line in lines])
    sound *= 10 ** (script.sound["speech_db"] / 20) / np.sqrt(np.mean(speech**2))
    sound += _noise(sound.shape, script.sound["noise_db"], chance)
    peak = float(np.abs(sound).max())
    return (sound * min(1.0, CEILING / peak)).astype(np.float32)


def _samples_of(line: Line) -> slice:
    start = int(line.start_s * SAMPLE_RATE_HZ)
    return slice(start, start + len(line.spoken.samples))


def _panned(samples: Samples, pan: float, channels: int) -> Sound:
    """One voice on one channel or two, ``pan`` from -1 (left) to 1 (right); neither side falls silent."""
    if channels == 1:
        return samples[:, None]
    sides = [1 - 0.6 * max(0.0, pan), 1 + 0.6 * min(0.0, pan)]
    return np.outer(samples, sides).astype(np.float32)


def _in_a_room(sound: Sound, wetness: float, chance: np.random.Generator) -> Sound:
    """Add a decaying tail of 0.2 s, ``wetness`` times as strong as the direct sound."""
    tail = echo(int(0.2 * SAMPLE_RATE_HZ), wetness, chance)
    wet: Sound = fftconvolve(sound, tail[:, None], axes=0)[: len(sound)].astype(np.float32)
    return wet


def _noise(shape: tuple[int, ...], level_db: float, chance: np.random.Generator) -> Sound:
    """A room's soft noise: mostly below 1 kHz, ``level_db`` dBFS (RMS)."""
    noise = sosfilt(butter(1, 1000, fs=SAMPLE_RATE_HZ, output="sos"), chance.standard_normal(shape), axis=0)
    level: Sound = (noise * 10 ** (level_db / 20) / np.sqrt(np.mean(noise**2))).astype(np.float32)
    return level


# ---- files ----


def encode(script: Script, lines: list[Line], sound: Sound, target: Path) -> None:
    """Write the recording as the device in the script would have."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "sound.wav")
        soundfile.write(wav, sound, SAMPLE_RATE_HZ, subtype="PCM_16")
        arguments = ["-ar", str(script.sound["sample_rate_hz"]), *_audio_codec(script)]
        if script.picture is None:
            _ffmpeg(["-i", str(wav), *arguments, *_tags(script), str(target)])
        else:
            _film(script, lines, wav, len(sound) / SAMPLE_RATE_HZ, arguments, target)


def _audio_codec(script: Script) -> list[str]:
    usual = {".wav": "pcm_s16le", ".mp3": "libmp3lame", ".ogg": "libvorbis"}
    codec = script.sound.get("codec", usual.get(Path(script.file).suffix, "aac"))
    rate = [] if codec.startswith("pcm") else ["-b:a", f"{script.sound.get('kbps', 48)}k"]
    return ["-c:a", codec, *rate]


def _tags(script: Script) -> list[str]:
    return ["-map_metadata", "-1", "-metadata", f"creation_time={script.recorded}T10:30:00Z", *_REPEATABLE]


_REPEATABLE = ["-fflags", "+bitexact", "-flags:a", "+bitexact", "-flags:v", "+bitexact"]


def _film(
    script: Script, lines: list[Line], wav: Path, total_s: float, audio: list[str], target: Path
) -> None:
    picture = script.picture or {}
    width, height, frame_rate = picture["width"], picture["height"], picture["frame_rate"]
    count = int(total_s * frame_rate)
    names = picture["people"]
    panels = [
        (panel, _levels(lines, name, frame_rate, count))
        for name, panel in zip(names, _panels(picture), strict=True)
    ]
    filters = [_label(name, panel) for name, (panel, _) in zip(names, panels, strict=True)]
    if picture.get("rotation") == 90:
        filters.append("transpose=cclock")  # a phone held upright stores its pictures lying down
    if "keep" in picture:
        filters.append(f"select='{picture['keep']}'")
    source = [
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        str(frame_rate),
        "-i",
        "-",
    ]
    video = ["-vf", ",".join(filters), "-fps_mode", "vfr", "-c:v", "libx264", "-preset", "slow", "-crf", "27"]
    video += ["-pix_fmt", "yuv420p", "-g", str(10 * frame_rate), "-threads", "1", "-movflags", "+faststart"]
    _ffmpeg(
        [*source, "-i", str(wav), *video, *audio, *_tags(script), str(target)],
        (frame.tobytes() for frame in frames(panels, width, height, frame_rate, count)),
    )
    if picture.get("rotation") == 90:
        turn_clockwise(target, width)


def _panels(picture: dict[str, Any]) -> list[Panel]:
    """One person fills the frame; two sit side by side, as in a video call."""
    width, height, colours = picture["width"], picture["height"], picture["colours"]
    if len(picture["people"]) == 1:
        return [Panel(0, 0, width, height, tuple(colours[0]))]
    margin = width // 40
    side = (width - 3 * margin) // 2
    return [
        Panel(margin + index * (side + margin), 2 * margin, side, height - 4 * margin, tuple(three))
        for index, three in enumerate(colours)
    ]


def _levels(lines: list[Line], speaker: str, frame_rate: int, count: int) -> Levels:
    """How loud one speaker is in each frame, from 0 to 1."""
    levels = np.zeros(count, np.float32)
    for line in lines:
        if line.speaker == speaker:
            power = line.spoken.samples**2
            for index in range(int(line.start_s * frame_rate), min(count, int(line.end_s * frame_rate))):
                start = int((index / frame_rate - line.start_s) * SAMPLE_RATE_HZ)
                block = power[max(0, start) : start + SAMPLE_RATE_HZ // frame_rate]
                levels[index] = min(1.0, float(np.sqrt(block.mean())) * 6) if len(block) else 0.0
    return np.convolve(levels, np.full(5, 0.2, np.float32), "same")  # no flicker


def _label(name: str, panel: Panel) -> str:
    size = max(16, panel.height // 18)
    x, y = panel.left + size, panel.top + panel.height - 2 * size
    return f"drawtext=text={name}:x={x}:y={y}:fontsize={size}:fontcolor=white:shadowx=1:shadowy=1"


def turn_clockwise(film: Path, width: int) -> None:
    """Give the film the display matrix of a phone held upright: players turn it clockwise by 90 degrees.

    Written into the track header itself, as the option for it differs from one ffmpeg to the next. ``width``
    is that of the picture as displayed, in pixels. The header comes before the media (faststart).
    """
    content = bytearray(film.read_bytes())
    at = content.index(b"tkhd")
    if content[at + 80 : at + 88] == bytes(8):  # a sound track has no size
        at = content.index(b"tkhd", at + 4)
    one, fixed = 1 << 16, 1 << 30
    content[at + 44 : at + 80] = struct.pack(">9i", 0, one, 0, -one, 0, 0, width * one, 0, fixed)
    film.write_bytes(content)


def _ffmpeg(arguments: list[str], pictures: Iterable[bytes] = ()) -> None:
    """Run ffmpeg, feeding it raw frames; its complaint goes to the reader when it fails."""
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments]
    if "-" in command:
        command.remove("-nostdin")
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        for picture in pictures:
            process.stdin.write(picture)
        process.stdin.close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


# ---- truth ----


def truth(script: Script, lines: list[Line]) -> dict[str, Any]:
    """What was said, by whom and when, in milliseconds of the recording."""

    def ms(seconds: float) -> int:
        return round(1000 * seconds)

    return {
        "file": script.file,
        "lines": [
            {
                "speaker": line.speaker,
                "start_ms": ms(line.start_s + line.spoken.words[0].start_s),
                "end_ms": ms(line.end_s),
                "theme": line.theme,
                "text": line.text,
            }
            for line in lines
        ],
        "words": [
            {
                "text": word.text,
                "start_ms": ms(line.start_s + word.start_s),
                "end_ms": ms(line.start_s + word.end_s),
                "speaker": line.speaker,
            }
            for line in lines
            for word in line.spoken.words
        ],
    }


def write_truth(content: dict[str, Any], target: Path) -> None:
    """Write the truth with one sentence or word a line, so that a change can be read."""

    def rows(key: str) -> str:
        return ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in content[key])

    head = json.dumps(content["file"])
    text = f'{{"file": {head},\n"lines": [\n{rows("lines")}\n],\n"words": [\n{rows("words")}\n]}}\n'
    target.write_text(text, "utf-8")


def make(name: str, out: Path) -> Path:
    """Make the recording of one script and its truth under ``out``; return the recording's path."""
    script = read_script(HERE / "scripts" / f"{name}.toml")
    chance = np.random.default_rng(script.seed)
    lines, total_s = perform(script, chance)
    recording = out / "collection" / "recordings" / script.file
    facts = out / "truth" / f"{script.name}.json"
    for path in (recording, facts):
        path.parent.mkdir(parents=True, exist_ok=True)
    encode(script, lines, mix(script, lines, total_s, chance), recording)
    write_truth(truth(script, lines), facts)
    return recording


def main() -> None:
    """Read the command line and make what it names, or everything."""
    parser = argparse.ArgumentParser(description="Make the sample collection's recordings and their truth.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="scripts to make (default: all)")
    parser.add_argument("--out", type=Path, default=HERE, metavar="FOLDER", help="default: examples/")
    options = parser.parse_args()
    if shutil.which("ffmpeg") is None:
        sys.exit("ffmpeg is not installed; run: sudo apt-get install ffmpeg")
    names = options.names or sorted(path.stem for path in (HERE / "scripts").glob("*.toml"))
    for name in names:
        if not (HERE / "scripts" / f"{name}.toml").is_file():
            sys.exit(f"There is no script named {name!r} in {HERE / 'scripts'}.")
    # A process of its own for each: the engines remember what they spoke before, and that changes the sound.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as executor:
        try:
            for recording in executor.map(make, names, [options.out] * len(names)):
                print(f"{recording}  {recording.stat().st_size / 1000:.0f} kB", flush=True)
        except VoiceError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
