"""One person across recordings: is the interviewer found everywhere once named somewhere, and nobody taken for her?

Interviews of synthetic voices, each in its own room, noise and codec, go through voice activity and diarization as any
recording does; what is compared is what the collection would keep. The interviewer is named in one recording; what is
suggested is confirmed where it is right, and the rest compared again, until nothing more is suggested.
"""

from __future__ import annotations

import random
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve

from examples.voices import SAMPLE_RATE_HZ, Samples, Voice, WordsLost, speak
from pipeline.fingerprint import fingerprint
from tests.benchmark.report import BUILD, Row, publish
from tools.checkpoint import speech, text
from transcripts.span import Span
from transcripts.speakers import Diarization, SpeakerHints, diarize
from transcripts.speakers.compensation import compensated
from transcripts.speakers.matching import SUGGESTED, HeardVoice, match, recurring
from transcripts.speech import voiced_spans

SOUNDS = BUILD / "persons" / "sounds"
SEED = 20261125
INTERVIEWER, PERSON = 0, 1
ROUNDS = 5
BASES, THROATS, NEARER = ("slt", "awb", "rms", "kal16"), (1.0, 0.86, 1.16), (1.0, 0.935, 1.07)
"""flite's recorded people, and how much faster they are played. ``NEARER`` are hardly different: sisters, say."""
CODECS = (None, None, None, "opus", "aac", "mp3", "opus-phone")


@dataclass(frozen=True)
class Interview:
    """A file at 16 kHz, and who speaks when in it: people by number, turn by turn."""

    path: Path
    turns: tuple[tuple[int, Span], ...]


def main(quick: bool) -> int:
    """Measure and publish."""
    return publish("persons", measure(quick))


def measure(quick: bool) -> list[Row]:
    """The rows; ``quick``: one voice in 5 of 8 short recordings among 10, without goals."""
    return [
        *_measure(quick, THROATS, ""),
        *([] if quick else _measure(quick, NEARER, ", some hardly different")),
    ]


def _measure(quick: bool, throats: Sequence[float], kind: str) -> list[Row]:
    asked, others, seconds = (5, 3, 25.0) if quick else (20, 10, 75.0)
    what = f"same interviewer in {asked} recordings among {asked + 2 * others} voices{kind}"
    if shutil.which("ffmpeg") is None or shutil.which("flite") is None or shutil.which("espeak-ng") is None:
        return [
            Row(f"{what}: found", None, "%", 95, "higher"),
            Row(f"{what}: false matches at the suggested threshold", None, "%", 1),
        ]
    voices, truth = _heard(_interviews(asked, others, seconds, throats))
    tries = [_named_once(voices, truth, key) for key, who in truth.items() if who == INTERVIEWER]
    missing = asked - sum(who == INTERVIEWER for who in truth.values())
    wanted = len(tries) * (asked - 1)
    strangers = sum(who != INTERVIEWER for who in truth.values()) * len(tries)
    at_once, found, wrong = (sum(one[place] for one in tries) for place in range(3))
    groups = recurring(voices)
    right = sum(all(truth[one.key] == INTERVIEWER for one in group) for group in groups)
    joined = max((sum(truth[one.key] == INTERVIEWER for one in group) for group in groups), default=0)
    return [
        Row(
            f"{what}: found",
            100 * found / max(1, wanted),
            "%",
            None if quick else 95,
            "higher",
            f"named in any one of them, score {SUGGESTED:g} or more; {missing} not told apart by diarization",
        ),
        Row(
            f"{what}: false matches at the suggested threshold",
            100 * wrong / max(1, strangers),
            "%",
            None if quick else 1,
            note=f"{wrong} of {strangers} voices of others, over {len(tries)} tries",
        ),
        Row(f"{what}: found before any suggestion is confirmed", 100 * at_once / max(1, wanted), "%"),
        Row(
            f"{what}: of them offered as one voice when nobody is named",
            100 * joined / asked,
            "%",
            note=f"{right} of {len(groups)} groups hold nobody else",
        ),
    ]


def _named_once(voices: Sequence[HeardVoice], truth: dict[int, int], key: int) -> tuple[int, int, int]:
    """Name the interviewer in one recording: recordings found at once, found in the end, others taken for her."""
    known, wrong, at_once = {key}, set[int](), 0
    for round_ in range(ROUNDS):
        suggested = {
            one.key
            for one in match(
                [
                    replace(
                        voice,
                        person=PERSON if voice.key in known else None,
                        refused=frozenset({PERSON} if voice.key in wrong else ()),
                    )
                    for voice in voices
                ]
            )
        }
        wrong |= {one for one in suggested if truth[one] != INTERVIEWER}
        known |= suggested - wrong
        if round_ == 0:
            at_once = len(known) - 1
        if not suggested:
            break
    return at_once, len(known) - 1, len(wrong)


