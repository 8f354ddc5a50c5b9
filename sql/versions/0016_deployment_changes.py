"""Applies `sql/migrations/0016_deployment_changes.sql`."""

from workbench.db.migrate import execute_file

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run the file."""
    execute_file("0016_deployment_changes.sql")
