"""openai-whisper, unmodified, over the stretches of a recording in which somebody speaks.

The model never hears long silence, where Whisper is known to invent text, and what it writes wholly outside
speech is dropped. A stretch is at most ten minutes, so memory does not grow with the recording.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
import struct
import sys
import threading
import urllib.error
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from transcripts import audio
from transcripts.engines import (
    BUILTIN_MODELS,
    WAYS_OUT,
    Progress,
    RecognisedSegment,
    RecogniserOptions,
    Recognition,
    SegmentMeasures,
    builtin_path,
    resolve_model,
)
from transcripts.engines.straighten import heard, in_order, trimmed
from transcripts.engines.stretches import stretches
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable, UnknownLanguage
from transcripts.model import Transcript, Word
from transcripts.sentences import resegment
from transcripts.span import Span
from transcripts.speech import speech_spans

LANGUAGE_WINDOW_MS = 30_000
PROMPT_SHARE = 4
"""The vocabulary takes a quarter of the model's text, half of its prompt; the rest is for what was said
before."""
UNDETERMINED = "und"
"""ISO 639 for a language that cannot be told: nobody speaks."""
BEST_OF = 5
DOWNLOAD_TIMEOUT_S = 30.0
FRAMES_PER_SECOND = 100
"""Of Whisper's mel spectrogram, which its progress counts."""

_lock = threading.RLock()


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model in memory. ``plain``: built in, given no prompt and none of its own earlier text."""

    model: Any
    name: str
    sha256: str
    plain: bool


class OpenAIWhisper:
    """The reference implementation of Whisper (Radford et al. 2022), in this process."""

    name = "whisper"

    def transcribe(
        self, path: Path, options: RecogniserOptions, progress: Progress | None = None
    ) -> Recognition:
        """Recognise the whole file; see ``engines.Recogniser``. One thread at a time uses the model."""
        duration = audio.duration_ms(path)
        speech = speech_spans(path)
        tell = _Forward(progress or (lambda _: None))
        with _lock:
            loaded = _load(options.model, options.device)
            language, probability = _language(loaded, path, speech, options.language)
            prompted = () if loaded.plain else _fitting(loaded.model, options.vocabulary)
            found: list[RecognisedSegment] = []
            for stretch in stretches(speech, duration):
                found += _recognise(loaded, path, stretch, language, prompted, options, tell)
        tell(duration)
        return self._recognition(
            loaded, language, probability, prompted, heard(found, speech), speech, duration
        )

    def _recognition(
        self,
        loaded: _Loaded,
        language: str,
        probability: float,
        prompted: tuple[str, ...],
        found: Sequence[RecognisedSegment],
        speech: Sequence[Span],
        duration_ms: int,
    ) -> Recognition:
        spoken = trimmed([word for segment in found for word in segment.words], speech)
        words = in_order(spoken, duration_ms)
        measures = {}
        ordinal = iter(words)
        for segment in found:
            measures.update({next(ordinal).id: segment.measures for _ in segment.words})
        sentences = resegment(words)
        return Recognition(
            transcript=Transcript(language, sentences),
            language=language,
            language_probability=probability,
            engine=self.name,
            model=loaded.name,
            model_sha256=loaded.sha256,
            measures=tuple(SegmentMeasures.worst(measures[w.id] for w in s.words) for s in sentences),
            prompted=prompted,
        )


def default_model() -> str:
    """The model a new collection starts with: "turbo" on a GPU, else "small"."""
    import torch

    return "turbo" if torch.cuda.is_available() else "small"


def _recognise(
    loaded: _Loaded,
    path: Path,
    stretch: Span,
    language: str,
    prompted: tuple[str, ...],
    options: RecogniserOptions,
    tell: Callable[[int], None],
) -> list[RecognisedSegment]:
    import torch

    tell(stretch.start_ms)
    samples = audio.load(path, stretch.start_ms, stretch.end_ms)
    torch.manual_seed(options.seed)  # the fallback temperatures sample

    def frames(done: int) -> None:
        tell(min(stretch.end_ms, stretch.start_ms + done * 1000 // FRAMES_PER_SECOND))

    with _progress(frames), _threads(loaded):
        import whisper

        result = whisper.transcribe(
            loaded.model,
            samples,
            verbose=None,
            language=language,
            fp16=loaded.model.device.type == "cuda",
            beam_size=options.beam_size if options.beam_size > 1 else None,
            best_of=BEST_OF,
            word_timestamps=True,
            condition_on_previous_text=not loaded.plain,
            initial_prompt=", ".join(prompted) + "." if prompted else None,
            carry_initial_prompt=bool(prompted),
        )
    return [_segment(one, stretch.start_ms) for one in result["segments"] if one["words"]]


def _segment(found: dict[str, Any], offset_ms: int) -> RecognisedSegment:
    words = tuple(
        Word(
            "",
            offset_ms + round(one["start"] * 1000),
            offset_ms + round(max(one["start"], one["end"]) * 1000),
            one["word"],
            float(one["probability"]),
        )
        for one in found["words"]
    )
    measures = SegmentMeasures(
        float(found["avg_logprob"]),
        float(found["compression_ratio"]),
        float(found["no_speech_prob"]),
        float(found["temperature"]),
    )
    return RecognisedSegment(words, measures)


class _Forward:
    """Passes progress on, but never backwards and never twice the same."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._done = progress, -1

    def __call__(self, done_ms: int) -> None:
        if done_ms > self._done:
            self._done = done_ms
            self._progress(done_ms)


