"""Whether a notebook is fit to run by schedule, read from its code without running any of it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

from workbench.headless.code_cells import code_cells, imported_names
from workbench.runs.notebook import Notebook, cells_tagged

__all__ = ["reservations"]

_COMMAND = re.compile(r"\bworkbench(?:\.cli)?\s+(promote|trigger)\b")


def reservations(notebook: Notebook) -> list[str]:
    """Why the notebook should not run by schedule, each reason as a clause; empty if it may.

    Parameters
    ----------
    notebook : dict
        As `workbench.runs.notebook.read_notebook` gives it.
    """
    found = []
    if not cells_tagged(notebook, "parameters"):
        found.append(
            'it has no cell tagged "parameters", so nothing of a run can be set from outside; tag one, which '
            'may be empty (in JupyterLab: the property inspector, "Cell tags")'
        )
    cells = list(code_cells(notebook))
    makers = {name for name, (_, what) in imported_names(cells).items() if what == "Workbench"} | {
        "Workbench"
    }
    faces = {name for cell in cells for name in _bound(cell.tree, lambda value: _makes(value, makers))}
    faces |= {name for cell in cells for name in _bound(cell.tree, lambda value: _is_facet(value, faces))}
    doing = []
    for cell in cells:
        verbs = sorted(set(_verbs(cell.tree, faces, makers)) | set(_COMMAND.findall(cell.magic)))
        if verbs:
            doing.append(f"{cell.named()} {' and '.join(f'{verb}s' for verb in verbs)}")
    if doing:
        them = "that cell" if len(doing) == 1 else "those cells"
        found.append(
            f'{", ".join(doing)}, and so would each of its runs; tag {them} "skip-execution", so that only '
            "people run what is in there"
        )
    return found


def _bound(tree: ast.Module | None, wanted: Callable[[ast.expr | None], bool]) -> Iterator[str]:
    """The names that are bound to a value of the wanted kind."""
    for node in [] if tree is None else ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value) if wanted(value):
                yield from (target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if wanted(value):
                yield name
            case ast.NamedExpr(target=ast.Name(id=name), value=value) if wanted(value):
                yield name
            case ast.withitem(context_expr=value, optional_vars=ast.Name(id=name)) if wanted(value):
                yield name


def _is_facet(node: ast.expr | None, faces: set[str]) -> bool:
    """Whether it is `wb.deployments`."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="deployments"):
            return name in faces
    return False


def _makes(node: ast.expr | None, makers: set[str]) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name)):
            return name in makers
        case ast.Call(func=ast.Attribute(attr="Workbench")):
            return True
    return False


def _verbs(tree: ast.Module | None, faces: set[str], makers: set[str]) -> Iterator[str]:
    """`promote` and `trigger`, for each call of theirs on a Workbench, or on a part of one."""
    for node in [] if tree is None else ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            while isinstance(owner, ast.Attribute):
                owner = owner.value
            if node.func.attr in {"promote", "trigger"} and (
                (isinstance(owner, ast.Name) and owner.id in faces) or _makes(owner, makers)
            ):
                yield node.func.attr
