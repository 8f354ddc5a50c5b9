"""Keeps a notebook that passes its gates in the store, with all that it runs with: its modules and files."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.headless.code_cells import code_cells
from workbench.headless.notebook_file import NotebookFile
from workbench.project.modules import import_rules
from workbench.promotion.contents import Contents
from workbench.promotion.gates.floors import Floors
from workbench.promotion.gates.kernels import Subject
from workbench.promotion.gates.passing import pass_gates
from workbench.promotion.gates.result import GateResult
from workbench.promotion.gathering import gather_modules, named_files
from workbench.promotion.store import NotebookStore
from workbench.promotion.version import Version
from workbench.runs.code import commit_of
from workbench.settings import Settings
from workbench.stack.model import Progress

__all__ = ["Kept", "keep"]


@dataclass(frozen=True)
class Kept:
    """What was stored, and what its gates say.

    Attributes
    ----------
    version : Version
        The stored one.
    doubts : list of str
        What is doubtful about it, each as a sentence: it failed when it was run, or a gate could not look at
        everything.
    gates : list of GateResult
    """

    version: Version
    doubts: list[str]
    gates: list[GateResult]

    @property
    def overruled(self) -> list[str]:
        """The gates that it did not pass, each as a clause."""
        return [
            f"it does not pass the gate {one.gate}: {one.summary.rstrip('.')}"
            for one in self.gates
            if one.outcome == "failed"
        ]


def keep(
    settings: Settings,
    file: NotebookFile,
    values: Mapping[str, Any],
    *,
    files: Sequence[str | os.PathLike[str]],
    environment: Mapping[str, str],
    timeout_seconds: float | None,
    memory_limit: int | None = None,
    alone: bool = False,
    floors: Floors | None = None,
    progress: Progress,
    force: bool,
    contents: Contents | None = None,
) -> Kept:
    """Run the notebook for its gates, the first time to find the project's modules, and store it with them.

    Nothing is stored of a notebook that is refused.

    Raises
    ------
    GateFailed
        It does not pass a gate, and `force` is not set.
    PromotionRefused
        A module or file cannot be promoted.
    """
    name = file.path.name
    rules = import_rules(file.path.parent, settings.home)
    told = named_files(rules, files)
    subject = Subject(
        file,
        values,
        rules,
        settings.home,
        environment,
        timeout_seconds=timeout_seconds,
        memory_limit=memory_limit,
        alone=alone,
    )
    first, gates = pass_gates(subject, floors or Floors(), force=force, progress=progress)
    doubts = [doubt for gate in gates for doubt in gate.doubts]
    if first.failure is not None:
        said = str(first.failure).rstrip(".")
        why = (
            "which may be only because what it wrote before was undone"
            if first.wrote
            else "and was promoted by force"
        )
        doubts.append(
            f"Run once without its writes, it failed, {why}: {said}. Modules of the cells from there on were "
            "found by reading their imports."
        )
    cells = [cell.tree for cell in code_cells(file.document) if cell.tree is not None]
    gathered = gather_modules(rules, first.imported, cells, name)
    version = NotebookStore(settings.store_folder, contents).add(
        file, gathered.modules, told, paths=sorted(gathered.paths), commit=commit_of(gathered.modules)
    )
    return Kept(version, doubts, gates)
