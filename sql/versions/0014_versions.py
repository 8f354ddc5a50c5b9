"""Applies `sql/migrations/0014_versions.sql`."""

from workbench.db.migrate import execute_file

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Run the file."""
    execute_file("0014_versions.sql")
