"""The protocol of sources, and the rows that they return; nothing is read here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from workbench.errors import EmptyRange, SourceError

__all__ = ["ROW_COLUMNS", "VALUE_COLUMNS", "RawBars", "Source", "Span"]

VALUE_COLUMNS = ("open", "high", "low", "close", "volume")
"""The numeric columns of a bar."""

ROW_COLUMNS = ("row", "timestamp", *VALUE_COLUMNS, "rule", "reason", "raw")
"""The columns of `RawBars.rows`, in order."""


@dataclass(frozen=True)
class RawBars:
    """The rows of one symbol as the source has them: unchecked, unsorted, none left out.

    Attributes
    ----------
    symbol : str
        The symbol; empty for rows without a symbol in a file of many symbols.
    data_source : str
        The name they are stored under, such as ``yahoo``.
    origin : str
        What they were read from, such as a file's name.
    rows : DataFrame
        One row for each row of the origin, with the columns `ROW_COLUMNS`:

        - row (int64): the row of the file, from 1, not counting headers and blank lines. From a vendor: the
          start of the bar in seconds since 1970, so that a bar has the same number in every reply.
        - timestamp (datetime64[us, UTC]): the bar's, 00:00 UTC of the session's date for daily bars;
          NaT if unreadable.
        - open, high, low, close (float64, in the quote currency), volume (float64, units traded);
          NaN if unreadable.
        - rule (str): the name of the rule by which the row is unreadable; empty if it is readable.
        - reason (str): an explanation with the column and the text found; empty if readable.
        - raw (object, or an Arrow struct): each value as a dict of the row in the origin,
          JSON-serialisable.
    unused : tuple of str
        Columns of the origin that are not fields of a bar, by their names there.
    actions : DataFrame or None
        Splits and dividends of the symbol, if the source has them: symbol (str), ex_date
        (datetime64[s]), kind (str, "split" or "dividend"), value (float64: new shares per old share, or
        cash per share on the prices' own basis), applied (bool: the prices are already adjusted for it).
    interval : str or None
        The length of the bars, such as "1d" or "30min"; None where the source does not know it.
    """

    symbol: str
    data_source: str
    origin: str
    rows: pd.DataFrame
    actions: pd.DataFrame | None = None
    unused: tuple[str, ...] = ()
    interval: str | None = None


@dataclass(frozen=True)
class Span:
    """The half-open range of time [start, end); None leaves that side open.

    Raises
    ------
    SourceError
        A bound has no time zone.
    EmptyRange
        start is not before end.
    """

    start: pd.Timestamp | None
    end: pd.Timestamp | None

    def __post_init__(self) -> None:
        for name, bound in (("start", self.start), ("end", self.end)):
            if bound is not None and bound.tzinfo is None:
                raise SourceError(
                    f"{name} {bound} has no time zone; localise it, "
                    f"e.g. pd.Timestamp({str(bound)!r}, tz='UTC')"
                )
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise EmptyRange(
                f"the range from {self.start} to {self.end} is empty: start must be before end "
                "(the end itself is not part of the range)"
            )

    def cut(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with a timestamp in the range or an unreadable one."""
        keep = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            keep &= ~(rows["timestamp"] < self.start).to_numpy()
        if self.end is not None:
            keep &= ~(rows["timestamp"] >= self.end).to_numpy()
        return rows if keep.all() else rows[keep].reset_index(drop=True)


class Source(Protocol):
    """A source of bars."""

    @property
    def calendar(self) -> str | None:
        """The exchange of its bars, by its exchange_calendars name; None: unknown."""
        ...

    def fetch(
        self, symbols: Sequence[str], start: pd.Timestamp | None, end: pd.Timestamp | None
    ) -> Iterator[RawBars]:
        """The rows of `symbols` in [start, end), UTC; rows with an unreadable timestamp are always included.

        Raises
        ------
        UnknownSymbol
            The source does not have a symbol; raised before anything is yielded, or by a vendor's source
            when that symbol is fetched.
        EmptyRange
            start is not before end.
        SourceError
            The source cannot be read.
        """
        ...
