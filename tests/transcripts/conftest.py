"""Speech made for the tests by system voices, with its truth."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000
SLT, AWB, RMS = (["flite", "-voice", name] for name in ("slt", "awb", "rms"))
SCOT = ["espeak-ng", "-v", "en-gb-scotland", "-s", "150"]


@dataclass(frozen=True)
class Line:
    """What one voice says in a made recording, and when."""

    speaker: int
    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True)
class Talk:
    """A made recording: 16 kHz mono FLAC, and what is said in it."""

    path: Path
    lines: tuple[Line, ...]

    @property
    def text(self):
        return " ".join(line.text for line in self.lines)

    @property
    def speakers(self):
        return len({line.speaker for line in self.lines})


def speak(voice, text, folder):
    """Samples of the text in that voice, without the silence around it."""
    raw = folder / "raw.wav"
    order = [*voice, "-t", text, "-o", raw] if voice[0] == "flite" else [*voice, "-w", raw, text]
    subprocess.run(order, check=True, capture_output=True)
    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", raw, "-ac", "1", "-ar", str(RATE_HZ), "-f", "f32le", "-"],
        check=True,
        capture_output=True,
    )
    samples = np.frombuffer(made.stdout, dtype=np.float32)
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    samples = samples[loud[0] : loud[-1] + 1]
    return samples * (0.08 / np.sqrt(np.mean(samples**2)))


def make_talk(path, voices, script, *, gap_ms=600, edge_ms=500):
    """Join what the voices say; ``script`` holds (speaker from 1, text)."""
    parts, lines, at_ms = [np.zeros(edge_ms * 16)], [], edge_ms
    for speaker, text in script:
        samples = speak(voices[speaker - 1], text, path.parent)
        samples = samples[: len(samples) // 16 * 16]
        lines.append(Line(speaker, text, at_ms, at_ms + len(samples) // 16))
        parts += [samples, np.zeros(gap_ms * 16)]
        at_ms += len(samples) // 16 + gap_ms
    sound = np.concatenate(parts)
    sound += np.random.default_rng(0).standard_normal(len(sound)) * 0.0005
    soundfile.write(path, sound.astype(np.float32), RATE_HZ, subtype="PCM_16")
    return Talk(path, tuple(lines))


INTERVIEW = [
    (1, "What was it like working from home?"),
    (2, "It was very lonely. We kept talking to families every day, and it made a real difference."),
    (2, "My neighbours brought a hot meal, and I was grateful."),
    (1, "What helped you to keep going?"),
    (2, "I remember singing together in the garden. Small things matter."),
    (2, "The volunteers phoned older people every week because there was a lot of loneliness."),
    (1, "Is there anything you would like to add?"),
    (2, "We need to look after carers better. Thank you for listening."),
]
STORY = [(1, text) for speaker, text in INTERVIEW if speaker == 2]


@pytest.fixture(scope="session")
def sentence(tmp_path_factory):
    """Three words."""
    return make_talk(
        tmp_path_factory.mktemp("speech") / "sentence.flac", [RMS], [(1, "Small things matter.")]
    )


@pytest.fixture(scope="session")
def interview(tmp_path_factory):
    """An interviewer who says little, and a storyteller."""
    return make_talk(tmp_path_factory.mktemp("speech") / "interview.flac", [SLT, RMS], INTERVIEW)


@pytest.fixture(scope="session")
def mixed_interview(tmp_path_factory):
    """The same between voices of two different kinds."""
    return make_talk(tmp_path_factory.mktemp("speech") / "mixed.flac", [AWB, SCOT], INTERVIEW)


@pytest.fixture(scope="session")
def story(tmp_path_factory):
    """One voice alone."""
    return make_talk(tmp_path_factory.mktemp("speech") / "story.flac", [SLT], STORY)


@pytest.fixture
def sound_file(tmp_path):
    """Writes samples as a speech rendition and gives its path."""

    def write(samples, name="sound.flac"):
        path = tmp_path / name
        soundfile.write(path, np.asarray(samples, dtype=np.float32), RATE_HZ, subtype="PCM_16")
        return path

    return write


def noise(seconds, level, seed=0):
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE_HZ)) * level


def tone(seconds, hertz, level=0.3):
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)


NOT_SPEECH = {
    "a moment": np.zeros(16),
    "silence": np.zeros(20 * RATE_HZ),
    "hiss": noise(20, 0.001),
    "loud noise": noise(20, 0.1),
    "tone": tone(20, 440),
    "hum": tone(20, 50, 0.1) + noise(20, 0.002),
}
"""Sounds in which nobody speaks."""


@pytest.fixture(params=NOT_SPEECH, ids=str)
def not_speech(request, sound_file):
    return sound_file(NOT_SPEECH[request.param])
