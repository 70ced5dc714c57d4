"""Which windows of a recording a model is asked to hear: speech, at most 30 s at once, cut at silences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transcripts.span import Span

WINDOW_MS = 30_000
EDGE_MS = 240
"""What a window keeps of the silence around its speech, where there is as much."""
JOIN_SILENCE_MS = 4_000
"""A silence longer than this is not heard: it parts two windows."""
LATE_SHARE = 0.6
"""A full window is cut at its widest silence behind this share of it."""


def windows(speech: Sequence[Span], duration_ms: int) -> list[Span]:
    """Windows that hold all speech, in order and apart from each other.

    ``speech`` are stretches of speech, none longer than a window (see ``speech.Activity``): where somebody speaks on
    for longer, they touch each other, and a window may end where they touch.
    """
    parts = [part for group in _groups(speech) for part in _packed(group)]
    return _with_edges([Span(part[0].start_ms, part[-1].end_ms) for part in parts], duration_ms)


def _groups(speech: Sequence[Span]) -> Iterator[list[Span]]:
    group: list[Span] = []
    for span in speech:
        if group and span.start_ms - group[-1].end_ms > JOIN_SILENCE_MS:
            yield group
            group = []
        group.append(span)
    if group:
        yield group


def _packed(group: list[Span]) -> Iterator[list[Span]]:
    """Parts of at most a window, each cut at the widest silence near its end."""
    most = WINDOW_MS - 2 * EDGE_MS
    while group[-1].end_ms - group[0].start_ms > most:
        start = group[0].start_ms
        fitting = [i for i in range(1, len(group)) if group[i - 1].end_ms - start <= most] or [1]
        late = [i for i in fitting if group[i - 1].end_ms - start >= LATE_SHARE * most] or fitting[-1:]
        cut = max(late, key=lambda i: (group[i].start_ms - group[i - 1].end_ms, i))
        yield group[:cut]
        group = group[cut:]
    yield group


def _with_edges(found: Sequence[Span], duration_ms: int) -> list[Span]:
    """Each with some silence around it, but nothing of its neighbours."""
    wider = []
    for index, span in enumerate(found):
        before = found[index - 1].end_ms if index else -EDGE_MS
        after = found[index + 1].start_ms if index + 1 < len(found) else duration_ms + EDGE_MS
        start = max(0, span.start_ms - min(EDGE_MS, (span.start_ms - before) // 2))
        end = min(duration_ms, span.end_ms + min(EDGE_MS, (after - span.end_ms) // 2))
        if end > start:
            wider.append(Span(start, end))
    return wider
