"""Alembic runs this file for every command, over the connection it is given."""

from __future__ import annotations

from typing import Literal

from alembic import context

from db.models import Base, Instant
from db.search import is_of_the_index


def render_item(kind: str, item: object, _autogen: object) -> str | Literal[False]:
    """Keep steps free of the program's own types, which may change while a step may not."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(item, Instant) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    include_name=lambda name, kind, _parents: not (kind == "table" and is_of_the_index(name)),
    render_as_batch=True,
    compare_type=True,
    render_item=render_item,
)
with context.begin_transaction():
    context.run_migrations()
