"""What a source is, and the rows it hands over; nothing here reads anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd

from workbench.errors import EmptyRange, SourceError

__all__ = ["ROW_COLUMNS", "VALUE_COLUMNS", "RawBars", "Source", "Span"]

VALUE_COLUMNS = ("open", "high", "low", "close", "volume")
"""The numbers of a bar."""

ROW_COLUMNS = ("row", "timestamp", *VALUE_COLUMNS, "rule", "reason", "raw")
"""The columns of `RawBars.rows`, in order."""


@dataclass(frozen=True)
class RawBars:
    """The rows of one symbol as a source has them: unchecked, unsorted, none left out.

    Attributes
    ----------
    symbol : str
        Whose bars they are; empty where rows of a file with many symbols do not say whose they are.
    data_source : str
        The name they are stored under, such as ``yahoo``.
    origin : str
        What they were read from, such as a file's name.
    rows : DataFrame
        One row for each row of the origin, with the columns `ROW_COLUMNS`:

        - row (int64): which row of a file, from 1; headers and blank lines are not counted. Of a vendor's
          answer: the second since 1970 at which the bar begins, so that a bar has the same number in
          every answer.
        - timestamp (datetime64[us, UTC]): the bar's, 00:00 UTC of the session's date for daily bars;
          NaT when unreadable.
        - open, high, low, close (float64, in the price's currency), volume (float64, units traded);
          NaN when unreadable.
        - rule (str): what kind of thing makes the row unreadable; empty when it is readable.
        - reason (str): the same for people, with the column and the text found; empty when readable.
        - raw (object, or an Arrow struct): each value reads as a dict of what stood in the origin,
          fit for JSON.
    unused : tuple of str
        Columns of the origin that are no field of a bar, as it names them.
    actions : DataFrame or None
        Splits and dividends of the symbol, where the source has such a thing: symbol (str), ex_date
        (datetime64[s]), kind (str, "split" or "dividend"), value (float64: new shares per old share, or
        cash per share on the prices' own basis), applied (bool: the prices have it in them already).
    """

    symbol: str
    data_source: str
    origin: str
    rows: pd.DataFrame
    actions: pd.DataFrame | None = None
    unused: tuple[str, ...] = ()


@dataclass(frozen=True)
class Span:
    """The half-open range of time [start, end); None leaves that side open.

    Raises
    ------
    SourceError
        When a bound has no time zone.
    EmptyRange
        When start is not before end.
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
                f"the range from {self.start} to {self.end} holds nothing: start must lie before end "
                "(the end itself is not part of the range)"
            )

    def cut(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows whose timestamp lies in the range, and those whose timestamp is unreadable."""
        keep = np.ones(len(rows), dtype=bool)
        if self.start is not None:
            keep &= ~(rows["timestamp"] < self.start).to_numpy()
        if self.end is not None:
            keep &= ~(rows["timestamp"] >= self.end).to_numpy()
        return rows if keep.all() else rows[keep].reset_index(drop=True)


class Source(Protocol):
    """Where bars come from."""

    @property
    def calendar(self) -> str | None:
        """The exchange whose sessions its bars keep, by its exchange_calendars name; None: nobody knows."""
        ...

    def fetch(
        self, symbols: Sequence[str], start: pd.Timestamp | None, end: pd.Timestamp | None
    ) -> Iterator[RawBars]:
        """The rows of `symbols` in [start, end), UTC; rows with an unreadable timestamp always come along.

        Raises
        ------
        UnknownSymbol
            When the source does not have a symbol: before anything is yielded, or, if only a vendor can
            tell, when it is the symbol's turn.
        EmptyRange
            When start is not before end.
        SourceError
            When the source cannot be read at all.
        """
        ...
