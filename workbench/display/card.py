"""`card_html`: how a notebook shows an object that is no table, for light and dark pages alike."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

__all__ = ["card_html"]

_LINE = "1px solid rgba(128,128,128,.3)"
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
    cell = f"text-align:left;vertical-align:top;padding:3px 10px;border-top:{_LINE}"
    body = "".join(
        f'<tr style="background:transparent"><td style="{cell};opacity:.7;white-space:nowrap">{_text(name)}'
        f'</td><td style="{cell}{_wrap(said)}">{_text(said)}</td></tr>'
        for name, said in rows
    )
    below = f'<div style="padding:0 10px 8px;opacity:.7;font-size:.9em">{_text(note)}</div>' if note else ""
    return (
        f'<div style="display:inline-block;max-width:min(100%,64em);overflow-x:auto;box-sizing:border-box;'
        f'border:{_LINE};border-radius:8px;padding:10px 6px 4px;color:inherit">'
        f'<div style="padding:0 10px {"2px" if note else "8px"};font-weight:600">{_text(title)}</div>{below}'
        '<table style="border-collapse:collapse;border:none;margin:0;color:inherit;background:transparent">'
        f"<tbody>{body}</tbody></table></div>"
    )


def _text(said: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(said))


def _wrap(said: str) -> str:
    """Sentences may be broken between words; dates, ids and paths may not be broken at their dashes."""
    if len(said) <= _SHORT or " " not in said:
        return ";white-space:nowrap"
    return ";white-space:normal;word-break:normal;overflow-wrap:normal"
