"""`Version`: a promoted notebook with the project's modules and files that it was promoted with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench.headless.notebook_file import NotebookFile

__all__ = ["FORMAT", "MANIFEST", "TREE", "Version", "contents_of", "hash_of", "manifest_text"]

FORMAT = 1
MANIFEST = "version.json"
"""The file of a version's contents, in its folder."""
TREE = "project"
"""The folder of its modules and files, there."""


@dataclass(frozen=True, repr=False)
class Version:
    """What a deployment runs.

    Attributes
    ----------
    sha256 : str
        The hash of all that follows but `commit`; of a notebook promoted before versions had modules, of the
        notebook alone.
    file : NotebookFile
        The stored notebook.
    modules, files : dict
        By path relative to the project's root, the SHA-256 of each.
    paths : tuple of str
        The folders, relative to the root, in which imports of the modules begin.
    commit : str or None
        The project's commit at promotion, as in "g1a2b3c4" or "g1a2b3c4.dirty"; None without git.
    tree : Path or None
        The folder with the modules and files. None: promoted before there was one, so that imports are from
        the project.
    """

    sha256: str
    file: NotebookFile
    modules: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    paths: tuple[str, ...] = ()
    commit: str | None = None
    tree: Path | None = None

    def __repr__(self) -> str:
        return f"<Version {self.sha256[:12]} of {self.file.path.name}: {len(self.modules)} modules>"


def contents_of(
    file: NotebookFile, modules: Mapping[str, str], files: Mapping[str, str], paths: Sequence[str]
) -> dict[str, Any]:
    """What a version's hash is of."""
    return {
        "format": FORMAT,
        "notebook": {"name": file.path.name, "sha256": file.sha256},
        "modules": dict(modules),
        "files": dict(files),
        "paths": list(paths),
    }


def hash_of(contents: Mapping[str, Any]) -> str:
    """The SHA-256 of a version's contents, 64 hex digits; the order of keys does not matter."""
    text = json.dumps(contents, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def manifest_text(contents: Mapping[str, Any], commit: str | None) -> bytes:
    """What the file `MANIFEST` holds."""
    return (json.dumps({**contents, "commit": commit}, indent=1, sort_keys=True) + "\n").encode()
