"""The part of the demo that shows what its deployment said live of the newest bars."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.markup import escape
from rich.table import Table

from workbench.errors import DemoFailed
from workbench.terminal import SAY
from workbench.workbench import Workbench

__all__ = ["said_of", "show_said", "why_said"]


def said_of(wb: Workbench, deployment: str, run_id: str) -> list[dict[str, Any]]:
    """What a deployment said of each symbol's newest bar, and why its scheduled run had nothing to add.

    Raises
    ------
    DemoFailed
        The run said nothing.
    """
    rows = wb.strategy_engine.load_strategy_signals(deployment=deployment).rename(
        columns={"timestamp": "bar"}
    )
    by_run = rows[rows["run_id"] == run_id].set_index("symbol")["reason"]
    if by_run.empty:
        raise DemoFailed(f"the scheduled run {run_id} completed, and said nothing live")
    decided = rows[rows["reason"].isna()].drop_duplicates("symbol", keep="last").sort_values("symbol")
    names = ["symbol", "bar", "signal", "strength", "target", "slot", "said_at", "reason"]
    return [
        {str(name): None if pd.isna(value) else value for name, value in row.items()}
        for row in decided.assign(reason=decided["symbol"].map(by_run))[names].to_dict("records")
    ]


def why_said(wb: Workbench, deployment: str) -> str:
    """Where the newest of these comes from, and what became of the bars that its run has read."""
    rows = wb.strategy_engine.load_strategy_signals(deployment=deployment)
    why = wb.why(rows[rows["reason"].isna()].iloc[-1])
    return f"{why.sentence()}; {why.bars_told()}"


def show_said(said: list[dict[str, Any]], why: str) -> None:
    """Print them as a table, and beneath it why the scheduled run had nothing new to say."""
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
    SAY.print("\n[bold]Said live[/] by the deployment, of each symbol's newest bar; kept as it was said")
    SAY.print(drawn)
    SAY.print(f"[dim]why: {escape(why)}[/]", soft_wrap=True, highlight=False)
    for reason in dict.fromkeys(row["reason"] for row in said if row["reason"] is not None):
        SAY.print(f"[dim]the scheduled run said hold: {reason}[/]", soft_wrap=True)
