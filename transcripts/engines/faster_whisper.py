"""faster-whisper: the same Whispers by CTranslate2, in eight bits on a processor, in half precision on a GPU.

What is heard when, and what is heard again, is decided as for openai-whisper; features and tokens are its own.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from transcripts import audio
from transcripts.engines import WAYS_OUT, ctranslate, resolve_model
from transcripts.engines.aligning import cut_to_fit, words
from transcripts.engines.checkpoints import builtin_hashes, first_line, hash_of, user_cache
from transcripts.engines.decoding import MAX_INITIAL_TIMESTAMP, Rules
from transcripts.engines.engine import WhisperEngine
from transcripts.engines.listening import ModelFacts, mels
from transcripts.engines.recognising import Loaded, Task, WhisperEar, memory_ran_out
from transcripts.engines.values import Decoded, Search, TimedWord
from transcripts.errors import DeviceUnavailable, ModelDamaged, ModelUnavailable

CPU_BATCH, GPU_BATCH = 8, 32
FRAMES, FRAMES_A_STATE = 3_000, 2
"""Of log-mel: in a window, and in one of the encoder's states."""
SEEDS = 2**32 - 1
"""CTranslate2 takes seeds below this one, which means: another each time."""
PRECISIONS = {"cpu": ("int8_float32", "float32"), "cuda": ("float16", "float32")}
"""The fastest first that keeps the error rate of a model as wide as Whisper's own."""
EXACT = "float32"
"""For the built-in models, which are narrow: in eight bits they mistake more words."""


class FasterWhisper(WhisperEngine):
    """Whisper by CTranslate2, in this process; a file of openai-whisper's weights is converted when first used."""

    name = "faster-whisper"

    @staticmethod
    def load(model: str, device: str | None) -> Loaded:
        """The model, from this process's memory when it was the last one used."""
        return _load(model, device)


@dataclass(frozen=True, slots=True)
class _Place:
    """A model's folder, and where and how it computes."""

    folder: Path
    device: str
    index: int
    precision: str

    def __str__(self) -> str:
        """The device as torch calls it."""
        return f"{self.device}:{self.index}" if self.device == "cuda" else self.device

    def open(self) -> Any:
        """A ``ctranslate2.models.Whisper``."""
        import ctranslate2
        import torch

        return ctranslate2.models.Whisper(
            str(self.folder),
            device=self.device,
            device_index=self.index,
            compute_type=self.precision,
            intra_threads=torch.get_num_threads(),
        )


