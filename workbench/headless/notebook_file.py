"""`NotebookFile`: a notebook found and read once, for everything that a command asks of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from workbench.errors import NotebookError
from workbench.headless.parameters import NotebookParameters
from workbench.project import find_project
from workbench.runs.code import shown_name
from workbench.runs.notebook import Notebook, content_sha256, read_notebook

__all__ = ["NotebookFile", "find_notebook", "open_notebook"]


@dataclass(frozen=True, repr=False)
class NotebookFile:
    """A notebook as its file was when it was read: what was checked is what runs, or is stored.

    Wherever a path is taken, this is, too (`os.PathLike`).

    Attributes
    ----------
    path : Path
        Where it was read.
    document : dict
        As `read_notebook` gives it; not to be changed.
    """

    path: Path
    document: Notebook

    @classmethod
    def read(cls, path: Path) -> NotebookFile:
        """Read the notebook at `path`.

        Raises
        ------
        NotebookError
            The file is missing, or is not a notebook of format 4.
        """
        return cls(Path(path), read_notebook(Path(path)))

    @cached_property
    def parameters(self) -> NotebookParameters:
        """What its "parameters" cell declares; a `NotebookError` where that cannot be used."""
        return NotebookParameters.from_source(self.document, self.path.name)

    @cached_property
    def sha256(self) -> str:
        """The hash of its content, without outputs."""
        return content_sha256(self.document)

    @property
    def shown(self) -> str:
        """The name that records call it by: below `notebooks/` its path there."""
        return shown_name(self.path)

    def __repr__(self) -> str:
        return f"<NotebookFile {self.shown}, content {self.sha256[:12]}>"

    def __fspath__(self) -> str:
        return str(self.path)


def find_notebook(notebook: str | os.PathLike[str]) -> Path:
    """The notebook's path: as given, or below `notebooks/`, with or without `.ipynb`.

    Raises
    ------
    NotebookError
        There is no such file.
    """
    given = Path(notebook).expanduser()
    names = [given] if given.suffix == ".ipynb" else [given, given.with_name(f"{given.name}.ipynb")]
    root = find_project()
    folders = [Path.cwd(), *([] if root is None else [root, root / "notebooks"])]
    for name in names:
        for folder in folders:
            if (folder / name).is_file():
                return Path(os.path.abspath(folder / name))
    if root is None:
        raise NotebookError(
            f"there is no notebook {notebook} in {folders[0]}, and no project; workbench init makes one"
        )
    raise NotebookError(f"there is no notebook {notebook}, neither here nor below {folders[-1]}")


def open_notebook(notebook: str | os.PathLike[str]) -> NotebookFile:
    """The notebook, found by its path or name and read; one that was read already is returned as it is.

    Raises
    ------
    NotebookError
        There is no such file, or it is not a notebook of format 4.
    """
    return notebook if isinstance(notebook, NotebookFile) else NotebookFile.read(find_notebook(notebook))
