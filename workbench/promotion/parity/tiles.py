"""The strip of tiles: one for each slot, with a colour and a letter, as HTML and for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from workbench.drawing.notebook_style import ACCENT, GAIN, LOSS, MARK, TEXT

__all__ = ["LETTERS", "Tile", "legend_html", "tiles_html", "tiles_text"]

LETTERS = {"matched": "=", "late": "L", "revised": "R", "differed": "D", "missed": "M"}
"""So that nothing depends on the colour alone."""

_COLOURS = {"matched": GAIN, "late": MARK, "revised": ACCENT, "differed": LOSS, "missed": TEXT}
_STYLES = {"matched": "green", "late": "yellow", "revised": "blue", "differed": "bold red", "missed": "dim"}


@dataclass(frozen=True)
class Tile:
    """One slot.

    Attributes
    ----------
    state : str
        The worst of its rows.
    title : str
        The slot, and what became of it, in words.
    """

    state: str
    title: str


def tiles_html(tiles: Sequence[Tile]) -> str:
    """The strip; the title is shown on hover and read out. The letters have the page's own colour."""
    return (
        '<div role="list" aria-label="slots, oldest first" '
        'style="display:flex;flex-wrap:wrap;gap:3px;padding:2px 10px 6px;max-width:58em">'
        + "".join(
            f'<span role="listitem" tabindex="0" title="{escape(tile.title)}" '
            f'aria-label="{escape(tile.title)}" style="{_box(tile.state)}">{LETTERS[tile.state]}</span>'
            for tile in tiles
        )
        + "</div>"
    )


def legend_html(counts: Sequence[tuple[str, int]]) -> str:
    """What the letters mean, with how many slots each has."""
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:4px 14px;padding:2px 10px 8px;font-size:.9em">'
        + "".join(
            f'<span style="white-space:nowrap"><span aria-hidden="true" style="{_box(state)};'
            f'margin-right:5px">{LETTERS[state]}</span>{count:,} {state}</span>'
            for state, count in counts
        )
        + "</div>"
    )


def tiles_text(tiles: Sequence[Tile]) -> str:
    """The strip as markup of rich: a styled letter for each slot."""
    return "".join(f"[{_STYLES[tile.state]}]{LETTERS[tile.state]}[/]" for tile in tiles)


def _box(state: str) -> str:
    colour = _COLOURS[state]
    line = "dashed" if state == "missed" else "solid"
    return (
        "display:inline-block;width:1.35em;height:1.35em;line-height:1.3em;text-align:center;"
        "box-sizing:border-box;border-radius:3px;font:600 12px/1.4 ui-monospace,monospace;color:inherit;"
        # A tint that leaves the letter readable on light and dark pages; the border has the whole colour.
        f"background:{colour}52;border:1.5px {line} {colour}"
    )
