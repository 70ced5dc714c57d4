"""A transcript's translation, the terms its recogniser was given, the other languages it heard."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "translations",
        sa.Column("transcript_id", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start_ms", sa.Integer(), nullable=False),
        sa.Column("end_ms", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "0 <= start_ms AND start_ms <= end_ms", name=op.f("ck_translations_span_in_order")
        ),
        sa.ForeignKeyConstraint(
            ["transcript_id"],
            ["transcripts.id"],
            name=op.f("fk_translations_transcript_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("transcript_id", "ordinal", name=op.f("pk_translations")),
    )
    # not in a batch: SQLite adds a column where it stands, without making the table anew
    op.add_column(
        "transcripts",
        sa.Column(
            "prompted",
            sa.JSON(),
            nullable=False,
            server_default="[]",
            comment="names and terms the recogniser was given to expect",
        ),
    )
    op.add_column(
        "transcripts",
        sa.Column(
            "other_languages",
            sa.JSON(),
            nullable=False,
            server_default="[]",
            comment="codes of languages that a good part seems to be in besides",
        ),
    )


def downgrade() -> None:
    op.drop_column("transcripts", "other_languages")
    op.drop_column("transcripts", "prompted")
    op.drop_table("translations")
