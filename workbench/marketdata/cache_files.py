"""The files of the bar cache: Arrow's IPC format, uncompressed, mapped into memory, with a checksum.

A file holds one or two record batches, each as its own stream, one after the other. Reading a file that is
not as it was written raises `Damaged`.
"""

from __future__ import annotations

import itertools
import json
import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.series import Assembled, SeriesBars

__all__ = [
    "CachedSeries",
    "Damaged",
    "read_assembled",
    "read_series",
    "write_assembled",
    "write_series",
]

_VERSION = "1"

Column = npt.NDArray[Any]


class Damaged(ValueError):
    """The file is not what was written, or is of another version or another series."""


@dataclass(frozen=True)
class CachedSeries:
    """Bars of one series in the state that a tag identifies.

    Attributes
    ----------
    bars : SeriesBars
        All bars in `[start, end)`; views of the file.
    tag : str
        The state of the series.
    last : int
        The series' last bar in that state, microseconds since 1970; it may be outside of `[start, end)`.
    start, end : int or None
        The range covered; None: from the series' first bar, to its last.
    """

    bars: SeriesBars
    tag: str
    last: int
    start: int | None
    end: int | None


def write_series(path: Path, source: str, series: CachedSeries) -> None:
    """Write one series."""
    facts = {
        "source": source,
        "symbol": series.bars.symbol,
        "tag": series.tag,
        "last": series.last,
        "start": series.start,
        "end": series.end,
    }
    columns = {"timestamp": series.bars.times, **dict(zip(BAR_COLUMNS, series.bars.values, strict=True))}
    _write(path, facts, [columns])


def read_series(path: Path, source: str, symbol: str) -> CachedSeries:
    """Map one series; its arrays are read-only.

    Raises
    ------
    Damaged, OSError
    """
    facts, (columns,) = _read(path, verify=True, private=False)
    if (facts.get("source"), facts.get("symbol")) != (source, symbol):
        raise Damaged("another series")
    times, *values = columns
    return CachedSeries(
        SeriesBars(symbol, times, _as_block(values, writeable=False)),
        facts["tag"],
        facts["last"],
        facts["start"],
        facts["end"],
    )


def write_assembled(path: Path, name: str, whole: Assembled) -> None:
    """Write the assembled bars of many symbols under a name."""
    bars = {
        **dict(zip(BAR_COLUMNS, whole.block, strict=True)),
        "number": whole.numbers,
        "code": whole.codes,
    }
    _write(path, {"name": name, "symbols": whole.symbols}, [bars, {"moment": whole.moments}])


def read_assembled(path: Path, name: str, *, verify: bool) -> Assembled:
    """Map the assembled bars of many symbols stored under that name.

    The memory is private: writing to it changes neither the file nor other mappings of it.

    Raises
    ------
    Damaged, OSError
    """
    facts, (bars, (moments,)) = _read(path, verify=verify, private=True)
    if facts.get("name") != name:
        raise Damaged("another name")
    *values, numbers, codes = bars
    return Assembled(facts["symbols"], moments.copy(), numbers, codes, _as_block(values, writeable=True))


def _write(path: Path, facts: Mapping[str, Any], batches: Sequence[Mapping[str, Column]]) -> None:
    import pyarrow as pa

    plain = [{name: np.ascontiguousarray(column) for name, column in batch.items()} for batch in batches]
    checksum = _checksum([column for batch in plain for column in batch.values()])
    about = json.dumps({"version": _VERSION, "checksum": checksum, **facts})
    with pa.OSFile(str(path), "wb") as file:
        for batch in plain:
            arrays = [pa.array(column) for column in batch.values()]
            written = pa.record_batch(arrays, names=list(batch)).replace_schema_metadata({"about": about})
            with pa.ipc.new_stream(file, written.schema) as stream:
                stream.write_batch(written)


def _read(path: Path, *, verify: bool, private: bool) -> tuple[dict[str, Any], list[list[Column]]]:
    """The facts and the columns of each batch, as views of the mapped file."""
    import pyarrow as pa

    pages = _private_pages(path) if private else None
    try:
        with pa.BufferReader(pa.py_buffer(pages)) if private else pa.memory_map(str(path)) as file:
            about: bytes | None = None
            batches = []
            while file.tell() < file.size():
                stream = pa.ipc.open_stream(file)
                about = about or stream.schema.metadata[b"about"]
                batch = stream.read_next_batch()
                batch.validate()
                batches.append([_view(array, pages) for array in batch.columns])
                # Reads the end-of-stream marker.
                if next(iter(stream), None) is not None:
                    raise Damaged("more than was written")
        facts: dict[str, Any] = json.loads(about or b"{}")
    except (Damaged, OSError):
        raise
    except Exception as error:
        raise Damaged(str(error)) from error
    if facts.get("version") != _VERSION:
        raise Damaged("another version")
    if verify and _checksum([column for batch in batches for column in batch]) != facts["checksum"]:
        raise Damaged("the checksum does not agree")
    return facts, batches


def _private_pages(path: Path) -> npt.NDArray[np.uint8]:
    """The file mapped copy-on-write, so that a writable frame can use the memory.

    The file stays open as long as the array exists: Python's mmap keeps its descriptor.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise Damaged("empty")
        return np.frombuffer(mmap.mmap(file.fileno(), size, access=mmap.ACCESS_COPY), dtype=np.uint8)


def _view(array: Any, pages: npt.NDArray[np.uint8] | None) -> Column:
    """The array's values without a copy; writable if the pages are private."""
    if pages is None:
        column: Column = array.to_numpy(zero_copy_only=True)
        return column
    start = array.buffers()[1].address - pages.ctypes.data
    kind = np.dtype(array.type.to_pandas_dtype())
    return pages[start : start + len(array) * kind.itemsize].view(kind)


def _as_block(columns: Sequence[Column], *, writeable: bool) -> npt.NDArray[np.float64]:
    """The columns as one block, without a copy if they are adjacent in memory, as in our files."""
    places = [column.ctypes.data for column in columns]
    length = len(columns[0])
    if all(after - before == 8 * length for before, after in itertools.pairwise(places)):
        return np.lib.stride_tricks.as_strided(
            columns[0], shape=(len(columns), length), strides=(8 * length, 8), writeable=writeable
        )
    block = np.stack(columns)
    block.flags.writeable = writeable
    return block


def _checksum(columns: Sequence[Column]) -> str:
    """Sum and exclusive or of all 64-bit words: enough to detect bad disks and half-written files.

    It takes half the time of a CRC, which would be most of the time to write a file.
    """
    total = mixed = 0
    for column in columns:
        data = column.view(np.uint8)
        words = data[: len(data) // 8 * 8].view(np.uint64)
        rest = int.from_bytes(data[len(words) * 8 :].tobytes(), "little")
        total = (total + int(np.add.reduce(words)) + rest) % 2**64
        mixed ^= int(np.bitwise_xor.reduce(words)) ^ rest
    return f"{total:016x}{mixed:016x}"
