from __future__ import annotations

import random
from pathlib import Path

import pytest

from tools.checkpoint import text

SAMPLE_WORDS = Path(__file__).parents[2] / "examples/scripts/words.txt"


def test_the_grammar_has_the_words_of_the_samples_and_two_thousand_in_all() -> None:
    known = {word.lower() for word in text.vocabulary()}
    assert len(known) >= 2000
    # the samples' words that only a rule's spelling makes: plurals of "was", articles
    missing = {word for word in SAMPLE_WORDS.read_text().split() if word not in known} - {"were", "an"}
    assert not missing


@pytest.mark.parametrize("make", [text.plain, text.salad, text.question, text.reply, text.sentence])
def test_what_is_drawn_is_a_sentence(make) -> None:
    draw = random.Random(5)
    for _ in range(300):
        sentence = make(draw)
        assert sentence[0].isupper() or sentence[0].isdigit()
        assert sentence[-1] in ".?"
        assert "{" not in sentence
        assert "  " not in sentence


@pytest.mark.parametrize(
    ("phrase", "spelled"),
    [
        ("we was tired", "We were tired"),
        ("a old friend", "An old friend"),
        ("he  was a  nurse", "He was a nurse"),
    ],
)
def test_spelling(phrase: str, spelled: str) -> None:
    assert text.spell(phrase) == spelled


def test_one_long_sentence_in_twenty_is_held_out() -> None:
    draw = random.Random(1)
    long = [s for s in (text.plain(draw) for _ in range(4000)) if len(s.split()) >= 6]
    share = sum(text.held_out(sentence) for sentence in long) / len(long)
    assert 0.03 < share < 0.07
    assert not text.held_out("That is right.")


def test_a_rule_that_is_missing_is_named(tmp_path: Path, monkeypatch) -> None:
    grammar = tmp_path / "grammar.toml"
    grammar.write_text('sent = "{who} came."\n')
    monkeypatch.setattr(text, "GRAMMAR", grammar)
    text.rules.cache_clear()
    try:
        with pytest.raises(ValueError, match=r"sent names \{who\}"):
            text.rules()
    finally:
        monkeypatch.undo()
        text.rules.cache_clear()
