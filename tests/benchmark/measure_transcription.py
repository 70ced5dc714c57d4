"""How fast, how right and how small the two engines are, beside the ``whisper`` command and faster-whisper's pipeline.

Each in a process of its own with two cores, in turn, over the same weights and files; loading a model is not counted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tests.benchmark import spoken
from tests.benchmark.fixed_text import fixed_text
from tests.benchmark.report import BUILD, Row, publish
from tests.benchmark.rivals import BATCH, Answer, Heard, Task, in_turn, run
from tests.benchmark.spoken import Spoken
from tools.checkpoint.evaluation import _start_errors
from transcripts.engines import builtin_path
from transcripts.scoring import WordErrors, word_error_rate

BEAMS = 5
TOKENS = 60
"""Of a text at the size of small: as many as half a minute of calm speech has."""
ENGINES = ("engine whisper", "engine faster-whisper")
COMMAND, BATCHED = "whisper command", "faster-whisper's own pipeline"
UNPROMPTED = {"condition_on_previous_text": False}


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    Seconds of a dialogue for ``demo``, in how many such dialogues errors are counted, windows of speech at the size of
    small, seconds of each sound without speech, of a short and a long file; how often each rival is timed;
    faster-whisper's compute types; windows side by side where limits are measured.
    """

    demo_s: int = 600
    dialogues: int = 4
    small_windows: int = BATCH
    silence_s: float = 36.0
    short_s: int = 180
    long_s: int = 3 * 3600
    rounds: int = 3
    types: tuple[str, ...] = ("int8", "float32")
    windows: int = BATCH


QUICK = Plan(56, 1, 2, 6.0, 180, 1200, 1, ("int8",), 2)


def main(quick: bool) -> int:
    """Measure; ``quick`` takes a little of everything, too little for a verdict."""
    plan = QUICK if quick else Plan()
    needed = spoken.missing()
    if needed:
        return publish("transcription", [Row("everything: nothing can be spoken", None, "", note=needed)])
    return publish("transcription", [*_demo(plan), *_small(plan), *_memory(plan), *_limits(plan)])


# ---- the demo checkpoint: speed, words, times, inventions ----


def _demo(plan: Plan) -> list[Row]:
    dialogue = spoken.dialogue(plan.demo_s)
    sounds = spoken.without_speech(plan.silence_s)
    silent = tuple(str(one.path) for _, one in sounds)
    common = Task("", str(builtin_path("demo")), (str(dialogue.path),), _warm_up(), BEAMS)
    command = replace(common, rival=COMMAND)
    tasks = [
        command,
        replace(command, options=UNPROMPTED),
        *(replace(common, rival=name) for name in ENGINES),
        *(replace(common, rival=BATCHED, options={"compute_type": one}) for one in plan.types),
    ]
    prompted, unprompted, ours, other, *theirs = in_turn(tasks, plan.rounds)
    library = _quickest([prompted, unprompted])
    batched = _quickest(theirs)
    rows = [
        _faster(f"demo: {ENGINES[0]} over the {COMMAND}", ours, library, dialogue, 4.0),
        _faster(f"demo: {ENGINES[0]} over {BATCHED}", ours, batched, dialogue, None),
        _faster(f"demo: {ENGINES[1]} over {BATCHED}", other, batched, dialogue, None),
        _speed(f"demo: {COMMAND}", prompted, dialogue),
        _speed(f"demo: {COMMAND}, each window without the text before", unprompted, dialogue),
        _speed(f"demo: {BATCHED}", batched, dialogue),
    ]
    for name, answer in zip(ENGINES, (ours, other), strict=True):
        rows += [
            _speed(f"demo: {name}", answer, dialogue),
            *_starts(name, answer, dialogue),
        ]
    rows += _worse(plan, dialogue, tasks[:4], [prompted, unprompted, ours, other])
    for name in ENGINES:
        answer = run(replace(common, rival=name, files=silent, warm_up=None))
        rows.append(_invented(name, answer, sounds))
    return rows


def _warm_up() -> str:
    return str(spoken.lasting(spoken.dialogue(28), 12).path)


def _quickest(answers: Sequence[Answer]) -> Answer:
    return min(answers, key=lambda one: (bool(one.error), one.seconds))


