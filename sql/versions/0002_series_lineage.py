"""Applies `sql/migrations/0002_series_lineage.sql`."""

from workbench.db.migrate import execute_file

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Run the file."""
    execute_file("0002_series_lineage.sql")
