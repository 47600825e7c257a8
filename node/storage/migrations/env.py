"""What Alembic runs: the migrations on the connection that ``storage.migrate`` holds."""

from alembic import context

from node.storage.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,  # SQLite cannot alter a column, Alembic rebuilds the table
)
with context.begin_transaction():
    context.run_migrations()
