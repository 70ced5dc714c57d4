"""Codings: what editors say about themes, apart from the passages that are found anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "codings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("theme_id", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("first_word", sa.String(length=40), nullable=False, comment="word identity"),
        sa.Column("last_word", sa.String(length=40), nullable=False, comment="word identity, included"),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("quote", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("state IN ('accepted', 'rejected')", name=op.f("ck_codings_state_known")),
        sa.CheckConstraint("0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_codings_span_in_order")),
        sa.ForeignKeyConstraint(
            ["transcript_id"], ["transcripts.id"], name=op.f("fk_codings_transcript_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["theme_id"], ["themes.id"], name=op.f("fk_codings_theme_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_codings")),
        sa.UniqueConstraint(
            "transcript_id",
            "theme_id",
            "first_word",
            "last_word",
            name=op.f("uq_codings_transcript_id_theme_id_first_word_last_word"),
        ),
    )
    op.create_index(op.f("ix_codings_transcript_id"), "codings", ["transcript_id"])
    op.create_index(op.f("ix_codings_theme_id"), "codings", ["theme_id"])
    op.create_table(
        "labellings",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "fingerprint",
            sa.String(length=64),
            nullable=False,
            comment="of passages, codings, codebook and sentence model; unchanged: nothing to do",
        ),
        sa.Column("passages", sa.Integer(), nullable=False),
        sa.Column("codings", sa.Integer(), nullable=False),
        sa.Column(
            "changed", sa.Integer(), nullable=False, comment="passages whose themes are others than before"
        ),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_labellings")),
    )
    op.add_column(
        "passages",
        sa.Column(
            "sentences",
            sa.JSON(),
            nullable=False,
            server_default="[]",
            comment="[[first word, last word, start_ms, end_ms, text], …]",
        ),
    )
    op.add_column(
        "passage_themes",
        sa.Column(
            "why",
            sa.JSON(),
            nullable=False,
            server_default="[]",
            comment="[[first word, last word, share of the score], …]: the sentences that weighed most",
        ),
    )
    if op.get_context().dialect.name != "sqlite":
        op.alter_column("passage_themes", "score", comment="0 to 1; from 0.5 on it is proposed")


def downgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        op.alter_column("passage_themes", "score", comment="cosine, the theme's mean taken away")
    op.drop_column("passage_themes", "why")
    op.drop_column("passages", "sentences")
    op.drop_table("labellings")
    op.drop_table("codings")
