"""Alembic's environment: runs the migrations on the connection from `workbench.db.migrate`."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(
    connection=connection, version_table="schema_version", version_table_schema="workbench_meta"
)
context.run_migrations()
