"""Applies `sql/migrations/0010_bars_as_known.sql`."""

from workbench.db.migrate import execute_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the file."""
    execute_file("0010_bars_as_known.sql")
