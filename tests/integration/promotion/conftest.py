"""A project with rules of its own, and notebooks that import them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.acceptance.notebooks import write_notebook


class Project:
    """A project in a temporary folder: what its modules say tells which ones were imported.

    Attributes
    ----------
    root, home : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".workbench"
        (root / "notebooks").mkdir(parents=True)
        (root / "workbench.toml").touch()

    def write(self, **modules: str) -> None:
        """`write(rules__rule="SAID = 1")` writes `rules/rule.py` and, if missing, `rules/__init__.py`."""
        for name, source in modules.items():
            path = self.root.joinpath(*name.split("__")).with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.parent not in {self.root, self.root / "notebooks"}:
                (path.parent / "__init__.py").touch()
            path.write_text(source)

    def notebook(self, *cells: str, parameters: str = "", name: str = "study") -> Path:
        return write_notebook(self.root / "notebooks" / f"{name}.ipynb", parameters=parameters, cells=cells)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "mine")
    monkeypatch.setenv("WORKBENCH_PROJECT", str(made.root))
    return made


def printed(output: Path) -> Sequence[str]:
    """The lines that the cells of an output notebook printed."""
    import nbformat

    cells = nbformat.read(output, as_version=4).cells
    texts = [o.text for c in cells for o in c.get("outputs", []) if o.output_type == "stream"]
    return "".join(texts).splitlines()
