"""The commands `workbench init` and `workbench projects`: a project of one's own, and those that run."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from workbench.project.create import create_project
from workbench.terminal import SAY, as_json, note, step

if TYPE_CHECKING:
    from workbench.stack import RunningProject

__all__ = ["init", "projects"]

_MARKS = {"running": "[green]●[/]", "partly down": "[red]○[/]", "servers only": "[dim]●[/]"}


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The project's folder; made if missing.")],
    git: Annotated[
        bool, typer.Option("--git", help="Make it a repository that commits notebooks without outputs.")
    ] = False,
) -> None:
    """Make a project: notebooks to start from, a package for strategies, and settings."""
    root = create_project(folder, git=git)
    step(f"{root} is a project: notebooks/, strategies/, workbench.toml")
    inside = "" if root == Path.cwd() else f"cd {os.path.relpath(root)} && "
    note(f"the whole loop on real prices: {inside}workbench demo")
    note(f"JupyterLab at its notebooks: {inside}workbench lab")


def projects(
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """The projects of this account that run now, wherever they are; starts nothing."""
    from workbench.stack import running_projects

    found = running_projects()
    if json:
        as_json([asdict(one) for one in found])
    elif not found:
        step("no project runs")
    else:
        _draw(found)


def _draw(found: list[RunningProject]) -> None:
    drawn = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("", "project", "state", "since", "where"):
        drawn.add_column(column, overflow="fold", no_wrap=column in {"state", "since"})
    for one in found:
        where = [f"home {one.home}", *([f"Prefect {one.prefect_url}"] if one.prefect_url else [])]
        where += [", ".join(one.running)] if one.running else []
        where += [f"has ended: {', '.join(one.down)}"] if one.down else []
        drawn.add_row(
            _MARKS.get(one.state, "[yellow]●[/]"),
            escape(one.name or "no project"),
            one.state,
            f"{one.since.astimezone():%Y-%m-%d %H:%M}",
            "\n".join([escape(str(one.root or "")), *(f"[dim]{escape(line)}[/]" for line in where)]).strip(),
        )
    SAY.print(drawn)
