"""Applies `sql/migrations/0015_lineage_and_retention.sql`."""

from workbench.db.migrate import execute_file

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run the file."""
    execute_file("0015_lineage_and_retention.sql")
