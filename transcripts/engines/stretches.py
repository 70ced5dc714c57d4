"""Which stretches of a recording a model is asked to hear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transcripts.span import Span

JOIN_SILENCE_MS = 5_000
"""A silence longer than this parts two stretches."""
EDGE_MS = 300
"""What a stretch keeps of the silence around it."""
MAX_STRETCH_MS = 600_000


def stretches(speech: Sequence[Span], duration_ms: int) -> list[Span]:
    """What the model is asked to hear: speech with its short silences, at most ten minutes at once.

    A long run of speech is parted at its widest silence within reach, so words are not cut where it can be
    helped.
    """
    groups: list[list[Span]] = []
    for span in speech:
        if groups and span.start_ms - groups[-1][-1].end_ms <= JOIN_SILENCE_MS:
            groups[-1].append(span)
        else:
            groups.append([span])
    parts = [part for group in groups for part in _part(group)]
    return [
        Span(max(0, part[0].start_ms - EDGE_MS), min(duration_ms, part[-1].end_ms + EDGE_MS))
        for part in parts
        if part[0].start_ms < duration_ms
    ]


def _part(group: list[Span]) -> Iterator[list[Span]]:
    while group[-1].end_ms - group[0].start_ms > MAX_STRETCH_MS:
        limit = group[0].start_ms + MAX_STRETCH_MS
        if group[0].end_ms > limit:
            yield [Span(group[0].start_ms, limit)]
            group = [Span(limit, group[0].end_ms), *group[1:]]
            continue
        # the later half only: a wide silence near the start would leave a scrap
        within = [i for i in range(1, len(group)) if group[i - 1].end_ms <= limit]
        late = [i for i in within if group[i].start_ms - group[0].start_ms >= MAX_STRETCH_MS // 2] or within
        cut = max(late, key=lambda i: group[i].start_ms - group[i - 1].end_ms)
        yield group[:cut]
        group = group[cut:]
    yield group
