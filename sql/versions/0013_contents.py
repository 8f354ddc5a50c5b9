"""Applies `sql/migrations/0013_contents.sql`."""

from workbench.db.migrate import execute_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Run the file."""
    execute_file("0013_contents.sql")
