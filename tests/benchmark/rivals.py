"""One recogniser in a process of its own, on two cores: how long it takes, what it writes, how much work that was.

``python -m tests.benchmark.rivals TASK ANSWER``, both JSON files; ``run`` does that. The libraries are unmodified: what
is counted is counted from outside, around their own functions.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.benchmark.report import BUILD, ROOT

CORES = 2
OWN_CACHE = BUILD / "transcription" / "cache"
BATCH = 8


@dataclass(frozen=True)
class Task:
    """What a rival is to do.

    ``rival`` is a name in ``RIVALS``. The ``warm_up`` file is heard first and not counted: the model is loaded, and
    what is compiled is compiled. ``heads`` names the size whose alignment heads the weights shall have.
    """

    rival: str
    model: str
    files: tuple[str, ...]
    warm_up: str | None = None
    beams: int = 5
    heads: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Heard:
    """What was made of a file: the wall time, the text, each word with its start, the windows and tokens decoded.

    A window that was decoded twice counts twice. ``parts`` are seconds in encoding, decoding and aligning.
    """

    seconds: float = 0.0
    text: str = ""
    words: list[tuple[str, float]] = field(default_factory=list)
    windows: int = 0
    tokens: int = 0
    parts: dict[str, float] = field(default_factory=dict)


@dataclass
class Answer:
    """What came of a task: one ``Heard`` a file and the process's peak memory, or the reason why there is nothing."""

    heard: list[Heard] = field(default_factory=list)
    peak_bytes: int = 0
    error: str = ""
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Of all files."""
        return sum(one.seconds for one in self.heard)

    @property
    def windows(self) -> int:
        """Of all files."""
        return sum(one.windows for one in self.heard)

    @property
    def tokens(self) -> int:
        """Of all files."""
        return sum(one.tokens for one in self.heard)


def run(task: Task) -> Answer:
    """Do a task in a fresh process."""
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder, "task.json"), Path(folder, "answer.json")
        asked.write_text(json.dumps(asdict(task)))
        told = {**os.environ, "OMP_NUM_THREADS": str(CORES), "MKL_NUM_THREADS": str(CORES)}
        told |= {"XDG_CACHE_HOME": str(OWN_CACHE), "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmark.rivals", asked, answered],
            cwd=ROOT, env=told, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode or not answered.is_file():
            lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
            return Answer(error=f"{task.rival}: {lines[-1]}"[:120])
        document = json.loads(answered.read_text())
        document["heard"] = [Heard(**one) for one in document["heard"]]
        return Answer(**document)


def main(asked: Path, answered: Path) -> None:
    """Do the task in this process."""
    import torch

    cores = sorted(os.sched_getaffinity(0))[:CORES]
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(CORES)
    task = Task(**json.loads(asked.read_text()))
    if task.heads:
        _give_heads(task.heads)
    answer = RIVALS[task.rival](task)
    answer.peak_bytes = _peak_bytes()
    answered.write_text(json.dumps(asdict(answer)))


def _give_heads(size: str) -> None:
    """Let weights that no one published be aligned by as many heads as the library's own of that size."""
    import whisper

    load = whisper.load_model

    def load_model(*given: Any, **named: Any) -> Any:
        model = load(*given, **named)
        model.set_alignment_heads(whisper._ALIGNMENT_HEADS[size])
        return model

    whisper.load_model = load_model


