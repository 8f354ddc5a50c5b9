"""Applies `sql/migrations/0011_live_signals.sql`."""

from workbench.db.migrate import execute_file

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Run the file."""
    execute_file("0011_live_signals.sql")
