"""Train the built-in checkpoint from nothing: ``tools/checkpoint/train`` (see README.md beside it)."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.utils.data import DataLoader

from tools.checkpoint import speech
from tools.checkpoint.network import Network, Size, export, go_back, mean_of, spoken_by, take_up
from tools.checkpoint.windows import TEXT_CONTEXT, Batch, Phase, Speech, Windows

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "checkpoint"
SAVE_EVERY_S, REPORT_EVERY = 300.0, 50
WARM_UP_STEPS, COOL_FROM, COOLEST = 100, 0.5, 0.02
HIDDEN_HISTORY = 0.06


SMALL, DEEPER = Size(192, 3, 4, 2), Size(192, 3, 6, 3)


@dataclass(frozen=True)
class Course:
    """A part of the training: the learning rate rises, holds and falls once in it.

    Attributes:
        shards: their numbers.
        phases: which windows, how many.
        rate: the highest learning rate.
        noises: which draw of noises and music lies beneath.
        drawn: the share of utterances by voices and accents drawn at random.
        size: of the network; one that is deeper than the course before left it grows.
        joins: it begins from the mean of what so many courses before it came to.
        earlier: what it comes to is the mean of where it began and ended, and where so many courses before it ended.
        counts: as how many of these where it ended counts.
    """

    shards: range
    phases: tuple[Phase, ...]
    rate: float = 2e-3
    noises: int = 0
    drawn: float = 0.0
    size: Size = SMALL
    joins: int = 1
    earlier: int = 0
    counts: float = 1.0


@dataclass(frozen=True)
class Profile:
    """What a machine can do in its time: courses one after the other."""

    courses: tuple[Course, ...]
    loaders: int = 1
    utterances: int = speech.UTTERANCES_PER_SHARD  # in each shard


# The same speech again and again is learned by heart: what was never heard is heard better after a course on other
# speech. Words repeated nearby, and rare ones said as often as others, are what is then still mistaken.
_FIRST = Course(
    range(40),
    (
        Phase(600, 24, 48, 0.0, 2500),
        Phase(1200, 12, 90, 0.25, 1500),
        Phase(3000, 6, 200, 0.45, 2450),
    ),
)
_OTHERS = range(40, 100)
_SMALLEST = Size(64, 1, 2, 2)
_HARDER = Phase(3000, 6, 200, 0.45, 900, echoes=0.3, rare=0.2)
_HARDEST = replace(_HARDER, echoes=0.4, telephones=0.35, noisy=0.8)

PROFILES = {
    "cpu": Profile((_FIRST, Course(_OTHERS, (replace(_HARDER, steps=1000),), 1e-3))),
    # as the built-in checkpoint was made; the sixth course has voices that cannot be learned by heart, more noise
    # beneath telephones, and a deeper network; the seventh noise beneath most of it; the eighth repeats more words, and
    # is longer; the ninth is short and slow, to learn that a pause in a sentence belongs to the word before it
    "cpu-long": Profile(
        (
            _FIRST,
            Course(_OTHERS, (Phase(3000, 6, 200, 0.45, 1000),), 1e-3),
            Course(_OTHERS, (_HARDER,), 1e-3),
            Course(_OTHERS, (_HARDER,), 1e-3),
            Course(_OTHERS, (replace(_HARDER, telephones=0.35),), 1e-3, noises=1),
            Course(
                range(100, 150),
                (replace(_HARDER, steps=1600, telephones=0.35, noisy=0.6),),
                1e-3,
                noises=2,
                drawn=0.45,
                size=DEEPER,
                joins=3,
            ),
            Course(
                range(150, 200),
                (replace(_HARDER, steps=1700, telephones=0.35, noisy=0.8),),
                1e-3,
                noises=3,
                drawn=0.2,
                size=DEEPER,
                earlier=1,
            ),
            Course(
                range(200, 255),
                (replace(_HARDEST, steps=2600),),
                1e-3,
                noises=4,
                drawn=0.2,
                size=DEEPER,
                counts=2.0,
            ),
            Course(
                range(255, 275),
                (replace(_HARDEST, steps=400),),
                5e-4,
                noises=5,
                drawn=0.2,
                size=DEEPER,
                counts=2 / 3,
            ),
        ),
    ),
    "gpu": Profile(
        (
            Course(
                range(400),
                (
                    Phase(600, 160, 48, 0.0, 4000),
                    Phase(1200, 80, 90, 0.25, 4000),
                    Phase(3000, 64, 200, 0.45, 9000),
                ),
                size=Size(256, 4, 4, 2),
            ),
        ),
        loaders=12,
    ),
    "smallest": Profile(
        (
            Course(range(2), (Phase(600, 4, 48, 0.0, 3), Phase(3000, 2, 200, 0.5, 2)), size=_SMALLEST),
            Course(range(2, 3), (Phase(600, 4, 48, 0.0, 2),), 1e-3, size=_SMALLEST),
            Course(range(2, 3), (Phase(600, 4, 48, 0.0, 2),), 1e-3, size=_SMALLEST, earlier=1),
            Course(
                range(2, 3),
                (Phase(600, 4, 48, 0.0, 2),),
                1e-3,
                size=replace(_SMALLEST, encoder_layers=3),
                joins=2,
            ),
        ),
        utterances=20,
    ),
}


class Trainer:
    """One course, from its first step or from where it was left."""

    def __init__(self, windows: Windows, course: Course, seed: int, device: torch.device) -> None:
        """Initialise network and optimisers from the seed."""
        torch.manual_seed(seed)
        self.windows, self.highest, self.device, self.step = windows, course.rate, device, 0
        rate = course.rate
        self.network = Network(course.size, windows.speech.vocabulary, windows.speech.phones).to(device)
        self.generator = torch.Generator().manual_seed(seed)
        named = list(self.network.named_parameters())
        matrices = [weight for name, weight in named if "blocks" in name and weight.ndim == 2]
        known = {id(weight) for weight in matrices}
        others = [weight for _, weight in named if id(weight) not in known]
        self.optimisers: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, rate, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(others, rate, betas=(0.9, 0.98), weight_decay=0.0),
        ]

    def rate(self, step: int) -> float:
        """The learning rate of a step: a short rise, a plateau, then straight down from half of the audio on."""
        audio = [phase.frames * phase.batch for phase in self.windows.phases]
        total = sum(a * phase.steps for a, phase in zip(audio, self.windows.phases, strict=True))
        done, left = 0, step
        for amount, phase in zip(audio, self.windows.phases, strict=True):
            done += amount * min(left, phase.steps)
            left = max(0, left - phase.steps)
        cooling = max(0.0, (done / total - COOL_FROM) / (1 - COOL_FROM))
        return self.highest * min(1, (step + 1) / WARM_UP_STEPS) * max(COOLEST, 1 - cooling)

    def learn(self, batch: Batch) -> dict[str, float]:
        """One step; the losses by name."""
        rate = self.rate(self.step)
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
        batch = batch.to(self.device)
        self.network.hide(batch, HIDDEN_HISTORY, self.generator)
        count, length = batch.given.shape
        first_position = torch.zeros(count, dtype=torch.long)
        if self.windows.phases[
            self.windows.phase(self.step)
        ].shifted:  # texts later in the context, as after a prompt
            latest = max(1, min(225, TEXT_CONTEXT - length))
            moved = torch.rand(count, generator=self.generator) < 0.5
            first_position = torch.randint(0, latest, (count,), generator=self.generator) * moved
        with torch.autocast(self.device.type, torch.bfloat16):
            losses = self.network(batch, first_position.to(self.device))
        losses.total.backward()
        slope = torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad()
        self.network.pin()
        self.step += 1
        return {**losses.figures(), "slope": float(slope)}

    def save(self, path: Path) -> None:
        """Keep all that going on needs."""
        unfinished = path.with_suffix(".part")
        torch.save(
            {
                "step": self.step,
                "network": self.network.state_dict(),
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "generator": self.generator.get_state(),
            },
            unfinished,
        )
        unfinished.replace(path)

    def restore(self, path: Path) -> None:
        """Go on from what ``save`` kept.

        Raises:
            RuntimeError: when it was another network's.
        """
        kept: dict[str, Any] = torch.load(path, weights_only=True)
        self.step = kept["step"]
        self.network.load_state_dict(kept["network"])
        for optimiser, state in zip(self.optimisers, kept["optimisers"], strict=True):
            optimiser.load_state_dict(state)
        self.generator.set_state(kept["generator"])


def prepare(
    profile: Profile, course: int, work: Path, seed: int, processes: int, known: Sequence[int] = ()
) -> Windows:
    """Make or read a course's speech, and compose windows from it; ``known`` are tokens of courses before it."""
    began = time.monotonic()
    given = profile.courses[course]
    wanted = given.shards
    paths: list[Path] = []
    for path in speech.make_all(work / "speech", wanted, seed, processes, profile.utterances, given.drawn):
        paths.append(path)
        click.echo(f"{time.monotonic() - began:6.0f} s  speech {len(paths)} of {len(wanted)}: {path.name}")
    spoken = Speech([speech.read(path) for path in sorted(paths)], known)
    words = len(spoken.vocabulary.words)
    hours = spoken.seconds / 3600
    click.echo(f"{len(spoken.utterances)} utterances, {hours:.1f} h, {words} tokens, {spoken.phones} phones")
    return Windows(spoken, speech.backgrounds(seed + given.noises), given.phases, seed + 1000 * course)


