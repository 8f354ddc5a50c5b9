"""Bars from a CSV or Parquet file, of one symbol or of many."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from workbench.errors import FileRefused, SourceError, UnknownSymbol
from workbench.sources.columns import FIELDS, find_columns
from workbench.sources.faults import Faults, quote
from workbench.sources.numerals import parse_numbers
from workbench.sources.readers import RawTable, as_they_came, read_table
from workbench.sources.source import ROW_COLUMNS, VALUE_COLUMNS, RawBars, Span
from workbench.sources.timestamps import DateColumn, from_texts, from_typed

__all__ = ["FileSource"]


class FileSource:
    """One file of bars: CSV (``,`` ``;`` or tab; plain or gzipped; UTF-8) or Parquet.

    Parameters
    ----------
    path : str or Path
        The file.
    columns : mapping of str to str, optional
        Field (timestamp, open, high, low, close, volume, symbol) to column, for columns that are not
        recognised by name, e.g. ``{"close": "Last"}``; ``{"timestamp": "Date+Time"}`` joins two. In a CSV
        without a header line, columns are numbered from 1, e.g. ``{"close": "5"}``.
    date_format : str, optional
        The format of dates, as for strptime. Default: recognised from the whole column.
    timezone : str, optional
        The IANA time zone of times that have no offset, e.g. ``America/New_York``. Without it, each
        such row gets the rule ``naive_timestamp``. Dates without a time are 00:00 UTC in any case.
    data_source : str
        The name that the bars are stored under.

    Raises
    ------
    SourceError
        There is no such time zone, or `columns` has a field that bars do not have.
    """

    calendar: ClassVar[str | None] = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        columns: Mapping[str, str] | None = None,
        date_format: str | None = None,
        timezone: str | None = None,
        data_source: str = "file",
    ) -> None:
        self.path = Path(path)
        self.columns = dict(columns or {})
        self.date_format = date_format
        self.timezone = timezone
        self.data_source = data_source
        for field in self.columns:
            if field not in FIELDS:
                raise SourceError(f"bars have no column {quote(field)}; they have {', '.join(FIELDS)}")
        if timezone is not None:
            try:
                ZoneInfo(timezone)
            except (OSError, ValueError, KeyError) as error:
                raise SourceError(
                    f"there is no time zone {quote(timezone)}; give an IANA name, e.g. America/New_York"
                ) from error

    def fetch(
        self,
        symbols: Sequence[str],
        start: pd.Timestamp | None = None,
        end: pd.Timestamp | None = None,
    ) -> Iterator[RawBars]:
        """One `RawBars` per symbol, in [start, end), UTC; rows with an unreadable timestamp are included.

        In a file with a symbol column, rows without a symbol (empty, or the line is malformed) come last,
        under the symbol "", with the rule ``missing_symbol`` or ``malformed_row``.

        Raises
        ------
        FileRefused
            The file is not a table of bars.
        UnknownSymbol
            The file has a symbol column without that symbol; raised before anything is yielded.
        SourceError
            The file has no symbol column, and `symbols` is not exactly one symbol.
        EmptyRange
            start is not before end.
        """
        span = Span(start, end)
        table = read_table(self.path)
        found = find_columns(table.names, self.columns, file=self.path, header=table.header)
        wanted = list(dict.fromkeys(symbols))
        if "symbol" not in found and len(wanted) != 1:
            raise SourceError(
                f"{self.path.name} has no symbol column, so all its rows are of one symbol: "
                f"give exactly one (given: {', '.join(wanted) or 'none'})"
            )
        owners: npt.NDArray[np.object_] | None = None
        if "symbol" in found:
            owners = _owners(table, found["symbol"][0])
            known = sorted(set(owners) - {""})
            unknown = [symbol for symbol in wanted if symbol not in known]
            if unknown:
                raise UnknownSymbol(
                    f"{self.path.name} does not have {', '.join(unknown)}; it has {', '.join(known[:20])}"
                    + (f" and {len(known) - 20} more" if len(known) > 20 else ""),
                    symbols=unknown,
                    known=known,
                )
        used = {position for positions in found.values() for position in positions}
        unused = tuple(name for position, name in enumerate(table.names) if position not in used)
        return self._by_symbol(wanted, self._rows(table, found, owners), owners, span, unused)

    def _by_symbol(
        self,
        wanted: Sequence[str],
        rows: pd.DataFrame,
        owners: npt.NDArray[np.object_] | None,
        span: Span,
        unused: tuple[str, ...],
    ) -> Iterator[RawBars]:
        if owners is None:
            parts = [(wanted[0], rows)]
        else:
            without = [""] if (owners == "").any() else []
            parts = [(symbol, rows[owners == symbol]) for symbol in [*wanted, *without]]
        for symbol, own in parts:
            ordered = own.sort_values("row", ignore_index=True)
            yield RawBars(symbol, self.data_source, self.path.name, span.cut(ordered), unused=unused)

    def _rows(
        self, table: RawTable, found: Mapping[str, tuple[int, ...]], owners: npt.NDArray[np.object_] | None
    ) -> pd.DataFrame:
        """The rows of all symbols: first the parsed ones, then the malformed ones."""
        faults = Faults(len(table.rows))
        instants = self._instants(table, found["timestamp"], faults)
        frame = pd.DataFrame({"row": table.rows, "timestamp": pd.DatetimeIndex(instants).tz_localize("UTC")})
        for field in VALUE_COLUMNS:
            frame[field] = self._numbers(table, found[field][0], faults)
        if owners is not None:
            for position in np.flatnonzero(owners[: len(table.rows)] == ""):
                faults.add(int(position), "missing_symbol", f"{table.names[found['symbol'][0]]} is empty")
        frame["rule"] = pd.Series(faults.rule, dtype="str")
        frame["reason"] = pd.Series(faults.reason, dtype="str")
        # Arrow keeps the texts as columns; a dict is only made for a row that is read.
        frame["raw"] = pd.Series(pd.arrays.ArrowExtensionArray(as_they_came(table)))
        if table.malformed:
            frame["raw"] = frame["raw"].astype(object)
            frame = pd.concat([frame, _malformed_rows(table)], ignore_index=True)
        return frame[list(ROW_COLUMNS)]

    def _instants(
        self, table: RawTable, positions: tuple[int, ...], faults: Faults
    ) -> npt.NDArray[np.datetime64]:
        name = "+".join(table.names[position] for position in positions)
        dates = DateColumn(name, self.path.name, self.date_format, self.timezone)
        values = [table.columns[position] for position in positions]
        kind = values[0].type
        if len(values) == 1 and (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            return from_typed(values[0], dates, faults)
        if not all(_is_text(v.type) or pa.types.is_integer(v.type) for v in values):
            raise self._wrong_type(name, kind, "dates, times or texts")
        texts = [pc.cast(v, pa.string()) for v in values]
        joined = texts[0] if len(texts) == 1 else pc.binary_join_element_wise(*texts, " ")
        return from_texts(joined, table.rows, dates, faults)

    def _numbers(self, table: RawTable, position: int, faults: Faults) -> npt.NDArray[np.float64]:
        values, name = table.columns[position], table.names[position]
        kind = values.type
        if pa.types.is_float64(kind):
            # Used as is; the quality rules find NaN and infinity.
            return np.array(pc.fill_null(values, np.nan).to_numpy(zero_copy_only=False), dtype=np.float64)
        # Other types of numbers are converted through their shortest text: a float32 of 0.1 means 0.1.
        numeric = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind)
        if not numeric and not table.separator:
            raise self._wrong_type(name, kind, "numbers")
        return parse_numbers(name, pc.cast(values, pa.string()), faults)

    def _wrong_type(self, name: str, kind: Any, wanted: str) -> FileRefused:
        return FileRefused(
            f"{self.path.name}: the column {name} holds {kind}, not {wanted}; convert it before saving",
            path=str(self.path),
        )


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _malformed_rows(table: RawTable) -> pd.DataFrame:
    lines, width = table.malformed, len(table.names)
    nothing: list[pd.Timestamp] = [pd.NaT for _ in lines]  # type: ignore[misc]
    return pd.DataFrame(
        {
            "row": np.array([line.row for line in lines], dtype=np.int64),
            "timestamp": pd.DatetimeIndex(nothing, dtype="datetime64[us, UTC]"),
            **dict.fromkeys(VALUE_COLUMNS, np.nan),
            "rule": "malformed_row",
            "reason": [f"the row has {line.fields} fields, the first line has {width}" for line in lines],
            "raw": pd.Series([{"line": line.text} for line in lines], dtype=object),
        }
    )


def _owners(table: RawTable, position: int) -> npt.NDArray[np.object_]:
    """The symbol of each row, in the order of `_rows`; "" if it has none."""
    column = pc.utf8_trim_whitespace(pc.fill_null(pc.cast(table.columns[position], pa.string()), ""))
    owners: npt.NDArray[np.object_] = column.to_numpy(zero_copy_only=False).astype(object)
    known = set(owners)
    # A malformed line may still have a known symbol in the usual position.
    cut = [line.text.split(table.separator) for line in table.malformed]
    found = [fields[position].strip() if position < len(fields) else "" for fields in cut]
    return np.concatenate([owners, np.array([s if s in known else "" for s in found], dtype=object)])
