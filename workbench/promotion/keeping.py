"""Keeps a notebook in the store with all that it runs with: its modules, found by a rehearsal, and files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import PromotionRefused
from workbench.project.modules import import_rules
from workbench.promotion.code_cells import code_cells
from workbench.promotion.contents import Contents
from workbench.promotion.gathering import gather_modules, named_files
from workbench.promotion.notebook_file import NotebookFile
from workbench.promotion.rehearsal import rehearse
from workbench.promotion.store import NotebookStore
from workbench.promotion.version import Version
from workbench.runs.code import commit_of
from workbench.settings import Settings
from workbench.stack.model import Progress

__all__ = ["keep"]


def keep(
    settings: Settings,
    file: NotebookFile,
    values: Mapping[str, Any],
    *,
    files: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str],
    timeout_seconds: float | None,
    memory_limit: int | None = None,
    progress: Progress,
    force: bool,
    contents: Contents | None = None,
) -> tuple[Version, list[str]]:
    """Run the notebook once to find the project's modules that it imports, and store it with them.

    Returns
    -------
    Version
        The stored one.
    list of str
        What is doubtful about it, each as a sentence: its rehearsal failed, and it was promoted all the same.

    Raises
    ------
    PromotionRefused
        It failed in the rehearsal before it had written anything, and `force` is not set; or a module or file
        cannot be promoted.
    """
    name = file.path.name
    rules = import_rules(file.path.parent, settings.home)
    told = named_files(rules, files)
    rehearsal = rehearse(
        file,
        values,
        rules,
        home=settings.home,
        environment=environment,
        timeout_seconds=timeout_seconds,
        memory_limit=memory_limit,
        progress=progress,
    )
    doubts = []
    if rehearsal.failure is not None:
        said = str(rehearsal.failure).rstrip(".")
        if not rehearsal.wrote and not force:
            raise PromotionRefused(
                f"{name} is not promoted, because it fails: {said}. "
                "Promote it all the same with --force (force=True)."
            ) from rehearsal.failure
        why = (
            "which may be only because what it wrote before was undone"
            if rehearsal.wrote
            else "and was promoted by force"
        )
        doubts.append(
            f"Run once without its writes, it failed, {why}: {said}. Modules of the cells from there on were "
            "found by reading their imports."
        )
    cells = [cell.tree for cell in code_cells(file.document) if cell.tree is not None]
    gathered = gather_modules(rules, rehearsal.imported, cells, name)
    version = NotebookStore(settings.store_folder, contents).add(
        file, gathered.modules, told, paths=sorted(gathered.paths), commit=commit_of(gathered.modules)
    )
    return version, doubts
