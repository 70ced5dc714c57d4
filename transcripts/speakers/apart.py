"""Voices that were taken for one, although within a few seconds they are heard apart.

Average linkage needs some windows of a voice before it believes in it; in a short recording made from afar, two people
then are one. The network of ``segmentation`` tells voices apart within ten seconds by more than their timbre. Where two
of its voices were given to one of ours and do not sound alike either, that one is several: as few as keep apart what is
heard apart (agglomerative clustering under cannot-link constraints, Davidson & Ravi 2005). That embeddings compare
where such a network parts is the idea of Kinoshita, Delcroix & Tawara 2021, "Integrating End-to-End Neural and
Clustering-Based Diarization: Getting the Best of Both Worlds".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, groupby

import numpy as np
from numpy.typing import NDArray

from transcripts.speakers.clusters import LEAST_SHARE, Labels
from transcripts.speakers.compensation import compensated
from transcripts.speakers.counting import COUNT_MS
from transcripts.speakers.encoder import Embeddings, Windows, unit
from transcripts.speakers.segmentation import WINDOW_MS, LocalVoices

SAME = 0.65
"""What was heard apart is one voice after all where all of it taken together has at least this cosine."""
INSIDE = 0.8
"""So much of an embedding's window must be one local voice's alone."""
LEAST_MS = 400
"""What is heard for less is no voice; in a long recording, for less than ``clusters.LEAST_SHARE`` of it."""
MOST_MOMENTS = 100
"""At most so many moments at which a voice is heard to be several are compared: the cost grows with their cube."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A voice of one ten seconds, numbered ``moment``: the embeddings that are its alone, by place; what it sounds
    like, (256,); how long it is heard; and the voice that has most of it."""

    moment: int
    members: NDArray[np.int64]
    sound: NDArray[np.float32]
    heard_ms: int
    voice: int


@dataclass(slots=True, eq=False)
class _Group:
    """Pieces of one voice: the sum of what they sound like, and the groups that they are heard apart from, by id."""

    pieces: list[_Piece]
    sound: NDArray[np.float32]
    others: set[int]

    @property
    def members(self) -> NDArray[np.int64]:
        """Each once: the moments overlap."""
        return np.unique(np.concatenate([piece.members for piece in self.pieces]))


def part(
    local: LocalVoices,
    embeddings: Embeddings,
    windows_ms: Windows,
    whose: Labels,
    voices: Embeddings,
    apart: float,
) -> Embeddings:
    """The voices, each that is heard to be several parted into these: shape (k or more, 256).

    Args:
        local: who speaks alone within each ten seconds.
        embeddings: what is heard where one speaks alone, shape (n, 256).
        windows_ms: where, start and length, ascending, shape (n, 2).
        whose: the voice that each was given to, shape (n,).
        voices: the voices found so far, unit length, shape (k, 256).
        apart: local voices with a smaller cosine are two, see ``clusters.Likeness``.
    """
    pieces = list(_pieces(local, compensated(embeddings), windows_ms, whose))
    least_ms = max(LEAST_MS, LEAST_SHARE * _union_ms(windows_ms))
    found = list(voices)
    for voice in range(len(voices)):
        groups, share = _groups([piece for piece in pieces if piece.voice == voice], apart)
        sounds = [
            embeddings[members].mean(axis=0)
            for members in groups
            if _union_ms(windows_ms[members]) >= share * least_ms
        ]
        # what sounds more like another voice was only given to the wrong one
        own = [sound for sound in sounds if int((voices @ sound).argmax()) == voice]
        if len(own) > 1:
            found[voice], *more = unit(np.stack(own))
            found += more
    return np.stack(found)


def _pieces(
    local: LocalVoices, embeddings: Embeddings, windows_ms: Windows, whose: Labels
) -> Iterator[_Piece]:
    """What is heard of each local voice, where it is enough."""
    ends_ms = windows_ms.sum(axis=1)
    for moment, (start_ms, alone) in enumerate(zip(local.starts_ms, local.alone, strict=True)):
        first = int(np.searchsorted(windows_ms[:, 0], start_ms))
        last = int(np.searchsorted(windows_ms[:, 0], start_ms + WINDOW_MS))
        # windows are shorter than ten seconds, so those that end within it are these first ones
        near = np.arange(first, last)[ends_ms[first:last] <= start_ms + WINDOW_MS]
        begin = (windows_ms[near, 0] - start_ms) // COUNT_MS
        end = np.maximum(begin + 1, -(-(ends_ms[near] - start_ms) // COUNT_MS))
        sums = np.concatenate([np.zeros((1, alone.shape[1])), np.cumsum(alone, axis=0)])
        shares = (sums[end] - sums[begin]) / (end - begin)[:, None]
        for members in (near[shares[:, voice] >= INSIDE] for voice in range(alone.shape[1])):
            heard_ms = _union_ms(windows_ms[members])
            if heard_ms >= LEAST_MS:
                sound = unit((embeddings[members] * windows_ms[members, 1:]).sum(axis=0)[None])[0]
                yield _Piece(moment, members, sound, heard_ms, int(np.bincount(whose[members]).argmax()))


def _union_ms(windows_ms: Windows) -> int:
    """How much sound lies in the windows, (n, 2), which are in order."""
    if not len(windows_ms):
        return 0
    starts_ms, lengths_ms = windows_ms[:, 0], windows_ms[:, 1]
    return int(np.minimum(np.diff(starts_ms), lengths_ms[:-1]).sum() + lengths_ms[-1])


def _groups(pieces: Sequence[_Piece], apart: float) -> tuple[list[NDArray[np.int64]], float]:
    """The members of each voice that one voice's pieces are, but those that are never heard apart; and which share of
    the moments was compared."""
    by_moment = [_apart(list(some), apart) for _, some in groupby(pieces, lambda piece: piece.moment)]
    moments = [some for some in by_moment if some]
    compared = np.linspace(0, len(moments) - 1, min(MOST_MOMENTS, len(moments))).round().astype(int)
    groups: list[_Group] = []
    for place in compared:
        fresh = [_Group([piece], piece.sound * piece.heard_ms, set()) for piece in moments[place]]
        for one, other in combinations(fresh, 2):
            if float(one.pieces[0].sound @ other.pieces[0].sound) < apart:
                one.others.add(id(other))
                other.others.add(id(one))
        groups += fresh
    joined = _join(_join(groups, -1.0, constrained=True), SAME, constrained=False)
    return [group.members for group in joined], len(compared) / max(1, len(moments))


def _apart(pieces: Sequence[_Piece], apart: float) -> list[_Piece]:
    """Those of one moment's pieces that do not sound like another of them."""
    return [
        piece
        for piece in pieces
        if any(float(piece.sound @ other.sound) < apart for other in pieces if other is not piece)
    ]


def _join(groups: list[_Group], least: float, *, constrained: bool) -> list[_Group]:
    """The groups, the most alike two joined again and again while their cosine is ``least`` or more."""
    groups = list(groups)
    while len(groups) > 1:
        sounds = unit(np.stack([group.sound for group in groups]))
        alike = sounds @ sounds.T
        np.fill_diagonal(alike, -2.0)
        if constrained:
            place = {id(group): number for number, group in enumerate(groups)}
            for number, group in enumerate(groups):
                alike[number, [place[other] for other in group.others]] = -2.0
        first, second = divmod(int(alike.argmax()), len(groups))
        if alike[first, second] < least:
            break
        one, other = groups[first], groups.pop(second)
        one.pieces += other.pieces
        one.sound = one.sound + other.sound
        one.others |= other.others
        for group in groups:
            if id(other) in group.others:
                group.others = group.others - {id(other)} | {id(one)}
    return groups
