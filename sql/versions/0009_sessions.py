"""Applies `sql/migrations/0009_sessions.sql`."""

from workbench.db.migrate import execute_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Run the file."""
    execute_file("0009_sessions.sql")
