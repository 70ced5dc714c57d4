"""The tables of a collection, typed.

The key fact: a machine's transcript never changes. Its words keep their ordinal for ever; corrections lie on
top in ``edits``, and ``snapshots`` holds the text as corrected only to be quick: it can always be made again.
Whatever points at words (passages, clips) holds word identities *and* media times *and* the quote.

Times are integer milliseconds from the recording's start, spans half-open; instants are UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Date,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
    true,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Instant(TypeDecorator[datetime]):
    """A moment in UTC; SQLite forgets time zones, so it is given back with one."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive moments; store UTC."""
        if value is not None and value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give UTC back."""
        if value is None or value.tzinfo is not None:
            return value
        return value.replace(tzinfo=UTC)


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


class Base(DeclarativeBase):
    """The tables' common ground: named constraints, JSON columns, UTC instants."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {
        datetime: Instant,
        date: Date,
        str: Text,
        list[Any]: JSON,
        dict[str, Any]: JSON,
    }


def one_of(column: str, *values: str) -> CheckConstraint:
    """Hold ``column`` to the values named."""
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def a_span() -> CheckConstraint:
    """Hold ``start_ms`` and ``end_ms`` in order."""
    return CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name="span_in_order")


class Storyteller(Base):
    """A person who tells stories, as the intake names them."""

    __tablename__ = "storytellers"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True, comment="slug of the intake's name")
    name: Mapped[str]
    role: Mapped[str] = mapped_column(default="")
    sector: Mapped[str] = mapped_column(default="")
    place: Mapped[str] = mapped_column(default="")

    stories: Mapped[list[Story]] = relationship(back_populates="storyteller")


