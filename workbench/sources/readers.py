"""Reads a file as a table of texts: CSV (plain or gzipped) and Parquet; the texts are not parsed here."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from workbench.errors import FileRefused
from workbench.sources.numerals import NUMBER

__all__ = ["Malformed", "RawTable", "as_they_came", "read_table"]

SEPARATORS = (",", ";", "\t")
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
BOM = b"\xef\xbb\xbf"
FIRST_LINE = re.compile(rb"[^\r\n]*[^\s][^\r\n]*")


@dataclass(frozen=True)
class Malformed:
    """A line of a CSV with more or fewer fields than the first line: row (from 1), text, number of fields."""

    row: int
    text: str
    fields: int


@dataclass(frozen=True)
class RawTable:
    """The contents of a file, before parsing.

    Attributes
    ----------
    names : list of str
        The columns; "1", "2", … for a CSV without a header line.
    columns : list of pyarrow.Array
        One for each name, all of one length: strings from CSV, the file's own types from Parquet.
    rows : ndarray of int64
        The row numbers in the file, from 1, not counting the header and blank lines.
    malformed : list of Malformed
        The lines that are not in `columns`.
    header : bool
        Whether the file has a header line.
    separator : str
        The separator of fields; empty for Parquet.
    """

    names: list[str]
    columns: list[Any]
    rows: npt.NDArray[np.int64]
    malformed: list[Malformed]
    header: bool
    separator: str


def read_table(path: Path) -> RawTable:
    """Read a CSV or Parquet file; the type is detected from its first bytes.

    Raises
    ------
    FileRefused
        It is missing, a directory, empty, neither CSV in UTF-8 nor Parquet, or has no rows.
    """
    if path.is_dir():
        raise _refused(path, "is a directory; give the file in it that holds the bars")
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise FileRefused(f"there is no file {path}", path=str(path)) from error
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    if data.startswith(GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise _refused(path, "is gzipped, but damaged or cut off") from error
    table = _parquet(path, data) if data.startswith(PARQUET) else _csv(path, data.removeprefix(BOM))
    if not len(table.rows) and not table.malformed:
        raise _refused(path, "has columns but no rows")
    return table


def _refused(path: Path, what: str) -> FileRefused:
    return FileRefused(f"{path.name} {what}", path=str(path))


def _parquet(path: Path, data: bytes) -> RawTable:
    try:
        table = pa_parquet.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise _refused(path, "is not a readable Parquet file: damaged or cut off") from error
    columns = [column.combine_chunks() for column in table.columns]
    rows = np.arange(1, table.num_rows + 1, dtype=np.int64)
    return RawTable(list(table.column_names), columns, rows, [], header=True, separator="")


def _csv(path: Path, data: bytes) -> RawTable:
    first = FIRST_LINE.search(data)
    if first is None:
        raise _refused(path, "is empty")
    data = data[first.start() :]
    if b"\0" in data:
        raise _refused(path, "is neither a text file (CSV in UTF-8) nor Parquet")
    try:
        top = first[0].decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused(path, "is neither a text file (CSV in UTF-8) nor Parquet") from error
    if data.count(b'"') % 2:
        # After an unclosed quotation mark the ends of rows cannot be determined.
        raise _refused(path, "has a quotation mark that is never closed")
    separator = max(SEPARATORS, key=top.count)
    fields = [field.strip() for field in next(csv.reader([top], delimiter=separator))]
    header = not any(re.match(NUMBER, field) for field in fields)
    names = fields if header else [str(number) for number in range(1, len(fields) + 1)]
    malformed: list[Malformed] = []

    def set_aside(line: Any) -> str:
        # Arrow counts the header line as row 1 and skips blank lines, as we do.
        malformed.append(Malformed(line.number - header, line.text, line.actual_columns))
        return "skip"

    keys = [str(number) for number in range(len(names))]
    try:
        table = pa_csv.read_csv(
            pa.BufferReader(data),
            # With several threads Arrow does not number invalid lines.
            read_options=pa_csv.ReadOptions(
                column_names=keys, skip_rows_after_names=int(header), use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(delimiter=separator, invalid_row_handler=set_aside),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error):
            raise _refused(path, "is not in UTF-8; save it as UTF-8") from error
        raise _refused(path, "cannot be read as CSV: its lines are not consistent") from error
    columns = [column.combine_chunks() for column in table.columns]
    rows = np.arange(1, table.num_rows + len(malformed) + 1, dtype=np.int64)
    rows = np.setdiff1d(rows, [line.row for line in malformed], assume_unique=True)
    return RawTable(names, columns, rows, malformed, header=header, separator=separator)


def as_they_came(table: RawTable) -> Any:
    """The rows in `columns` as one pyarrow struct array of strings, JSON-serialisable."""
    columns: list[Any] = []
    names: list[str] = []
    for name, column in zip(table.names, table.columns, strict=True):
        # Bars are in flat columns; nested and binary columns of a Parquet file are left out.
        if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
            continue
        columns.append(pc.cast(column, pa.string()))
        names.append(name if name not in names else f"{name} ({len(names) + 1})")
    return pa.StructArray.from_arrays(columns, names=names)
