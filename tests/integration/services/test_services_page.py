"""The examples on the page of services run as they stand, one after the other, on real servers."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pandas as pd
import pytest

from workbench import Workbench

PAGE = Path(__file__).resolve().parents[3] / "docs" / "services.md"

ORDERS = pd.DataFrame(
    {
        "order_id": ["o-1", "o-2"],
        "account_id": "main",
        "symbol": "AAPL",
        "side": "buy",
        "order_type": "market",
        "quantity": 1.0,
    }
)


def test_the_examples_run(wb: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wb.ingest(["AAPL", "IBM"], start="2012-01-01")
    wb.execution.write_orders(ORDERS)
    monkeypatch.chdir(tmp_path)
    Path("daily.pdf").write_bytes(b"%PDF-1.7")
    snippets = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {"wb": wb}
    for snippet in snippets:
        exec(textwrap.dedent(snippet), names)
    assert len(snippets) == 8
    assert len(wb.execution.load_trades("AAPL")) == 1
    assert wb.execution.load_orders(order_id="o-2")["status"].tolist() == ["cancelled"]
    assert wb.risk_management.load_risk_events(resolved=False).empty
    assert wb.analytics.load_reports("daily-2024-01-02")["file"].tolist() == [b"%PDF-1.7"]
    assert wb.notification.load_alert_configs(enabled=True).empty
    assert wb.logging.load_system_logs()["metadata"].tolist() == [{"seconds": 40}]
