"""How a notebook shows either report: one small HTML table, for light and dark pages alike."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

__all__ = ["panel_html"]

# Both read on white and on JupyterLab's dark grey.
_GOOD, _BAD = "#2da44e", "#e5534b"
_SHORT = 24
_LINE = "1px solid rgba(128,128,128,.3)"


def panel_html(
    name: str,
    headline: str,
    *,
    good: bool,
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    verdict: str,
    note: str,
) -> str:
    """One `<div>` without external parts.

    Parameters
    ----------
    name, headline : str
        The strategy's, and the outcome in few words.
    good : bool
        Whether that is green.
    heads, rows : sequence of str, and of sequences of str
        The table; left out where it has no row.
    verdict, note : str
        Shown where there is no table; and below everything.
    """
    cell = f"text-align:left;vertical-align:top;padding:4px 10px;border-top:{_LINE}"
    table = "".join(
        "<tr>" + "".join(f'<td style="{cell}{_wrap(value)}">{escape(value)}</td>' for value in row) + "</tr>"
        for row in rows
    )
    title = "text-align:left;white-space:nowrap;padding:4px 10px;opacity:.7;font-weight:400"
    head = "".join(f'<th style="{title}">{escape(name)}</th>' for name in heads)
    body = (
        '<table style="border-collapse:collapse;border:none;margin:0;color:inherit;background:transparent">'
        f"<thead><tr>{head}</tr></thead><tbody>{table}</tbody></table>"
        if rows
        else f'<div style="padding:2px 10px 6px">{escape(verdict)}</div>'
    )
    return (
        f'<div style="display:inline-block;max-width:72em;border:{_LINE};border-radius:8px;'
        'padding:10px 6px 6px;color:inherit">'
        f'<div style="padding:0 10px 6px"><span style="font-weight:600">{escape(name)}</span>&ensp;'
        f'<span style="color:{_GOOD if good else _BAD};font-weight:600">{escape(headline)}</span></div>'
        f"{body}"
        f'<div style="padding:6px 10px 2px;opacity:.7;font-size:.9em">{escape(note)}</div></div>'
    )


def _wrap(value: str) -> str:
    """Sentences may be broken; dates and numbers may not."""
    return "" if len(value) > _SHORT else ";white-space:nowrap"
