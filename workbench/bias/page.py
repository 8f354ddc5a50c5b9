"""The notebook view of both reports: one small HTML table, for light and dark pages."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from workbench.display.card import HAIRLINE, frame_html, table_html
from workbench.drawing.notebook_style import GAIN, LOSS

__all__ = ["panel_html"]

_SHORT = 24


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
    """A report as one self-contained `<div>`.

    Parameters
    ----------
    name, headline : str
        The strategy's name, and the result in a few words.
    good : bool
        Whether the headline is green.
    heads, rows : sequence of str, and of sequences of str
        The table; left out if it has no rows.
    verdict, note : str
        The verdict replaces an empty table; the note is shown at the bottom.
    """
    cell = f"text-align:left;vertical-align:top;padding:4px 10px;border-top:{HAIRLINE}"
    table = "".join(
        "<tr>" + "".join(f'<td style="{cell}{_wrap(value)}">{escape(value)}</td>' for value in row) + "</tr>"
        for row in rows
    )
    style = "text-align:left;white-space:nowrap;padding:4px 10px;opacity:.7;font-weight:400"
    head = "".join(f'<th style="{style}">{escape(name)}</th>' for name in heads)
    body = table_html(head, table) if rows else f'<div style="padding:2px 10px 6px">{escape(verdict)}</div>'
    colour = GAIN if good else LOSS
    title = f'{escape(name)}&ensp;<span style="color:{colour}">{escape(headline)}</span>'
    below = f'<div style="padding:6px 10px 2px;opacity:.7;font-size:.9em">{escape(note)}</div>'
    return frame_html(title, body + below)


def _wrap(value: str) -> str:
    """Sentences may wrap; dates and numbers may not."""
    return "" if len(value) > _SHORT else ";white-space:nowrap"
