"""The store of promoted notebooks, by content: a schedule runs what was promoted, not what someone edits.

The database holds it for every machine (`workbench.promotion.contents`), and a home's folder is a copy of
what was promoted or run there. A version is a read-only folder, `<folder>/<first two of its hash>/<hash>/`:

    <name>.ipynb       the notebook, without outputs
    version.json       the modules and files with their hashes; the version's hash is of it
    project/           the modules and files, by their paths below the project's root

Notebooks promoted before there were modules lie there alone, under their own content's hash.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench.errors import NotebookError
from workbench.headless.notebook_file import NotebookFile
from workbench.home.folders import private_folder
from workbench.home.temporary import TemporaryFolder
from workbench.project.files_used import file_sha256
from workbench.promotion.contents import Contents, write_sealed
from workbench.promotion.version import MANIFEST, TREE, Version, contents_of, hash_of, manifest_text

__all__ = ["NotebookStore"]

_SHA256 = re.compile(r"[0-9a-f]{64}")


class NotebookStore:
    """Versions by their content.

    Parameters
    ----------
    folder : Path
        Made when the first version is added. Versions are put together in `tmp/` beside it.
    contents : Contents, optional
        Those in the database. Default: there is the folder alone.
    """

    def __init__(self, folder: Path, contents: Contents | None = None) -> None:
        self.folder = Path(folder)
        self._contents = contents

    def add(
        self,
        file: NotebookFile,
        modules: Mapping[str, bytes] | None = None,
        files: Mapping[str, Path] | None = None,
        *,
        paths: Sequence[str] = (),
        commit: str | None = None,
    ) -> Version:
        """Store a notebook with modules and files; where the same was stored before, return that.

        It is there whole or not at all: it is put together elsewhere, stored in the database in one
        transaction, and then moved into its place in the folder.

        Parameters
        ----------
        file : NotebookFile
        modules : mapping of str to bytes, optional
            The source of each module, by its path relative to the project's root.
        files : mapping of str to Path, optional
            The file to copy, by such a path.
        paths : sequence of str
            The folders, relative to the root, in which imports of the modules begin.
        commit : str, optional
            The project's commit; no part of the hash.

        Raises
        ------
        NotebookError
            A file cannot be read, or the store cannot be written.
        """
        try:
            with TemporaryFolder("run", self.folder.parent) as scratch:
                fresh = private_folder(scratch / "version")
                sha256 = _put_together(fresh, file, modules or {}, files or {}, paths, commit)
                if self._contents is not None:
                    self._contents.put(sha256, fresh)
                return self._put_in_place(fresh, sha256, scratch / "damaged")
        except OSError as error:
            raise NotebookError(f"{file.path.name} cannot be stored in {self.folder}: {error}.") from error

    def open(self, sha256: str) -> Version:
        """The stored version of that hash, every file of it verified.

        What the folder lacks, or has damaged, is fetched from the database. What only the folder has, from
        before versions were in the database, is stored there.

        Raises
        ------
        NotebookError
            There is none, or it is no longer what was stored.
        """
        if not _SHA256.fullmatch(sha256):
            raise NotebookError(f"{sha256!r} is not the hash of a promoted notebook: expected 64 hex digits.")
        place = self._place(sha256)
        version, problem = _stored(place, sha256)
        if version is None and self._contents is not None:
            with TemporaryFolder("run", self.folder.parent) as scratch:
                if self._contents.fetch(sha256, private_folder(scratch / "version")):
                    return self._put_in_place(scratch / "version", sha256, scratch / "damaged")
        if version is not None:
            if self._contents is not None:
                self._contents.put(sha256, place)
            return version
        if problem:
            raise NotebookError(f"{problem} was changed or damaged in the store; promote it again.")
        where = "" if self._contents is None else ", and neither does the database"
        raise NotebookError(f"The store {self.folder} holds no notebook {sha256}{where}; promote it again.")

    @contextlib.contextmanager
    def held(self, sha256: str) -> Iterator[None]:
        """While the block runs the database has the version; what was removed as unneeded is stored again.

        For whoever makes it needed: a version of a deployment that is stored within.
        """
        if self._contents is None:
            yield
            return
        with self._contents.held():
            self.open(sha256)
            yield

    def put_all(self) -> int:
        """Store in the database what only the folder has; return how many versions the folder has whole."""
        found = [place.name for place in sorted(self.folder.glob("??/*")) if _SHA256.fullmatch(place.name)]
        whole = 0
        for sha256 in found:
            place = self._place(sha256)
            if self._contents is not None and _stored(place, sha256)[0] is not None:
                self._contents.put(sha256, place)
                whole += 1
        return whole

    def _place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def _put_in_place(self, fresh: Path, sha256: str, aside: Path) -> Version:
        target = self._place(sha256)
        private_folder(target.parent)
        for _ in range(3):
            stored, _problem = _stored(target, sha256)
            if stored is not None:
                return stored
            if target.exists():
                shutil.rmtree(aside, ignore_errors=True)
                target.rename(aside)
            try:
                fresh.rename(target)
            except OSError as error:
                # Another promotion of the same has put its own there in between.
                if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                    raise
        stored, problem = _stored(target, sha256)
        if stored is None:
            raise NotebookError(
                f"{problem or target} cannot be stored; is something else writing into {self.folder}?"
            )
        return stored


def _put_together(
    folder: Path,
    file: NotebookFile,
    modules: Mapping[str, bytes],
    files: Mapping[str, Path],
    paths: Sequence[str],
    commit: str | None,
) -> str:
    """Write all of a version into `folder`; return its hash."""
    empty: dict[str, Any] = {"outputs": [], "execution_count": None}
    cells = [cell | empty if cell["cell_type"] == "code" else cell for cell in file.document["cells"]]
    document = file.document | {"cells": cells}
    _write(folder / file.path.name, (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode())
    tree = private_folder(folder / TREE)
    for key, source in modules.items():
        _write(tree / key, source)
    for key, path in files.items():
        if key not in modules:
            _copy(path, tree / key)
    hashes = {key: file_sha256(tree / key) for key in sorted({*modules, *files})}
    contents = contents_of(
        file,
        {key: hashes[key] for key in hashes if key in modules},
        {key: hashes[key] for key in hashes if key in files},
        paths,
    )
    _write(folder / MANIFEST, manifest_text(contents, commit))
    return hash_of(contents)


def _write(path: Path, content: bytes) -> None:
    private_folder(path.parent)
    write_sealed(path, [content])


def _copy(source: Path, path: Path) -> None:
    private_folder(path.parent)
    with source.open("rb") as read:
        write_sealed(path, iter(lambda: read.read(1 << 20), b""))


def _stored(place: Path, sha256: str) -> tuple[Version | None, str]:
    """The version at `place`; else None, and what is damaged, or nothing where there is none."""
    if (place / MANIFEST).is_file():
        return _verified(place, sha256)
    found = sorted(place.glob("[!.]*.ipynb"))
    for path in found:
        notebook = _notebook(path, sha256)
        if notebook is not None:
            return Version(sha256, notebook), ""
    return None, str(found[0]) if found else ""


def _verified(place: Path, sha256: str) -> tuple[Version | None, str]:
    """The version at `place`; None, and what is wrong, where it is not whole as it was stored."""
    manifest = place / MANIFEST
    try:
        contents = json.loads(manifest.read_text(encoding="utf-8"))
        commit = contents.pop("commit", None)
        if hash_of(contents) != sha256:
            return None, str(manifest)
        name = contents["notebook"]["name"]
        modules, files, paths = contents["modules"], contents["files"], contents["paths"]
        notebook = _notebook(place / name, contents["notebook"]["sha256"])
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None, str(manifest)
    if notebook is None:
        return None, str(place / name)
    tree = place / TREE
    for key, stored in {**modules, **files}.items():
        try:
            if file_sha256(tree / key) != stored:
                return None, str(tree / key)
        except OSError:
            return None, str(tree / key)
    for there in _files_in(tree):
        # A module that was put there later would be imported like the others.
        if there not in modules and there not in files:
            return None, str(tree / there)
    return Version(sha256, notebook, modules, files, tuple(paths), commit, tree), ""


def _files_in(tree: Path) -> list[str]:
    """The files below it, by their relative paths, but for what Numba keeps beside a module."""
    found = []
    for above, folders, names in os.walk(tree):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [os.path.relpath(os.path.join(above, name), tree).replace(os.sep, "/") for name in names]
    return found


def _notebook(path: Path, sha256: str) -> NotebookFile | None:
    """The notebook at `path`; None where there is none of that content."""
    try:
        file = NotebookFile.read(path)
    except NotebookError:
        return None
    return file if file.sha256 == sha256 else None