@dataclass(slots=True)
class _Loaded(Loaded):
    """``drawn``: whether texts were drawn at random since it was opened."""

    source: _Place
    model: Any
    drawn: bool = False

    def features(self, sounds: Sequence[audio.Samples]) -> np.ndarray:
        """The encoder's states (windows, states, width)."""
        spectra = mels(sounds, self.facts.mels, "cpu").numpy()
        # several at once fall out of a processor's caches
        at_once = len(spectra) if self.source.device == "cuda" else 1
        batches = (spectra[first : first + at_once] for first in range(0, len(spectra), at_once))
        return self.joined([np.array(self.model.encode(_view(one), to_cpu=True)) for one in batches])

    def joined(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Several batches as one."""
        return np.concatenate(parts)

    def chances(self, features: np.ndarray) -> list[dict[str, float]]:
        """As CTranslate2 tells them, which knows Whisper's first token by itself."""
        if not self.facts.multilingual:
            return []
        told = self.model.detect_language(_view(features))
        return [{token.strip("<|>"): chance for token, chance in one} for one in told]

    def ear(self, language: str, vocabulary: Sequence[str], task: Task = "transcribe") -> _Ear:
        """It listens in one language."""
        return _Ear(self, language, vocabulary, task)

    def reseed(self, seed: int) -> None:
        """Draw anew from this seed.

        A worker of CTranslate2 reads the seed once, before it first draws: one that has drawn is replaced.
        """
        import ctranslate2

        ctranslate2.set_random_seed(seed % SEEDS)
        if self.drawn:
            self.model = None  # frees its memory first
            self.model = self.source.open()
        self.drawn = True


class _Ear(WhisperEar):
    """A loaded model that listens in one language; see ``hearing.Ear``."""

    def __init__(self, loaded: _Loaded, language: str, vocabulary: Sequence[str], task: Task) -> None:
        super().__init__(loaded, language, vocabulary, task)
        self.loaded = loaded
        self._never = Rules(self.tokenizer).never.tolist()
        self._seeded = False

    def decode(self, features: np.ndarray, search: Search, seed: int, prompted: bool) -> list[Decoded]:
        """Decode with or without the vocabulary before the text; a recording's first draw sets the seed."""
        if search.temperature > 0 and not self._seeded:
            self.loaded.reseed(seed)
            self._seeded = True
        found = self.loaded.model.generate(
            _view(features),
            [list(self.primed if prompted else self.start)] * len(features),
            max_length=self.loaded.facts.context,
            suppress_tokens=self._never,
            max_initial_timestamp_index=MAX_INITIAL_TIMESTAMP,
            return_scores=True,
            return_no_speech_prob=True,
            **_how(search),
        )
        return [_likeliest_text(one) for one in found]

    def align(
        self, features: np.ndarray, texts: Sequence[Sequence[int]], states: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Words with times from the same features."""
        cut = cut_to_fit(self.tokenizer, self.loaded.facts.context, texts)
        found: list[list[TimedWord]] = [[] for _ in cut]
        spoken = [row for row, text in enumerate(cut) if text]
        if not spoken:
            return found
        told = self.loaded.model.align(
            _view(features[spoken]),
            list(self.start),
            [cut[row] for row in spoken],
            [states[row] * FRAMES_A_STATE for row in spoken],
        )
        for row, one in zip(spoken, told, strict=True):
            tokens, at = np.array(one.alignments).T
            # in a window of hardly any sound the library begins before it
            path = tokens, np.maximum(at, 0)
            found[row] = words(self.tokenizer, cut[row], path, one.text_token_probs)
        return found


def _view(values: np.ndarray) -> Any:
    """The same numbers for CTranslate2."""
    import ctranslate2

    return ctranslate2.StorageView.from_array(np.ascontiguousarray(values))


def _how(search: Search) -> dict[str, Any]:
    if search.temperature == 0:
        return {"beam_size": search.beams}
    return {
        "beam_size": 1,
        "num_hypotheses": search.samples,
        "sampling_topk": 0,
        "sampling_temperature": search.temperature,
    }


def _likeliest_text(found: Any) -> Decoded:
    """The best of what was found in a window.

    A score is the log-probability of text and end by the length of the text; Whisper's measure counts the end too.
    """
    score, tokens = max(zip(found.scores, found.sequences_ids, strict=True), key=lambda one: one[0])
    length = len(tokens)
    return Decoded(tuple(tokens), score * length / (length + 1), float(found.no_speech_prob))


# ---- where the model comes from ----


def _load(name: str, device: str | None) -> _Loaded:
    """The model, from this process's memory when it was the last one used."""
    return _cached(name, *_device(device))


def _device(device: str | None) -> tuple[str, int]:
    """CTranslate2's words for torch's name of a device."""
    import ctranslate2

    gpus = ctranslate2.get_cuda_device_count()
    if device is None:
        return ("cuda" if gpus else "cpu"), 0
    if device == "cpu":
        return "cpu", 0
    number = re.fullmatch(r"cuda(?::(\d+))?", device)
    if number is None:
        raise DeviceUnavailable(device, 'faster-whisper computes on "cpu" and on "cuda"')
    if int(number[1] or 0) >= gpus:
        raise DeviceUnavailable(device, f"faster-whisper finds {gpus or 'no'} GPUs here")
    return "cuda", int(number[1] or 0)


@lru_cache(maxsize=1)
def _cached(name: str, device: str, index: int) -> _Loaded:
    folder, sha256 = _weights(name)
    plain = sha256 in builtin_hashes()
    place = _Place(folder, device, index, EXACT if plain else _precision(device, index))
    try:
        model = _opened(name, place)
    except ModelDamaged:
        if folder.parent != ctranslate.cache():
            raise
        # only the conversion is damaged: make another
        shutil.rmtree(folder, ignore_errors=True)
        _weights(name)
        model = _opened(name, place)
    facts = ModelFacts(model.n_mels, ctranslate.context(folder), model.is_multilingual, model.num_languages)
    batch = GPU_BATCH if device == "cuda" else CPU_BATCH
    return _Loaded(facts, name, sha256, plain, str(place), batch, place, model)


def _precision(device: str, index: int) -> str:
    import ctranslate2

    offered = ctranslate2.get_supported_compute_types(device, index)
    return next(one for one in PRECISIONS[device] if one in offered)


def _opened(name: str, place: _Place) -> Any:
    try:
        model = place.open()
    except (RuntimeError, ValueError, MemoryError) as error:
        if memory_ran_out(error):
            raise DeviceUnavailable(str(place), "its memory is too small for this model") from error
        raise ModelDamaged(name, first_line(error)) from error
    if place.device == "cuda":
        _try(place, model)
    return model


def _try(place: _Place, model: Any) -> None:
    """A GPU's libraries are looked for when they are first used: better now than amid a recording."""
    try:
        model.encode(_view(np.zeros((1, model.n_mels, FRAMES), np.float32)))
    except RuntimeError as error:
        raise DeviceUnavailable(str(place), first_line(error)) from error


def _weights(name: str) -> tuple[Path, str]:
    """The folder that CTranslate2 loads, and the hash of the weights.

    Raises:
        ModelUnavailable: the model cannot be had here.
        ModelDamaged: the file holds no Whisper.
    """
    from faster_whisper import available_models

    known = available_models()
    target = resolve_model(name, known)
    file = _downloaded_before(name, target) if target in known else Path(target)
    if file is None:
        weights = _fetch(name, target) / "model.bin"
        return weights.parent, hash_of(name, weights)
    sha256 = hash_of(name, file)
    return ctranslate.converted(name, file, sha256), sha256


def _downloaded_before(name: str, target: str) -> Path | None:
    """openai-whisper's own file of a model, where it is here and whole."""
    import whisper

    address = whisper._MODELS.get(target)
    if address is None:
        return None
    *_, sha256, file = address.split("/")
    path = user_cache() / "whisper" / file
    return path if path.is_file() and hash_of(name, path) == sha256 else None


def cached_folder(target: str) -> Path | None:
    """The folder of a converted model that the Hugging Face Hub gave this machine before."""
    from faster_whisper import available_models, download_model
    from huggingface_hub import errors

    if target not in available_models():
        return None
    try:
        return Path(download_model(target, local_files_only=True))
    except errors.LocalEntryNotFoundError:
        return None


def _fetch(name: str, target: str) -> Path:
    """The folder of a converted model, from this machine or from the Hugging Face Hub."""
    from faster_whisper import download_model
    from huggingface_hub import errors

    here = cached_folder(target)
    if here is not None:
        return here
    try:
        return Path(download_model(target))
    except (errors.HTTPError, OSError, RuntimeError, ValueError) as error:  # type: ignore[attr-defined]
        reason = first_line(error.__cause__ or error)
        raise ModelUnavailable(name, f"it could not be downloaded: {reason}", WAYS_OUT) from error
