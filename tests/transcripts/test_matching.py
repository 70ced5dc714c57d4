"""Who a voice is, by its likeness to voices that are known: made-up embeddings whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from transcripts.speakers.matching import HeardVoice, match, recurring

DIMENSION = 64


class Voices:
    """Embeddings of made-up people: each a direction of its own, and something of the recording added."""

    def __init__(self, people: int, seed: int = 1, spread: float = 0.5) -> None:
        self.chance = np.random.default_rng(seed)
        self.people = self._unit(self.chance.standard_normal((people, DIMENSION)))
        self.spread = spread
        self.made = 0

    def heard(
        self, who: int, recording: int, person: int | None = None, refused: frozenset[int] = frozenset()
    ) -> HeardVoice:
        self.made += 1
        noise = self._unit(self.chance.standard_normal(DIMENSION)) * self.spread
        return HeardVoice(self.made, recording, self._unit(self.people[who] + noise), person, refused)

    @staticmethod
    def _unit(rows: np.ndarray) -> np.ndarray:
        return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def interviews(voices: Voices, count: int, known: int) -> list[HeardVoice]:
    """Person 7 asks another storyteller in each recording; in the first ``known`` she is confirmed."""
    asked = [voices.heard(0, n, 7 if n < known else None) for n in range(count)]
    return asked + [voices.heard(n + 1, n) for n in range(count)]


@pytest.mark.parametrize("known", [1, 3])
def test_the_interviewer_is_found_and_nobody_else(known: int) -> None:
    voices = interviews(Voices(21), 20, known)
    found = match(voices)
    assert {one.key for one in found} == {voice.key for voice in voices[known:20]}
    assert all(one.person == 7 and 0.7 <= one.score <= 1 and one.cosine > 0.7 for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_the_same_voices_give_the_same_matches() -> None:
    assert match(interviews(Voices(21), 20, 2)) == match(interviews(Voices(21), 20, 2))


def test_persons_compete() -> None:
    voices = Voices(30)
    known = [voices.heard(who, 100 + 10 * who + n, who) for who in range(5) for n in range(3)]
    unknown = {who: voices.heard(who, who) for who in range(30)}
    found = {one.key: one.person for one in match([*known, *unknown.values()])}
    assert found == {unknown[who].key: who for who in range(5)}


@pytest.mark.parametrize(
    ("there", "refused"), [(True, frozenset()), (False, frozenset({7}))], ids=["in the recording", "refused"]
)
def test_who_cannot_be_is_not_suggested(there: bool, refused: frozenset[int]) -> None:
    voices = Voices(9)
    known = [voices.heard(0, n, 7) for n in range(3)]
    others = [voices.heard(who, 50 + who) for who in range(1, 9)]
    asked = voices.heard(0, 2 if there else 60, None, refused)
    assert asked.key not in {one.key for one in match([*known, *others, asked])}
    free = HeardVoice(asked.key, 60, asked.embedding)
    assert asked.key in {one.key for one in match([*known, *others, free])}


def test_a_person_is_suggested_once_in_a_recording() -> None:
    voices = Voices(9)
    known = [voices.heard(0, n, 7) for n in range(3)]
    twins = [voices.heard(0, 60), voices.heard(0, 60)]
    found = match([*known, *twins, *(voices.heard(who, 50 + who) for who in range(1, 9))])
    assert len([one for one in found if one.key in {twin.key for twin in twins}]) == 1


def test_one_wrong_exemplar_takes_little_away() -> None:
    voices = Voices(30)
    known = [voices.heard(0, n, 7) for n in range(6)] + [voices.heard(1, 6, 7)]
    unknown = [voices.heard(0, 20 + n) for n in range(8)] + [voices.heard(n, 40 + n) for n in range(2, 30)]
    assert {one.key for one in match([*known, *unknown])} == {voice.key for voice in unknown[:8]}


def test_nobody_known_and_nobody_unknown_give_nothing() -> None:
    voices = Voices(2)
    assert match([]) == match([voices.heard(0, 1)]) == match([voices.heard(0, 1, 7)]) == []
    assert recurring([]) == recurring([voices.heard(0, 1)]) == recurring([voices.heard(0, 1, 7)]) == []


def test_two_recordings_are_cohort_enough_for_a_sure_case() -> None:
    voices = Voices(3, spread=0.2)
    found = match([voices.heard(0, 1, 7), voices.heard(1, 1), voices.heard(0, 2), voices.heard(2, 2)])
    assert [(one.key, one.person) for one in found] == [(3, 7)]


def test_unnamed_voices_that_recur_are_one_group_each() -> None:
    voices = Voices(12)
    heard = [voices.heard(who, n) for n in range(6) for who in (0, 1)]
    heard += [voices.heard(who, 20 + who) for who in range(2, 12)]
    first, second = recurring(heard)
    assert {len({voice.recording for voice in group}) for group in (first, second)} == {6}
    assert {voice.key for voice in first} in [{voice.key for voice in heard[n:12:2]} for n in (0, 1)]


def test_voices_of_one_recording_are_never_one_group() -> None:
    voices = Voices(1, spread=0.05)
    assert recurring([voices.heard(0, 5) for _ in range(4)]) == []
    (group,) = recurring([voices.heard(0, 5), voices.heard(0, 5), voices.heard(0, 6)])
    assert sorted(voice.recording for voice in group) == [5, 6]


def test_many_voices_of_one_person_are_one_group() -> None:
    voices = Voices(2, spread=0.2)
    (group,) = recurring([voices.heard(0, n) for n in range(300)])
    assert len(group) == 300
