"""`summary_html`: the headline figures as a notebook shows them; no figure is computed here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.backtest.report.wording import money, percent, ratio, span

if TYPE_CHECKING:
    from workbench.backtest.result import BacktestResult

__all__ = ["summary_html"]


def summary_html(result: BacktestResult) -> str:
    """The headline figures as a small HTML table without external parts, for light and dark pages.

    Parameters
    ----------
    result : BacktestResult
        What to show.

    Returns
    -------
    str
        One `<div>`.
    """
    m = result.metrics
    cells = [
        ("Return", f"{m['total_return']:+.2%}"),
        ("Buy and hold", f"{m['benchmark_return']:+.2%}"),
        ("CAGR", percent(m["cagr"])),
        ("Volatility", percent(m["volatility"])),
        ("Sharpe", ratio(m["sharpe_ratio"])),
        ("Sortino", ratio(m["sortino"])),
        ("Max drawdown", percent(m["max_drawdown"])),
        ("Calmar", ratio(m["calmar"])),
        (
            "Trades",
            f"{m['total_trades']:.0f}" + (f" (+{m['open_trades']:.0f} open)" if m["open_trades"] else ""),
        ),
        ("Win rate", percent(m["win_rate"])),
        ("Exposure", percent(m["exposure"])),
        ("Fees paid", money(m["fees_paid"])),
    ]
    line = "1px solid rgba(128,128,128,.3)"
    rows = "".join(
        "<tr>"
        + "".join(
            f'<td style="text-align:left;padding:4px 10px;opacity:.7;border-top:{line}">{label}</td>'
            f'<td style="text-align:right;padding:4px 22px 4px 10px;border-top:{line};'
            f'font-variant-numeric:tabular-nums;font-weight:600">{value}</td>'
            for label, value in cells[start : start + 2]
        )
        + "</tr>"
        for start in range(0, len(cells), 2)
    )
    return (
        f'<div style="display:inline-block;border:{line};border-radius:8px;'
        'padding:10px 6px 4px;color:inherit">'
        f'<div style="padding:0 10px 2px;font-weight:600">{escape(result.name)}</div>'
        f'<div style="padding:0 10px 8px;opacity:.7;font-size:.9em">{escape(span(result))}</div>'
        '<table style="border-collapse:collapse;border:none;margin:0;color:inherit;background:transparent">'
        f"<tbody>{rows}</tbody></table></div>"
    )
