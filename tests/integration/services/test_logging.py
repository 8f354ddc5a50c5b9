"""What a log's row may leave out."""

from __future__ import annotations

import pandas as pd

from workbench import Workbench


def test_an_event_without_a_type_is_a_log(wb: Workbench) -> None:
    wb.logging.write_system_logs(pd.DataFrame({"service": ["a"], "level": ["info"], "message": [""]}))
    assert wb.logging.load_system_logs()["event_type"].tolist() == ["log"]
