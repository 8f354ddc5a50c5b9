"""Applies `sql/migrations/0001_foundation.sql`."""

from workbench.db.migrate import execute_file

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Run the file."""
    execute_file("0001_foundation.sql")
