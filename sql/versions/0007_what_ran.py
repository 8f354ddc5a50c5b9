"""Applies `sql/migrations/0007_what_ran.sql`."""

from workbench.db.migrate import execute_file

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Run the file."""
    execute_file("0007_what_ran.sql")
