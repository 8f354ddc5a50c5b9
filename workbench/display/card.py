"""`card_html`: an object as an HTML card for a notebook, on light and dark pages."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = ["HAIRLINE", "card_html", "frame_html", "table_html"]

HAIRLINE = "1px solid rgba(128,128,128,.3)"
"""The border of a card and of its rows."""
_SHORT = 40


def card_html(title: str, rows: Iterable[tuple[str, str]], *, note: str = "") -> str:
    """One self-contained `<div>`; lines break only between words.

    Parameters
    ----------
    title : str
        The object's title.
    rows : iterable of (str, str)
        Names and values.
    note : str
        A smaller line below the title.

    Returns
    -------
    str
        HTML. All texts are escaped; text in backticks is shown as code.
    """
    cell = f"text-align:left;vertical-align:top;padding:3px 10px;border-top:{HAIRLINE}"
    body = "".join(
        f'<tr style="background:transparent"><td style="{cell};opacity:.7;white-space:nowrap">{_text(name)}'
        f'</td><td style="{cell}{_wrap(value)}">{_text(value)}</td></tr>'
        for name, value in rows
    )
    return frame_html(_text(title), table_html("", body), note=_text(note))


def frame_html(title: str, body: str, *, note: str = "", width: str = "min(100%,72em)") -> str:
    """The frame of every card: a title, a note below it, and a body.

    Parameters
    ----------
    title, note, body : str
        HTML: the caller escapes texts.
    width : str
        The maximum width, in CSS; wider content scrolls.
    """
    below = f'<div style="padding:0 10px 8px;opacity:.7;font-size:.9em">{note}</div>' if note else ""
    return (
        f'<div style="display:inline-block;max-width:{width};overflow-x:auto;box-sizing:border-box;'
        f'border:{HAIRLINE};border-radius:8px;padding:10px 6px 4px;color:inherit">'
        f'<div style="padding:0 10px {"2px" if note else "8px"};font-weight:600">{title}</div>'
        f"{below}{body}</div>"
    )


def table_html(head: str, rows: str) -> str:
    """A table in the page's colours, from the cells of its head and its rows as HTML."""
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return (
        '<table style="border-collapse:collapse;border:none;margin:0;color:inherit;background:transparent">'
        f"{top}<tbody>{rows}</tbody></table>"
    )


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _wrap(text: str) -> str:
    """CSS that breaks sentences between words, but not dates, ids and paths at their dashes."""
    if len(text) <= _SHORT or " " not in text:
        return ";white-space:nowrap"
    return ";white-space:normal;word-break:normal;overflow-wrap:normal"
