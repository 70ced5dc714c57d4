"""Where an imported transcript comes from, and who speaks in it by its own account."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # not in a batch: SQLite adds a column where it stands, without making the table anew
    op.add_column(
        "transcripts",
        sa.Column(
            "source",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="the file it was imported from, from the collection's folder; empty: a machine heard it",
        ),
    )
    op.add_column(
        "segments",
        sa.Column(
            "label",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="who speaks, as an imported transcript says",
        ),
    )


def downgrade() -> None:
    op.drop_column("segments", "label")
    op.drop_column("transcripts", "source")