def _faster(name: str, ours: Answer, theirs: Answer, sound: Spoken, goal: float | None) -> Row:
    """How many times as fast, beside the work that both did."""
    if ours.error or theirs.error:
        return Row(f"speed, {name}", None, "x", goal, "higher", ours.error or theirs.error)
    note = f"{_work(ours)} in {ours.seconds:.1f} s, {_work(theirs)} in {theirs.seconds:.1f} s, of {sound.seconds:.0f} s"
    return Row(f"speed, {name}", theirs.seconds / ours.seconds, "x", goal, "higher", note)


def _work(answer: Answer) -> str:
    return f"{answer.windows} windows, {answer.tokens} tokens"


def _speed(name: str, answer: Answer, sound: Spoken) -> Row:
    if answer.error:
        return Row(f"times real time, {name}", None, "x", note=answer.error)
    return Row(f"times real time, {name}", sound.seconds / answer.seconds, "x", note=_work(answer))


def _worse(plan: Plan, heard: Spoken, tasks: Sequence[Task], answers: Sequence[Answer]) -> list[Row]:
    """The engines' word errors above those of the command, with the text before each window or without it, whichever
    makes fewer; in what was heard already and in further dialogues, since a sentence or two decide in one."""
    more = [spoken.dialogue(plan.demo_s, number) for number in range(1, plan.dialogues)]
    files = tuple(str(one.path) for one in more)
    further = [run(replace(task, files=files)) if files else Answer() for task in tasks]
    title = "word error rate, {}, above whisper.transcribe's"
    problems = [one.error for one in (*answers, *further) if one.error]
    if problems:
        return [Row(title.format(name), None, "points", 0.3, note=problems[0]) for name in ENGINES]
    errors = []
    for answer, other in zip(answers, further, strict=True):
        texts = [one.text for one in (*answer.heard, *other.heard)]
        each = [word_error_rate(sound.said, text) for sound, text in zip([heard, *more], texts, strict=True)]
        errors.append(sum(each, WordErrors(0, 0, 0, 0)))
    prompted, unprompted, *ours = errors
    library = f"the library {prompted.errors}, each window without the text before {unprompted.errors}"
    least = min(prompted.rate, unprompted.rate)
    return [
        Row(
            title.format(name), 100 * (one.rate - least), "points", 0.3,
            note=f"{one.errors} of {one.reference_words} words; {library}",
        )
        for name, one in zip(ENGINES, ours, strict=True)
    ]  # fmt: skip


def _starts(name: str, answer: Answer, sound: Spoken) -> list[Row]:
    if answer.error:
        return [Row(f"word start, {name}", None, "ms", note=answer.error)]
    heard: Heard = answer.heard[0]
    errors = np.abs(list(_start_errors(sound.words, heard.words))) * 1000
    if not len(errors):
        return [Row(f"word start, {name}", None, "ms", note="no word was heard right")]
    note = f"{len(errors)} words heard right"
    return [
        Row(f"word start, {name}, median error", float(np.median(errors)), "ms", 60.0, note=note),
        Row(f"word start, {name}, 95 % within", float(np.quantile(errors, 0.95)), "ms", 200.0, note=note),
    ]


def _invented(name: str, answer: Answer, sounds: Sequence[tuple[str, Spoken]]) -> Row:
    minutes = sum(one.seconds for _, one in sounds) / 60
    title = f"words invented in {minutes:.0f} min without speech, {name}"
    if answer.error:
        return Row(title, None, "", 0, note=answer.error)
    counts = {kind: len(heard.words) for (kind, _), heard in zip(sounds, answer.heard, strict=True)}
    where = ", ".join(f"{count} in {kind}" for kind, count in counts.items() if count)
    return Row(title, sum(len(heard.words) for heard in answer.heard), "", 0, note=where)


# ---- the size of small: speed, with the same number of tokens in every window ----


