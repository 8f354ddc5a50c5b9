"""`card_html`: how a notebook shows an object that is no table, for light and dark pages alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = ["HAIRLINE", "card_html", "frame_html", "table_html"]

HAIRLINE = "1px solid rgba(128,128,128,.3)"
"""The border of a card and of its rows."""
_SHORT = 40


def card_html(title: str, rows: Iterable[tuple[str, str]], *, note: str = "") -> str:
    """One `<div>` without external parts; it breaks lines between words only.

    Parameters
    ----------
    title : str
        What the object is.
    rows : iterable of (str, str)
        A name, and what is to be said of it.
    note : str
        Said below the title, smaller.

    Returns
    -------
    str
        HTML. All that is given is escaped; what stands in backticks is set as code.
    """
    cell = f"text-align:left;vertical-align:top;padding:3px 10px;border-top:{HAIRLINE}"
    body = "".join(
        f'<tr style="background:transparent"><td style="{cell};opacity:.7;white-space:nowrap">{_text(name)}'
        f'</td><td style="{cell}{_wrap(said)}">{_text(said)}</td></tr>'
        for name, said in rows
    )
    return frame_html(_text(title), table_html("", body), note=_text(note))


def frame_html(title: str, body: str, *, note: str = "", width: str = "min(100%,72em)") -> str:
    """The frame of every card: a title, a line below it, and what it is about.

    Parameters
    ----------
    title, note, body : str
        HTML: what is text must be escaped.
    width : str
        The most that it takes, in CSS; what is wider scrolls.
    """
    below = f'<div style="padding:0 10px 8px;opacity:.7;font-size:.9em">{note}</div>' if note else ""
    return (
        f'<div style="display:inline-block;max-width:{width};overflow-x:auto;box-sizing:border-box;'
        f'border:{HAIRLINE};border-radius:8px;padding:10px 6px 4px;color:inherit">'
        f'<div style="padding:0 10px {"2px" if note else "8px"};font-weight:600">{title}</div>'
        f"{below}{body}</div>"
    )


def table_html(head: str, rows: str) -> str:
    """A table of a card, in the page's own colours: the cells of its head, and its rows, as HTML."""
    top = f"<thead><tr>{head}</tr></thead>" if head else ""
    return (
        '<table style="border-collapse:collapse;border:none;margin:0;color:inherit;background:transparent">'
        f"{top}<tbody>{rows}</tbody></table>"
    )


def _text(said: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(said))


def _wrap(said: str) -> str:
    """Sentences may be broken between words; dates, ids and paths may not be broken at their dashes."""
    if len(said) <= _SHORT or " " not in said:
        return ";white-space:nowrap"
    return ";white-space:normal;word-break:normal;overflow-wrap:normal"
