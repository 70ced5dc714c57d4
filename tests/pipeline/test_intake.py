from datetime import date
from pathlib import Path

import pytest

from pipeline import intake
from pipeline.errors import IntakeError

HEADER = "file,story,storyteller,role,sector,place,phase,date,method,language,consent,notes\n"
LINE = "a.m4a,Garden,Margaret Ross,Volunteer,Third sector,Fife,1,2020-05-31,interview,en,public,\n"


def read(tmp_path: Path, content: str | bytes) -> intake.Intake:
    path = tmp_path / "intake.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return intake.read(path)


def test_a_line_is_understood_whole(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + LINE)
    assert found.problems == ()
    (line,) = found.lines
    assert line == intake.IntakeLine(
        line=2,
        file="a.m4a",
        story="Garden",
        storyteller="Margaret Ross",
        role="Volunteer",
        sector="Third sector",
        place="Fife",
        phase="1",
        told_on=date(2020, 5, 31),
        method="interview",
        language="en",
        consent="public",
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a.m4a,,,,,,,31/05/2020,,,public,", "the date '31/05/2020'"),
        ("a.m4a,,,,,,,,telephone,,public,", "the method 'telephone'"),
        ("a.m4a,,,,,,,,,,yes,", "the consent 'yes' is not known, so it counts as internal"),
        ("a.m4a,,,,,,,,,,,", "no consent is given, so it counts as internal"),
        (",Garden,,,,,,,,,public,", "no file is named"),
    ],
)
def test_what_is_not_understood_is_told_with_its_line(tmp_path: Path, line: str, said: str) -> None:
    found = read(tmp_path, HEADER + line + "\n")
    assert any(said in problem and "line 2" in problem for problem in found.problems)
    assert all(one.consent in ("public", "internal") for one in found.lines)


def test_a_transcript_can_be_named_and_nobody_misses_the_column(tmp_path: Path) -> None:
    named = read(tmp_path, f"{HEADER.strip()},transcript\n{LINE.strip()},transcripts/a b.vtt\n")
    assert (named.lines[0].transcript, named.problems) == ("transcripts/a b.vtt", ())
    assert read(tmp_path, HEADER + LINE).lines[0].transcript == ""


@pytest.mark.parametrize("consent", ["yes", "", "PUBLISH", "no"])
def test_an_unknown_consent_never_publishes(tmp_path: Path, consent: str) -> None:
    (line,) = read(tmp_path, HEADER + f"a.m4a,,,,,,,,,,{consent},\n").lines
    assert line.consent == "internal"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(("\ufeff" + HEADER + LINE).encode(), id="byte order mark"),
        pytest.param((HEADER + LINE).replace(",", ";").encode(), id="semicolons"),
        pytest.param((HEADER + LINE).replace(",", "\t").encode(), id="tabs"),
        pytest.param((HEADER + LINE).replace("\n", "\r\n").encode(), id="line ends of Windows"),
        pytest.param((HEADER.upper() + LINE).encode(), id="capitals in the header"),
        pytest.param((HEADER + "# a remark,,,,,,,,,,,\n" + LINE).encode(), id="a remark"),
        pytest.param((HEADER + "\n,,,,,,,,,,,\n" + LINE).encode(), id="empty lines"),
    ],
)
def test_spreadsheets_save_in_many_ways(tmp_path: Path, content: bytes) -> None:
    found = read(tmp_path, content)
    assert [line.storyteller for line in found.lines] == ["Margaret Ross"]
    assert found.problems == ()


def test_names_in_the_code_page_of_windows(tmp_path: Path) -> None:
    found = read(tmp_path, (HEADER + LINE.replace("Margaret Ross", "Zoë Ó Briain")).encode("cp1252"))
    assert found.lines[0].storyteller == "Zoë Ó Briain"


def test_a_file_twice_is_told_and_the_first_line_counts(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + LINE + LINE.replace("Garden", "Other"))
    assert [line.story for line in found.lines] == ["Garden"]
    assert "line 3: 'a.m4a' is on line 2 already" in found.problems[0]


def test_lines_are_found_by_path_then_by_name_in_any_case_and_form(tmp_path: Path) -> None:
    found = read(tmp_path, HEADER + LINE + LINE.replace("a.m4a", "phase 2/Zoe\u0308.MP3"))
    recordings = tmp_path / "recordings"
    assert found.find(recordings / "A.m4a", recordings) is found.lines[0]
    assert found.find(recordings / "phase 2" / "zoë.mp3", recordings) is found.lines[1]
    assert found.find(Path("/elsewhere/a.m4a"), recordings) is found.lines[0]
    assert found.find(recordings / "b.m4a", recordings) is None


def test_a_missing_intake_is_told(tmp_path: Path) -> None:
    assert "missing" in intake.read(tmp_path / "intake.csv").problems[0]


def test_a_table_without_files_is_no_intake(tmp_path: Path) -> None:
    with pytest.raises(IntakeError, match="no column 'file'"):
        read(tmp_path, "name,place\nx,y\n")
