"""The part of the demo that shows what its scheduled run said live."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.table import Table

from workbench.errors import DemoFailed
from workbench.terminal import SAY
from workbench.workbench import Workbench

__all__ = ["said_by", "show_said"]


def said_by(wb: Workbench, run_id: str) -> list[dict[str, Any]]:
    """The live signals of a run, one for each symbol.

    Raises
    ------
    DemoFailed
        It said nothing.
    """
    rows = wb.strategy_engine.load_strategy_signals(kind="live", run_id=run_id)
    if rows.empty:
        raise DemoFailed(f"the scheduled run {run_id} completed, and said nothing live")
    rows = rows.rename(columns={"timestamp": "bar"})
    names = ["symbol", "bar", "signal", "strength", "target", "slot", "said_at", "reason"]
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in rows[names].to_dict("records")
    ]


def show_said(said: list[dict[str, Any]]) -> None:
    """Print them as a table, with the reasons of holds that nobody decided."""
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    for column, justify in (
        ("symbol", "left"),
        ("bar", "left"),
        ("signal", "left"),
        ("strength", "right"),
        ("target", "right"),
        ("said at", "left"),
    ):
        drawn.add_column(column, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for row in said:
        drawn.add_row(
            row["symbol"],
            f"{row['bar']:%Y-%m-%d}" if row["bar"] is not None else "–",
            row["signal"],
            f"{row['strength']:.2f}",
            f"{row['target']:.0%}" if row["target"] is not None else "–",
            f"{row['said_at']:%Y-%m-%d %H:%M:%S} UTC",
        )
    SAY.print("\n[bold]Said live[/] by the scheduled run, of each symbol's newest bar; kept as it was said")
    SAY.print(drawn)
    for reason in dict.fromkeys(row["reason"] for row in said if row["reason"] is not None):
        SAY.print(f"[dim]{reason}[/]", soft_wrap=True)
