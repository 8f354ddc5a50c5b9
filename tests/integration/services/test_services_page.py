"""The examples on the page of services run as they stand, one after the other, on real servers."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from workbench import Workbench
from workbench.errors import ColumnMismatch

PAGE = Path(__file__).resolve().parents[3] / "docs" / "services.md"


def test_the_examples_run(wb: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    wb.ingest(["AAPL", "IBM"], start="2012-01-01")
    monkeypatch.setattr("workbench.Workbench", lambda: wb)
    snippets = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, Any] = {}
    for snippet in snippets:
        exec(textwrap.dedent(snippet), names)
    assert len(snippets) == 9
    assert names["running"]["strategy_id"].tolist() == ["sma-cross"]
    assert not any(
        names[loaded].empty for loaded in ("signals", "open_orders", "trades", "figures", "listed")
    )
    assert len(wb.execution.load_trades("AAPL")) == 1
    assert wb.execution.load_orders(order_id="o-2")["status"].tolist() == ["cancelled"]
    with pytest.raises(ColumnMismatch) as refused:
        wb.execution.write_orders(names["change"].assign(order_id=["o-1", "o-9"]))
    assert str(refused.value) in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert wb.risk_management.load_risk_events(resolved=False).empty
    assert wb.notification.load_alert_configs(enabled=True).empty
    assert wb.logging.load_system_logs()["metadata"].tolist() == [{"seconds": 40}]
