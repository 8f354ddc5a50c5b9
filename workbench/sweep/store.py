"""Parts of a sweep on disk: written whole or not at all, checked, and gone on with by whoever comes next.

A part holds the rows of some neighbouring variants as an uncompressed Arrow file. Nothing says which parts a
sweep should have: what their names cover is done, the rest is not. So a sweep that was killed goes on with
chunks of any size, and two processes that work on the same one only do some of it twice.
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
"""What is computed of each variant, in this order; conventions in `workbench.metrics`."""

ERROR = "error"
"""What the strategy raised, in a column of its own."""

VERSION = 1
"""Raised when the same sweep would give other rows than before: old parts are not mixed with new ones."""

_NAME = re.compile(r"(\d{12})-(\d{12})\.arrow")
_PART_ROWS, _PART_SECONDS = 16_384, 1.0
"""A part is written when it has so many rows, or so many seconds after the one before."""
_ABANDONED_AFTER = 3600.0
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, eq=False)
class Rows:
    """What some neighbouring variants gave.

    Attributes
    ----------
    start : int
        The number of the first row.
    parameters : mapping of str to ndarray, shape (n_rows,)
    metrics : ndarray of float64, shape (n_rows, n_metrics)
        In the order of METRICS; NaN where a figure is not defined, and everywhere where the strategy failed.
    errors : mapping of int to str
        What the strategy raised, by position.
    """

    start: int
    parameters: Mapping[str, npt.NDArray[Any]]
    metrics: npt.NDArray[np.float64]
    errors: Mapping[int, str] = field(default_factory=dict)

    @property
    def stop(self) -> int:
        """The number after that of the last row."""
        return self.start + len(self.metrics)


@dataclass(frozen=True, order=True)
class Part:
    """Rows `start` to `stop`, which is left out, in one file; `skip` of them are in an earlier part, too."""

    start: int
    stop: int
    path: Path = field(compare=False)
    skip: int = field(default=0, compare=False)


def merge(several: Sequence[Rows]) -> list[Rows]:
    """Neighbours put together, in order."""
    merged: list[list[Rows]] = []
    for rows in sorted(several, key=lambda rows: rows.start):
        if merged and merged[-1][-1].stop == rows.start:
            merged[-1].append(rows)
        else:
            merged.append([rows])
    return [_joined(parts) for parts in merged]


class PartStore:
    """One sweep's parts, in a folder of their own.

    Parameters
    ----------
    folder : Path
        Made where it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with _space_for(folder):
            folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob("*.tmp"):
            # What a killed process left behind; one that is younger may be under way.
            with contextlib.suppress(OSError):
                if time.time() - left.stat().st_mtime > _ABANDONED_AFTER:
                    left.unlink()

    def describe(self, facts: Mapping[str, Any]) -> None:
        """Say in `about.json` whose parts these are, for people."""
        text = json.dumps(facts, indent=2, sort_keys=True, default=str) + "\n"
        if not (self.folder / "about.json").exists():
            self._replace("about.json", text.encode())

    def write(self, rows: Rows) -> Part:
        """Keep rows: as a whole, whatever happens meanwhile.

        Raises
        ------
        SweepError
            There is no room for them, or the folder cannot be written; parts before them stay.
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
        """What is there, in order, no row twice.

        Parameters
        ----------
        check : bool
            Read each one, and remove what is damaged.
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
        # Of parts that begin together the longest comes first.
        for part in sorted(found, key=lambda part: (part.start, -part.stop)):
            if part.stop > end:
                kept.append(Part(part.start, part.stop, part.path, max(0, end - part.start)))
                end = part.stop
        return kept

    def read(self, part: Part, columns: Sequence[str] | None = None) -> Any:
        """A part's rows without those to be skipped, mapped into memory: a `pyarrow.Table`.

        Raises
        ------
        SweepError
            The file is gone, or is none of ours.
        """
        try:
            table = _open(part.path)
            return (table if columns is None else table.select(list(columns))).slice(part.skip)
        except (OSError, ValueError, KeyError) as error:
            raise SweepError(
                f"The part {part.path} cannot be read ({error}); delete it, and sweep again to do it anew."
            ) from error

    def tables(self, columns: Sequence[str] | None = None) -> Iterator[tuple[int, Any]]:
        """Every row once, part by part: the number of the first, and a `pyarrow.Table`."""
        for part in self.parts():
            yield part.start + part.skip, self.read(part, columns)

    def _replace(self, name: str, content: Any) -> None:
        # Other processes may write the same part: each has a file of its own until it is whole.
        temporary = self.folder / f"{name}.{os.getpid()}-{time.monotonic_ns()}.tmp"
        with _space_for(self.folder):
            try:
                temporary.write_bytes(content)
                os.replace(temporary, self.folder / name)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


class PartWriter:
    """Writes rows as they come, a few chunks in one part; a context manager that writes the rest at its end.

    Parameters
    ----------
    store : PartStore
    """

    def __init__(self, store: PartStore) -> None:
        self._store = store
        self._waiting: list[Rows] = []
        self._last = time.monotonic()

    def add(self, rows: Rows) -> None:
        """Keep rows; they are on disk within a second or so, if more rows come."""
        self._waiting.append(rows)
        waiting = sum(len(rows.metrics) for rows in self._waiting)
        if waiting >= _PART_ROWS or time.monotonic() - self._last > _PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._waiting = self._waiting, []
        for rows in merge(waiting):
            self._store.write(rows)
        self._last = time.monotonic()

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        # Also where the sweep was interrupted: what is computed is not thrown away.
        self.flush()


def gaps(parts: Sequence[Part], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The runs of rows from `start` to `stop` that no part holds.

    Parameters
    ----------
    parts : sequence of Part
        As `PartStore.parts` gives them.
    start, stop : int
        The first row, and the one after the last.
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
                f"There is no space left for the sweep in {folder}; what is finished stays. "
                "Make room, or give another folder, and sweep again."
            ) from error
        raise SweepError(
            f"The sweep's folder {folder} cannot be written ({error.strerror}); give another one as store=…"
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
        said = int((table.schema.metadata or {}).get(b"checksum", b"-1"))
        return table.num_rows == part.stop - part.start and said == _checksum(table)
    except (OSError, ValueError):
        # Arrow's own errors are ValueErrors.
        return False


def _checksum(table: Any) -> int:
    """Of all columns' values, however their buffers are laid out: those of a file are padded."""
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
