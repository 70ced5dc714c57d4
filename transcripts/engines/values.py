"""What an engine hands on: searches, decodings, words with times. Light: no library of models is imported."""

from __future__ import annotations

from dataclasses import dataclass

MS_A_STATE = 20
"""How long each of the encoder's states lasts."""


NEVER = -1e30
"""The score of what may not follow, where compilers are told that nothing is infinite."""


@dataclass(frozen=True, slots=True)
class Search:
    """How to look for a text.

    ``beams`` hypotheses are kept at temperature 0; above it, the best of ``samples`` draws is taken.
    """

    beams: int = 1
    temperature: float = 0.0
    samples: int = 1

    @property
    def width(self) -> int:
        """Hypotheses a window."""
        return self.beams if self.temperature == 0 else self.samples


@dataclass(frozen=True, slots=True)
class Decoded:
    """What was found in one window: tokens of text and timestamps, without the end's."""

    tokens: tuple[int, ...]
    avg_logprob: float
    no_speech_prob: float


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word of a window: its text, its time in milliseconds from the start of the window, how many tokens it has."""

    text: str
    start_ms: int
    end_ms: int
    probability: float
    tokens: int