class Story(Base):
    """One person's telling: one or more recordings."""

    __tablename__ = "stories"
    __table_args__ = (one_of("method", "", "self-recorded", "interview"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True, comment="slug of the intake's story")
    title: Mapped[str]
    storyteller_id: Mapped[int | None] = mapped_column(
        ForeignKey("storytellers.id", ondelete="SET NULL"), index=True
    )
    phase: Mapped[str] = mapped_column(default="")
    told_on: Mapped[date | None]
    method: Mapped[str] = mapped_column(String(20), default="")
    language: Mapped[str] = mapped_column(
        String(20), default="", comment="as the intake says; empty: to be found"
    )
    notes: Mapped[str] = mapped_column(default="")

    storyteller: Mapped[Storyteller | None] = relationship(back_populates="stories")
    recordings: Mapped[list[Recording]] = relationship(back_populates="story")
    consents: Mapped[list[Consent]] = relationship(
        back_populates="story", order_by="Consent.id", cascade="all, delete-orphan"
    )


class Consent(Base):
    """A line of the consent log; the newest one holds. Nothing is ever changed in it."""

    __tablename__ = "consents"
    __table_args__ = (one_of("scope", "public", "anonymous", "internal", "withdrawn"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    story_id: Mapped[int] = mapped_column(ForeignKey("stories.id", ondelete="CASCADE"), index=True)
    scope: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(40), comment="intake, or the command that recorded it")
    note: Mapped[str] = mapped_column(default="")
    recorded_at: Mapped[datetime] = mapped_column(default=now)

    story: Mapped[Story] = relationship(back_populates="consents")


class Recording(Base):
    """One media file, known by its bytes."""

    __tablename__ = "recordings"
    __table_args__ = (one_of("kind", "audio", "video"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    story_id: Mapped[int | None] = mapped_column(ForeignKey("stories.id", ondelete="SET NULL"), index=True)
    kind: Mapped[str] = mapped_column(String(10))
    container: Mapped[str] = mapped_column(String(40))
    bytes: Mapped[int] = mapped_column(BigInteger)
    duration_ms: Mapped[int] = mapped_column(comment="milliseconds")
    audio_codec: Mapped[str | None] = mapped_column(String(40))
    sample_rate_hz: Mapped[int | None]
    channels: Mapped[int | None]
    video_codec: Mapped[str | None] = mapped_column(String(40))
    width: Mapped[int | None] = mapped_column(comment="pixels as shown, after rotation")
    height: Mapped[int | None] = mapped_column(comment="pixels as shown, after rotation")
    rotation: Mapped[int] = mapped_column(default=0, comment="degrees, as the container says")
    frame_rate: Mapped[float | None] = mapped_column(comment="frames a second, mean")
    variable_frame_rate: Mapped[bool] = mapped_column(default=False)
    added_at: Mapped[datetime] = mapped_column(default=now)
    speaker_count: Mapped[int] = mapped_column(default=0, comment="how many are known to speak; 0: find out")

    story: Mapped[Story | None] = relationship(back_populates="recordings")
    files: Mapped[list[SourceFile]] = relationship(back_populates="recording", order_by="SourceFile.path")
    renditions: Mapped[list[Rendition]] = relationship(
        back_populates="recording", cascade="all, delete-orphan", order_by="Rendition.kind"
    )
    speakers: Mapped[list[Speaker]] = relationship(
        back_populates="recording", cascade="all, delete-orphan", order_by="Speaker.number"
    )
    transcripts: Mapped[list[Transcript]] = relationship(
        back_populates="recording", cascade="all, delete-orphan", order_by="Transcript.version"
    )
    clips: Mapped[list[Clip]] = relationship(
        back_populates="recording", cascade="all, delete-orphan", order_by="Clip.start_ms"
    )


class SourceFile(Base):
    """A file seen in the collection: which recording its bytes are, or why they are none."""

    __tablename__ = "source_files"

    id: Mapped[int] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(
        String(1000), unique=True, comment="from the collection's folder, or absolute"
    )
    bytes: Mapped[int] = mapped_column(BigInteger)
    mtime_ns: Mapped[int] = mapped_column(
        BigInteger, comment="nanoseconds; the hash is taken again when it changes"
    )
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    recording_id: Mapped[int | None] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), index=True
    )
    problem: Mapped[str] = mapped_column(default="", comment="why it is no recording; empty when it is one")
    seen_at: Mapped[datetime] = mapped_column(default=now)

    recording: Mapped[Recording | None] = relationship(back_populates="files")


class Rendition(Base):
    """A media file derived from a recording, on the recording's own timeline."""

    __tablename__ = "renditions"
    __table_args__ = (
        UniqueConstraint("recording_id", "kind"),
        one_of("kind", "speech", "web", "poster", "waveform"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(20))
    path: Mapped[str] = mapped_column(comment="from the collection's folder")
    media_type: Mapped[str] = mapped_column(String(60))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    duration_ms: Mapped[int | None]
    loudness_lufs: Mapped[float | None] = mapped_column(comment="integrated, EBU R128")
    true_peak_db: Mapped[float | None] = mapped_column(comment="dBTP")

    recording: Mapped[Recording] = relationship(back_populates="renditions")


class Transcript(Base):
    """One version of what is said in a recording, by a machine or imported. Never changed once written."""

    __tablename__ = "transcripts"
    __table_args__ = (
        UniqueConstraint("recording_id", "version"),
        one_of("origin", "machine", "import"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    version: Mapped[int] = mapped_column(comment="1, 2, … within the recording")
    origin: Mapped[str] = mapped_column(String(10), default="machine")
    engine: Mapped[str] = mapped_column(String(40))
    model: Mapped[str] = mapped_column(String(200))
    model_sha256: Mapped[str] = mapped_column(String(64), default="")
    language: Mapped[str] = mapped_column(String(20))
    language_probability: Mapped[float] = mapped_column(default=1.0)
    current: Mapped[bool] = mapped_column(default=True, comment="the version that people see")
    revision: Mapped[int] = mapped_column(default=0, comment="the number of edits laid on top")
    created_at: Mapped[datetime] = mapped_column(default=now)
    prompted: Mapped[list[Any]] = mapped_column(
        default=list, comment="names and terms the recogniser was given to expect"
    )
    other_languages: Mapped[list[Any]] = mapped_column(
        default=list, comment="codes of languages that a good part seems to be in besides"
    )
    source: Mapped[str] = mapped_column(
        default="",
        comment="the file it was imported from, from the collection's folder; empty: a machine heard it",
    )

    recording: Mapped[Recording] = relationship(back_populates="transcripts")
    segments: Mapped[list[Segment]] = relationship(
        cascade="all, delete-orphan", order_by="Segment.ordinal", passive_deletes=True
    )
    words: Mapped[list[Word]] = relationship(
        cascade="all, delete-orphan", order_by="Word.ordinal", passive_deletes=True
    )
    attributions: Mapped[list[Attribution]] = relationship(
        cascade="all, delete-orphan", order_by="Attribution.first_word", passive_deletes=True
    )
    passages: Mapped[list[Passage]] = relationship(
        back_populates="transcript",
        cascade="all, delete-orphan",
        order_by="Passage.ordinal",
        passive_deletes=True,
    )
    edits: Mapped[list[Edit]] = relationship(
        cascade="all, delete-orphan", order_by="Edit.revision", passive_deletes=True
    )
    translation: Mapped[list[Translation]] = relationship(
        cascade="all, delete-orphan", order_by="Translation.ordinal", passive_deletes=True
    )


Index(
    "uq_transcripts_one_current",
    Transcript.recording_id,
    unique=True,
    sqlite_where=Transcript.current == true(),
    postgresql_where=Transcript.current == true(),
)


class Segment(Base):
    """A sentence as the recogniser heard it, with its own measures of doubt."""

    __tablename__ = "segments"
    __table_args__ = (a_span(),)

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    first_word: Mapped[int] = mapped_column(comment="ordinal of its first word")
    last_word: Mapped[int] = mapped_column(comment="ordinal of its last word, included")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    avg_logprob: Mapped[float | None] = mapped_column(comment="mean log-probability of its tokens")
    compression_ratio: Mapped[float | None] = mapped_column(comment="high: it repeats itself")
    no_speech_prob: Mapped[float | None]
    label: Mapped[str] = mapped_column(default="", comment="who speaks, as an imported transcript says")


class Word(Base):
    """One word as the recogniser heard it; (transcript, ordinal) is its identity for ever."""

    __tablename__ = "words"
    __table_args__ = (a_span(),)

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    text: Mapped[str] = mapped_column(comment="with the space before it, as Whisper writes it")
    probability: Mapped[float]


class Translation(Base):
    """A line of a recording in English, as the recogniser heard it, beside the words of the same version."""

    __tablename__ = "translations"
    __table_args__ = (a_span(),)

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    text: Mapped[str]


class Person(Base):
    """Somebody whose voice is heard across the collection: the confirmed speakers are theirs, in each recording one."""

    __tablename__ = "persons"
    __table_args__ = (one_of("role", "", "storyteller", "interviewer", "other"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    role: Mapped[str] = mapped_column(String(20), default="")
    notes: Mapped[str] = mapped_column(default="")
    voiceprint: Mapped[bool] = mapped_column(
        default=True, comment="whether embeddings of this voice may be kept; false once they were forgotten"
    )
    created_at: Mapped[datetime] = mapped_column(default=now)

    speakers: Mapped[list[Speaker]] = relationship(back_populates="person", order_by="Speaker.recording_id")


class Speaker(Base):
    """A voice within one recording."""

    __tablename__ = "speakers"
    __table_args__ = (
        UniqueConstraint("recording_id", "number"),
        one_of("role", "", "storyteller", "interviewer", "other"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"))
    number: Mapped[int] = mapped_column(comment="1, 2, … by first appearance")
    name: Mapped[str] = mapped_column(default="", comment="empty until somebody names it")
    role: Mapped[str] = mapped_column(String(20), default="")
    role_by: Mapped[str] = mapped_column(String(10), default="machine", comment="machine or editor")
    speech_ms: Mapped[int] = mapped_column(default=0)
    embedding: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="voice, float32 unit vector; never kept for anonymous storytellers"
    )
    person_id: Mapped[int | None] = mapped_column(
        ForeignKey("persons.id", ondelete="SET NULL"), index=True, comment="confirmed by an editor"
    )
    encoder: Mapped[str] = mapped_column(
        String(80), default="", comment="what made the embedding; only those of one encoder can be compared"
    )
    voiceprint: Mapped[bool] = mapped_column(
        default=True, comment="whether an embedding may be kept; false once it was forgotten"
    )
    refused: Mapped[list[Any]] = mapped_column(
        default=list, comment="persons by number that an editor said it is not"
    )

    recording: Mapped[Recording] = relationship(back_populates="speakers")
    person: Mapped[Person | None] = relationship(back_populates="speakers")
    turns: Mapped[list[Turn]] = relationship(
        cascade="all, delete-orphan", order_by="Turn.start_ms", passive_deletes=True
    )

    @property
    def label(self) -> str:
        """The name people see."""
        return self.name or self.pseudonym

    @property
    def pseudonym(self) -> str:
        """What stands for a name that is not known, or not told."""
        return f"Speaker {self.number}"


class Turn(Base):
    """A stretch in which one voice is heard, as diarization found it; turns may overlap."""

    __tablename__ = "turns"
    __table_args__ = (a_span(),)

    id: Mapped[int] = mapped_column(primary_key=True)
    speaker_id: Mapped[int] = mapped_column(ForeignKey("speakers.id", ondelete="CASCADE"), index=True)
    start_ms: Mapped[int]
    end_ms: Mapped[int]


class Speech(Base):
    """Where anybody speaks in a recording, by voice activity."""

    __tablename__ = "speech"

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True
    )
    spans: Mapped[list[Any]] = mapped_column(comment="[[start_ms, end_ms], …]")
    overlaps: Mapped[list[Any]] = mapped_column(comment="[[start_ms, end_ms], …] where two speak at once")
    uncertain: Mapped[str] = mapped_column(default="", comment="why the speakers may not be those who spoke")


class Attribution(Base):
    """A run of a transcript's words that one speaker says."""

    __tablename__ = "attributions"

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    first_word: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment="ordinal")
    last_word: Mapped[int] = mapped_column(comment="ordinal, included")
    speaker_id: Mapped[int] = mapped_column(ForeignKey("speakers.id", ondelete="CASCADE"), index=True)


class Edit(Base):
    """An entry of the journal: what an editor changed in a transcript, and how to undo it."""

    __tablename__ = "edits"
    __table_args__ = (
        UniqueConstraint("transcript_id", "revision"),
        one_of("kind", "retext", "name-speaker", "assign-speaker"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"))
    revision: Mapped[int] = mapped_column(comment="the transcript's revision once this is applied")
    kind: Mapped[str] = mapped_column(String(20))
    change: Mapped[dict[str, Any]]
    inverse: Mapped[dict[str, Any]]
    author: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default=now)


class Snapshot(Base):
    """A transcript as corrected, kept to be quick; the journal can always make it again."""

    __tablename__ = "snapshots"

    transcript_id: Mapped[int] = mapped_column(
        ForeignKey("transcripts.id", ondelete="CASCADE"), primary_key=True
    )
    revision: Mapped[int]
    document: Mapped[dict[str, Any]]


class Theme(Base):
    """A theme of the codebook."""

    __tablename__ = "themes"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    examples: Mapped[list[Any]] = mapped_column(default=list)
    colour: Mapped[str | None] = mapped_column(String(20))
    parent: Mapped[str | None] = mapped_column(String(200), comment="key of the theme above")
    position: Mapped[int] = mapped_column(default=0, comment="its place in the codebook")
    retired: Mapped[bool] = mapped_column(default=False, comment="no longer in the codebook, still in use")


class Passage(Base):
    """A run of segments on one subject."""

    __tablename__ = "passages"
    __table_args__ = (UniqueConstraint("transcript_id", "ordinal"), a_span())

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    first_word: Mapped[str] = mapped_column(String(40), comment="word identity")
    last_word: Mapped[str] = mapped_column(String(40), comment="word identity, included")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    quote: Mapped[str]
    unsure: Mapped[bool] = mapped_column(comment="no theme fits well enough to be proposed")
    sentences: Mapped[list[Any]] = mapped_column(
        default=list, comment="[[first word, last word, start_ms, end_ms, text], …]"
    )

    transcript: Mapped[Transcript] = relationship(back_populates="passages")
    themes: Mapped[list[PassageTheme]] = relationship(
        cascade="all, delete-orphan", order_by="PassageTheme.score.desc()", passive_deletes=True
    )


class PassageTheme(Base):
    """How a passage stands to a theme: the machine's score and an editor's word."""

    __tablename__ = "passage_themes"
    __table_args__ = (one_of("state", "scored", "proposed", "accepted", "rejected"),)

    passage_id: Mapped[int] = mapped_column(ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True)
    theme_id: Mapped[int] = mapped_column(
        ForeignKey("themes.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    score: Mapped[float] = mapped_column(comment="0 to 1; from 0.5 on it is proposed")
    state: Mapped[str] = mapped_column(String(10), default="scored")
    why: Mapped[list[Any]] = mapped_column(
        default=list,
        comment="[[first word, last word, share of the score], …]: the sentences that weighed most",
    )

    theme: Mapped[Theme] = relationship()


class Coding(Base):
    """Somebody's word that a theme fits a run of words, or does not. Passages come and go; this stays."""

    __tablename__ = "codings"
    __table_args__ = (
        UniqueConstraint("transcript_id", "theme_id", "first_word", "last_word"),
        one_of("state", "accepted", "rejected"),
        a_span(),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"), index=True)
    theme_id: Mapped[int] = mapped_column(ForeignKey("themes.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(10))
    first_word: Mapped[str] = mapped_column(String(40), comment="word identity")
    last_word: Mapped[str] = mapped_column(String(40), comment="word identity, included")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    quote: Mapped[str]
    author: Mapped[str]
    made_at: Mapped[datetime] = mapped_column(default=now)

    transcript: Mapped[Transcript] = relationship()
    theme: Mapped[Theme] = relationship()


class Labelling(Base):
    """One time that all proposals were brought in step with the codebook and with what editors said."""

    __tablename__ = "labellings"

    id: Mapped[int] = mapped_column(primary_key=True)
    fingerprint: Mapped[str] = mapped_column(
        String(64), comment="of passages, codings, codebook and sentence model; unchanged: nothing to do"
    )
    passages: Mapped[int]
    codings: Mapped[int]
    changed: Mapped[int] = mapped_column(comment="passages whose themes are others than before")
    made_at: Mapped[datetime] = mapped_column(default=now)


class Clip(Base):
    """An excerpt of a recording. Its slug is public and never changes."""

    __tablename__ = "clips"
    __table_args__ = (
        a_span(),
        one_of("state", "proposed", "approved", "rejected", "needs review"),
        one_of("origin", "proposed", "added"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    recording_id: Mapped[int] = mapped_column(ForeignKey("recordings.id", ondelete="CASCADE"), index=True)
    theme_id: Mapped[int | None] = mapped_column(ForeignKey("themes.id", ondelete="SET NULL"), index=True)
    title: Mapped[str] = mapped_column(default="")
    start_ms: Mapped[int]
    end_ms: Mapped[int]
    state: Mapped[str] = mapped_column(String(20), default="proposed")
    origin: Mapped[str] = mapped_column(String(10), default="proposed")
    score: Mapped[float] = mapped_column(default=0.0)
    reasons: Mapped[list[Any]] = mapped_column(default=list)

    recording: Mapped[Recording] = relationship(back_populates="clips")
    theme: Mapped[Theme | None] = relationship()
    links: Mapped[list[ClipLink]] = relationship(
        back_populates="clip", cascade="all, delete-orphan", order_by="ClipLink.transcript_id"
    )
    files: Mapped[list[ClipFile]] = relationship(
        back_populates="clip", cascade="all, delete-orphan", order_by="ClipFile.kind"
    )
    approvals: Mapped[list[Approval]] = relationship(
        back_populates="clip", cascade="all, delete-orphan", order_by="Approval.id"
    )


class ClipLink(Base):
    """Where a clip lies in one version of the transcript: its words, its times, its quote."""

    __tablename__ = "clip_links"
    __table_args__ = (
        UniqueConstraint("clip_id", "transcript_id"),
        a_span(),
        one_of("state", "found", "needs review"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    transcript_id: Mapped[int] = mapped_column(ForeignKey("transcripts.id", ondelete="CASCADE"), index=True)
    revision: Mapped[int] = mapped_column(default=0, comment="the transcript's revision it was found in")
    first_word: Mapped[str] = mapped_column(String(40), comment="word identity")
    last_word: Mapped[str] = mapped_column(String(40), comment="word identity, included")
    start_ms: Mapped[int] = mapped_column(comment="start of the first word")
    end_ms: Mapped[int] = mapped_column(comment="end of the last word")
    quote: Mapped[str]
    state: Mapped[str] = mapped_column(String(20), default="found")

    clip: Mapped[Clip] = relationship(back_populates="links")
    transcript: Mapped[Transcript] = relationship()


class ClipFile(Base):
    """A file cut for a clip: its media, its captions, its poster."""

    __tablename__ = "clip_files"
    __table_args__ = (UniqueConstraint("clip_id", "kind"), one_of("kind", "media", "captions", "poster"))

    id: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(String(10))
    path: Mapped[str] = mapped_column(comment="from the collection's folder")
    media_type: Mapped[str] = mapped_column(String(60))
    bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    fingerprint: Mapped[str] = mapped_column(
        String(64), comment="of what it was made from; unchanged: not made again"
    )
    duration_ms: Mapped[int | None]
    loudness_lufs: Mapped[float | None]
    true_peak_db: Mapped[float | None]

    clip: Mapped[Clip] = relationship(back_populates="files")


class Approval(Base):
    """Somebody said yes to exactly this media and this text; other hashes are not approved."""

    __tablename__ = "approvals"

    id: Mapped[int] = mapped_column(primary_key=True)
    clip_id: Mapped[int] = mapped_column(ForeignKey("clips.id", ondelete="CASCADE"), index=True)
    media_sha256: Mapped[str] = mapped_column(String(64))
    text_sha256: Mapped[str] = mapped_column(String(64), comment="of the captions file")
    author: Mapped[str]
    approved_at: Mapped[datetime] = mapped_column(default=now)
    revoked_at: Mapped[datetime | None]

    clip: Mapped[Clip] = relationship(back_populates="approvals")


class StageRun(Base):
    """One attempt of one stage at one recording. Done with the same fingerprint: nothing to do."""

    __tablename__ = "stage_runs"
    __table_args__ = (
        UniqueConstraint("recording_sha256", "stage", "fingerprint", "attempt"),
        one_of("state", "running", "done", "failed"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    recording_sha256: Mapped[str] = mapped_column(String(64), index=True)
    stage: Mapped[str] = mapped_column(String(20))
    fingerprint: Mapped[str] = mapped_column(String(64), comment="hash of the stage's settings and inputs")
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(String(10), default="running")
    error: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime] = mapped_column(default=now)
    finished_at: Mapped[datetime | None]
    seconds: Mapped[float | None] = mapped_column(comment="wall clock")
