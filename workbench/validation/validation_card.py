"""A validation's card in a notebook: the headline figures and the splits; nothing is computed here."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import pandas as pd

from workbench.display.card import HAIRLINE, frame_html, table_html
from workbench.drawing.wording import percent, ratio, signed_percent, trades
from workbench.validation.figure import OBJECTIVE_NAMES, SCHEMES

if TYPE_CHECKING:
    from workbench.validation.record import ValidationRecord

__all__ = ["validation_html"]

_MOST_ROWS = 12
_FACTS = "padding:0 10px 8px;display:flex;flex-wrap:wrap;gap:4px 18px;max-width:680px"
_CELL = f"padding:3px 10px;border-top:{HAIRLINE};font-variant-numeric:tabular-nums;text-align:right"


def validation_html(result: ValidationRecord) -> str:
    """The headline figures and the first splits as a small HTML table, for light and dark pages.

    Parameters
    ----------
    result : ValidationRecord

    Returns
    -------
    str
        One self-contained `<div>`.
    """
    m, table = result.metrics, result.table
    objective = OBJECTIVE_NAMES[result.objective]
    facts = [
        ("Sharpe", ratio(m["sharpe_ratio"])),
        ("Return", signed_percent(m["total_return"])),
        ("CAGR", percent(m["cagr"])),
        ("Max drawdown", percent(m["max_drawdown"])),
        ("Trades", trades(m["total_trades"], m["open_trades"])),
        (f"{objective}, in sample", ratio(m["in_sample"])),
        ("out of sample", ratio(m["out_of_sample"])),
        ("out / in", percent(m["degradation"], 0)),
    ]
    if result.paths.shape[1] > 1:
        sharpes = result.sharpe_ratios
        facts[0] = ("Sharpe, median", ratio(m["sharpe_ratio"]))
        facts.insert(1, ("lowest to highest", f"{ratio(sharpes.min())} to {ratio(sharpes.max())}"))
    shown = "".join(
        f'<span style="white-space:nowrap"><span style="opacity:.7">{label}</span> <b>{value}</b></span>'
        for label, value in facts
    )
    columns = list(table.columns)
    named = columns[columns.index("test_bars") + 1 : columns.index("in_sample")]
    heads = [
        "split",
        "trained" if result.splits.forward else "trained on",
        "tested",
        *named,
        "in sample",
        "out of sample",
        "trades",
    ]
    head = "".join(
        f'<th style="padding:3px 10px;text-align:right;font-weight:normal;opacity:.7">{escape(name)}</th>'
        for name in heads
    )
    body = "".join(_row(result, number, named) for number in range(min(len(table), _MOST_ROWS)))
    hidden = len(table) - _MOST_ROWS
    more = f'<div style="padding:4px 10px;opacity:.7">and {hidden} more: .table</div>' if hidden > 0 else ""
    times = result.paths.index
    note = (
        f"{SCHEMES[result.kind]}, {len(table)} splits, {result.variants:,} variants · "
        f"{times[0]:%Y-%m-%d} to {times[-1]:%Y-%m-%d}"
    )
    figures = f'<div style="{_FACTS}">{shown}</div>'
    return frame_html(
        f"{escape(result.strategy)}, out of sample", figures + table_html(head, body) + more, note=note
    )


def _row(result: ValidationRecord, number: int, named: list[str]) -> str:
    row, times = result.table.iloc[number], result.paths.index
    trained, tested = f"{row['train_bars']:,} bars", _span(row["test_start"], row["test_end"])
    if result.splits.forward:
        trained = _span(row["train_start"], row["train_end"])
    else:
        # Every bar is tested, so rows of the splits are also rows of the paths.
        spans = result.splits[number].test
        tested = "<br>".join(_span(times[span.start], times[span.stop - 1]) for span in spans)
    cells = [
        str(number),
        trained,
        tested,
        *(escape(f"{row[name]:g}" if isinstance(row[name], float) else str(row[name])) for name in named),
        ratio(row["in_sample"]),
        f"<b>{ratio(row['out_of_sample'])}</b>",
        str(row["trades"]),
    ]
    return "<tr>" + "".join(f'<td style="{_CELL};white-space:nowrap">{cell}</td>' for cell in cells) + "</tr>"


def _span(start: pd.Timestamp, end: pd.Timestamp) -> str:
    return f"{start:%Y-%m-%d} … {end:%Y-%m-%d}"
