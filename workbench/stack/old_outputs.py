"""Removes what old runs left (notebooks, pages, kept rows), in the home and below the outputs' URL."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

import sqlalchemy as sa

from workbench.db.pool import ServiceConnectionPool
from workbench.errors import OutputsUnreachable
from workbench.runs.outputs import Outputs
from workbench.settings import Settings
from workbench.stack.cleaned import Cleaned, Cut
from workbench.tables.workbench import runs

__all__ = ["clean_outputs"]

_AT_ONCE = 500


def clean_outputs(settings: Settings, pool: ServiceConnectionPool, cut: Cut) -> Cleaned:
    """Remove the outputs of runs that ended longer ago; their records say since when they are gone.

    The files go first: where it ends in between, the next one finds the record, and removes what is left. A
    folder of this home without a record, as of another database, is left.
    """
    removed, size = _remove_folders(settings.runs_folder, pool, cut)
    recorded, note = _recorded(pool, cut), ""
    gone = [run_id for run_id, path in recorded if Path(path).is_relative_to(settings.runs_folder)]
    if settings.outputs_url is not None:
        outputs = Outputs(settings.outputs_url)
        try:
            for run_id, path in recorded:
                if outputs.holds(path):
                    found = outputs.remove(str(run_id), dry_run=cut.dry_run)
                    removed, size = removed + bool(found), size + found
                    gone.append(run_id)
        except OutputsUnreachable as error:
            note = str(error)
    if not cut.dry_run:
        _note_removed(pool, gone)
    return Cleaned("outputs of runs", removed, size, cut.days, note)


def _remove_folders(folder: Path, pool: ServiceConnectionPool, cut: Cut) -> tuple[int, int]:
    """Those of old runs, whatever became of their records; returns how many, and their bytes."""
    removed = size = 0
    there = _folders(folder)
    for first in range(0, len(there), _AT_ONCE):
        for run_id in _old(pool, there[first : first + _AT_ONCE], cut):
            size += _size(folder / str(run_id))
            removed += 1
            if not cut.dry_run:
                shutil.rmtree(folder / str(run_id), ignore_errors=True)
    return removed, size


def _folders(folder: Path) -> list[uuid.UUID]:
    """The runs whose folders are in the home."""
    found = []
    for place in folder.iterdir() if folder.is_dir() else ():
        try:
            run_id = uuid.UUID(place.name)
        except ValueError:
            continue
        if place.name == str(run_id) and not place.is_symlink():
            found.append(run_id)
    return sorted(found)


def _is_old(cut: Cut) -> sa.ColumnElement[bool]:
    return runs.c.ended_at < sa.func.clock_timestamp() - cut.age


def _old(pool: ServiceConnectionPool, some: list[uuid.UUID], cut: Cut) -> list[uuid.UUID]:
    query = sa.select(runs.c.run_id).where(runs.c.run_id.in_(some), _is_old(cut))
    with pool.begin("finding old runs") as connection:
        return list(connection.scalars(query.order_by(runs.c.run_id)))


def _recorded(pool: ServiceConnectionPool, cut: Cut) -> list[tuple[uuid.UUID, str]]:
    """The old runs whose record names outputs, with where these are."""
    query = sa.select(runs.c.run_id, runs.c.output_path).where(
        _is_old(cut), runs.c.output_path.is_not(None), runs.c.outputs_removed_at.is_(None)
    )
    with pool.begin("finding old runs") as connection:
        return [(row.run_id, row.output_path) for row in connection.execute(query.order_by(runs.c.run_id))]


def _note_removed(pool: ServiceConnectionPool, gone: list[uuid.UUID]) -> None:
    if gone:
        with pool.begin("noting whose outputs are gone") as connection:
            connection.execute(
                runs.update()
                .where(runs.c.run_id.in_(gone))
                .values(outputs_removed_at=sa.func.clock_timestamp())
            )


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() or path.is_symlink())
