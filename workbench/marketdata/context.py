"""One symbol's bars in time order, with the bars stored before them, and the usual size of their moves."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS

__all__ = ["CONTEXT_BARS", "SCALE_BARS", "BarSeries", "Floats", "Found", "Ints", "moment", "with_context"]

SCALE_BARS = 63
"""Number of returns before a bar used to estimate the usual size of a move: a quarter of daily bars."""
CONTEXT_BARS = SCALE_BARS + 2
"""How many stored bars are needed to check new bars as if all had been ingested at once."""
LEAST_RETURNS = 10
# Scales a median absolute deviation to the standard deviation of a normal distribution.
NORMAL = 1.4826
# How many windows of returns are processed together: 10 MB at a time.
BATCH = 20_000
DAY = 24 * 3_600_000_000

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BarSeries:
    """The good bars of one symbol, with their splits, calendar and refused rows.

    Attributes
    ----------
    times : DatetimeIndex
        datetime64[us, UTC], ascending, unique.
    open, high, low, close, volume : ndarray of float64
        Of the same length as `times`; prices positive and finite, volume 0 or more.
    fresh : int
        The position of the first new bar; the bars before it are already stored.
    refused : DatetimeIndex
        The times of refused rows, which are not reported as missing.
    ex_dates : ndarray of int64
        Ex dates of splits that the prices are not adjusted for, microseconds since 1970.
    ratios : ndarray of float64
        New shares per old share of those splits.
    calendar : str or None
        The exchange's calendar, by its exchange_calendars name.
    """

    times: pd.DatetimeIndex
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    fresh: int
    refused: pd.DatetimeIndex
    ex_dates: Ints
    ratios: Floats
    calendar: str | None

    def __len__(self) -> int:
        return len(self.times)

    @functools.cached_property
    def daily(self) -> bool:
        """Whether all bars are stamped 00:00 UTC."""
        return bool((self.times.asi8 % DAY == 0).all())

    def scale(self, positions: Ints) -> Floats:
        """The usual move of the close from bar to bar before each of these bars, in log returns.

        The scale of the Hampel identifier (Hampel 1974; Pearson 2002), with the returns' median taken as 0:
        1.4826 times the median of the absolute log returns, here of the last `SCALE_BARS` up to the bar
        before, or of the series' first ones if there are fewer before it. Returns of exactly 0 are left out:
        in an illiquid series they would be the majority, and every trade an outlier.

        Returns
        -------
        ndarray of float64
            NaN where fewer than 10 returns are left.
        """
        scales = np.full(len(positions), np.nan)
        sizes = np.abs(np.diff(np.log(self.close)))
        if len(sizes) < LEAST_RETURNS:
            return scales
        width = min(SCALE_BARS, len(sizes))
        windows = np.lib.stride_tricks.sliding_window_view(np.where(sizes == 0, np.nan, sizes), width)
        starts = np.clip(positions - width - 1, 0, len(windows) - 1)
        for at in range(0, len(starts), BATCH):
            own = np.sort(windows[starts[at : at + BATCH]], axis=1)  # NaN goes last
            left = width - np.count_nonzero(np.isnan(own), axis=1)
            row = np.arange(len(own))
            median = (own[row, (left - 1) // 2] + own[row, left // 2]) / 2
            scales[at : at + BATCH] = np.where(left < LEAST_RETURNS, np.nan, NORMAL * median)
        return scales


@dataclass(frozen=True)
class Found:
    """The bars that look odd by one rule; the reason's text is only built when needed.

    Attributes
    ----------
    rule : str
        The rule's name.
    positions : ndarray of int64
        Ascending; none before the series' first new bar.
    reason : callable
        Returns the text for a position.
    """

    rule: str
    positions: Ints
    reason: Callable[[int], str]


def with_context(
    times: pd.DatetimeIndex,
    values: dict[str, Floats],
    *,
    symbol: str,
    before: pd.DataFrame | None,
    refused: pd.DatetimeIndex,
    actions: pd.DataFrame | None,
    calendar: str | None,
) -> BarSeries:
    """The new bars as a series, preceded by the last `CONTEXT_BARS` stored bars.

    Raises
    ------
    QueryError
        `before` or `actions` has not all columns, or the times of `before` have no time zone.
    """
    fresh = 0
    if before is not None and len(before) and len(times):
        stored = _stored(before, times[0])
        fresh = len(stored)
        both = np.concatenate([pd.DatetimeIndex(stored["timestamp"]).asi8, times.asi8])
        times = pd.DatetimeIndex(both.astype("datetime64[us]")).tz_localize("UTC")
        values = {
            name: np.concatenate([stored[name].to_numpy(np.float64), own]) for name, own in values.items()
        }
    ex_dates, ratios = _splits(symbol, actions)
    return BarSeries(
        times=times,
        **values,
        fresh=fresh,
        refused=refused,
        ex_dates=ex_dates,
        ratios=ratios,
        calendar=calendar,
    )


def moment(time: pd.Timestamp) -> str:
    """A bar's time as text: only the date at midnight."""
    if time == time.normalize():
        return f"{time:%Y-%m-%d}"
    return f"{time:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + " UTC"


def _stored(before: pd.DataFrame, first: pd.Timestamp) -> pd.DataFrame:
    stored = before if "timestamp" in before.columns else before.reset_index()
    for column in ("timestamp", *BAR_COLUMNS):
        if column not in stored.columns:
            raise QueryError(f"the bars stored before need the column {column}; these have {_listed(before)}")
    if not isinstance(stored["timestamp"].dtype, pd.DatetimeTZDtype):
        raise QueryError(
            f"the timestamps of the bars stored before are {stored['timestamp'].dtype}; "
            "give them the time zone UTC"
        )
    stored = stored[stored["timestamp"] < first].sort_values("timestamp").tail(CONTEXT_BARS)
    return stored.assign(timestamp=stored["timestamp"].dt.tz_convert("UTC").dt.as_unit("us"))


def _splits(symbol: str, actions: pd.DataFrame | None) -> tuple[Ints, Floats]:
    if actions is None or actions.empty:
        return np.empty(0, dtype=np.int64), np.empty(0)
    for column in ("symbol", "ex_date", "kind", "value", "applied"):
        if column not in actions.columns:
            raise QueryError(f"corporate actions need the column {column}; these have {_listed(actions)}")
    mine = (actions["symbol"] == symbol) & (actions["kind"] == "split") & ~actions["applied"].astype(bool)
    own = actions[mine]
    dates = pd.DatetimeIndex(pd.to_datetime(own["ex_date"])).as_unit("us").asi8
    return dates, own["value"].to_numpy(np.float64)


def _listed(frame: pd.DataFrame) -> str:
    return ", ".join(str(column) for column in frame.columns) or "none"
