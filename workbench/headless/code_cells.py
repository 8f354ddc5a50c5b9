"""The code of a notebook's cells as syntax trees, apart from their magics; nothing is executed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.runs.notebook import Notebook, is_run

__all__ = ["CodeCell", "code_cells", "imported_names"]

# Cell magics that run their cell as plain Python.
_TIMED = re.compile(r"\s*%%(time|timeit|capture|prun)\b[^\n]*\n")
_MAGIC = re.compile(r"^([ \t]*)[%!?].*$|^([ \t]*)[^#\n]*\?[ \t]*$", flags=re.MULTILINE)


@dataclass(frozen=True)
class CodeCell:
    """A code cell: its number among those that run, its tags, its code.

    `tree` is None where the cell is no plain Python; `magic` is the text of its magics and commands.
    """

    number: int
    source: str
    tags: frozenset[str]
    tree: ast.Module | None
    magic: str

    def named(self, code: str = "") -> str:
        """The cell as messages name it: its number and `code` (default: its first line), cut if long."""
        shown = code or next(line.strip() for line in self.source.splitlines() if line.strip())
        return f"cell {self.number} (`{shown if len(shown) <= 60 else shown[:57] + '...'}`)"


def code_cells(notebook: Notebook) -> Iterator[CodeCell]:
    """The code cells that a run executes, in order, of a notebook from `read_notebook`."""
    number = 0
    for cell in notebook["cells"]:
        if is_run(cell):
            number += 1
            source = cell["source"]
            yield CodeCell(number, source, frozenset(cell["metadata"]["tags"]), *_parse(source))


def _parse(source: str) -> tuple[ast.Module | None, str]:
    """The cell's code without its magics, and the text of those; a cell that is not Python is all magic."""
    timed = _TIMED.match(source)
    if source.lstrip().startswith("%%") and not timed:
        return None, source
    code = source[timed.end() :] if timed else source
    magic = "\n".join(found[0] for found in _MAGIC.finditer(code))
    try:
        return ast.parse(_MAGIC.sub(lambda found: f"{found[1] or found[2] or ''}pass", code)), magic
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None, source


def imported_names(cells: Sequence[CodeCell]) -> dict[str, tuple[str, str]]:
    """The names that are imported from a module: by name, the module and the name in it."""
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for cell in cells
        if cell.tree is not None
        for statement in ast.walk(cell.tree)
        if isinstance(statement, ast.ImportFrom) and statement.module is not None and not statement.level
        for alias in statement.names
    }
