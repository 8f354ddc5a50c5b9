"""Applies `sql/migrations/0006_events_of_their_own.sql`."""

from workbench.db.migrate import execute_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run the file."""
    execute_file("0006_events_of_their_own.sql")
