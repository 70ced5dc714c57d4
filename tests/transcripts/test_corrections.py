"""The correction list: which words it means, what case they get, and which line is wrong."""

from pathlib import Path

import pytest

from transcripts.corrections import Corrections, read
from transcripts.errors import CorrectionsError


def listed(folder: Path, text: str | bytes) -> Corrections:
    path = folder / "corrections.txt"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read(path)


@pytest.mark.parametrize(
    ("lines", "text", "expected"),
    [
        ("oban -> Oban", "We met in oban, near Oban.", "We met in Oban, near Oban."),
        ("oban -> Oban", "The urban obans of cobana.", "The urban obans of cobana."),
        ("care manger -> care manager", "Care manger. A care manger!", "Care manager. A care manager!"),
        ("care manger -> care manager", "CARE MANGER", "CARE MANAGER"),
        ("care manger -> care manager", "a care, manger", "a care, manger"),
        ("care manger -> care manager", "a care \n manger", "a care manager"),
        ("manger -> crib\ncare manger -> care manager", "care manger manger", "care manager crib"),
        ("old ban -> Oban", "Old ban and old ban", "Oban and Oban"),
        ("Mark -> Marc", "Mark my words, said Mark; mark them.", "Marc my words, said Marc; mark them."),
        ("ann -> Anne\nAnn -> Anna", "ann and Ann", "Anne and Anna"),
        ("Oban -> Oban Bay", "Oban", "Oban Bay"),
        ("a -> b\nb -> a", "a b a", "b a b"),
        ("don -> Dan", "don't, Don's and don", "don't, Dan's and Dan"),
        ("don't -> do not", "Don’t go, I don't.", "Do not go, I do not."),
        ("covid 19 -> COVID-19", "covid 19, covid 190", "COVID-19, covid 190"),
        ("c++ -> C plus plus", "we use c++.", "we use C plus plus."),
        ("élise -> Elise", "E\u0301lise", "Elise"),
        ("anne -> Anna", "E\u0301lise", "E\u0301lise"),
        ("e\u0301lise -> Elise", "élise Élise", "Elise Elise"),
        ("京都 -> 東京", "私は京都にいる", "私は東京にいる"),
        ("", "nothing", "nothing"),
    ],
)
def test_whole_words_are_replaced_in_their_case(tmp_path: Path, lines: str, text: str, expected: str) -> None:
    assert listed(tmp_path, lines).applied(text) == expected


def test_comments_blank_lines_and_other_editors_marks_are_no_corrections(tmp_path: Path) -> None:
    found = listed(tmp_path, "\ufeff# names\r\n\r\n  oban  ->  Oban  # the town\r\nmull → Mull\n")
    assert [(one.wrong, one.right) for one in found.lines] == [("oban", "Oban"), ("mull", "Mull")]


def test_no_list_is_an_empty_list(tmp_path: Path) -> None:
    assert read(tmp_path / "corrections.txt") == Corrections()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("oban Oban", 1, "there is no ->"),
        ("# one\n\noban => Oban\n", 3, "there is no ->"),
        ("a -> b -> c", 1, "more than one ->"),
        ("-> Oban", 1, "the wrong form has no letter"),
        ("oban ->", 1, "the right form has no letter"),
        ("oban -> # nothing", 1, "the right form has no letter"),
        ("um -> ...", 1, "the right form has no letter"),
        ("oban -> Oban\nmull -> Mull\noban -> Obann", 3, '"oban" is on line 1 already'),
        (b"oban -> Oban\nm\xfcll -> Mull\n", 2, "UTF-8"),
    ],
)
def test_a_mistake_is_told_in_one_sentence_with_its_line(
    tmp_path: Path, text: str | bytes, line: int, said: str
) -> None:
    with pytest.raises(CorrectionsError, match=said) as caught:
        listed(tmp_path, text)
    assert caught.value.line == line
    assert f"corrections.txt, line {line}: " in str(caught.value)
    assert "\n" not in str(caught.value)
