"""Persons: who a recording's speaker is across the collection."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "persons",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column(
            "voiceprint",
            sa.Boolean(),
            nullable=False,
            comment="whether embeddings of this voice may be kept; false once they were forgotten",
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('', 'storyteller', 'interviewer', 'other')", name=op.f("ck_persons_role_known")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_persons")),
        sa.UniqueConstraint("name", name=op.f("uq_persons_name")),
    )
    # In a batch, which makes the table anew: SQLite adds no named foreign key to a table that stands.
    with op.batch_alter_table("speakers", table_args=(_roles(),)) as batch:
        batch.add_column(
            sa.Column("person_id", sa.Integer(), nullable=True, comment="confirmed by an editor")
        )
        batch.add_column(
            sa.Column(
                "encoder",
                sa.String(length=80),
                nullable=False,
                server_default="",
                comment="what made the embedding; only those of one encoder can be compared",
            )
        )
        batch.add_column(
            sa.Column(
                "voiceprint",
                sa.Boolean(),
                nullable=False,
                server_default=sa.true(),
                comment="whether an embedding may be kept; false once it was forgotten",
            )
        )
        batch.add_column(
            sa.Column(
                "refused",
                sa.JSON(),
                nullable=False,
                server_default="[]",
                comment="persons by number that an editor said it is not",
            )
        )
        batch.create_foreign_key(
            op.f("fk_speakers_person_id"), "persons", ["person_id"], ["id"], ondelete="SET NULL"
        )
        batch.create_index(op.f("ix_speakers_person_id"), ["person_id"])
    op.add_column(
        "recordings",
        sa.Column(
            "speaker_count",
            sa.Integer(),
            nullable=False,
            server_default="0",
            comment="how many are known to speak; 0: find out",
        ),
    )
    op.add_column(
        "speech",
        sa.Column(
            "uncertain",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="why the speakers may not be those who spoke",
        ),
    )
    # until now there was no other
    op.execute("UPDATE speakers SET encoder = 'resemblyzer' WHERE embedding IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("speech") as batch:
        batch.drop_column("uncertain")
    with op.batch_alter_table("recordings") as batch:
        batch.drop_column("speaker_count")
    with op.batch_alter_table("speakers", table_args=(_roles(),)) as batch:
        batch.drop_index(op.f("ix_speakers_person_id"))
        batch.drop_constraint(op.f("fk_speakers_person_id"), type_="foreignkey")
        for column in ("refused", "voiceprint", "encoder", "person_id"):
            batch.drop_column(column)
    op.drop_table("persons")


def _roles() -> sa.CheckConstraint:
    """The table's own check, which a batch would lose."""
    return sa.CheckConstraint(
        "role IN ('', 'storyteller', 'interviewer', 'other')", name=op.f("ck_speakers_role_known")
    )
