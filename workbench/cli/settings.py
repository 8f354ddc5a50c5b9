"""The command `workbench config`: every setting, its value without secrets, and where it comes from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from workbench.errors import ProjectMissing
from workbench.project import MARKER, find_project
from workbench.settings import Settings
from workbench.settings.origins import Origin
from workbench.settings.table import SettingRow, table_of
from workbench.terminal import SAY, as_json, note

__all__ = ["config"]


def config(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Show every setting and where it comes from, passwords masked; starts nothing."""
    rows = _rows()
    root = find_project()
    if json:
        settings = [
            {
                "setting": row.name,
                "value": row.value,
                "from": str(row.origin),
                "key": row.key or None,
                "variable": row.variable,
            }
            for row in rows
        ]
        as_json({"project": None if root is None else str(root), "settings": settings})
        return
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    for column in (f"in {MARKER}", "variable", "value", "from"):
        drawn.add_column(column, overflow="fold", no_wrap=column == "variable")
    for row in rows:
        style = "dim" if row.origin.kind == "default" else ""
        drawn.add_row(escape(row.key), row.variable, escape(row.value), escape(str(row.origin)), style=style)
    SAY.print(drawn)
    note(f"the project is {root}" if root is not None else "there is no project here")


def _rows() -> list[SettingRow]:
    """The table; outside of a project with all but the home, which must be named there."""
    try:
        settings = Settings.load()
        return table_of(settings, settings.origins)
    except ProjectMissing:
        settings = Settings.load(home=Path.cwd())
    rows = table_of(settings, settings.origins)
    missing = "none; outside of a project it must be named"
    return [
        replace(row, value=missing, origin=Origin("default")) if row.name == "home" else row for row in rows
    ]
