"""Parts of a sweep on disk: written atomically, checksummed, and resumable by any process.

A part holds the rows of some consecutive variants as an uncompressed Arrow file. There is no list of expected
parts: rows covered by the file names are done, the rest is not. So a killed sweep can resume with chunks of
any size, and two processes that work on the same sweep merely compute some rows twice.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import SweepError

__all__ = ["ERROR", "METRICS", "VERSION", "Part", "PartStore", "PartWriter", "Rows", "gaps", "merge"]

METRICS = (
    "total_return",
    "cagr",
    "volatility",
    "sharpe_ratio",
    "sortino",
    "calmar",
    "max_drawdown",
    "total_trades",
    "win_rate",
    "profit_factor",
    "exposure",
    "turnover",
    "skewness",
    "kurtosis",
    "n_bars",
)
"""The metrics computed for each variant, in this order; conventions in `workbench.metrics`."""

ERROR = "error"
"""The column with what the strategy raised."""

VERSION = 1
"""Increase it when the same sweep gives other rows than before, so that old and new parts are not mixed."""

_NAME = re.compile(r"(\d{12})-(\d{12})\.arrow")
_PART_ROWS, _PART_SECONDS = 16_384, 1.0
"""A part is written when it has this many rows, or this many seconds after the previous one."""
_ABANDONED_AFTER = 3600.0
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, eq=False)
class Rows:
    """Results of some consecutive variants.

    Attributes
    ----------
    start : int
        The number of the first row.
    parameters : mapping of str to ndarray, shape (n_rows,)
    metrics : ndarray of float64, shape (n_rows, n_metrics)
        In the order of METRICS; NaN where a metric is undefined, and in rows where the strategy failed.
    errors : mapping of int to str
        What the strategy raised, by position.
    """

    start: int
    parameters: Mapping[str, npt.NDArray[Any]]
    metrics: npt.NDArray[np.float64]
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        """The number of the last row plus one."""
        return self.start + len(self.metrics)


@dataclass(frozen=True, order=True)
class Part:
    """Rows `start` to `stop` (exclusive) in one file; the first `skip` are in an earlier part, too."""

    start: int
    stop: int
    path: Path = field(compare=False)
    skip: int = field(default=0, compare=False)


def merge(several: Sequence[Rows]) -> list[Rows]:
    """Sort rows and join consecutive ones."""
    merged: list[list[Rows]] = []
    for rows in sorted(several, key=lambda rows: rows.start):
        if merged and merged[-1][-1].stop == rows.start:
            merged[-1].append(rows)
        else:
            merged.append([rows])
    return [_joined(parts) for parts in merged]


class PartStore:
    """One sweep's parts, in its own folder.

    Parameters
    ----------
    folder : Path
        Created if missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _space_for(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):
            # Left behind by a killed process; a younger file may still be in use.
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                    left.unlink()

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Write the sweep's facts to `about.json`, for human readers."""
        text = json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n"
        if not (self.folder / "about.json").exists():
            self._replace("about.json", text.encode())

    def write(self, rows: Rows) -> Part:
        """Write rows as a new part, atomically.

        Raises
        ------
        SweepError
            The disk is full, or the folder cannot be written; earlier parts stay.
        """
        import pyarrow as pa

        columns: dict[str, Any] = {name: pa.array(values) for name, values in rows.parameters.items()}
        columns.update((name, pa.array(rows.metrics[:, place])) for place, name in enumerate(METRICS))
        texts = [rows.errors.get(position) for position in range(len(rows.metrics))] if rows.errors else None
        columns[ERROR] = pa.array(texts, pa.string()) if texts else pa.nulls(len(rows.metrics), pa.string())
        table = pa.table(columns)
        table = table.replace_schema_metadata({"checksum": str(_checksum(table))})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema) as file:
            file.write_table(table)
        name = f"{rows.start:012d}-{rows.stop:012d}.arrow"
        self._replace(name, sink.getvalue())
        return Part(rows.start, rows.stop, self.folder / name)

    def parts(self, *, check: bool = False) -> list[Part]:
        """The stored parts in order, each row once.

        Parameters
        ----------
        check : bool
            Read each part, and delete damaged ones.
        """
        found = []
        for path in self.folder.glob("*.arrow"):
            named = _NAME.fullmatch(path.name)
            if named is None:
                continue
            part = Part(int(named[1]), int(named[2]), path)
            if check and not _is_sound(part):
                path.unlink(missing_ok=True)
            else:
                found.append(part)
        kept: list[Part] = []
        end = 0
        # Of parts with the same start the longest comes first.
        for part in sorted(found, key=lambda part: (part.start, -part.stop)):
            if part.stop > end:
                kept.append(Part(part.start, part.stop, part.path, max(0, end - part.start)))
                end = part.stop
        return kept

    def read(self, part: Part, columns: Sequence[str] | None = None) -> Any:
        """A part's rows without the skipped ones, memory-mapped: a `pyarrow.Table`.

        Raises
        ------
        SweepError
            The file is missing or is not a part.
        """
        try:
            table = _open(part.path)
            return (table if columns is None else table.select(list(columns))).slice(part.skip)
        except (OSError, ValueError, KeyError) as error:
            raise SweepError(
                f"The part {part.path} cannot be read ({error}); delete it, and sweep again to recompute it."
            ) from error

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Any]]:
        """Every row once, part by part: the number of the first row, and a `pyarrow.Table`."""
        for part in self.parts():
            yield part.start + part.skip, self.read(part, columns)

    def _replace(self, name: str, content: Any) -> None:
        # Other processes may write the same part: each uses its own temporary file until it is complete.
        temporary = self.folder / f"{name}.{os.getpid()}-{time.monotonic_ns()}.tmp"
        with _space_for(self.folder):
            try:
                temporary.write_bytes(content)
                os.replace(temporary, self.folder / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


class PartWriter:
    """Collects rows and writes several chunks per part; a context manager that writes the rest at its end.

    Parameters
    ----------
    store : PartStore
    """

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._waiting: list[Rows] = []
        self._last = time.monotonic()

    def add(self, rows: Rows) -> None:
        """Add rows; they are on disk within about a second, provided that more rows come."""
        self._waiting.append(rows)
        waiting = sum(len(rows.metrics) for rows in self._waiting)
        if waiting >= _PART_ROWS or time.monotonic() - self._last > _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the collected rows."""
        waiting, self._waiting = self._waiting, []
        for rows in merge(waiting):
            self._store.write(rows)
        self._last = time.monotonic()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        # Also when the sweep is interrupted: computed rows are not thrown away.
        self.flush()


def gaps(parts: Sequence[Part], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The ranges of rows from `start` to `stop` that no part holds.

    Parameters
    ----------
    parts : sequence of Part
        As returned by `PartStore.parts`.
    start, stop : int
        The first row, and the last row plus one.
    """
    for part in parts:
        if part.stop <= start:
            continue
        if part.start >= stop:
            break
        if part.start > start:
            yield start, part.start
        start = part.stop
    if start < stop:
        yield start, stop


@contextlib.contextmanager
def _space_for(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise SweepError(
                f"There is no space left for the sweep in {folder}; finished rows stay. "
                "Free some space, or pass another folder, and sweep again."
            ) from error
        raise SweepError(
            f"The sweep's folder {folder} cannot be written ({error.strerror}); pass another one as store=…"
        ) from error


def _open(path: Path) -> Any:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    start = parts[0].start
    return Rows(
        start,
        {name: np.concatenate([part.parameters[name] for part in parts]) for name in parts[0].parameters},
        np.concatenate([part.metrics for part in parts]),
        {part.start - start + position: text for part in parts for position, text in part.errors.items()},
    )


def _is_sound(part: Part) -> bool:
    try:
        table = _open(part.path)
        stored = int((table.schema.metadata or {}).get(b"checksum", b"-1"))
        return table.num_rows == part.stop - part.start and stored == _checksum(table)
    except (OSError, ValueError):
        # Arrow's own errors are ValueErrors.
        return False


def _checksum(table: Any) -> int:
    """Checksum of all columns' values, independent of buffer layout: buffers read from a file are padded."""
    total = 0
    for column in table.columns:
        if column.null_count == len(column):
            values = b""
        elif column.type == "string":
            values = json.dumps(column.to_pylist()).encode()
        else:
            values = column.to_numpy().tobytes()
        total = zlib.crc32(values, total)
    return total
