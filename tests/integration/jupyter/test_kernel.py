"""A real Jupyter kernel: what a cell shows, what Tab offers, and what the stop button does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

from tests.acceptance.browser import open_page
from tests.conftest import Connection
from tests.servers import wait_for
from workbench import Settings, Workbench
from workbench.stack.environment import settings_environment


@pytest.fixture
def kernel(database_settings: Settings) -> Iterator[KernelManager]:
    """A kernel that finds the test's database."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, **settings_environment(database_settings)})
    yield manager
    manager.shutdown_kernel(now=True)
    manager.cleanup_resources()


def test_a_cell_shows_a_table_and_an_interrupt_cancels_on_the_server(
    kernel: KernelManager, admin: Connection
) -> None:
    client = kernel.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)

        def run(cell: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
            shown: list[dict[str, Any]] = []
            reply = client.execute_interactive(
                cell, timeout=60, output_hook=lambda message: shown.append(message["content"])
            )
            return reply["content"], shown

        assert run("%load_ext workbench")[0]["status"] == "ok"
        reply, shown = run("%%sql\nSELECT 'AAPL' AS symbol, 1.5 AS close")
        assert reply["status"] == "ok", reply
        (html,) = [one["data"]["text/html"] for one in shown if "text/html" in one.get("data", {})]
        assert "AAPL" in html

        reply, shown = run("%sql SELECT oops")
        assert (reply["status"], reply["ename"]) == ("error", "QueryError")
        (trace,) = [one["traceback"] for one in shown if "traceback" in one]
        assert trace == ['QueryError: column "oops" does not exist', "", "SELECT oops", "       ^"]

        asked = client.execute("%sql SELECT pg_sleep(300)")
        wait_for(lambda: _sleeping(admin) == 1, "the statement runs")
        kernel.interrupt_kernel()
        answer = client.get_shell_msg(timeout=60)
        assert answer["parent_header"]["msg_id"] == asked
        assert answer["content"]["ename"] == "KeyboardInterrupt"
        assert _sleeping(admin) == 0
        assert run("%sql SELECT 1 AS x")[0]["status"] == "ok"
    finally:
        client.stop_channels()


def test_frames_show_dates_and_ids_that_are_copied_whole_and_tab_offers_what_one_calls(
    kernel: KernelManager,
) -> None:
    client = kernel.blocking_client()
    client.start_channels()
    run_id = "013ce759-5b51-4b02-bbd7-bff18997ab95"
    try:
        client.wait_for_ready(timeout=60)

        def shown(cell: str) -> dict[str, str]:
            found: list[dict[str, str]] = []
            reply = client.execute_interactive(
                cell, timeout=60, output_hook=lambda message: found.append(message["content"].get("data", {}))
            )
            assert reply["content"]["status"] == "ok", reply
            return next((data for data in found if data), {})

        shown(
            "import pandas as pd\n"
            "from workbench import Workbench\n"
            "wb = Workbench()\n"
            "days = pd.date_range('2024-01-02', periods=2, tz='UTC', name='timestamp')\n"
            f"frame = pd.DataFrame({{'run_id': '{run_id}', 'close': 1.5}}, index=days)"
        )
        data = shown("frame")
        assert "2024-01-03" in data["text/html"]
        assert "00:00" not in data["text/html"] + data["text/plain"]
        assert run_id[:8] in data["text/plain"]
        assert run_id not in data["text/plain"]
        assert "UTC" in shown("frame.index")["text/plain"]
        assert shown("str(frame.index.tz), frame['run_id'].iloc[0]")["text/plain"] == f"('UTC', '{run_id}')"

        reply = client.complete("wb.runs.", reply=True, timeout=60)
        assert reply["content"]["matches"] == [
            "compare",
            "list",
            "of",
            "open",
            "reap",
            "rerun",
            "show",
            "why",
        ]

        with open_page("about:blank") as page:
            page.set_content(f"{data['text/html']}<textarea></textarea>")
            cell = page.get_by_title(run_id).first
            box = cell.bounding_box()
            assert box is not None
            assert box["width"] < 100, "the short form is what is seen"
            cell.click()
            assert page.evaluate("getSelection().toString()") == run_id
            page.keyboard.press("Control+c")
            page.locator("textarea").focus()
            page.keyboard.press("Control+v")
            assert page.locator("textarea").input_value() == run_id

        shown("from workbench.display.frames import plain_frames; plain_frames()")
        assert "2024-01-03 00:00:00+00:00" in shown("frame")["text/html"]
    finally:
        client.stop_channels()


def test_a_row_says_which_cell_of_an_interactive_notebook_saved_it_last(
    kernel: KernelManager, wb: Workbench, tmp_path: Path
) -> None:
    client = kernel.blocking_client()
    client.start_channels()
    save = "wb.strategy_engine.write_strategies(\n    frame.assign(name={name!r})\n)\n# saved"
    try:
        client.wait_for_ready(timeout=60)
        begin = (
            f"import os\nos.environ['JPY_SESSION_NAME'] = {str(tmp_path / 'study.ipynb')!r}\n"
            "import pandas as pd\nfrom workbench import Workbench\n"
            "wb, frame = Workbench(), pd.DataFrame({'strategy_id': ['mine']})"
        )
        for cell in (
            begin,
            save.format(name="A"),
            save.format(name="A"),
            "print(1)",
            save.format(name="B"),
        ):
            reply = client.execute_interactive(cell, timeout=60, output_hook=lambda _: None)
            assert reply["content"]["status"] == "ok", reply
        why = wb.why(wb.strategy_engine.load_strategies("mine").iloc[0])
        first = "wb.strategy_engine.write_strategies(\n    frame.assign(name={name!r})\n)\n..."
        assert [(one.cell, one.code) for one in why.cells] == [
            (3, first.format(name="A")),
            (5, first.format(name="B")),
        ]
        assert why.run is not None
        assert (why.run["trigger"], why.run["status"]) == ("interactive", "running")
    finally:
        client.stop_channels()


def _sleeping(admin: Connection) -> int:
    row = admin.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'workbench_readonly' AND state = 'active' "
        "AND query LIKE '%pg_sleep%' AND datname = current_database()"
    ).fetchone()
    assert row is not None
    return int(row[0])
