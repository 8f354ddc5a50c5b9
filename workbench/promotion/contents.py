"""`Contents`: promoted versions in the database, from which the worker of any machine can fetch them.

Each file is there once, by its hash and in parts, so that none is ever whole in memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import NotebookError
from workbench.home.folders import private_folder
from workbench.project.files_used import file_sha256
from workbench.promotion.version import MANIFEST, TREE, hash_of, manifest_text
from workbench.tables.workbench import content_parts, contents, versions

__all__ = ["Contents"]

_PART = 4 * 2**20
_DOING = "keeping what was promoted"
# As `workbench.forget_versions` takes it.
_FORGETTING = 6517114


class Contents:
    """The promoted versions of one database.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    """

    def __init__(self, pool: ServiceConnectionPool) -> None:
        self._pool = pool

    def put(self, sha256: str, place: Path) -> None:
        """Store the version in the folder `place`, whole or not at all; nothing where it is there already.

        A file that another version holds is not stored again.

        Parameters
        ----------
        sha256 : str
            The version's hash.
        place : Path
            As `NotebookStore` keeps it.

        Raises
        ------
        NotebookError
            A file is no longer what its manifest says.
        """
        name, manifest, commit = _described(place)
        notebook = file_sha256(place / name)
        files = {notebook: place / name}
        if manifest is not None:
            held = {**manifest["modules"], **manifest["files"]}
            files |= {content: place / TREE / path for path, content in held.items()}
        with self._pool.begin(_DOING) as connection:
            known = connection.scalar(sa.select(versions.c.notebook).where(versions.c.sha256 == sha256))
            if known is None:
                row: dict[str, Any] = {"sha256": sha256, "name": name, "notebook": notebook, "commit": commit}
                row["manifest"] = sa.null() if manifest is None else manifest
                # First, so that of several that store the same, one does, and the others wait for it here.
                connection.execute(insert(versions).values(row).on_conflict_do_nothing())
                known = connection.scalar(sa.select(versions.c.notebook).where(versions.c.sha256 == sha256))
            if known != notebook:
                # It differs in what its hash leaves out, such as the ids of cells: the first one stays.
                del files[notebook]
            there = set(
                connection.scalars(sa.select(contents.c.sha256).where(contents.c.sha256.in_(list(files))))
            )
            # In one order, so that two versions with the same files do not wait for each other.
            for content in sorted(files.keys() - there):
                _put_file(connection, content, files[content])

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """While the block runs nothing is removed as needed by nobody (`workbench.forget_versions`)."""
        with self._pool.begin(_DOING) as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(_FORGETTING)))
            yield

    def fetch(self, sha256: str, folder: Path) -> bool:
        """Write the version into a new folder; False where the database has no such version.

        Raises
        ------
        NotebookError
            The database's copy is damaged.
        """
        with self._pool.snapshot("fetching what was promoted") as connection:
            row = connection.execute(sa.select(versions).where(versions.c.sha256 == sha256)).one_or_none()
            if row is None:
                return False
            files = {Path(row.name): row.notebook}
            if row.manifest is not None:
                # Before its paths are used.
                if hash_of(row.manifest) != sha256:
                    raise NotebookError(
                        f"the version {sha256[:12]} of {row.name} is damaged in the database: its manifest "
                        f"is not what was promoted; {_advice(versions=sha256)}"
                    )
                held = {**row.manifest["modules"], **row.manifest["files"]}
                files |= {Path(TREE, path): content for path, content in held.items()}
                private_folder(folder / TREE)
                write_sealed(folder / MANIFEST, [manifest_text(row.manifest, row.commit)])
            for path, content in files.items():
                private_folder((folder / path).parent)
                if not _fetched(connection, content, folder / path):
                    raise NotebookError(
                        f"{path.name} of {row.name} is damaged in the database: it is not what was promoted; "
                        f"{_advice(contents=content, versions=sha256)}"
                    )
        return True


def _fetched(connection: sa.Connection, content: str, path: Path) -> bool:
    """Write a file; False where it is not what it should be."""
    digest = hashlib.sha256()

    def parts() -> Iterator[bytes]:
        query = sa.select(content_parts.c.bytes).where(content_parts.c.sha256 == content)
        found = connection.execution_options(yield_per=1).scalars(query.order_by(content_parts.c.part))
        for part in found:
            digest.update(part)
            yield part

    write_sealed(path, parts())
    return digest.hexdigest() == content


def write_sealed(path: Path, parts: Iterator[bytes] | list[bytes]) -> None:
    """Write a new, read-only file, and wait until it is on the disk."""
    with path.open("xb") as stream:
        for part in parts:
            stream.write(part)
        stream.flush()
        os.fchmod(stream.fileno(), 0o444)
        os.fsync(stream.fileno())


def _described(place: Path) -> tuple[str, dict[str, Any] | None, str | None]:
    """The notebook's file name, the manifest without the commit, and the commit, of a version's folder."""
    if not (place / MANIFEST).is_file():
        return next(path.name for path in sorted(place.glob("[!.]*.ipynb"))), None, None
    manifest: dict[str, Any] = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
    commit = manifest.pop("commit", None)
    return manifest["notebook"]["name"], manifest, commit


def _put_file(connection: sa.Connection, content: str, path: Path) -> None:
    row: Mapping[str, Any] = {"sha256": content, "size": path.stat().st_size}
    stored = insert(contents).values(row).on_conflict_do_nothing().returning(contents.c.sha256)
    if connection.scalar(stored) is None:
        return  # stored by somebody else since
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for number, part in enumerate(iter(lambda: stream.read(_PART), b"")):
            digest.update(part)
            connection.execute(
                content_parts.insert().values(sha256=content, part=number, bytes=part).inline()
            )
    if digest.hexdigest() != content:
        raise NotebookError(f"{path} was changed while it was stored in the database; promote it again.")


def _advice(**damaged: str) -> str:
    statements = "; ".join(
        f"DELETE FROM workbench.{table} WHERE sha256 = '{sha256}'" for table, sha256 in damaged.items()
    )
    return f"as the database's owner run {statements}, then promote it again, or run it where it still is"
