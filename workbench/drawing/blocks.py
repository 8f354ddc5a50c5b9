"""Blocks of a tearsheet's sections: figures, tables, labelled values and notes; rendered by the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Beside", "Block", "Chart", "Choice", "Facts", "Item", "Note", "Section", "Table", "TableCell"]


@dataclass(frozen=True)
class TableCell:
    """One cell of a table.

    Attributes
    ----------
    text : str
    tone : str
        "gain", "loss", "muted" or "": a CSS class of the page.
    heat : float
        Strength of the cell's background in its tone, from 0 to 1; 0 colours the text instead.
    bar : float, optional
        Length of a bar behind the text, from 0 to 1.
    """

    text: str
    tone: str = ""
    heat: float = 0.0
    bar: float | None = None


@dataclass(frozen=True)
class Table:
    """A table: the first `names` columns are text, aligned left; the others are numbers, aligned right."""

    columns: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
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
    shows : str
        Text alternative for screen readers.
    scales : str, optional
        "log" or "linear": the initial scale of the first vertical axis, if the reader may switch it.
    title : str
        Its heading, if a section has several figures.
    """

    key: str
    figure: Figure
    shows: str
    scales: str | None = None
    title: str = ""
    kind: str = field(default="chart", init=False)


@dataclass(frozen=True)
class Item:
    """A labelled value; `hint` is a short tooltip."""

    label: str
    value: str
    tone: str = ""
    note: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Facts:
    """Labelled values: "large" for the headline, "list" below a heading, or "strip" in one row."""

    items: Sequence[Item]
    title: str = ""
    style: str = "list"
    kind: str = field(default="facts", init=False)


@dataclass(frozen=True)
class Note:
    """A sentence; style "empty" if it replaces a figure without data."""

    text: str
    style: str = ""
    kind: str = field(default="note", init=False)


@dataclass(frozen=True)
class Choice:
    """Several blocks of which the reader selects one; without scripts, all are shown below each other."""

    label: str
    options: Mapping[str, Sequence[Any]]
    kind: str = field(default="choice", init=False)


@dataclass(frozen=True)
class Beside:
    """Groups of blocks shown side by side if the page is wide enough."""

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
        Its heading, also used in the table of contents.
    blocks : sequence of Block
    note : str
        A muted sentence below the heading.
    """

    key: str
    title: str
    blocks: Sequence[Block]
    note: str = ""
