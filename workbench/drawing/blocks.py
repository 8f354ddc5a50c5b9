"""What a tearsheet's sections are made of: figures, tables, facts and sentences; the template draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Beside", "Block", "Cell", "Chart", "Choice", "Facts", "Item", "Note", "Section", "Table"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    tone : str
        "gain", "loss", "muted" or nothing: a class of the page's style.
    heat : float
        How strongly the cell is coloured in its tone: from 0 to 1; 0 colours the text instead.
    bar : float, optional
        A bar of this length behind the text, from 0 to 1.
    """

    text: str
    tone: str = ""
    heat: float = 0.0
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """A table: the first `names` columns are text and stand left, the others are numbers and stand right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    names: int = 1
    caption: str = ""
    style: str = ""
    kind: str = field(default="table", init=False)


@dataclass(frozen=True)
class Chart:
    """A figure.

    Attributes
    ----------
    key : str
        The figure's name in `Tearsheet.figures`.
    figure : plotly.graph_objects.Figure
    says : str
        What it shows, for those who cannot see it.
    scales : str, optional
        "log" or "linear" where the reader may choose how the first vertical axis is scaled: the one it
        starts with.
    title : str
        A heading of its own, where a section has several figures.
    """

    key: str
    figure: Figure
    says: str
    scales: str | None = None
    title: str = ""
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Item:
    """A labelled value; `hint` explains it in a few words where the pointer rests."""

    label: str
    value: str
    tone: str = ""
    note: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Facts:
    """Labelled values: "large" ones to be read first, a "list" below a heading, or a "strip" in one row."""

    items: Sequence[Item]
    title: str = ""
    style: str = "list"
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Note:
    """A sentence; "empty" where it stands in the place of a figure that there is nothing for."""

    text: str
    style: str = ""
    kind: str = field(default="note", init=False)


@dataclass(frozen=True)
class Choice:
    """Several blocks of which the reader sees one at a time; without scripts, all below each other."""

    label: str
    options: Mapping[str, Sequence[Any]]
    kind: str = field(default="choice", init=False)


@dataclass(frozen=True)
class Beside:
    """Groups of blocks that stand beside each other where the page is wide enough."""

    groups: Sequence[Sequence[Any]]
    style: str = ""
    kind: str = field(default="beside", init=False)


Block = Table | Chart | Facts | Note | Choice | Beside


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes
    ----------
    key : str
        Its anchor.
    title : str
        Its heading, and its place in the page's contents.
    blocks : sequence of Block
    note : str
        A muted sentence below the heading.
    """

    key: str
    title: str
    blocks: Sequence[Block]
    note: str = ""
