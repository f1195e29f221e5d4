"""Alembic's entry: runs the revisions on the connection that `nebuloviz.migrate` hands over."""

from __future__ import annotations

from alembic import context

from nebuloviz.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite cannot alter a table in place
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
