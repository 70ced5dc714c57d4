"""Full text over all transcripts: what was said, by whom, when.

What is searched lies in ``search_lines``, an ordinary table: a line goes when its recording goes. On SQLite
an FTS5 index stands beside it, kept in step by triggers (the migrations make both); other databases are
searched with LIKE, which finds parts of words too.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import islice

from sqlalchemy import Connection, ForeignKey, String, delete, insert, select, text
from sqlalchemy.exc import DatabaseError as DriverError
from sqlalchemy.orm import Mapped, Session, mapped_column

from db.models import Base

MARK_START, MARK_END = "\x02", "\x03"
"""What stands around a match in ``Hit.marked``; a text itself never holds them."""

MAX_TERMS = 64
"""Words and phrases looked for at once; what is typed beyond them is left out."""

MAX_TYPED = 4000
"""Characters read of what is typed."""

INDEX = "search_index"
"""The FTS5 table; it keeps tables of its own whose names go on with an underscore."""

ROWS_AT_ONCE = 1000


class SearchLine(Base):
    """A segment as it can be found: a copy, made again whenever the transcript changes."""

    __tablename__ = "search_lines"

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"), index=True)
    segment: Mapped[str] = mapped_column(String(40), comment="word identity of its first word")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    speaker: Mapped[str] = mapped_column(comment="the name people see")
    text: Mapped[str]


@dataclass(frozen=True, slots=True)
class SearchRow:
    """A segment to be found. ``segment`` is the identity of its first word."""

    segment: str
    start_ms: int
    end_ms: int
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A segment that was found.

    ``marked`` is ``text`` with each match between MARK_START and MARK_END. ``rank`` orders hits, the smallest
    first (FTS5's bm25; 0 where there is no FTS5).
    """

    recording_id: int
    transcript_id: int
    segment: str
    start_ms: int
    end_ms: int
    speaker: str
    text: str
    marked: str
    rank: float


@dataclass(frozen=True, slots=True)
class Term:
    """A word or phrase to look for; with ``prefix``, its last word may go on."""

    words: str
    prefix: bool = False


def terms(typed: str) -> list[Term]:
    """Read what a person typed: words, "phrases", beginnings*. Nothing that can be typed is an error.

    >>> terms('"round table" stor*')
    [Term(words='round table', prefix=False), Term(words='stor', prefix=True)]
    """
    found = (
        Term(phrase or word.rstrip("*"), bool(star) or (not phrase and word.endswith("*")))
        for phrase, star, word in _TERM.findall(_clean(typed[:MAX_TYPED]).translate(_QUOTES))
    )
    return list(islice((term for term in found if _is_searchable(term.words)), MAX_TERMS))


def index_transcript(
    session: Session, recording_id: int, transcript_id: int, rows: Iterable[SearchRow]
) -> None:
    """Make ``rows`` what is found of a recording, in the place of what was."""
    session.execute(delete(SearchLine).where(SearchLine.recording_id == recording_id))
    here = {"recording_id": recording_id, "transcript_id": transcript_id}
    lines = ({**here, **asdict(row), "text": _clean(row.text)} for row in rows)
    while batch := list(islice(lines, ROWS_AT_ONCE)):
        session.execute(insert(SearchLine), batch)


def search(
    session: Session, words: str, *, limit: int = 50, offset: int = 0, recording_id: int | None = None
) -> list[Hit]:
    """Find the segments that hold everything typed: each word, each "phrase", each beginning*; best first.

    Capitals and, on SQLite, accents do not matter. Nothing to look for finds nothing.
    """
    wanted = terms(words)
    if not wanted:
        return []
    find = _find_by_index if session.get_bind().dialect.name == "sqlite" else find_by_like
    return find(session, wanted, max(limit, 0), max(offset, 0), recording_id)


def find_by_like(
    session: Session, wanted: Sequence[Term], limit: int, offset: int, recording_id: int | None
) -> list[Hit]:
    """Find by LIKE, on any database; hits in the order of the recordings and their time."""
    query = select(SearchLine).where(
        *(SearchLine.text.icontains(term.words, autoescape=True) for term in wanted)
    )
    if recording_id is not None:
        query = query.where(SearchLine.recording_id == recording_id)
    query = query.order_by(SearchLine.recording_id, SearchLine.start_ms, SearchLine.id)
    anything = re.compile("|".join(re.escape(term.words) for term in wanted), re.IGNORECASE)
    return [
        Hit(
            line.recording_id,
            line.transcript_id,
            line.segment,
            line.start_ms,
            line.end_ms,
            line.speaker,
            line.text,
            anything.sub(lambda match: f"{MARK_START}{match[0]}{MARK_END}", line.text),
            0.0,
        )
        for line in session.scalars(query.limit(limit).offset(offset))
    ]


def rebuild_index(session: Session) -> None:
    """Make the FTS5 index again from the lines; nothing to do on other databases."""
    if session.get_bind().dialect.name == "sqlite":
        session.execute(text("INSERT INTO search_index (search_index) VALUES ('rebuild')"))


def index_is_sound(connection: Connection) -> bool:
    """Whether the FTS5 index agrees with the lines."""
    try:
        connection.execute(
            text("INSERT INTO search_index (search_index, rank) VALUES ('integrity-check', 1)")
        )
    except DriverError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CORRUPT:
            return False
        raise
    return True


def is_of_the_index(table: str | None) -> bool:
    """Whether a table is FTS5's, not one that is declared."""
    return table is not None and (table == INDEX or table.startswith(f"{INDEX}_"))


_QUOTES = str.maketrans(dict.fromkeys("“”„‟«»", '"'))
_TERM = re.compile(r'"([^"]+)"(\*?)|([^\s"]+)')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# FTS5 itself sorts when the order is by rank alone: only the rows of the page are then read and marked.
_BY_INDEX = text(
    """
    SELECT line.recording_id, line.transcript_id, line.segment, line.start_ms, line.end_ms, line.speaker,
           line.text, highlight(search_index, 0, :mark_start, :mark_end) AS marked, search_index.rank
    FROM search_index CROSS JOIN search_lines AS line ON line.id = search_index.rowid
    WHERE search_index MATCH :expression AND (:recording_id IS NULL OR line.recording_id = :recording_id)
    ORDER BY search_index.rank
    LIMIT :limit OFFSET :offset
    """
)


def _find_by_index(
    session: Session, wanted: Sequence[Term], limit: int, offset: int, recording_id: int | None
) -> list[Hit]:
    values = {
        "expression": _fts5_expression(wanted),
        "recording_id": recording_id,
        "limit": limit,
        "offset": offset,
        "mark_start": MARK_START,
        "mark_end": MARK_END,
    }
    return [Hit(*row) for row in session.execute(_BY_INDEX, values)]


def _fts5_expression(wanted: Iterable[Term]) -> str:
    # Inside double quotes FTS5 knows no operators, and a term holds no double quote.
    return " ".join(f'"{term.words}"{"*" if term.prefix else ""}' for term in wanted)


def _clean(given: str) -> str:
    """NFC, in what UTF-8 can say, without control characters."""
    sayable = given.encode("utf-8", "replace").decode("utf-8")
    return unicodedata.normalize("NFC", _CONTROL.sub(" ", sayable))


def _is_searchable(words: str) -> bool:
    """Whether FTS5's tokenizer finds anything in it."""
    return any(unicodedata.category(character)[0] in "LN" for character in words)