def _small(plan: Plan) -> list[Row]:
    sound = spoken.blocks(spoken.dialogue(plan.demo_s), plan.small_windows)
    warm_up = str(spoken.blocks(spoken.dialogue(28), 1).path)
    common = Task("", str(_small_weights()), (str(sound.path),), warm_up, BEAMS, "small")
    tasks = [
        replace(common, rival=COMMAND, options=UNPROMPTED),
        *(replace(common, rival=name) for name in ENGINES),
        *(replace(common, rival=BATCHED, options={"compute_type": one}) for one in plan.types),
    ]
    library, ours, other, *theirs = in_turn(tasks, plan.rounds)
    batched = _quickest(theirs)
    names = {COMMAND: library, ENGINES[0]: ours, ENGINES[1]: other}
    names |= {f"{BATCHED}, {one}": answer for one, answer in zip(plan.types, theirs, strict=True)}
    return [
        _faster(f"small: {ENGINES[0]} over the {COMMAND}", ours, library, sound, 8.0),
        _faster(f"small: {ENGINES[0]} over {BATCHED}", ours, batched, sound, 1.5),
        _faster(f"small: {ENGINES[1]} over {BATCHED}", other, batched, sound, 1.0),
        *(_speed(f"small: {name}", answer, sound) for name, answer in names.items()),
        *(row for name, answer in zip(ENGINES, (ours, other), strict=True) for row in _parts(name, answer)),
    ]


def _small_weights() -> Path:
    return fixed_text(BUILD / "transcription" / f"small-{TOKENS}-even.pt", TOKENS)


def _parts(name: str, answer: Answer) -> list[Row]:
    if answer.error:
        return []
    windows = max(1, answer.windows)
    parts = answer.heard[0].parts
    return [Row(f"small: {name}, {part} a window", parts[part] / windows, "s") for part in parts]


# ---- memory ----


def _memory(plan: Plan) -> list[Row]:
    dialogue = spoken.dialogue(plan.demo_s)
    short, long = (spoken.lasting(dialogue, seconds) for seconds in (plan.short_s, plan.long_s))
    common = Task(ENGINES[0], str(builtin_path("demo")), (), beams=1)
    few, many = (run(replace(common, files=(str(one.path),))) for one in (short, long))
    name = f"peak memory of {plan.long_s / 3600:.2g} h over {plan.short_s / 60:.0f} min, {ENGINES[0]}"
    if few.error or many.error:
        return [Row(name, None, "x", 1.15, note=few.error or many.error)]
    note = f"{many.peak_bytes / 2**20:.0f} and {few.peak_bytes / 2**20:.0f} MiB"
    return [
        Row(name, many.peak_bytes / few.peak_bytes, "x", 1.15, note=note),
        _speed(f"demo, greedy: {ENGINES[0]}", many, long),
    ]


# ---- what the processor can do ----


def _limits(plan: Plan) -> list[Row]:
    options = {"windows": plan.windows, "beams": (1, BEAMS)}
    answer = run(Task("limits", str(_small_weights()), (), heads="small", options=options))
    found, what = answer.figures, f"small, {plan.windows} windows"
    if answer.error:
        names = {"encoder, of the matrix peak": 60.0, "decoder, of memory bandwidth": 50.0}
        return [
            Row(f"{name}: {what}", None, "%", goal, "higher", answer.error) for name, goal in names.items()
        ]
    note = f"peak {found['peak_flops'] / 1e9:.0f} GFLOPS, {found['encode_s'] / plan.windows:.2f} s a window"
    name = f"encoder, of the {found['dtype']} matrix peak: {what}"
    rows = [Row(name, 100 * found["encoder_share"], "%", 60.0, "higher", note)]
    for one in found["decoder"]:
        of = f"{what} of {one['beams']} {'beam' if one['beams'] == 1 else 'beams'}"
        step_ms = 1000 * one["decode_s"] / one["steps"]
        rate = f"{one['bytes_a_second'] / 1e9:.1f} GB/s"
        read = f"{one['bytes_a_step'] / 1e6:.0f} MB a step in {step_ms:.1f} ms, {rate}"
        multiplied = f"{1000 * one['multiplied_s']:.1f} ms of multiplications at the peak"
        # where rows are many, multiplications set the pace, which no memory shortens
        alone = one["beams"] == 1
        rows += [
            Row(
                f"decoder with its search, of memory bandwidth: {of}", 100 * one["decoder_share"], "%",
                50.0 if alone else None, "higher", read,
            ),
            Row(f"decoder's steps alone, of memory bandwidth: {of}", 100 * one["step_share"], "%"),
            Row(
                f"decoder with its search, of both limits: {of}", 100 * one["both_share"], "%",
                None if alone else 50.0, "higher", multiplied,
            ),
        ]  # fmt: skip
    return rows


if __name__ == "__main__":
    sys.exit(main("--quick" in sys.argv))
