"""Applies `sql/migrations/0008_slots.sql`."""

from workbench.db.migrate import execute_file

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Run the file."""
    execute_file("0008_slots.sql")
