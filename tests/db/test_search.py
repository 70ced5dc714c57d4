"""What people type finds what was said, and nothing that can be typed is an error."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from db.engine import Sessions, open_database, sessions
from db.models import Recording, Transcript
from db.search import (
    MARK_END,
    MARK_START,
    MAX_TERMS,
    Hit,
    SearchLine,
    SearchRow,
    Term,
    find_by_like,
    index_transcript,
    search,
    terms,
)

SAID = [
    "We sat around the kitchen table, and nobody spoke.",
    "The table in the kitchen was old.",
    "My key worker said: don't give up!",
    "It is co-produced, and self-recorded (mostly).",
    "Jag bor på en ö utanför Göteborg.",
    "The café closed in 2019 at 3.5 degrees.",
    "Kitchens and cooking, kitchen and cooks.",
    "She said “near AND far”, NOT either OR both.",
    "100% of_us were there.",
]

AnyRecording = Callable[..., Recording]


def rows(said: list[str]) -> list[SearchRow]:
    return [SearchRow(str(n), n * 1000, n * 1000 + 900, "Ada", line) for n, line in enumerate(said)]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sessions]:
    engine = open_database(tmp_path_factory.mktemp("library") / "stories.db")
    making = sessions(engine)
    with making.begin() as session:
        for name, said in (("a", SAID), ("b", ["Nothing but the harbour."])):
            transcript = Transcript(version=1, engine="whisper", model="demo", language="en")
            recording = Recording(
                sha256=name * 64,
                kind="audio",
                container="mp3",
                bytes=1,
                duration_ms=9000,
                transcripts=[transcript],
            )
            session.add(recording)
            session.flush()
            index_transcript(session, recording.id, transcript.id, rows(said))
    yield making
    engine.dispose()


@pytest.fixture
def session(library: Sessions) -> Iterator[Session]:
    """A session of the library; what a test changes in it is never committed."""
    with library() as session:
        yield session


def found(hits: list[Hit]) -> set[int]:
    return {SAID.index(hit.text) for hit in hits}


QUERIES = [
    ("kitchen", {0, 1, 6}),
    ("KITCHEN Table", {0, 1}),
    ('"kitchen table"', {0}),
    ('"the kitchen" table', {0, 1}),
    ("“kitchen table”", {0}),
    ("”kitchen table”", {0}),
    ("«kitchen table»", {0}),
    ("kitch*", {0, 1, 6}),
    ("kitch", set()),
    ('"kitchen tab"*', {0}),
    ('"kitchen tab"', set()),
    ("don't", {2}),
    ("don’t", {2}),
    ("worker:", {2}),
    ("text:kitchen", set()),
    ("-kitchen", {0, 1, 6}),
    ("self-recorded", {3}),
    ("co-produced self*", {3}),
    ("goteborg", {4}),
    ("Go\u0308teborg", {4}),
    ("på ö", {4}),
    ("cafe", {5}),
    ("3.5", {5}),
    ("near", {7}),
    ("near AND far", {7}),
    ("NOT", {7}),
    ("NEAR(kitchen table)", set()),
    ("kitchen OR harbour", set()),
    ("100%", {8}),
    ("of_us", {8}),
    ('kitchen "', {0, 1, 6}),
    ('"kitchen', {0, 1, 6}),
    ("kitchen *", {0, 1, 6}),
    ("kitchen ! ? (", {0, 1, 6}),
    ("kitchen\x00table", {0, 1}),
    ("kitchen\ntable", {0, 1}),
]


@pytest.mark.parametrize(("typed", "lines"), QUERIES)
def test_what_is_typed_finds(session: Session, typed: str, lines: set[int]) -> None:
    assert found(search(session, typed)) == lines


@pytest.mark.parametrize(
    "typed", ["", " ", '"', '""', "*", "-", "***", "' ( ) : ^ +", "\x00", "\ud800", "…", "—"]
)
def test_nothing_to_look_for_finds_nothing(session: Session, typed: str) -> None:
    assert search(session, typed) == []


def test_hostile_input_is_never_an_error(session: Session) -> None:
    chance = random.Random(11)
    pieces = [
        *"\"'*-+^:(){}[],.;%_\\/?!&|~`@#$\x00\x01\x02\x03\n\t",
        *(
            "AND",
            "OR",
            "NOT",
            "NEAR",
            "NEAR(",
            "NEAR/3",
            "rowid",
            "rank",
            "text:",
            "kitchen",
            "tab",
            " ",
            "  ",
        ),
        *("ö", "日記", "\ud83d", "😀", "\u202e", "\u0301", "\ufeff", "“", "”", "'; DROP TABLE words; --"),
        *("search_index", ":expression", "{text}", "- text:", '"a" + "b"', '"*"', "x" * 5000, "a " * 300),
    ]
    for _ in range(1000):
        typed = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        for hit in search(session, typed, limit=3):
            assert hit.text in SAID or "harbour" in hit.text
    for first, second in itertools.product(pieces, repeat=2):
        search(session, first + second, limit=1)
    assert session.scalar(select(func.count()).select_from(SearchLine)) == len(SAID) + 1


def test_any_text_can_be_indexed_and_each_of_its_words_finds_it(
    making: Sessions, a_recording: AnyRecording
) -> None:
    chance = random.Random(5)
    alphabet = "abcåäöéçñŁłδжשنक日 \"'*-:()^\x00\x02\x03\ud800%_"
    said = ["".join(chance.choices(alphabet, k=30)) for _ in range(100)]
    with making.begin() as session:
        recording = a_recording()
        session.add(recording)
        session.flush()
        index_transcript(session, recording.id, recording.transcripts[0].id, rows(said))
        for line in session.scalars(select(SearchLine)).all():
            for word in re.findall(r"[^\s\"*]+", line.text):
                if terms(word):
                    hits = search(session, word, limit=500)
                    assert line.segment in {hit.segment for hit in hits}, (word, line.text)


def test_a_hit_tells_who_when_and_where(session: Session) -> None:
    [hit] = search(session, "key worker")
    assert (hit.recording_id, hit.transcript_id, hit.segment) == (1, 1, "2")
    assert (hit.start_ms, hit.end_ms, hit.speaker) == (2000, 2900, "Ada")


MARKS = [
    ("kitchen", "We sat around the <kitchen> table, and nobody spoke."),
    ('"kitchen table"', "We sat around the <kitchen table>, and nobody spoke."),
    ("spo* the", "We sat around <the> kitchen table, and nobody <spoke>."),
]


@pytest.mark.parametrize(("typed", "marked"), MARKS)
def test_matches_are_marked(session: Session, typed: str, marked: str) -> None:
    hit = next(hit for hit in search(session, typed) if hit.segment == "0")
    assert hit.marked.replace(MARK_START, "<").replace(MARK_END, ">") == marked
    assert hit.marked.replace(MARK_START, "").replace(MARK_END, "") == hit.text


def test_a_text_cannot_forge_marks(making: Sessions, a_recording: AnyRecording) -> None:
    with making.begin() as session:
        recording = a_recording()
        session.add(recording)
        session.flush()
        forged = f"tea {MARK_START}cake{MARK_END}"
        index_transcript(session, recording.id, recording.transcripts[0].id, rows([forged]))
        [hit] = search(session, "tea")
    assert hit.marked == f"{MARK_START}tea{MARK_END}  cake "


def test_the_best_comes_first_and_pages_join(session: Session) -> None:
    everything = search(session, "kitchen")
    assert everything[0].text == SAID[6] or everything[0].text == SAID[1]
    assert [hit.rank for hit in everything] == sorted(hit.rank for hit in everything)
    pages = [search(session, "kitchen", limit=1, offset=n) for n in range(4)]
    assert [hit for page in pages for hit in page] == everything


@pytest.mark.parametrize(
    ("limit", "offset", "count"), [(2, 0, 2), (0, 0, 0), (-1, 0, 0), (50, -3, 3), (50, 99, 0)]
)
def test_limits(session: Session, limit: int, offset: int, count: int) -> None:
    assert len(search(session, "kitchen", limit=limit, offset=offset)) == count


def test_within_one_recording(session: Session) -> None:
    assert len(search(session, "the")) == 4
    assert [hit.text for hit in search(session, "the", recording_id=2)] == ["Nothing but the harbour."]
    assert search(session, "the", recording_id=99) == []


def test_indexing_again_replaces(session: Session) -> None:
    index_transcript(session, 1, 1, rows(["All new."]))
    assert search(session, "kitchen") == []
    assert [hit.text for hit in search(session, "new")] == ["All new."]
    assert len(search(session, "harbour")) == 1


def test_indexing_many_rows_from_an_iterator(session: Session) -> None:
    index_transcript(session, 1, 1, (SearchRow(str(n), n, n, "", f"line {n}") for n in range(2500)))
    assert len(search(session, "line", limit=9999)) == 2500
    assert [hit.segment for hit in search(session, '"line 2499"')] == ["2499"]


def test_a_changed_line_is_found_by_its_new_words(session: Session) -> None:
    session.execute(text("UPDATE search_lines SET text = 'All new.' WHERE text LIKE 'We sat%'"))
    assert search(session, "nobody") == []
    assert len(search(session, "new")) == 1


@pytest.mark.parametrize("table", [Recording, Transcript])
def test_what_is_deleted_is_no_longer_found(
    session: Session, table: type[Recording] | type[Transcript]
) -> None:
    session.execute(delete(table).where(table.id == 1))
    assert search(session, "kitchen") == []
    session.execute(text("INSERT INTO search_index (search_index, rank) VALUES ('integrity-check', 1)"))


def test_terms_beyond_the_bound_are_left_out() -> None:
    assert len(terms("tea " * 500)) == MAX_TERMS


LIKES = [
    ("kitchen table", {0, 1}),
    ('"kitchen table"', {0}),
    ("100%", {8}),
    ("of_us", {8}),
    ("%", set()),
    ("don't", {2}),
    ("kitch*", {0, 1, 6}),
]


@pytest.mark.parametrize(("typed", "lines"), LIKES)
def test_without_fts5(session: Session, typed: str, lines: set[int]) -> None:
    wanted = terms(typed)
    hits = find_by_like(session, wanted, 50, 0, 1) if wanted else []
    assert found(hits) == lines
    for hit in hits:
        assert hit.marked.count(MARK_START) >= len(wanted)
        assert hit.marked.replace(MARK_START, "").replace(MARK_END, "") == hit.text


def test_reading_what_is_typed() -> None:
    assert terms('a "b c" d* "e f"* "" "g') == [
        Term("a"),
        Term("b c"),
        Term("d", prefix=True),
        Term("e f", prefix=True),
        Term("g"),
    ]
