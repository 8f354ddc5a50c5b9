"""The rows that a run wrote, kept as text in files of its folder, with digests in its evidence."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from workbench.db.columns import encode
from workbench.home.files import replace_file
from workbench.home.folders import private_folder

__all__ = ["MOST_BYTES", "Write", "files_of_rows", "keep_rows", "kept_rows", "writes_of"]

_NAME = "rows-{number}-{table}.parquet"
MOST_BYTES = 20_000_000
"""Of the text of one write; of a larger one only the digest is kept."""

# What differs from run to run, whatever was computed: numbers of rows, the run, and times of writing.
_APART = {"id", "run_id", "created_at", "updated_at", "last_updated", "said_at"}
# A report is a page with the run's id and time in it: its title and figures are compared, and not its text.
_APART_IN = {"analytics.reports": {"content", "file"}}
# Bars have a history of their own, and log lines tell of one run only.
_NOT_KEPT = {"data_ingestion", "logging"}


@dataclass(frozen=True)
class Write:
    """One write of a frame.

    Attributes
    ----------
    number : int
        Of the run's writes, from 1.
    table : str
        With its schema.
    rows : int
    sha256 : str
        Of the rows, sorted, without what differs from run to run.
    key : tuple of str
        The columns that tell one row from another; empty if there are none.
    file : str or None
        The kept rows' name in the run's folder; None if they were too large, or could not be written.
    """

    number: int
    table: str
    rows: int
    sha256: str
    key: tuple[str, ...]
    file: str | None

    def to_line(self) -> str:
        """As the run's evidence holds it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Write:
        """Read it from the run's evidence."""
        facts = json.loads(line)
        return cls(**facts | {"key": tuple(facts["key"])})


def keep_rows(
    folder: Path,
    number: int,
    table: sa.Table,
    frame: pd.DataFrame,
    key: Sequence[str],
    *,
    most_bytes: int | None = None,
) -> Write | None:
    """Keep the rows of a write; None for a table whose rows are not compared, or a frame without rows.

    A full disk does not stop the run, whose rows are in the database: then only the digest is kept.

    Parameters
    ----------
    folder : Path
        The run's.
    number : int
        Of the process's writes; another one is taken if another process of the run has taken it.
    table : Table
    frame : DataFrame
        As it was written.
    key : sequence of str
    most_bytes : int, optional
        Of the rows' text; of more only the digest is kept. Default: `MOST_BYTES`.
    """
    if table.schema in _NOT_KEPT:
        return None
    flat = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    if table.schema == "strategy_engine" and "kind" in flat.columns:
        # What is said live is said once: a rerun says nothing, and what contradicts it is a row of its own.
        flat = flat[flat["kind"] != "live"]
    if flat.empty:
        return None
    apart = _APART | _APART_IN.get(str(table), set())
    names = sorted(name for name in map(str, flat.columns) if name in table.columns and name not in apart)
    text = pd.DataFrame(
        {name: encode(table.columns[name], flat[name], str(table)) for name in names}, dtype="str"
    )
    lines = sorted("\t".join(row) for row in text.itertuples(index=False, name=None))
    content = "\n".join(["\t".join(names), *lines]).encode()
    most = MOST_BYTES if most_bytes is None else most_bytes
    file = None if len(content) > most else _kept(folder, number, table.name, text)
    return Write(
        number,
        str(table),
        len(text),
        hashlib.sha256(content).hexdigest(),
        tuple(name for name in key if name not in apart),
        None if file is None else file.name,
    )


def writes_of(evidence: Mapping[str, Sequence[str]]) -> list[Write]:
    """The writes in a run's evidence, in their order."""
    return sorted((Write.from_line(line) for line in evidence.get("written", ())), key=lambda w: w.number)


def files_of_rows(folder: Path) -> list[Path]:
    """The files with kept rows in a run's folder."""
    return sorted(folder.glob(_NAME.format(number="*", table="*")))


def kept_rows(fetch: Callable[[str], Path | None], writes: Sequence[Write]) -> pd.DataFrame | None:
    """The rows of several writes of one table, as text; of a key the last one. None if some are not there.

    Parameters
    ----------
    fetch : callable
        The path of a file of the run's folder, by its name; None if it is not there any more.
    writes : sequence of Write
    """
    frames = []
    for write in writes:
        path = None if write.file is None else fetch(write.file)
        try:
            frames.append(None if path is None else pd.read_parquet(path))
        except (OSError, ValueError):  # removed in between, or damaged
            return None
    there = [frame for frame in frames if frame is not None]
    if len(there) < len(frames):
        return None
    if not there:
        return pd.DataFrame()
    rows = pd.concat(there, ignore_index=True)
    key = list(writes[0].key)
    return rows.drop_duplicates(key, keep="last", ignore_index=True) if key else rows


def _kept(folder: Path, number: int, name: str, text: pd.DataFrame) -> Path | None:
    """Write the file whole or not at all; None if it cannot be written."""
    content = io.BytesIO()
    text.to_parquet(content, index=False)
    try:
        private_folder(folder)
        while True:
            path = folder / _NAME.format(number=number, table=name)
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o600))
                break
            except FileExistsError:
                number += 1
        replace_file(path, content.getvalue(), mode=0o600)
    except OSError:
        return None
    return path
