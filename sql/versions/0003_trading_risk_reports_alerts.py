"""Applies `sql/migrations/0003_trading_risk_reports_alerts.sql`."""

from workbench.db.migrate import execute_file

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Run the file."""
    execute_file("0003_trading_risk_reports_alerts.sql")
