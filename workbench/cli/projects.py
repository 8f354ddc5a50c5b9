"""The command `workbench init`: a project of one's own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from workbench.project.create import create_project
from workbench.terminal import note, step

__all__ = ["init"]


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
