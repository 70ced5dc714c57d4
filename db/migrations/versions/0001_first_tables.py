"""The first tables, and on SQLite the full-text index beside ``search_lines``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

INDEX = (
    """
    CREATE VIRTUAL TABLE search_index
    USING fts5(text, content='search_lines', content_rowid='id', tokenize='unicode61 remove_diacritics 2')
    """,
    """
    CREATE TRIGGER search_lines_added AFTER INSERT ON search_lines BEGIN
        INSERT INTO search_index (rowid, text) VALUES (new.id, new.text);
    END
    """,
    """
    CREATE TRIGGER search_lines_removed AFTER DELETE ON search_lines BEGIN
        INSERT INTO search_index (search_index, rowid, text) VALUES ('delete', old.id, old.text);
    END
    """,
    """
    CREATE TRIGGER search_lines_changed AFTER UPDATE ON search_lines BEGIN
        INSERT INTO search_index (search_index, rowid, text) VALUES ('delete', old.id, old.text);
        INSERT INTO search_index (rowid, text) VALUES (new.id, new.text);
    END
    """,
)


def upgrade() -> None:
    op.create_table(
        "stage_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_sha256", sa.String(length=64), nullable=False),
        sa.Column("stage", sa.String(length=20), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(length=64),
            nullable=False,
            comment="hash of the stage's settings and inputs",
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seconds", sa.Double(), nullable=True, comment="wall clock"),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_stage_runs_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stage_runs")),
        sa.UniqueConstraint(
            "recording_sha256",
            "stage",
            "fingerprint",
            "attempt",
            name=op.f("uq_stage_runs_recording_sha256_stage_fingerprint_attempt"),
        ),
    )
    op.create_index(op.f("ix_stage_runs_recording_sha256"), "stage_runs", ["recording_sha256"])

    op.create_table(
        "storytellers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False, comment="slug of the intake's name"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("sector", sa.Text(), nullable=False),
        sa.Column("place", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_storytellers")),
        sa.UniqueConstraint("key", name=op.f("uq_storytellers_key")),
    )
    op.create_table(
        "themes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("examples", sa.JSON(), nullable=False),
        sa.Column("colour", sa.String(length=20), nullable=True),
        sa.Column("parent", sa.String(length=200), nullable=True, comment="key of the theme above"),
        sa.Column("position", sa.Integer(), nullable=False, comment="its place in the codebook"),
        sa.Column("retired", sa.Boolean(), nullable=False, comment="no longer in the codebook, still in use"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_themes")),
        sa.UniqueConstraint("key", name=op.f("uq_themes_key")),
    )
    op.create_table(
        "stories",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False, comment="slug of the intake's story"),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("storyteller_id", sa.Integer(), nullable=True),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("told_on", sa.Date(), nullable=True),
        sa.Column("method", sa.String(length=20), nullable=False),
        sa.Column(
            "language", sa.String(length=20), nullable=False, comment="as the intake says; empty: to be found"
        ),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "method IN ('', 'self-recorded', 'interview')", name=op.f("ck_stories_method_known")
        ),
        sa.ForeignKeyConstraint(
            ["storyteller_id"],
            ["storytellers.id"],
            name=op.f("fk_stories_storyteller_id"),
            ondelete="SET NULL",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stories")),
        sa.UniqueConstraint("key", name=op.f("uq_stories_key")),
    )
    op.create_index(op.f("ix_stories_storyteller_id"), "stories", ["storyteller_id"])

    op.create_table(
        "consents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=20), nullable=False),
        sa.Column(
            "source", sa.String(length=40), nullable=False, comment="intake, or the command that recorded it"
        ),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "scope IN ('public', 'anonymous', 'internal', 'withdrawn')", name=op.f("ck_consents_scope_known")
        ),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name=op.f("fk_consents_story_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
    )
    op.create_index(op.f("ix_consents_story_id"), "consents", ["story_id"])

    op.create_table(
        "recordings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("story_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("container", sa.String(length=40), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False, comment="milliseconds"),
        sa.Column("audio_codec", sa.String(length=40), nullable=True),
        sa.Column("sample_rate_hz", sa.Integer(), nullable=True),
        sa.Column("channels", sa.Integer(), nullable=True),
        sa.Column("video_codec", sa.String(length=40), nullable=True),
        sa.Column("width", sa.Integer(), nullable=True, comment="pixels as shown, after rotation"),
        sa.Column("height", sa.Integer(), nullable=True, comment="pixels as shown, after rotation"),
        sa.Column("rotation", sa.Integer(), nullable=False, comment="degrees, as the container says"),
        sa.Column("frame_rate", sa.Double(), nullable=True, comment="frames a second, mean"),
        sa.Column("variable_frame_rate", sa.Boolean(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('audio', 'video')", name=op.f("ck_recordings_kind_known")),
        sa.ForeignKeyConstraint(
            ["story_id"], ["stories.id"], name=op.f("fk_recordings_story_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
        sa.UniqueConstraint("sha256", name=op.f("uq_recordings_sha256")),
    )
    op.create_index(op.f("ix_recordings_story_id"), "recordings", ["story_id"])

    op.create_table(
        "clips",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("slug", sa.String(length=100), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("theme_id", sa.Integer(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("reasons", sa.JSON(), nullable=False),
        sa.CheckConstraint("origin IN ('proposed', 'added')", name=op.f("ck_clips_origin_known")),
        sa.CheckConstraint(
            "state IN ('proposed', 'approved', 'rejected', 'needs review')", name=op.f("ck_clips_state_known")
        ),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_clips_span_in_order")),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_clips_recording_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["theme_id"], ["themes.id"], name=op.f("fk_clips_theme_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clips")),
        sa.UniqueConstraint("slug", name=op.f("uq_clips_slug")),
    )
    op.create_index(op.f("ix_clips_recording_id"), "clips", ["recording_id"])
    op.create_index(op.f("ix_clips_theme_id"), "clips", ["theme_id"])

    op.create_table(
        "renditions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, comment="from the collection's folder"),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("loudness_lufs", sa.Double(), nullable=True, comment="integrated, EBU R128"),
        sa.Column("true_peak_db", sa.Double(), nullable=True, comment="dBTP"),
        sa.CheckConstraint(
            "kind IN ('speech', 'web', 'poster', 'waveform')", name=op.f("ck_renditions_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_renditions_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_renditions")),
        sa.UniqueConstraint("recording_id", "kind", name=op.f("uq_renditions_recording_id_kind")),
    )
    op.create_table(
        "source_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "path",
            sa.String(length=1000),
            nullable=False,
            comment="from the collection's folder, or absolute",
        ),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column(
            "mtime_ns",
            sa.BigInteger(),
            nullable=False,
            comment="nanoseconds; the hash is taken again when it changes",
        ),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=True),
        sa.Column(
            "problem", sa.Text(), nullable=False, comment="why it is no recording; empty when it is one"
        ),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_source_files_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_files")),
        sa.UniqueConstraint("path", name=op.f("uq_source_files_path")),
    )
    op.create_index(op.f("ix_source_files_recording_id"), "source_files", ["recording_id"])
    op.create_index(op.f("ix_source_files_sha256"), "source_files", ["sha256"])

    op.create_table(
        "speakers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False, comment="1, 2, … by first appearance"),
        sa.Column("name", sa.Text(), nullable=False, comment="empty until somebody names it"),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("role_by", sa.String(length=10), nullable=False, comment="machine or editor"),
        sa.Column("speech_ms", sa.Integer(), nullable=False),
        sa.Column(
            "embedding",
            sa.LargeBinary(),
            nullable=True,
            comment="voice, float32 unit vector; never kept for anonymous storytellers",
        ),
        sa.CheckConstraint(
            "role IN ('', 'storyteller', 'interviewer', 'other')", name=op.f("ck_speakers_role_known")
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_speakers_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_speakers")),
        sa.UniqueConstraint("recording_id", "number", name=op.f("uq_speakers_recording_id_number")),
    )
    op.create_table(
        "speech",
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("spans", sa.JSON(), nullable=False, comment="[[start_ms, end_ms], …]"),
        sa.Column(
            "overlaps", sa.JSON(), nullable=False, comment="[[start_ms, end_ms], …] where two speak at once"
        ),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_speech_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("recording_id", name=op.f("pk_speech")),
    )
    op.create_table(
        "transcripts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False, comment="1, 2, … within the recording"),
        sa.Column("origin", sa.String(length=10), nullable=False),
        sa.Column("engine", sa.String(length=40), nullable=False),
        sa.Column("model", sa.String(length=200), nullable=False),
        sa.Column("model_sha256", sa.String(length=64), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("language_probability", sa.Double(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False, comment="the version that people see"),
        sa.Column("revision", sa.Integer(), nullable=False, comment="the number of edits laid on top"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("origin IN ('machine', 'import')", name=op.f("ck_transcripts_origin_known")),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_transcripts_recording_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transcripts")),
        sa.UniqueConstraint("recording_id", "version", name=op.f("uq_transcripts_recording_id_version")),
    )
    op.create_index(
        "uq_transcripts_one_current",
        "transcripts",
        ["recording_id"],
        unique=True,
        sqlite_where=sa.text("current = 1"),
        postgresql_where=sa.text("current = true"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("media_sha256", sa.String(length=64), nullable=False),
        sa.Column("text_sha256", sa.String(length=64), nullable=False, comment="of the captions file"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("approved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["clip_id"], ["clips.id"], name=op.f("fk_approvals_clip_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_approvals")),
    )
    op.create_index(op.f("ix_approvals_clip_id"), "approvals", ["clip_id"])

    op.create_table(
        "attributions",
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("first_word", sa.Integer(), autoincrement=False, nullable=False, comment="ordinal"),
        sa.Column("last_word", sa.Integer(), nullable=False, comment="ordinal, included"),
        sa.Column("speaker_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["speaker_id"], ["speakers.id"], name=op.f("fk_attributions_speaker_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name=op.f("fk_attributions_transcript_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transcript_id", "first_word", name=op.f("pk_attributions")),
    )
    op.create_index(op.f("ix_attributions_speaker_id"), "attributions", ["speaker_id"])

    op.create_table(
        "clip_files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("path", sa.Text(), nullable=False, comment="from the collection's folder"),
        sa.Column("media_type", sa.String(length=60), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(length=64),
            nullable=False,
            comment="of what it was made from; unchanged: not made again",
        ),
        sa.Column("duration_ms", sa.Integer(), nullable=True),
        sa.Column("loudness_lufs", sa.Double(), nullable=True),
        sa.Column("true_peak_db", sa.Double(), nullable=True),
        sa.CheckConstraint("kind IN ('media', 'captions', 'poster')", name=op.f("ck_clip_files_kind_known")),
        sa.ForeignKeyConstraint(
            ["clip_id"], ["clips.id"], name=op.f("fk_clip_files_clip_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clip_files")),
        sa.UniqueConstraint("clip_id", "kind", name=op.f("uq_clip_files_clip_id_kind")),
    )
    op.create_table(
        "clip_links",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("clip_id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="the transcript's revision it was found in"
        ),
        sa.Column("first_word", sa.String(length=40), nullable=False, comment="word identity"),
        sa.Column("last_word", sa.String(length=40), nullable=False, comment="word identity, included"),
        sa.Column("start_ms", sa.Integer(), nullable=False, comment="start of the first word"),
        sa.Column("end_ms", sa.Integer(), nullable=False, comment="end of the last word"),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.CheckConstraint("state IN ('found', 'needs review')", name=op.f("ck_clip_links_state_known")),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_clip_links_span_in_order")),
        sa.ForeignKeyConstraint(
            ["clip_id"], ["clips.id"], name=op.f("fk_clip_links_clip_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name=op.f("fk_clip_links_transcript_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clip_links")),
        sa.UniqueConstraint("clip_id", "transcript_id", name=op.f("uq_clip_links_clip_id_transcript_id")),
    )
    op.create_index(op.f("ix_clip_links_transcript_id"), "clip_links", ["transcript_id"])

    op.create_table(
        "edits",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column(
            "revision", sa.Integer(), nullable=False, comment="the transcript's revision once this is applied"
        ),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("change", sa.JSON(), nullable=False),
        sa.Column("inverse", sa.JSON(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('retext', 'name-speaker', 'assign-speaker')", name=op.f("ck_edits_kind_known")
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_edits_transcript_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_edits")),
        sa.UniqueConstraint("transcript_id", "revision", name=op.f("uq_edits_transcript_id_revision")),
    )
    op.create_table(
        "passages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("first_word", sa.String(length=40), nullable=False, comment="word identity"),
        sa.Column("last_word", sa.String(length=40), nullable=False, comment="word identity, included"),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("unsure", sa.Boolean(), nullable=False, comment="no theme fits well enough to be proposed"),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_passages_span_in_order")),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_passages_transcript_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passages")),
        sa.UniqueConstraint("transcript_id", "ordinal", name=op.f("uq_passages_transcript_id_ordinal")),
    )
    op.create_table(
        "search_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("recording_id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("segment", sa.String(length=40), nullable=False, comment="word identity of its first word"),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("speaker", sa.Text(), nullable=False, comment="the name people see"),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["recording_id"], ["recordings.id"], name=op.f("fk_search_lines_recording_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name=op.f("fk_search_lines_transcript_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_lines")),
    )
    op.create_index(op.f("ix_search_lines_recording_id"), "search_lines", ["recording_id"])
    op.create_index(op.f("ix_search_lines_transcript_id"), "search_lines", ["transcript_id"])

    op.create_table(
        "segments",
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("first_word", sa.Integer(), nullable=False, comment="ordinal of its first word"),
        sa.Column("last_word", sa.Integer(), nullable=False, comment="ordinal of its last word, included"),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("avg_logprob", sa.Double(), nullable=True, comment="mean log-probability of its tokens"),
        sa.Column("compression_ratio", sa.Double(), nullable=True, comment="high: it repeats itself"),
        sa.Column("no_speech_prob", sa.Double(), nullable=True),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_segments_span_in_order")),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_segments_transcript_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("transcript_id", "ordinal", name=op.f("pk_segments")),
    )
    op.create_table(
        "snapshots",
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_snapshots_transcript_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("transcript_id", name=op.f("pk_snapshots")),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("speaker_id", sa.Integer(), nullable=False),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_turns_span_in_order")),
        sa.ForeignKeyConstraint(
            ["speaker_id"], ["speakers.id"], name=op.f("fk_turns_speaker_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_turns")),
    )
    op.create_index(op.f("ix_turns_speaker_id"), "turns", ["speaker_id"])

    op.create_table(
        "words",
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="with the space before it, as Whisper writes it"
        ),
        sa.Column("probability", sa.Double(), nullable=False),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_words_span_in_order")),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_words_transcript_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("transcript_id", "ordinal", name=op.f("pk_words")),
    )
    op.create_table(
        "passage_themes",
        sa.Column("passage_id", sa.Integer(), nullable=False),
        sa.Column("theme_id", sa.Integer(), nullable=False),
        sa.Column("score", sa.Double(), nullable=False, comment="cosine, the theme's mean taken away"),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.CheckConstraint(
            "state IN ('scored', 'proposed', 'accepted', 'rejected')",
            name=op.f("ck_passage_themes_state_known"),
        ),
        sa.ForeignKeyConstraint(
            ["passage_id"], ["passages.id"], name=op.f("fk_passage_themes_passage_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["theme_id"], ["themes.id"], name=op.f("fk_passage_themes_theme_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("passage_id", "theme_id", name=op.f("pk_passage_themes")),
    )
    op.create_index(op.f("ix_passage_themes_theme_id"), "passage_themes", ["theme_id"])
    if op.get_context().dialect.name == "sqlite":
        for statement in INDEX:
            op.execute(statement)


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TABLE search_index")
    op.drop_table("passage_themes")
    op.drop_table("words")
    op.drop_table("turns")
    op.drop_table("snapshots")
    op.drop_table("segments")
    op.drop_table("search_lines")
    op.drop_table("passages")
    op.drop_table("edits")
    op.drop_table("clip_links")
    op.drop_table("clip_files")
    op.drop_table("attributions")
    op.drop_table("approvals")
    op.drop_table("transcripts")
    op.drop_table("speech")
    op.drop_table("speakers")
    op.drop_table("source_files")
    op.drop_table("renditions")
    op.drop_table("clips")
    op.drop_table("recordings")
    op.drop_table("consents")
    op.drop_table("stories")
    op.drop_table("themes")
    op.drop_table("storytellers")
    op.drop_table("stage_runs")
