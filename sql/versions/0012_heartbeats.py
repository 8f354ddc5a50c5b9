"""Applies `sql/migrations/0012_heartbeats.sql`."""

from workbench.db.migrate import execute_file

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Run the file."""
    execute_file("0012_heartbeats.sql")
