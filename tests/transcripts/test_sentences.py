import pytest

from transcripts.model import Word
from transcripts.sentences import resegment


def words(text, gaps=None, length_ms=200):
    """Words of 200 ms that touch, but for the ``gaps`` in ms before words by index."""
    made, at_ms = [], 0
    for index, word in enumerate(text.split()):
        at_ms += (gaps or {}).get(index, 0)
        made.append(Word(str(index), at_ms, at_ms + length_ms, f" {word}"))
        at_ms += length_ms
    return made


@pytest.mark.parametrize(
    "text",
    [
        "We met. | We talked.",
        "Did you? | Yes! | Good.",
        'She said "go." | He went.',
        "(It was late.) | We left.",
        "Dr. Reid and Mrs. Smith came. | They stayed.",
        "J. K. Rowling wrote it. | We read it.",
        "It was so… lonely. | Then it changed… | We met.",
        "It cost 3.5 pounds. | Not much.",
        "No. | We did not.",
        "It is at No. 5 now. | Come in.",
        "It was he and I. | We left.",
        "Det var t.ex. Anna. | Hon kom.",
        "Hon bor på St. Eriksgatan. | Där är det lugnt.",
        "and then they never",
        "Wait... what? | Nothing.",
        "“Why?” she asked. | Once.",
    ],
)
def test_sentences_end_where_they_end(text):
    expected = text.split(" | ")
    assert [segment.text for segment in resegment(words(text.replace(" |", "")))] == expected


@pytest.mark.parametrize(
    ("gap_ms", "segments"),
    [(0, 1), (1_199, 1), (1_200, 2), (5_000, 2)],
    ids=["none", "short", "long", "very long"],
)
def test_a_long_pause_ends_a_segment(gap_ms, segments):
    assert len(resegment(words("and then we just waited", gaps={3: gap_ms}))) == segments


def test_what_goes_on_too_long_is_cut_at_its_pause():
    run = words("word " * 70, gaps={30: 300})
    parts = resegment(run)
    assert [len(part.words) for part in parts] == [30, 40]


@pytest.mark.parametrize("length_ms", [100, 900])
def test_no_segment_is_too_long_and_no_word_is_lost(length_ms):
    run = words("and " * 500, length_ms=length_ms)
    parts = resegment(run)
    assert [word for part in parts for word in part.words] == run
    assert all(len(part.words) <= 60 and part.span.duration_ms <= 30_000 for part in parts)


def test_a_single_endless_word_stays_whole():
    assert len(resegment([Word("0", 0, 45_000, " Oh")])) == 1


def test_nothing_gives_nothing():
    assert resegment([]) == ()


def test_words_without_spaces_between_them_end_at_full_width_stops():
    run = [
        Word(str(i), 100 * i, 100 * i + 100, text)
        for i, text in enumerate(["我们", "来了。", "他们", "走了。"])
    ]
    assert [segment.text for segment in resegment(run)] == ["我们来了。", "他们走了。"]


def test_a_number_told_in_two_words_is_not_parted():
    run = [
        Word(str(i), 100 * i, 100 * i + 100, text)
        for i, text in enumerate([" about", " 3.", "5", " percent."])
    ]
    assert [segment.text for segment in resegment(run)] == ["about 3.5 percent."]
