"""When bars open: the first moment at which an order can be filled at a bar's open."""

from __future__ import annotations

import pandas as pd

from workbench.marketdata.calendar import is_daily, schedule

__all__ = ["opening_times"]


def opening_times(times: pd.DatetimeIndex, calendar: str | None) -> pd.DatetimeIndex:
    """The moment at which each bar of one series opens.

    A daily bar is stamped 00:00 UTC of its session's date and opens when that session of the exchange does;
    where no calendar is known, and on a date that is no session of it, at its stamp. Any other bar opens at
    its stamp, which is its start.

    Parameters
    ----------
    times : DatetimeIndex
        The bars' timestamps, with a time zone.
    calendar : str, optional
        A name of exchange_calendars. Default: not known.

    Returns
    -------
    DatetimeIndex of the same length
        UTC.

    Raises
    ------
    QueryError
        There is no such calendar.

    Examples
    --------
    >>> opening_times(pd.DatetimeIndex(["2026-11-27"], tz="UTC"), "XNYS")      # doctest: +SKIP
    DatetimeIndex(['2026-11-27 14:30:00+00:00'], dtype='datetime64[us, UTC]')
    """
    stamps = times.tz_convert("UTC").as_unit("us")
    if calendar is None or not len(stamps) or not is_daily(stamps):
        return stamps
    opens = schedule(calendar, stamps.min(), stamps.max())["open"].reindex(stamps)
    known = opens.notna().to_numpy()
    return pd.DatetimeIndex(opens.where(known, stamps.to_series(index=opens.index)), name=times.name).as_unit(
        "us"
    )
