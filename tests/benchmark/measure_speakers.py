"""Who spoke when, in made-up conversations and in meetings: errors by pyannote.metrics, time and memory by the system.

A conversation is made by ``conversations``; its turns are what the synthesiser says about its words. Meetings are
extracts of the AMI corpus in ../shared/recordings, with their .rttm; they pass through ``media.normalise`` first, as a
recording does. NIST's collar of 0.25 s on each side is ``collar=0.5`` in pyannote.metrics; overlapped speech counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import soundfile
from pyannote.core import Annotation, Timeline
from pyannote.core import Segment as Stretch
from pyannote.metrics.diarization import DiarizationErrorRate

from examples.voices import SAMPLE_RATE_HZ
from media.loudness import measure
from media.normalise import speech_rendition
from tests.benchmark import measure_persons, spoken
from tests.benchmark.conversations import SOUNDS, Conversation, conversation
from tests.benchmark.report import ROOT, Row, publish
from tests.benchmark.rivals import _peak_bytes
from tools.checkpoint import speech as sounds
from transcripts.model import Transcript, Turn
from transcripts.speakers import Diarization, attribute, counting, diarize
from transcripts.speech import voiced_spans

MEETINGS = ROOT.parent / "shared" / "recordings"
COLLAR_S = 0.5
SEED = 20261126
CROWD = 30


@dataclass(frozen=True)
class Plan:
    """How much is measured: dialogues and their seconds, seconds of each single voice, hours of two long files."""

    dialogues: int = 20
    seconds: tuple[int, ...] = (120, 150, 180, 240)
    single: tuple[int, ...] = (60,) * 6 + (90,) * 4 + (120,) * 4 + (180,) * 3 + (300, 450, 600)
    short_s: int = 3600
    long_s: int = 3 * 3600


QUICK = Plan(4, (60,), (60, 60, 90), 300, 900)


def main(quick: bool) -> int:
    """Measure; ``quick`` takes a little of everything, too little for a verdict."""
    warnings.filterwarnings("ignore", module="pyannote")
    plan = QUICK if quick else Plan()
    needed = spoken.missing()
    if needed:
        return publish("speakers", [Row("everything: nothing can be spoken", None, "", note=needed)])
    rows = [*_dialogues(plan), *_meetings(), *_single(plan), *_bad_input(), *_long(plan)]
    return publish("speakers", [*rows, *measure_persons.measure(quick)])


# ---- diarization error ----


class _Errors:
    """Errors over several recordings, with and without a collar."""

    def __init__(self, collar_s: float) -> None:
        self.metric = DiarizationErrorRate(collar=collar_s)

    def add(self, path: Path, truth: Sequence[Turn], found: Diarization) -> None:
        whole = Timeline([Stretch(0, soundfile.info(path).duration)])
        self.metric(_annotation(truth), _annotation(found.turns), uem=whole)

    @property
    def percent(self) -> float:
        return float(100 * abs(self.metric))

    @property
    def kinds(self) -> str:
        """The shares of what is missed, of what nobody said, and of what went to the wrong speaker."""
        sums = self.metric.accumulated_
        names = {"missed detection": "missed", "false alarm": "false alarm", "confusion": "confused"}
        return ", ".join(f"{name} {100 * sums[kind] / sums['total']:.1f} %" for kind, name in names.items())


def _annotation(turns: Sequence[Turn]) -> Annotation:
    made = Annotation()
    for number, turn in enumerate(turns):
        made[Stretch(turn.start_ms / 1000, turn.end_ms / 1000), number] = str(turn.speaker)
    return made


@contextmanager
def _one_voice_at_a_time() -> Iterator[None]:
    """Without the search for overlap: nothing is as likely as this."""
    usual, counting.BOTH = counting.BOTH, 2.0
    try:
        yield
    finally:
        counting.BOTH = usual


def _find(path: Path) -> tuple[Diarization, Diarization]:
    """With and without the search for overlap."""
    speech = voiced_spans(path)
    with _one_voice_at_a_time():
        plain = diarize(path, speech)
    return diarize(path, speech), plain


# ---- dialogues ----


def _dialogues(plan: Plan) -> list[Row]:
    errors, strict, without = _Errors(COLLAR_S), _Errors(0.0), _Errors(COLLAR_S)
    counted, wrong, words = [], 0, 0
    for number in range(plan.dialogues):
        talk = conversation(
            "dialogue", SEED + number, 2 + number % 3, plan.seconds[number % len(plan.seconds)]
        )
        found, plain = _find(talk.path)
        for one in (errors, strict):
            one.add(talk.path, talk.turns, found)
        without.add(talk.path, talk.turns, plain)
        counted.append((talk.speakers, len(found.voices)))
        missed, all_words = _words(talk, found)
        wrong, words = wrong + missed, words + all_words
    off = ", ".join(f"{found} for {said}" for said, found in counted if found != said)
    right = 100 * sum(said == found for said, found in counted) / len(counted)
    return [
        Row("dialogues, diarization error, 0.25 s collar", errors.percent, "%", 5.0, note=errors.kinds),
        Row("dialogues, the same without looking for overlap", without.percent, "%", note=without.kinds),
        Row("dialogues, diarization error, no collar", strict.percent, "%", note=strict.kinds),
        Row("dialogues, voices counted right", right, "%", 95.0, "higher", f"{len(counted)} dialogues; {off}"),
        Row("dialogues, words under the wrong speaker", 100 * wrong / words, "%", 2.0,
            note=f"{wrong} of {words}, sentences and times as spoken"),
    ]  # fmt: skip


def _words(talk: Conversation, found: Diarization) -> tuple[int, int]:
    """Words under the wrong speaker, under the naming that fits best, and all words (word diarization error)."""
    from scipy.optimize import linear_sum_assignment

    told = attribute(Transcript("en", talk.segments), found)
    given = {word.id: segment.speaker for segment in told.segments for word in segment.words}
    said = [(one.speaker, given[word.id]) for one in talk.sentences for word in one.words]
    table = np.zeros((talk.speakers + 1, len(found.voices) + 1), dtype=int)
    for speaker, to in said:
        table[speaker, to or 0] += 1
    rows, columns = linear_sum_assignment(table[1:, 1:], maximize=True)
    return len(said) - int(table[1:, 1:][rows, columns].sum()), len(said)


# ---- meetings ----


def _meetings() -> list[Row]:
    name, goal = "meetings, diarization error, no collar", 38.0
    paths = sorted(MEETINGS.glob("meeting-*.flac"))
    if not paths:
        print(f"Meetings are left out: {MEETINGS} holds none.")
        return []
    errors, without, voices = _Errors(0.0), _Errors(0.0), []
    for path in paths:
        made = SOUNDS / path.name
        if not made.is_file():
            SOUNDS.mkdir(parents=True, exist_ok=True)
            speech_rendition(path, made, measure(path))
        truth = _rttm(path.with_suffix(".rttm"))
        found, plain = _find(made)
        errors.add(made, truth, found)
        without.add(made, truth, plain)
        voices.append(f"{len(found.voices)} of {len({turn.speaker for turn in truth})}")
    return [
        Row(name, errors.percent, "%", goal, note=errors.kinds),
        Row("meetings, the same without looking for overlap", without.percent, "%", note=without.kinds),
        Row("meetings, extracts", len(paths), "", note=f"voices found: {', '.join(voices)}"),
    ]


def _rttm(path: Path) -> list[Turn]:
    """The SPEAKER lines of a Rich Transcription Time Marked file."""
    fields = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    spoken_by = [(f[7], float(f[3]), float(f[4])) for f in fields if f and f[0] == "SPEAKER"]
    numbers = {name: number for number, name in enumerate(sorted({one[0] for one in spoken_by}), 1)}
    return [
        Turn(numbers[name], round(1000 * start_s), round(1000 * (start_s + length_s)))
        for name, start_s, length_s in spoken_by
    ]


# ---- one voice, and what is no conversation ----


def _single(plan: Plan) -> list[Row]:
    counts = []
    for number, seconds in enumerate(plan.single):
        talk = conversation("single", SEED + number, 1, seconds)
        counts.append(len(diarize(talk.path, voiced_spans(talk.path)).voices))
    note = f"{len(counts)} recordings; " + ", ".join(f"{count} voices" for count in counts if count != 1)
    right = 100 * sum(count == 1 for count in counts) / len(counts)
    return [Row("single voices called one", right, "%", 98.0, "higher", note)]


def _bad_input() -> list[Row]:
    invented = 0
    quiet = spoken.without_speech(36.0)
    for _, sound in quiet:
        invented += len(diarize(sound.path, voiced_spans(sound.path)).voices)
    second = _voices_of(_cut("one-second", 1.0))
    under = [_voices_of(_with_music(number)) for number in range(4)]
    crowd = conversation("crowd", SEED, CROWD, 600)
    found = diarize(crowd.path, voiced_spans(crowd.path))
    minutes = sum(sound.seconds for _, sound in quiet) / 60
    return [
        Row("voices found without speech", invented, "", note=f"{minutes:.0f} min of noises and music"),
        Row("voices found in one second of speech", second, "", 1),
        Row("music under one voice, most voices found", max(under), "", 1, note=f"{under}, music at -10 dB"),
        Row(f"{crowd.speakers} voices in ten minutes, found", len(found.voices), "", note=found.uncertain),
    ]


def _voices_of(path: Path) -> int:
    return len(diarize(path, voiced_spans(path)).voices)


def _cut(name: str, seconds: float) -> Path:
    path = SOUNDS / f"{name}.flac"
    samples, _ = soundfile.read(conversation("single", SEED, 1, 60).path, dtype="float32")
    soundfile.write(path, samples[SAMPLE_RATE_HZ : int((1 + seconds) * SAMPLE_RATE_HZ)], SAMPLE_RATE_HZ)
    return path


def _with_music(number: int) -> Path:
    path = SOUNDS / f"music-{number}.flac"
    samples, _ = soundfile.read(conversation("single", SEED + number, 1, 60).path, dtype="float32")
    music = sounds.level(
        sounds.music(np.random.default_rng(SEED + number), len(samples) / SAMPLE_RATE_HZ + 1)[: len(samples)]
    )
    soundfile.write(path, np.clip(samples + music * np.float32(10**-0.5), -1, 1), SAMPLE_RATE_HZ)
    return path


# ---- time and memory ----


def _long(plan: Plan) -> list[Row]:
    part = conversation("long", SEED, 3, 600)
    sound = spoken.Spoken(part.path, soundfile.info(part.path).duration)
    few, many = (_listen(spoken.lasting(sound, seconds).path) for seconds in (plan.short_s, plan.long_s))
    hours = f"{plan.long_s / 3600:.2g} h"
    return [
        Row(f"{hours}, processor time a second of sound", many["cpu_s"] / plan.long_s, "s", 0.03,
            note=f"{many['cpu_s']:.0f} s, one thread"),
        Row(f"{hours}, peak memory", many["peak_bytes"] / 2**20, "MiB", 1024),
        Row(f"peak memory of {hours} over {plan.short_s / 3600:.2g} h", many["peak_bytes"] / few["peak_bytes"],
            "x", 1.15, note=f"{few['peak_bytes'] / 2**20:.0f} MiB"),
        Row(f"{hours}, voices found of {part.speakers}", many["voices"], "", note=f"{few['voices']} in the shorter"),
    ]  # fmt: skip


def _listen(path: Path) -> dict[str, Any]:
    """Voice activity and diarization in a process of their own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmark.measure_speakers", "--listen", path],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def listen(path: Path) -> None:
    """Find the voices of a file with one thread; print the processor's seconds and the peak memory as JSON."""
    import torch

    torch.set_num_threads(1)
    start = process_time()
    found = diarize(path, voiced_spans(path))
    told = {"cpu_s": process_time() - start, "peak_bytes": _peak_bytes(), "voices": len(found.voices)}
    print(json.dumps(told))


if __name__ == "__main__":
    if "--listen" in sys.argv:
        listen(Path(sys.argv[-1]))
    else:
        sys.exit(main("--quick" in sys.argv))
