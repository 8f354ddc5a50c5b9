"""Applies `sql/migrations/0005_saves_and_decisions.sql`."""

from workbench.db.migrate import execute_file

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Run the file."""
    execute_file("0005_saves_and_decisions.sql")
