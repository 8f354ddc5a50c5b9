"""Applies `sql/migrations/0004_trials.sql`."""

from workbench.db.migrate import execute_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Run the file."""
    execute_file("0004_trials.sql")
