"""Terminal output of commands: steps and errors on stderr, results on stdout."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

__all__ = ["SAY", "TELL", "as_json", "fail", "note", "step", "steps", "table", "warn"]

SAY = Console(highlight=False)
"""Results, on stdout."""
TELL = Console(stderr=True, highlight=False)
"""Steps, warnings and errors, on stderr."""

# The gap between two columns of a table, and the minimum width of a shortened one, in characters.
_GAP, _LEAST = 2, 10


def fail(message: str) -> None:
    """Print an error, one sentence."""
    TELL.print(f"[bold red]error:[/] {escape(message)}", soft_wrap=True)


def warn(message: str) -> None:
    """Print a warning, one sentence."""
    TELL.print(f"[yellow]![/] {escape(message)}", soft_wrap=True)


def step(message: str) -> None:
    """Print one line for a finished step."""
    TELL.print(f"[green]✓[/] {escape(message)}", soft_wrap=True)


def note(message: str) -> None:
    """Print an indented detail of the line before."""
    TELL.print(f"  {escape(message)}", soft_wrap=True)


@contextmanager
def steps(title: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner while the block runs; the yielded callable changes its text."""
    if TELL.is_terminal:
        with TELL.status(escape(title), spinner="dots") as status:
            yield lambda text: status.update(escape(f"{title}: {text}"))
    else:
        TELL.print(escape(f"… {title}"))
        yield lambda text: TELL.print(escape(f"  {text}"), soft_wrap=True)


def as_json(facts: Any) -> None:
    """Print one JSON document on stdout."""
    SAY.print_json(json.dumps(facts, default=str)) if SAY.is_terminal else print_plain(
        json.dumps(facts, default=str)
    )


def print_plain(text: str) -> None:
    """Print text as it is: not wrapped, not coloured."""
    SAY.out(text, highlight=False)


def table(frame: pd.DataFrame, columns: Sequence[str], *, flexible: Sequence[str] = ()) -> None:
    """Print some columns of a frame as a table; in a narrow terminal the flexible ones are truncated."""
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    widths = {name: max([len(name), *(len(_cell(value)) for value in frame[name])]) for name in columns}
    fixed = sum(width + _GAP for name, width in widths.items() if name not in flexible)
    room = (SAY.width - fixed) // max(len(flexible), 1) - _GAP
    for name, width in widths.items():
        drawn.add_column(
            name.replace("_", " "),
            overflow="ellipsis",
            no_wrap=True,
            width=min(width, max(room, _LEAST)) if name in flexible else width,
        )
    for row in frame[list(columns)].itertuples(index=False):
        drawn.add_row(*(escape(_cell(value)) for value in row))
    SAY.print(drawn)


def _cell(value: Any) -> str:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, pd.Timestamp):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, dict):
        return ", ".join(f"{name}={item}" for name, item in value.items())
    return str(value)
