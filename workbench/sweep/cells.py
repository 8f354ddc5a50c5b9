"""The cells of a sweep (a symbol in a period), and their bars prepared for the compiled loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import named
from workbench.errors import SweepError
from workbench.fills.execution import Execution
from workbench.fills.layout import Layout, lay_out
from workbench.fills.outside import read_dividends
from workbench.signals.inputs import BarArrays, read_bars

__all__ = ["CellBars", "Periods", "SymbolPeriod", "dividends_of", "make_cells", "prepare_bars"]

_NO_PERIODS = (
    "is no (start, end); give a list of them, or a mapping, as in {'crisis': ('2008-01-01', '2009-06-30')}."
)

Periods = Sequence[tuple[Any, Any]] | Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class SymbolPeriod:
    """One cell of a sweep: one symbol, or all of them, in one period; every variant is traded once in each.

    Attributes
    ----------
    symbol : str, optional
        None: all the symbols together.
    period : str, optional
        The period's name; None: all bars.
    start, end : Timestamp
        The first and the last traded bar.
    """

    symbol: str | None
    period: str | None
    start: pd.Timestamp
    end: pd.Timestamp


@dataclass(frozen=True, eq=False)
class CellBars:
    """The bars of one cell.

    Attributes
    ----------
    bars : DataFrame
        The strategy's input: the period's bars and all earlier ones, so that averages are defined when the
        period begins; no later ones.
    market : BarArrays
        The same bars as arrays.
    first : int
        The row of `market` at which the period begins.
    columns : ndarray of int64
        The symbols of `market` that have a bar in the period.
    layout : Layout
        The traded rows and symbols, as the compiled loop reads them.
    """

    bars: pd.DataFrame
    market: BarArrays
    first: int
    columns: npt.NDArray[np.int64]
    layout: Layout

    @property
    def traded(self) -> BarArrays:
        """The bars that are traded."""
        return self.layout.market

    @property
    def is_whole(self) -> bool:
        """Whether all of the strategy's input bars are traded."""
        return self.first == 0 and len(self.columns) == len(self.market.symbols)


def make_cells(market: BarArrays, symbols: str, periods: Periods | None) -> list[SymbolPeriod]:
    """Every cell that has bars, ordered by symbol, then period.

    Parameters
    ----------
    market : BarArrays
        All the bars.
    symbols : str
        "each" or "together".
    periods : sequence or mapping, optional
        (start, end) of each, both included; None means the first or the last bar. Periods of a list are
        named after their dates.

    Raises
    ------
    SweepError
        `symbols` is something else, or a period holds no bar.
    """
    if not isinstance(symbols, str) or symbols not in ("each", "together"):
        raise SweepError(f"symbols: {named(symbols)} is neither 'each' nor 'together'.")
    names = list(market.symbols) if symbols == "each" and len(market.symbols) > 1 else [None]
    spans = [(None, slice(0, len(market.timestamps)))] if periods is None else _spans(market, periods)
    cells = []
    for name in names:
        column = slice(None) if name is None else market.symbols.index(name)
        there = np.any(market.present[:, column].reshape(len(market.timestamps), -1), axis=1)
        for period, span in spans:
            rows = np.flatnonzero(np.atleast_1d(there)[span]) + span.start
            if len(rows):
                cells.append(
                    SymbolPeriod(
                        name, period, market.timestamps[int(rows[0])], market.timestamps[int(rows[-1])]
                    )
                )
    return cells


def prepare_bars(
    bars: pd.DataFrame, cell: SymbolPeriod, execution: Execution, dividends: pd.Series[float] | None
) -> CellBars:
    """Prepare one cell's bars.

    Parameters
    ----------
    bars : DataFrame
        All the bars, tidy.
    cell : SymbolPeriod
    execution : Execution
    dividends : Series of float64, optional
        Cash per unit, indexed (symbol, ex-date).
    """
    seen = bars
    if cell.symbol is not None:
        seen = seen[np.asarray(seen.index.get_level_values(0).astype(str) == cell.symbol)]
    if cell.period is not None:
        seen = seen[np.asarray(seen.index.get_level_values(1) <= cell.end)]
    market = read_bars(seen)
    first = int(market.timestamps.searchsorted(cell.start)) if cell.period is not None else 0
    columns = np.flatnonzero(market.present[first:].any(axis=0))
    traded = market
    if first or len(columns) < len(market.symbols):
        traded = _part(market, first, columns)
    mine = dividends_of(dividends, traded.symbols)
    paid = None if mine is None else read_dividends(mine, traded)
    return CellBars(seen, market, first, columns, lay_out(traded, execution, paid))


def dividends_of(dividends: pd.Series[float] | None, symbols: Sequence[str]) -> pd.Series[float] | None:
    """The dividends of these symbols; None if there are none."""
    if dividends is None:
        return None
    mine = dividends[np.asarray(dividends.index.get_level_values(0).astype(str).isin(symbols))]
    return mine if len(mine) else None


def _spans(market: BarArrays, periods: Periods) -> list[tuple[str, slice]]:
    """The rows of each period, by its name."""
    spans = []
    for name, (start, end) in _named_spans(periods):
        try:
            rows = market.timestamps.slice_indexer(_bound(start), _bound(end))
        except (TypeError, ValueError, KeyError) as error:
            raise SweepError(
                f"periods: ({start!r}, {end!r}) is not a range of time ({error}); use dates, or timestamps "
                "with a time zone."
            ) from error
        if rows.stop <= rows.start:
            raise SweepError(
                f"periods: there is no bar from {start} to {end}; load more bars, or leave it out."
            )
        first, last = market.timestamps[rows.start], market.timestamps[rows.stop - 1]
        spans.append((name or f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", rows))
    if len(dict(spans)) < len(spans) or not spans:
        raise SweepError(
            "periods: two have the same name, or there is none; name them, as in {'crisis': (…, …)}."
        )
    return spans


def _named_spans(periods: Any) -> list[tuple[str | None, tuple[Any, Any]]]:
    """Each period's name (None in a list) and its two ends."""
    if isinstance(periods, str | bytes) or not isinstance(periods, Mapping | Sequence):
        raise SweepError(f"periods: {named(periods)} {_NO_PERIODS}")
    found: list[Any] = (
        list(periods.items()) if isinstance(periods, Mapping) else [(None, span) for span in periods]
    )
    for name, span in found:
        if name is not None and not isinstance(name, str):
            raise SweepError(f"periods: the name {named(name)} is not text; write {str(name)!r}.")
        if isinstance(span, str | bytes) or not isinstance(span, Sequence) or len(span) != 2:
            raise SweepError(f"periods: {named(span)} {_NO_PERIODS}")
    return found


def _bound(moment: Any) -> Any:
    # A date given as text means the whole day; pandas does that for text only.
    if moment is None or isinstance(moment, str):
        return moment
    found = pd.Timestamp(moment)
    if pd.isna(found):
        raise ValueError("None is the first or the last bar")
    return found


def _part(market: BarArrays, first: int, columns: npt.NDArray[np.int64]) -> BarArrays:
    """The rows from `first` on, of some of the symbols."""

    def of(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.ascontiguousarray(values[first:, columns])

    return BarArrays(
        timestamps=market.timestamps[first:],
        symbols=tuple(market.symbols[column] for column in columns),
        open=of(market.open),
        high=of(market.high),
        low=of(market.low),
        close=of(market.close),
        volume=of(market.volume),
        present=of(market.present),
    )
