"""openai-whisper: its own model, weights, features and tokenizer; many windows at once, words timed by one encoding."""

from __future__ import annotations

import socket
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transcripts import audio
from transcripts.engines import WAYS_OUT, resolve_model
from transcripts.engines.checkpoints import builtin_hashes, first_line, hash_of, open_weights, user_cache
from transcripts.engines.engine import WhisperEngine
from transcripts.engines.listening import ModelFacts, mels
from transcripts.engines.recognising import Loaded, Task, WhisperEar
from transcripts.engines.values import Decoded, Search, TimedWord
from transcripts.errors import DeviceUnavailable, ModelUnavailable

DOWNLOAD_TIMEOUT_S = 30.0
CPU_BATCH, GPU_BATCH = 8, 64

if TYPE_CHECKING:
    import torch

    from transcripts.engines.decoding import Decoder, Memory
    from transcripts.engines.encoding import Encoder


@dataclass(slots=True)
class _Loaded(Loaded):
    """A model in memory, in its working precision."""

    encoder: Encoder
    decoder: Decoder

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return self.decoder.embedding.device

    def features(self, sounds: Sequence[audio.Samples]) -> Memory:
        """Whisper's log-mel spectrogram of each window, padded to 30 s as the library pads, encoded for the decoder."""
        return self.decoder.memory(self.encoder(mels(sounds, self.facts.mels, self.device)))

    def joined(self, parts: Sequence[Memory]) -> Memory:
        """Several batches as one."""
        from transcripts.engines.decoding import Memory

        return Memory.joined(parts)

    def chances(self, features: Memory) -> list[dict[str, float]]:
        """As ``whisper.detect_language`` tells them."""
        return _chances(self, features)

    def ear(self, language: str, vocabulary: Sequence[str], task: Task = "transcribe") -> _Ear:
        """It listens in one language."""
        return _Ear(self, language, vocabulary, task)


class OpenAIWhisper(WhisperEngine):
    """The reference implementation of Whisper (Radford et al. 2022), in this process."""

    name = "whisper"

    @staticmethod
    def load(model: str, device: str | None) -> Loaded:
        """The model, from this process's memory when it was the last one used."""
        return _load(model, device)


def default_model() -> str:
    """The model a new collection starts with: "turbo" on a GPU, else "small"."""
    import torch

    return "turbo" if torch.cuda.is_available() else "small"


class _Ear(WhisperEar):
    """A loaded model that listens in one language; see ``hearing.Ear``."""

    def __init__(self, loaded: _Loaded, language: str, vocabulary: Sequence[str], task: Task) -> None:
        from transcripts.engines.decoding import Rules, Start

        super().__init__(loaded, language, vocabulary, task)
        self.loaded = loaded
        rules = Rules(self.tokenizer, loaded.device)
        self._plain = Start(self.start, 0, rules)
        self._start = Start(self.primed, len(self.primed) - len(self.start), rules)

    def decode(self, features: Memory, search: Search, seed: int, prompted: bool) -> list[Decoded]:
        """Decode with or without the vocabulary before the text."""
        import torch

        generator = torch.Generator().manual_seed(seed)
        return self.loaded.decoder.decode(
            features, self._start if prompted else self._plain, search, generator
        )

    def align(
        self, features: Memory, texts: Sequence[Sequence[int]], states: Sequence[int]
    ) -> list[list[TimedWord]]:
        """Words with times from the same features."""
        from transcripts.engines.aligning import align

        return align(self.loaded.decoder, self.tokenizer, features, texts, states)

    def smaller(self, error: Exception) -> bool:
        """Halve the batch, and let go of what torch kept for larger ones."""
        import torch

        halved = super().smaller(error)
        if halved and self.loaded.device.type == "cuda":
            torch.cuda.empty_cache()
        return halved


def _chances(loaded: _Loaded, features: Memory) -> list[dict[str, float]]:
    """The probability of each language in each window, as ``whisper.detect_language`` tells it."""
    import torch
    from whisper.tokenizer import get_tokenizer

    facts, decoder = loaded.facts, loaded.decoder
    if not facts.multilingual:
        return []
    tokenizer = get_tokenizer(True, num_languages=facts.languages)
    with torch.inference_mode():
        start = torch.full((len(features), 1), tokenizer.sot, device=loaded.device)
        states, _, _ = decoder.read(start, features, aligned=False)
        scores = decoder.scores(states[:, 0])[:, list(tokenizer.all_language_tokens)].softmax(-1)
    return [dict(zip(tokenizer.all_language_codes, row, strict=True)) for row in scores.tolist()]


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
        raise DeviceUnavailable(device, first_line(error)) from error


@lru_cache(maxsize=1)
def _cached(name: str, device: str) -> _Loaded:
    import whisper

    from transcripts.engines.decoding import Decoder
    from transcripts.engines.encoding import Encoder

    target = resolve_model(name, whisper.available_models())
    official = target in whisper.available_models()
    _start_numba()
    model = _fetch(name, target, device) if official else open_weights(name, target, device)
    # an official checkpoint's address holds its hash, which the library has just checked
    sha256 = whisper._MODELS[target].split("/")[-2] if official else hash_of(name, Path(target))
    model.eval()
    dtype = _precision(device)
    # the library's own copy of the weights is let go: encoder and decoder hold theirs
    return _Loaded(
        ModelFacts.of(model), name, sha256, sha256 in builtin_hashes(), device, _batch(model, device),
        Encoder(model, dtype), Decoder(model, dtype),
    )  # fmt: skip


def _precision(device: str) -> Any:
    """The fastest precision that keeps the error rate: half on a GPU, bfloat16 where the processor multiplies it."""
    import torch

    if device != "cpu":
        return torch.float16
    fast = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def _batch(model: Any, device: str) -> int:
    """How many windows are heard at once: by what is free on a GPU; more than eight bring a CPU nothing."""
    import torch

    if not device.startswith("cuda"):
        return CPU_BATCH
    free, _ = torch.cuda.mem_get_info(device)
    dims = model.dims
    # a window's sound as keys and values of all layers, and room for the encoder's inner states
    a_window: int = dims.n_audio_ctx * dims.n_text_state * (4 * dims.n_text_layer + 64)
    return max(1, min(GPU_BATCH, int(free * 0.6) // a_window))


def _start_numba() -> None:
    """Let numba, which aligns words, start now and not amid a recording."""
    import torch
    from whisper.timing import dtw

    from transcripts.engines.compiling import threads_kept

    with threads_kept():
        dtw(torch.zeros(2, 2))


def _fetch(name: str, target: str, device: str) -> Any:
    import whisper

    waited = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT_S)  # the library sets none and would wait for ever
    try:
        return whisper.load_model(target, device=device)
    except urllib.error.URLError as error:
        raise ModelUnavailable(name, f"it could not be downloaded: {error.reason}", WAYS_OUT) from error
    except (OSError, RuntimeError) as error:
        raise ModelUnavailable(name, first_line(error), WAYS_OUT) from error
    finally:
        socket.setdefaulttimeout(waited)


def cached_weights() -> Path:
    """The folder in which the library keeps downloaded weights."""
    return user_cache() / "whisper"
