"""A transcript as one text: every word stands where its place says."""

from __future__ import annotations

import pytest

from transcripts.formats.places import HIDDEN, lay_out
from transcripts.model import Segment, Transcript, Word


def said(*lines: tuple[int | None, str]) -> Transcript:
    """Segments of these speakers; a word is a second long, and `_` joins a word to the one before it."""
    segments, count = [], 0
    for speaker, text in lines:
        words = []
        for part in text.split():
            lead = "" if part.startswith("_") else " "
            shown = lead + part.removeprefix("_")
            words.append(Word(str(count), count * 1000, count * 1000 + 1000, shown))
            count += 1
        segments.append(Segment(tuple(words), speaker))
    return Transcript("en", tuple(segments))


TOLD = said((1, "Hej \U0001f600 _!"), (1, "Så-så."), (2, "3. _5 km"), (None, "Tyst."))


def test_every_word_stands_where_its_place_says() -> None:
    laid = lay_out(TOLD, {1: " Åsa\n B ", 2: "Bo"})
    assert laid.text == "Åsa B: Hej \U0001f600! Så-så.\nBo: 3.5 km\nTyst.\n"
    shown = [laid.text[place.start : place.end] for place in laid.places]
    assert shown == ["Hej", "\U0001f600", "!", "Så-så.", "3.", "5", "km", "Tyst."]
    assert [(place.word, place.start_ms, place.end_ms) for place in laid.places] == [
        (word.id, word.start_ms, word.end_ms) for word in TOLD.words()
    ]


def test_words_without_letters_have_no_place() -> None:
    empty = Segment((Word("0", 0, 1, " "), Word("1", 1, 2, "a"), Word("2", 2, 3, ""), Word("3", 3, 4, "b")))
    laid = lay_out(Transcript("en", (empty,)), {})
    assert (laid.text, [place.word for place in laid.places]) == ("ab\n", ["1", "3"])
    assert lay_out(Transcript("en", ()), {1: "Bo"}).text == ""


@pytest.mark.parametrize(
    ("text", "shown", "hidden"),
    [
        ('"Isla," Isla\'s Isla?', f'"{HIDDEN}," {HIDDEN}\'s {HIDDEN}?', 3),
        ("isla Islay Anne-Marie Grace grace", f"isla Islay {HIDDEN} {HIDDEN} grace", 2),
        ("A\u030asa", HIDDEN, 1),
    ],
)
def test_names_are_hidden(text: str, shown: str, hidden: int) -> None:
    laid = lay_out(said((None, text)), {}, ["Isla", "Anne-Marie", "Grace", "Åsa"])
    assert (laid.text, laid.hidden) == (f"{shown}\n", hidden)
    assert laid.places[-1].end == len(shown)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [(0, 3, None), (3, 4, ("0", "0")), (5, 99, ("0", "7")), (6, 7, None), (8, 12, ("2", "3")), (7, 7, None)],
)
def test_words_are_found_by_their_characters(start: int, end: int, words: tuple[str, str] | None) -> None:
    found = lay_out(TOLD, {1: "A", 2: "B"}).inside(start, end)
    assert (found and (found[0].word, found[1].word)) == words


@pytest.mark.parametrize(
    ("start_ms", "end_ms", "words"),
    [
        (0, 1_000, ("0", "0")),
        (499, 2_501, ("0", "2")),
        (501, 2_500, ("1", "1")),
        (8_000, 9_000, None),
        (1_200, 1_300, None),
    ],
)
def test_words_are_found_by_their_times(start_ms: int, end_ms: int, words: tuple[str, str] | None) -> None:
    found = lay_out(TOLD, {}).heard(start_ms, end_ms)
    assert (found and (found[0].word, found[1].word)) == words


def test_words_are_found_by_their_identity() -> None:
    laid = lay_out(TOLD, {})
    found = laid.between("1", "4")
    assert found is not None
    assert laid.text[found[0].start : found[1].end] == "\U0001f600! Så-så.\n3."
    assert laid.between("4", "1") is None
    assert laid.between("1", "99") is None