def _peak_bytes() -> int:
    """Of this program alone: a process's ``ru_maxrss`` still knows the one that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---- this project's engines ----


class _Counted:
    """An ear that counts its work."""

    def __init__(self, ear: Any, heard: Heard) -> None:
        self._ear, self._heard = ear, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ear, name)

    @contextmanager
    def _timed(self, part: str) -> Iterator[None]:
        start = perf_counter()
        yield
        self._heard.parts[part] = self._heard.parts.get(part, 0.0) + perf_counter() - start

    def features(self, sounds: Any) -> Any:
        with self._timed("encode"):
            return self._ear.features(sounds)

    def decode(self, *given: Any) -> Any:
        with self._timed("decode"):
            found = self._ear.decode(*given)
        self._heard.windows += len(found)
        self._heard.tokens += sum(len(one.tokens) for one in found)
        return found

    def align(self, *given: Any) -> Any:
        with self._timed("align"):
            return self._ear.align(*given)


def _engine(name: str, task: Task) -> Answer:
    from transcripts.engines import RecogniserOptions, load, recognising

    recogniser = load(name)
    options = RecogniserOptions(task.model, language="en", beam_size=task.beams, device="cpu")
    hear = recognising.hear

    def one(path: str) -> Heard:
        heard = Heard()
        recognising.hear = lambda ear, *given, **named: hear(_Counted(ear, heard), *given, **named)
        start = perf_counter()
        found = recogniser.transcribe(Path(path), options)
        heard.seconds = perf_counter() - start
        words = [word for segment in found.transcript.segments for word in segment.words]
        heard.words = [(word.text.strip(), word.start_ms / 1000) for word in words]
        heard.text = " ".join(word for word, _ in heard.words)
        return heard

    return _each(task, one)


def _each(task: Task, one: Callable[[str], Heard]) -> Answer:
    if task.warm_up:
        one(task.warm_up)
    return Answer([one(path) for path in task.files])


# ---- openai-whisper ----


def _command(task: Task) -> Answer:
    """The ``whisper`` command, on all files in one call."""
    import whisper

    library = importlib.import_module("whisper.transcribe")
    transcribe, decode = library.transcribe, whisper.model.Whisper.decode
    found: list[Heard] = []

    def counted(*given: Any, **named: Any) -> Any:
        result = decode(*given, **named)
        found[-1].windows += 1
        found[-1].tokens += len(result.tokens)
        return result

    def timed(*given: Any, **named: Any) -> Any:
        found.append(Heard())
        start = perf_counter()
        result = transcribe(*given, **named)
        heard = found[-1]
        heard.seconds, heard.text = perf_counter() - start, result["text"].strip()
        words = [word for segment in result["segments"] for word in segment["words"]]
        heard.words = [(word["word"].strip(), float(word["start"])) for word in words]
        return result

    library.transcribe, whisper.model.Whisper.decode = timed, counted
    files = [*([task.warm_up] if task.warm_up else []), *task.files]
    with tempfile.TemporaryDirectory() as folder:
        sys.argv = [
            "whisper", *files, "--model", task.model, "--device", "cpu", "--fp16", "False", "--language", "en",
            "--threads", str(CORES), "--beam_size", str(task.beams), "--word_timestamps", "True",
            "--output_dir", folder, "--output_format", "json", "--verbose", "False",
            *(part for name, value in task.options.items() for part in (f"--{name}", str(value))),
        ]  # fmt: skip
        library.cli()
    assert len(found) == len(files), "the command skipped a file"
    return Answer(found[1:] if task.warm_up else found)


# ---- faster-whisper ----


def _batched(task: Task) -> Answer:
    """faster-whisper's own pipeline over the same weights."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(
        str(_own_folder(Path(task.model))), device="cpu", cpu_threads=CORES,
        compute_type=task.options["compute_type"],
    )  # fmt: skip
    pipeline = BatchedInferencePipeline(model)
    generate = pipeline.generate_segment_batched

    def one(path: str) -> Heard:
        heard = Heard()

        def counted(*given: Any) -> Any:
            states, outputs = generate(*given)
            heard.windows += len(outputs)
            heard.tokens += sum(len(output["tokens"]) for output in outputs)
            return states, outputs

        pipeline.generate_segment_batched = counted
        start = perf_counter()
        segments, _ = pipeline.transcribe(
            path, language="en", beam_size=task.beams, word_timestamps=True, batch_size=BATCH
        )
        words = [word for segment in segments for word in segment.words]
        heard.seconds = perf_counter() - start
        heard.words = [(word.word.strip(), float(word.start)) for word in words]
        heard.text = " ".join(word for word, _ in heard.words)
        return heard

    return _each(task, one)


def _own_folder(weights: Path) -> Path:
    """The engine's conversion with the tokenizer that faster-whisper itself looks for."""
    import whisper

    from tests.benchmark import hub_tokenizer
    from transcripts.engines import ctranslate

    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    converted = ctranslate.converted(weights.stem, weights, sha256)
    folder = OWN_CACHE / f"own-{converted.name}"
    if not (folder / "tokenizer.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for file in converted.iterdir():
            (folder / file.name).unlink(missing_ok=True)
            (folder / file.name).symlink_to(file.resolve())
        model = whisper.load_model(str(weights), device="cpu")
        hub_tokenizer.write(folder / "tokenizer.json", model.is_multilingual, model.num_languages)
    return folder


def _limits(task: Task) -> Answer:
    from tests.benchmark import limits

    return Answer(figures=limits.measure(task.model, **task.options))


RIVALS: dict[str, Callable[[Task], Answer]] = {
    "whisper command": _command,
    "engine whisper": lambda task: _engine("whisper", task),
    "engine faster-whisper": lambda task: _engine("faster-whisper", task),
    "faster-whisper's own pipeline": _batched,
    "limits": _limits,
}


def in_turn(tasks: Sequence[Task], rounds: int) -> list[Answer]:
    """The quickest answer to each task, asked one after the other, so often; a failure is an answer too."""
    found: list[list[Answer]] = [[] for _ in tasks]
    for _ in range(rounds):
        for answers, task in zip(found, tasks, strict=True):
            answers.append(run(task))
    return [min(answers, key=lambda one: (bool(one.error), one.seconds)) for answers in found]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