@contextmanager
def _progress(frames: Callable[[int], None]) -> Iterator[None]:
    """Hear from Whisper how many mel frames are done, in place of the bar it would draw.

    Whisper reports only to the ``tqdm`` its module imported; for the time of one call that name is ours.
    Holds under the module's lock, so no other call sees it.
    """
    import whisper  # noqa: F401  (loads the module whose name is looked up next)

    module: Any = sys.modules["whisper.transcribe"]
    drawn = module.tqdm

    class Bar:
        def __init__(self, **_: object) -> None:
            self._done = 0

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            return None

        def update(self, by: int) -> None:
            self._done += by
            frames(self._done)

    module.tqdm = SimpleNamespace(tqdm=Bar)
    try:
        yield
    finally:
        module.tqdm = drawn


@contextmanager
def _threads(loaded: _Loaded) -> Iterator[None]:
    """One thread for a small model, whose steps are too short to share: waiting for a second costs more."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if loaded.plain else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _language(loaded: _Loaded, path: Path, speech: Sequence[Span], wanted: str | None) -> tuple[str, float]:
    """The language to write, and how sure that is: as asked for, or heard in the first 30 s of speech."""
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    model = loaded.model
    if wanted is not None:
        code = TO_LANGUAGE_CODE.get(wanted.strip().lower(), wanted.strip().lower())
        if not model.is_multilingual and code != "en":
            raise UnknownLanguage(
                wanted, loaded.name, 'it knows English only; name another model, such as "small"'
            )
        if code not in list(LANGUAGES)[: model.num_languages] and code != "en":
            raise UnknownLanguage(wanted, loaded.name, 'write a code such as "en" or "sv", or leave it out')
        return code, 1.0
    if not model.is_multilingual:
        return "en", 1.0
    if not speech:
        return UNDETERMINED, 0.0
    return _heard_language(model, path, speech[0].start_ms)


def _heard_language(model: Any, path: Path, start_ms: int) -> tuple[str, float]:
    import whisper

    samples = audio.load(path, start_ms, start_ms + LANGUAGE_WINDOW_MS)
    mel = whisper.log_mel_spectrogram(whisper.pad_or_trim(samples), model.dims.n_mels)
    _, probabilities = model.detect_language(mel.to(model.device).to(model.encoder.conv1.weight.dtype))
    code = max(probabilities, key=lambda one: probabilities[one])
    return code, float(probabilities[code])


def _fitting(model: Any, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The first terms that fit half of the prompt."""
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(model.is_multilingual, num_languages=model.num_languages)
    room, terms = model.dims.n_text_ctx // PROMPT_SHARE, []
    for term in vocabulary:
        room -= len(tokenizer.encode(f" {term},"))
        if room < 0:
            break
        terms.append(term)
    return tuple(terms)


def _load(name: str, device: str | None) -> _Loaded:
    """The model, from this process's memory when it was the last one used."""
    import torch

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    _check_device(device)
    return _cached(name, device)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DeviceUnavailable(device, _first_line(error)) from error


@lru_cache(maxsize=1)
def _cached(name: str, device: str) -> _Loaded:
    import whisper

    target = resolve_model(name, whisper.available_models())
    official = target in whisper.available_models()
    _start_numba()
    model = _fetch(name, target, device) if official else _open(name, target, device)
    # an official checkpoint's address holds its hash, which the library has just checked
    sha256 = whisper._MODELS[target].split("/")[-2] if official else _sha256(Path(target))
    return _Loaded(model.eval(), name, sha256, sha256 in _builtin_hashes())


def _start_numba() -> None:
    """Let numba, which aligns words, start now: it sets torch's threads anew when it does, even amid a
    recording."""
    import torch
    from whisper.timing import dtw

    before = torch.get_num_threads()
    dtw(torch.zeros(2, 2))
    torch.set_num_threads(before)


def _fetch(name: str, target: str, device: str) -> Any:
    import whisper

    waited = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # the library sets none and would wait for ever
    try:
        return whisper.load_model(target, device=device)
    except urllib.error.URLError as error:
        raise ModelUnavailable(name, f"it could not be downloaded: {error.reason}", WAYS_OUT) from error
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(name, _first_line(error), WAYS_OUT) from error
    finally:
        socket.setdefaulttimeout(waited)


def _open(name: str, path: str, device: str) -> Any:
    """Load a file of weights: tensors only, nothing in the file is executed."""
    import torch
    import whisper

    try:
        return whisper.load_model(path, device=device)
    except OSError as error:
        raise ModelUnavailable(name, f"the file cannot be read: {error.strerror}", WAYS_OUT) from error
    except torch.OutOfMemoryError as error:
        raise DeviceUnavailable(device, "its memory is too small for this model") from error
    except (
        RuntimeError,
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        struct.error,
        EOFError,
        LookupError,
        AssertionError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        raise ModelDamaged(name, _damage(error)) from error


def _damage(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing in it" if error.args else "a part is missing in it"
    if isinstance(error, pickle.UnpicklingError):
        return "it does not hold tensors alone"
    return _first_line(error)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".:") if lines else type(error).__name__


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache
def _builtin_hashes() -> frozenset[str]:
    return frozenset(_sha256(builtin_path(name)) for name in BUILTIN_MODELS)


def cached_weights() -> Path:
    """The folder in which the library keeps downloaded weights."""
    default = Path.home() / ".cache"
    return Path(os.environ.get("XDG_CACHE_HOME", default)) / "whisper"
