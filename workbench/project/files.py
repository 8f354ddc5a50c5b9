"""`project_file`: the path of a data file of the project; in a promoted run that of the promoted copy."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.errors import FileNotPromoted, NotebookError
from workbench.project.files_used import file_sha256, note_used
from workbench.project.find import the_project
from workbench.project.imports import ImportRules, append_record

__all__ = ["project_file"]


def project_file(name: str | os.PathLike[str]) -> Path:
    """The path of a file below the project's root, to open it for reading.

    In a run of a promoted notebook it is the copy that was promoted with it: `wb.promote(…, files=[…])`.

    Parameters
    ----------
    name : str or path
        Relative to the project's root: "data/universe.csv".

    Returns
    -------
    Path
        Absolute. Outside of promoted runs it is not checked whether there is such a file.

    Raises
    ------
    FileNotPromoted
        The run is of a promoted notebook, and the file was not promoted with it.
    NotebookError
        The name is no relative path below the root.
    ProjectMissing
        There is no project.

    Examples
    --------
    >>> from workbench import project_file
    >>> universe = pd.read_csv(project_file("data/universe.csv"))
    """
    key = os.path.normpath(os.fspath(name)).replace(os.sep, "/")
    if key.startswith(("/", "../")) or key in {".", ".."}:
        raise NotebookError(f"{name} is no path below the project's root; give one relative to it")
    rules = ImportRules.from_environment()
    if rules is not None and rules.tree is not None:
        path = Path(rules.tree, key)
        if not path.is_file():
            raise FileNotPromoted(
                f"{key} was not promoted with the notebook; promote it again with it: files=[{key!r}]"
            )
        return path
    path = Path(the_project() if rules is None or rules.root is None else rules.root, key)
    if rules is None or rules.record is None:
        note_used(key, path)
    elif path.is_file():
        append_record(rules.record, {"used": key, "sha256": file_sha256(path)})
    return path
