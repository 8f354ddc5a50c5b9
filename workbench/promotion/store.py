"""The store of promoted notebooks, by content: a schedule runs what was promoted, not what someone edits.

A notebook lies at `<folder>/<first two of its hash>/<hash>/<its name>.ipynb`, without outputs, read-only.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError
from workbench.home.files import replace_file
from workbench.home.folders import private_folder
from workbench.promotion.notebook_file import NotebookFile

__all__ = ["NotebookStore"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotebookStore:
    """A folder of notebooks by their content.

    Parameters
    ----------
    folder : Path
        Made when the first notebook is added.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def add(self, file: NotebookFile) -> NotebookFile:
        """Store a notebook, without outputs, under its content's hash and its own name.

        Returns
        -------
        NotebookFile
            The stored one; where the same was stored before, that one.

        Raises
        ------
        NotebookError
            The store cannot be written.
        """
        target = self._place(file.sha256) / file.path.name
        stored = _verified(target, file.sha256)
        if stored is not None:
            return stored
        # Nothing is there yet, or it is damaged.
        empty: dict[str, Any] = {"outputs": [], "execution_count": None}
        cells = [cell | empty if cell["cell_type"] == "code" else cell for cell in file.document["cells"]]
        stored = NotebookFile(target, file.document | {"cells": cells})
        text = json.dumps(stored.document, ensure_ascii=False, indent=1) + "\n"
        try:
            replace_file(private_folder(target.parent) / target.name, text.encode(), mode=0o444)
        except OSError as error:
            raise NotebookError(f"{file.path.name} cannot be stored in {self.folder}: {error}.") from error
        return stored

    def open(self, sha256: str) -> NotebookFile:
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
            stored = _verified(path, sha256)
            if stored is not None:
                return stored
        raise NotebookError(f"The stored notebook {found[0]} was changed or damaged; promote it again.")

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256


def _verified(path: Path, sha256: str) -> NotebookFile | None:
    """The notebook at `path`; None where there is none of that content."""
    try:
        file = NotebookFile.read(path)
    except NotebookError:
        return None
    return file if file.sha256 == sha256 else None
