"""`summary_html`: a backtest's card in a notebook, with the headline figures; nothing is computed here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.display.card import HAIRLINE, frame_html
from workbench.drawing.wording import money, percent, ratio, signed_percent, span, trades

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["summary_html"]


def summary_html(result: BacktestRecord) -> str:
    """The headline figures as a small self-contained HTML card, for light and dark pages.

    Parameters
    ----------
    result : BacktestRecord

    Returns
    -------
    str
        One `<div>`.
    """
    m = result.metrics
    cells = [
        ("Return", signed_percent(m["total_return"])),
        ("Buy and hold", signed_percent(m["benchmark_return"])),
        ("CAGR", percent(m["cagr"])),
        ("Volatility", percent(m["volatility"])),
        ("Sharpe", ratio(m["sharpe_ratio"])),
        ("Sortino", ratio(m["sortino"])),
        ("Max drawdown", percent(m["max_drawdown"])),
        ("Calmar", ratio(m["calmar"])),
        ("Trades", trades(m["total_trades"], m["open_trades"])),
        ("Win rate", percent(m["win_rate"])),
        ("Exposure", percent(m["exposure"])),
        ("Fees paid", money(m["fees_paid"])),
    ]
    pairs = "".join(
        f'<div style="display:flex;justify-content:space-between;gap:12px;padding:4px 10px;'
        f'border-top:{HAIRLINE};white-space:nowrap"><span style="opacity:.7">{label}</span>'
        f'<span style="font-variant-numeric:tabular-nums;font-weight:600">{value}</span></div>'
        for label, value in cells
    )
    # Two columns if there is room.
    columns = "display:grid;grid-template-columns:repeat(auto-fit,minmax(14em,1fr));width:31em;max-width:100%"
    grid = f'<div style="{columns}">{pairs}</div>'
    return frame_html(escape(result.name), grid, note=escape(span(result)))
