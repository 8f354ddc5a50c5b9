"""Notebooks for these tests, written as JupyterLab writes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
MakeNotebook = Callable[..., Path]


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """`make_notebook(parameters, *cells)`: a notebook with that source in its "parameters" cell.

    None: it has no such cell. Then a code cell for each source; a dict is taken as the cell itself.
    """

    def make(parameters: str | None, *cells: str | Mapping[str, Any], name: str = "study.ipynb") -> Path:
        document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": KERNEL}}
        first = [] if parameters is None else [_code(parameters, "parameters")]
        rest = [_code(cell) if isinstance(cell, str) else dict(cell) for cell in cells]
        numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(first + rest)]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document | {"cells": numbered}), encoding="utf-8")
        return path

    return make


def _code(source: str, *tags: str) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags)},
        "source": source.splitlines(keepends=True),
        "outputs": [],
        "execution_count": None,
    }
