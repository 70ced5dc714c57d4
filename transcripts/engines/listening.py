"""What every engine needs to listen: features, the language, and which terms fit before the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from transcripts import audio
from transcripts.errors import UnknownLanguage
from transcripts.span import Span

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PROMPT_SHARE = 4
"""The vocabulary takes at most a quarter of the text context, which is half of what may stand before a text."""
UNDETERMINED = "und"
"""ISO 639 for a language that cannot be told: nobody speaks."""
CERTAIN, OTHER_MS, OTHER_SHARE = 0.6, 10_000, 0.05
"""Another language is told of when windows that are this sure of it make up ten seconds and a twentieth of all."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is to be known of a Whisper without its weights; ``context`` in tokens."""

    mels: int
    context: int
    multilingual: bool
    languages: int

    @staticmethod
    def of(model: Any) -> ModelFacts:
        """Those of a ``whisper.model.Whisper``."""
        dims = model.dims
        return ModelFacts(
            int(dims.n_mels), int(dims.n_text_ctx), bool(model.is_multilingual), int(model.num_languages)
        )


def mels(sounds: Sequence[audio.Samples], bins: int, device: torch.device | str) -> Tensor:
    """Whisper's log-mel spectrogram of windows of at most 30 s, padded as the library pads: (windows, bins, 3000)."""
    import torch
    from whisper.audio import N_FRAMES, N_SAMPLES, log_mel_spectrogram, pad_or_trim

    return torch.stack(
        [
            pad_or_trim(log_mel_spectrogram(samples, bins, padding=N_SAMPLES, device=device), N_FRAMES)
            for samples in sounds
        ]
    )


def language_given(facts: ModelFacts, model: str, wanted: str | None) -> tuple[str, float] | None:
    """The language as asked for, or the only one the model knows, with probability 1; None: it is to be heard.

    Raises:
        UnknownLanguage: the model cannot write the language asked for.
    """
    from whisper.tokenizer import LANGUAGES, TO_LANGUAGE_CODE

    if wanted is None:
        return None if facts.multilingual else ("en", 1.0)
    code = TO_LANGUAGE_CODE.get(wanted.strip().lower(), wanted.strip().lower())
    if not facts.multilingual and code != "en":
        raise UnknownLanguage(wanted, model, 'it knows English only; name another model, such as "small"')
    if code not in list(LANGUAGES)[: facts.languages] and code != "en":
        raise UnknownLanguage(wanted, model, 'write a code such as "en" or "sv", or leave it out')
    return code, 1.0


def spread(parts: Sequence[Span], count: int) -> list[Span]:
    """At most ``count`` windows from all over a recording: the longest of each stretch of it."""
    if len(parts) <= count:
        return list(parts)
    edges = [round(index * len(parts) / count) for index in range(count + 1)]
    return [max(parts[first:last], key=lambda one: one.duration_ms) for first, last in pairwise(edges)]


def likeliest(chances: Mapping[str, float]) -> tuple[str, float]:
    """The likeliest language and its probability."""
    code = max(chances, key=lambda one: chances[one])
    return code, chances[code]


def other_languages(heard: Sequence[tuple[Span, str, float]], main: str) -> tuple[str, ...]:
    """Languages beside the main one that a good part of a recording is in, the longest first."""
    lengths: dict[str, int] = {}
    for span, code, chance in heard:
        if code != main and chance >= CERTAIN:
            lengths[code] = lengths.get(code, 0) + span.duration_ms
    whole = sum(span.duration_ms for span, _, _ in heard)
    enough = [code for code, ms in lengths.items() if ms >= max(OTHER_MS, OTHER_SHARE * whole)]
    return tuple(sorted(enough, key=lambda code: -lengths[code]))


def fitting(facts: ModelFacts, vocabulary: Sequence[str]) -> tuple[str, ...]:
    """The first terms that fit into the vocabulary's share of the context."""
    from whisper.tokenizer import get_tokenizer

    tokenizer = get_tokenizer(facts.multilingual, num_languages=facts.languages)
    room, terms = facts.context // PROMPT_SHARE, []
    for term in vocabulary:
        room -= len(tokenizer.encode(f" {term},"))
        if room < 0:
            break
        terms.append(term)
    return tuple(terms)