def _scaled(profile: Profile, steps: Sequence[int]) -> Profile:
    count = sum(len(course.phases) for course in profile.courses)
    if len(steps) != count:
        raise click.BadParameter(f"this profile has {count} phases", param_hint="--steps")
    left = iter(steps)
    return replace(
        profile,
        courses=tuple(
            replace(course, phases=tuple(replace(phase, steps=next(left)) for phase in course.phases))
            for course in profile.courses
        ),
    )


def _numbers(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    return tuple(int(part) for part in text.split(",")) if text else None


@click.command()
@click.option(
    "--profile", "profile_name", type=click.Choice(list(PROFILES)), help="Default: gpu where there is one."
)
@click.option("--out", type=click.Path(path_type=Path), default=WORK / "demo.pt", show_default=True)
@click.option(
    "--work", type=click.Path(path_type=Path), default=WORK, show_default=True, help="Speech and state."
)
@click.option("--seed", default=1, show_default=True)
@click.option("--steps", callback=_numbers, help="Steps of each phase, as in 1800,850,1930,1500.")
@click.option("--go-on", is_flag=True, help="Go on from the last saved state.")
@click.option(
    "--from",
    "begin",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take the last course only, from this checkpoint of the same size.",
)
def main(
    profile_name: str | None,
    out: Path,
    work: Path,
    seed: int,
    steps: tuple[int, ...] | None,
    go_on: bool,
    begin: Path | None,
) -> None:
    """Synthesise speech, train the built-in checkpoint on it, and write it to --out."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    name = profile_name or ("gpu" if device.type == "cuda" else "cpu")
    profile = PROFILES[name] if steps is None else _scaled(PROFILES[name], steps)
    cores = len(os.sched_getaffinity(0))
    torch.set_num_threads(cores)
    last = len(profile.courses) - 1
    ends: list[Path] = []
    results: list[Path] = []
    for number in range(last if begin else 0, last + 1):
        course, label = profile.courses[number], f"{name}-{seed}-{number + 1}"
        if results:
            begin = work / f"begin-{label}.pt"
            mean_of(results[-course.joins :], begin)
        windows = prepare(profile, number, work, seed, cores, spoken_by(begin) if begin else ())
        trainer = Trainer(windows, course, seed, device)
        if begin:
            take_up(trainer.network, windows.speech.vocabulary, begin)
        state = work / f"state-{label}.pt"
        if go_on and state.is_file():
            trainer.restore(state)
            click.echo(f"course {number + 1}: going on from step {trainer.step} of {len(windows)}")
        ends.append(work / f"end-{label}.pt")
        train(trainer, profile.loaders, state, ends[-1])
        export(trainer.network, windows.speech.vocabulary, ends[-1])
        if begin:
            others = [begin, *ends[-1 - course.earlier : -1]]
            go_back(trainer.network, windows.speech.vocabulary, others, course.counts)
        results.append(work / f"course-{label}.pt")
        export(trainer.network, windows.speech.vocabulary, results[-1])
    shutil.copyfile(results[-1], out)
    click.echo(f"{out}: {out.stat().st_size / 1e6:.1f} MB")


def train(trainer: Trainer, loaders: int, state: Path, end: Path) -> None:
    """Take all steps that are left, saving and exporting now and then, and save the last."""
    windows = trainer.windows
    loader = DataLoader(
        windows, batch_size=None, sampler=range(trainer.step, len(windows)), num_workers=loaders,
        prefetch_factor=4, pin_memory=trainer.device.type == "cuda", worker_init_fn=_single_thread,
    )  # fmt: skip
    began = saved = time.monotonic()
    recent: list[dict[str, float]] = []
    for batch in loader:
        recent.append(trainer.learn(batch))
        if not math.isfinite(recent[-1]["token"]):
            raise click.ClickException(f"the loss is no number at step {trainer.step}; try a lower rate")
        now = time.monotonic()
        if trainer.step % REPORT_EVERY == 0 or trainer.step == len(windows):
            means = {key: np.mean([one[key] for one in recent]) for key in recent[0]}
            figures = " ".join(f"{key} {value:.3f}" for key, value in means.items())
            click.echo(f"{now - began:6.0f} s  step {trainer.step} of {len(windows)}: {figures}")
            recent.clear()
        if now - saved > SAVE_EVERY_S:
            trainer.save(state)
            export(trainer.network, windows.speech.vocabulary, end)
            saved = now
    trainer.save(state)


def _single_thread(_: int) -> None:
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
