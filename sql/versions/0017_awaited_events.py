"""Applies `sql/migrations/0017_awaited_events.sql`."""

from workbench.db.migrate import execute_file

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Run the file."""
    execute_file("0017_awaited_events.sql")
