"""The code of a notebook's cells as syntax trees, with the magics told apart; nothing of it is run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from workbench.runs.notebook import Notebook, is_run

__all__ = ["CodeCell", "code_cells", "imported_names"]

# A cell magic whose cell is run as the Python that it is.
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
        """The cell for people: its number and `code`, by default its first line, cut where it is long."""
        shown = code or next(line.strip() for line in self.source.splitlines() if line.strip())
        return f"cell {self.number} (`{shown if len(shown) <= 60 else shown[:57] + '...'}`)"


def code_cells(notebook: Notebook) -> Iterator[CodeCell]:
    """The cells of code that a run runs, in their order, of a notebook that `read_notebook` gave."""
    number = 0
    for cell in notebook["cells"]:
        if is_run(cell):
            number += 1
            source = cell["source"]
            yield CodeCell(number, source, frozenset(cell["metadata"]["tags"]), *_parse(source))


def _parse(source: str) -> tuple[ast.Module | None, str]:
    """The cell's code without its magics, and their text; what is no Python is all theirs."""
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
    """The names that are imported from a module: where from, and what they are called there."""
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for cell in cells
        if cell.tree is not None
        for statement in ast.walk(cell.tree)
        if isinstance(statement, ast.ImportFrom) and statement.module is not None and not statement.level
        for alias in statement.names
    }
