"""What an alert's row may leave out."""

from __future__ import annotations

from tests.integration.services.rows import ROWS
from workbench import Workbench


def test_an_alert_is_an_enabled_warning_by_default(wb: Workbench) -> None:
    optional = ["condition", "severity", "cooldown_seconds", "enabled"]
    wb.notification.write_alert_configs(ROWS["notification.alert_configs"].drop(columns=optional))
    loaded = wb.notification.load_alert_configs()
    assert loaded[optional[1:]].to_numpy().tolist() == [["warning", 0, True], ["warning", 0, True]]
