"""Reads and checks a notebook file as plain JSON, and computes its hash."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError

__all__ = ["cells_tagged", "content_sha256", "is_run", "notebook_sha256", "read_notebook"]

Notebook = dict[str, Any]
Cell = dict[str, Any]


def read_notebook(path: Path) -> Notebook:
    """The notebook at `path`, with every cell's source as one string and its tags as a list.

    Raises
    ------
    NotebookError
        The file is missing, its name does not end in `.ipynb`, or it is not JSON in notebook format 4.
    """
    if path.suffix != ".ipynb":
        raise NotebookError(f"{path} is not a notebook: its name does not end in .ipynb.")
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotebookError(f"There is no notebook at {path}.") from error
    except OSError as error:
        raise NotebookError(f"The notebook {path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise NotebookError(f"{path} is not a notebook: it is not JSON ({error}).") from error
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        found = document.get("nbformat") if isinstance(document, dict) else None
        advice = " Open it in JupyterLab and save it." if found in (1, 2, 3) else ""
        raise NotebookError(f"{path} is not a notebook of format 4: it has no list of cells.{advice}")
    if document.get("nbformat") != 4:
        raise NotebookError(
            f"{path} is a notebook of format {document.get('nbformat')!r}; save it as format 4 in JupyterLab."
        )
    if not isinstance(document.setdefault("metadata", {}), dict):
        raise NotebookError(f"{path} is not a notebook: its metadata is not an object.")
    document["cells"] = [_cell(path, number, cell) for number, cell in enumerate(document["cells"], 1)]
    return document


def notebook_sha256(path: Path) -> str:
    """The SHA-256 (64 hex digits) of a notebook's kernel and its cells' types, sources and tags.

    Outputs, execution counts, cell ids and other metadata are left out: running a notebook, or folding a
    cell, does not change its hash.
    """
    return content_sha256(read_notebook(Path(path)))


def content_sha256(notebook: Notebook) -> str:
    """The hash of `notebook_sha256` for a notebook that was already read."""
    kernel = notebook["metadata"].get("kernelspec")
    content = {
        "kernel": kernel.get("name") if isinstance(kernel, dict) else None,
        "cells": [
            [cell["cell_type"], cell["source"], sorted(set(cell["metadata"]["tags"]))]
            for cell in notebook["cells"]
        ],
    }
    # With ensure_ascii, a lone surrogate, which JSON allows, can be encoded.
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def cells_tagged(notebook: Notebook, tag: str) -> list[tuple[int, Cell]]:
    """The code cells with the tag, each with its number, from 1."""
    return [
        (number, cell)
        for number, cell in enumerate(notebook["cells"], 1)
        if cell["cell_type"] == "code" and tag in cell["metadata"]["tags"]
    ]


def is_run(cell: Cell) -> bool:
    """Whether Jupyter executes the cell, and so gives it an execution count."""
    return (
        cell["cell_type"] == "code"
        and bool(cell["source"].strip())
        and "skip-execution" not in cell["metadata"]["tags"]
    )


def _cell(path: Path, number: int, cell: Any) -> Cell:
    if not isinstance(cell, dict) or cell.get("cell_type") not in {"code", "markdown", "raw"}:
        raise NotebookError(f"{path} is not a notebook: cell {number} is neither code, markdown nor raw.")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    metadata = cell.get("metadata", {})
    if not isinstance(source, str) or not isinstance(metadata, dict):
        raise NotebookError(f"{path} is not a notebook: cell {number} has no source text, or bad metadata.")
    tags = metadata.get("tags", [])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise NotebookError(f"{path} is not a notebook: the tags of cell {number} are not a list of words.")
    return cell | {"source": source, "metadata": metadata | {"tags": tags}}