def _heard(interviews: Sequence[Interview]) -> tuple[list[HeardVoice], dict[int, int]]:
    """The voices that diarization finds, and who each of them really is: the person heard most while it is."""
    voices: list[HeardVoice] = []
    truth: dict[int, int] = {}
    for recording, interview in enumerate(interviews):
        found = diarize(interview.path, voiced_spans(interview.path), SpeakerHints(single=False))
        for voice in found.voices:
            heard = np.asarray([voice.embedding], dtype=np.float32)
            voices.append(HeardVoice(len(voices), recording, compensated(heard)[0]))
            truth[voices[-1].key] = _really(found, voice.speaker, interview)
    return voices, truth


def _really(found: Diarization, speaker: int, interview: Interview) -> int:
    shared: Counter[int] = Counter()
    for turn in found.turns:
        if turn.speaker == speaker:
            for who, span in interview.turns:
                shared[who] += span.overlap_ms(turn.span)
    return shared.most_common(1)[0][0]


def _interviews(asked: int, others: int, seconds: float, throats: Sequence[float]) -> list[Interview]:
    """So many interviews by the interviewer, each with another storyteller, and so many by others with others."""
    draw = random.Random(SEED)
    people = _people(draw, asked + 2 * others, throats)
    pairs = [(INTERVIEWER, 1 + n) for n in range(asked)]
    pairs += [(asked + 1 + 2 * n, asked + 2 + 2 * n) for n in range(others)]
    # the last of them is heard in two recordings
    pairs = [(asks, tells if tells < len(people) else 1) for asks, tells in pairs]
    return [_interview(n, people, pair, seconds) for n, pair in enumerate(pairs)]


def _people(draw: random.Random, count: int, throats: Sequence[float]) -> list[Voice]:
    """Different people: flite's voices with different throats, one of them first, and espeak-ng's variants."""
    found = []
    bases = [(base, throat) for throat in throats for base in BASES][: count // 2]
    for base, throat in bases:
        settings = {"stretch": draw.uniform(0.95, 1.15), "f0": draw.uniform(0.92, 1.1)}
        found.append(Voice("flite", base, throat, settings))
    interviewer = found.pop(0)
    for variant in draw.sample(speech.VARIANTS, count - len(bases)):
        settings = {
            "rate": draw.uniform(140, 190),
            "pitch": draw.uniform(25, 75),
            "range": draw.uniform(30, 70),
        }
        found.append(
            Voice("espeak", draw.choice(speech.ACCENTS) + variant, draw.uniform(0.9, 1.12), settings)
        )
    draw.shuffle(found)
    return [interviewer, *found]


def _interview(number: int, people: Sequence[Voice], pair: tuple[int, int], seconds: float) -> Interview:
    """A question, then one to three sentences of an answer, until the time is over; made once and kept."""
    who_said = fingerprint([asdict(people[one]) for one in pair], seconds, SEED)[:12]
    path = SOUNDS / f"{number}-{who_said}.flac"
    draw = random.Random(f"{SEED} {number}")
    sound: list[Samples] = []
    turns: list[tuple[int, Span]] = []
    at_ms = 0
    for who, said in _said(draw, [people[one] for one in pair]):
        pause = np.zeros(int(draw.uniform(0.2, 0.8) * SAMPLE_RATE_HZ), np.float32)
        sound += [pause, said]
        start_ms = at_ms + len(pause) * 1000 // SAMPLE_RATE_HZ
        at_ms = start_ms + len(said) * 1000 // SAMPLE_RATE_HZ
        turns.append((pair[who], Span(start_ms, at_ms)))
        if at_ms > 1000 * seconds:
            break
    if not path.is_file():
        SOUNDS.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part.flac")
        soundfile.write(
            part,
            np.clip(speech.recorded(draw, np.concatenate(sound), (15, 35), CODECS), -1, 1),
            SAMPLE_RATE_HZ,
            "PCM_16",
        )
        part.replace(path)
    return Interview(path, tuple(turns))


def _said(draw: random.Random, voices: Sequence[Voice]) -> Iterator[tuple[int, Samples]]:
    """Sentences without end, each with its speaker: nobody speaks today quite as yesterday, or from the same place."""
    today = [
        replace(
            voice, settings={name: value * draw.uniform(0.95, 1.05) for name, value in voice.settings.items()}
        )
        for voice in voices
    ]
    rooms = [speech.room(draw) for _ in voices]
    levels = [10 ** (draw.uniform(-6, 0) / 20) for _ in voices]
    while True:
        for who, sentences in ((0, draw.randint(1, 2)), (1, draw.randint(1, 3))):
            for _ in range(sentences):
                try:
                    spoken = speak(today[who], text.question(draw) if who == 0 else text.plain(draw)).samples
                except WordsLost:
                    continue
                wet = fftconvolve(spoken, rooms[who])[: len(spoken)]
                yield who, (wet * levels[who]).astype(np.float32)


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv[1:]))
