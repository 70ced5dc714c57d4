"""A stretch of time: integer milliseconds, half-open, ordered, frozen.

>>> Span(1_000, 4_000) & Span(3_000, 9_000)
Span(start_ms=3000, end_ms=4000)
>>> Span(0, 500).overlaps(Span(500, 900))
False
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """The half-open stretch ``[start_ms, end_ms)``, in milliseconds.

    Raises:
        ValueError: when it would end before it starts or start before zero.
    """

    start_ms: int
    end_ms: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_ms <= self.end_ms:
            raise ValueError(f"not a span: {self.start_ms} to {self.end_ms} ms")

    @property
    def duration_ms(self) -> int:
        """How long it lasts, in milliseconds."""
        return self.end_ms - self.start_ms

    def overlaps(self, other: Span) -> bool:
        """Whether the two share any time; spans that only touch do not."""
        return self.start_ms < other.end_ms and other.start_ms < self.end_ms

    def overlap_ms(self, other: Span) -> int:
        """The time the two share, in milliseconds."""
        return max(0, min(self.end_ms, other.end_ms) - max(self.start_ms, other.start_ms))

    def __and__(self, other: Span) -> Span | None:
        """The time both cover, or None when they share none."""
        if not self.overlaps(other):
            return None
        return Span(max(self.start_ms, other.start_ms), min(self.end_ms, other.end_ms))

    def __contains__(self, time_ms: int) -> bool:
        """Whether the instant ``time_ms`` lies inside."""
        return self.start_ms <= time_ms < self.end_ms

    def shift(self, by_ms: int) -> Span:
        """The same stretch, ``by_ms`` later (earlier when negative)."""
        return Span(self.start_ms + by_ms, self.end_ms + by_ms)


def merge(spans: Iterable[Span], gap_ms: int = 0) -> list[Span]:
    """Sort the spans and join those that overlap or lie at most ``gap_ms`` apart.

    >>> merge([Span(0, 100), Span(150, 300), Span(900, 950)], gap_ms=50)
    [Span(start_ms=0, end_ms=300), Span(start_ms=900, end_ms=950)]
    """
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start_ms - joined[-1].end_ms <= gap_ms:
            joined[-1] = Span(joined[-1].start_ms, max(joined[-1].end_ms, span.end_ms))
        else:
            joined.append(span)
    return joined


def shared(some: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """The time that two rows of spans share; each is in order and without overlap, and so is what is found.

    >>> shared([Span(0, 100), Span(200, 300)], [Span(50, 250)])
    [Span(start_ms=50, end_ms=100), Span(start_ms=200, end_ms=250)]
    """
    found: list[Span] = []
    one = other = 0
    while one < len(some) and other < len(others):
        if both := some[one] & others[other]:
            found.append(both)
        if some[one].end_ms < others[other].end_ms:
            one += 1
        else:
            other += 1
    return found
