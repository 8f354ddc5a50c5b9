"""The store of promoted notebooks, by content: a schedule runs what was promoted, not what someone edits.

A notebook lies at `<folder>/<first two of its hash>/<hash>/<its name>.ipynb`, without outputs, read-only.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import NotebookError
from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.runs.notebook import content_sha256, read_notebook

__all__ = ["NotebookStore", "StoredNotebook"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class StoredNotebook:
    """A notebook in the store: its content's hash, and where it lies."""

    sha256: str
    path: Path


class NotebookStore:
    """A folder of notebooks by their content.

    Parameters
    ----------
    folder : Path
        Made when the first notebook is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add(self, path: Path) -> StoredNotebook:
        """Store the notebook at `path` under its content's hash and its own name; twice changes nothing.

        Raises
        ------
        NotebookError
            The file is no notebook, or the store cannot be written.
        """
        path = Path(path)
        notebook = read_notebook(path)
        sha256 = content_sha256(notebook)
        target = self._place(sha256) / path.name
        if not _holds(target, sha256):  # nothing there yet, or damaged
            for cell in notebook["cells"]:
                if cell["cell_type"] == "code":
                    cell |= {"outputs": [], "execution_count": None}
            text = json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"
            try:
                replace_file(private_folder(target.parent) / target.name, text.encode(), mode=0o444)
            except OSError as error:
                raise NotebookError(f"{path.name} cannot be stored in {self.folder}: {error}.") from error
        return StoredNotebook(sha256, target)

    def open(self, sha256: str) -> StoredNotebook:
        """The stored notebook of that hash, verified; of several names for one content the first.

        Raises
        ------
        NotebookError
            There is none, or the file is no longer what was stored.
        """
        if not _SHA256.fullmatch(sha256):
            raise NotebookError(f"{sha256!r} is not the hash of a notebook: expected 64 hex digits.")
        found = sorted(self._place(sha256).glob("[!.]*.ipynb"))
        if not found:
            raise NotebookError(f"The store {self.folder} holds no notebook {sha256}; promote it again.")
        for path in found:
            if _holds(path, sha256):
                return StoredNotebook(sha256, path)
        raise NotebookError(f"The stored notebook {found[0]} was changed or damaged; promote it again.")

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


def _holds(path: Path, sha256: str) -> bool:
    try:
        return content_sha256(read_notebook(path)) == sha256
    except NotebookError:
        return False
