"""Prices adjusted for splits and dividends by a named method, as of a chosen day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS, validate_index
from workbench.marketdata.factors import SECONDS, Closes, Factors, day_of, has_earlier, key_of, keys_of_bars

__all__ = ["METHODS", "adjust"]

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
DividendFactor = Callable[[Floats, Floats, Floats], Floats]

COLUMNS = ("symbol", "ex_date", "kind", "value")
KINDS = ("split", "dividend")
# How many days before a dividend's ex date the bars may end for it still to be applied.
STALE = 10


def _yahoo(dividend: Floats, before: Floats, on: Floats) -> Floats:  # noqa: ARG001
    return 1 - dividend / before


def _crsp(dividend: Floats, before: Floats, on: Floats) -> Floats:  # noqa: ARG001
    return 1 / (1 + dividend / on)


METHODS: Mapping[str, DividendFactor | None] = {"yahoo": _yahoo, "crsp": _crsp, "splits": None}
"""The factor of a dividend for the prices before its ex date, from the dividend, the last close before the ex
date and the first close on or after it; None: prices are not adjusted for dividends."""


def adjust(
    bars: pd.DataFrame,
    actions: pd.DataFrame,
    method: str = "yahoo",
    *,
    as_of: pd.Timestamp | date | str | None = None,
    closes: pd.DataFrame | None = None,
    calendar: str = "XNYS",
) -> pd.DataFrame:
    """Bars with prices adjusted for splits and, by the chosen method, for dividends.

    A price is multiplied by the factors of all actions with an ex date after the bar's date:

    - a split of r new shares for an old one: 1/r. Volume is divided by the factor: it counts today's shares.
    - a dividend D, by the method "yahoo": 1 - D/C, with C the last close before the ex date.
    - a dividend D, by "crsp", which is also Quandl WIKI's: 1/(1 + D/C), with C the first close on or
      after the ex date.
    - a dividend by "splits": 1.

    Dividends do not change volume. If there is a split between D and C, both are put on the same basis.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars of any number of symbols, daily or intraday, in any order, with some or all of open,
        high, low, close, volume; other columns are returned unchanged. Prices as traded on their day, except
        for actions marked as applied.
    actions : DataFrame
        symbol, ex_date (a date), kind ("split" or "dividend"), value (new shares per old share; cash per
        share on the ex date, on the prices' own basis) and optionally applied (bool: the prices are
        already adjusted for it, so it is not applied again). Symbols without bars are ignored.
    method : str
        "yahoo", "crsp" or "splits".
    as_of : Timestamp, date or str, optional
        Prices as they were at the end of this day: later actions are not applied, not even to later bars.
        Default, per symbol: the day of its last close. So a dividend that is announced but has not gone ex
        changes nothing, and the last bar keeps its traded prices.
    closes : DataFrame, optional
        Tidy bars to take the closes from, if they cover more than `bars`: an excerpt is then adjusted
        exactly as in the whole. Default: `bars`.
    calendar : str
        The exchange, for intraday bars: days begin at midnight in its time zone. The last close of a day is
        that of its last bar.

    Returns
    -------
    DataFrame
        The bars in their order, open, high, low, close, volume as float64. NaN stays NaN.

    Raises
    ------
    QueryError
        The method is unknown; a value is not above 0; an action is given twice; a dividend is not smaller
        than the close before it; closes are needed and missing, or end more than ten days before a dividend
        to apply.

    References
    ----------
    Yahoo, "What is the adjusted close?" (help pages; multipliers "adhering to CRSP standards"), with the
    example that the tests use. CRSP, Data Definitions, "Factor to Adjust Price": the dividend over the
    price on the ex-distribution date, or the next available one. Quandl WIKI documentation: adjusted
    columns of the same form.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.to_datetime(["2003-02-18", "2003-02-19"], utc=True)
    >>> index = pd.MultiIndex.from_product([["ACME"], days], names=["symbol", "timestamp"])
    >>> bars = pd.DataFrame({"close": [24.96, 24.53]}, index=index)
    >>> paid = {"symbol": "ACME", "ex_date": "2003-02-19", "kind": "dividend", "value": 0.08}
    >>> adjust(bars, pd.DataFrame([paid]))["close"].round(2).tolist()
    [24.88, 24.53]
    """
    if method not in METHODS:
        raise QueryError(f'there is no adjustment method "{method}"; choose one of {", ".join(METHODS)}')
    validate_index(bars)
    if closes is not None:
        validate_index(closes)
    adjusted = bars.copy()
    present = [column for column in BAR_COLUMNS if column in bars.columns]
    adjusted[present] = adjusted[present].astype(np.float64)
    wanted = _validated(actions)
    wanted = wanted[~wanted["applied"] & wanted["symbol"].isin(bars.index.unique("symbol"))]
    if METHODS[method] is None:
        wanted = wanted[wanted["kind"] == "split"]
    symbols = pd.Index(wanted["symbol"].unique())
    known = Closes.of(bars if closes is None else closes, symbols, calendar)
    numbers = symbols.get_indexer(wanted["symbol"]).astype(np.int64)
    last = known.last_day(numbers)
    wanted = wanted.assign(
        key=key_of(numbers, wanted["day"].to_numpy()),
        last=last,
        limit=last if as_of is None else day_of(as_of),
    )
    wanted = wanted[wanted["day"] <= wanted["limit"]]
    if wanted.empty:
        return adjusted
    splits, dividends = (wanted[wanted["kind"] == kind] for kind in KINDS)
    keys = keys_of_bars(bars.index, symbols, calendar)
    ratios = Factors.of(splits["key"].to_numpy(), splits["value"].to_numpy())
    paid = _dividends(dividends, METHODS[method], known, ratios, keys)
    split, price = ratios.after(keys), paid.after(keys) / ratios.after(keys)
    for column in present:
        adjusted[column] = adjusted[column].to_numpy() * (split if column == "volume" else price)
    return adjusted


def _dividends(
    dividends: pd.DataFrame, factor: DividendFactor | None, known: Closes, ratios: Factors, bars: Whole
) -> Factors:
    """The dividends' factors for the prices before them; raises if one cannot be computed."""
    if factor is None or dividends.empty:
        return Factors.of(np.empty(0, dtype=np.int64), np.empty(0))
    if not known.priced:
        raise QueryError("adjusting for dividends needs the column close, and these bars have none")
    keys, day = dividends["key"].to_numpy(), dividends["day"].to_numpy()
    # Everything on one basis: shares after the last split.
    cash = dividends["value"].to_numpy() / ratios.after(keys)
    prices = np.append(known.values / ratios.after(known.keys), np.nan)
    places = known.around(keys, keys + dividends["limit"].to_numpy() - day)
    before, on = prices[places[0]], prices[places[1]]
    late = day - dividends["last"].to_numpy() > STALE
    _refuse(
        dividends,
        late,
        "lies more than ten days after the last close: give later closes, or an earlier as_of",
    )
    needed = np.isnan(before) & has_earlier(bars, keys)
    _refuse(dividends, needed, "has bars before it, but no close: give the closes of these bars")
    _refuse(dividends, cash >= before, "is as large as the close before it, or larger: correct it")
    # Without a bar before it there is nothing to adjust; without one after it CRSP's factor is not known yet.
    values = factor(cash, before, on)
    there = ~np.isnan(values)
    return Factors.of(keys[there], values[there])


def _validated(actions: pd.DataFrame) -> pd.DataFrame:
    """The actions with `day`, whole days since 1970; raises if they are not valid."""
    missing = [column for column in COLUMNS if column not in actions.columns]
    if missing:
        raise QueryError(
            f"corporate actions need the columns {', '.join(COLUMNS)}; these have no {', '.join(missing)}"
        )
    checked = actions.reset_index(drop=True)[list(COLUMNS)]
    applied = actions["applied"].to_numpy(dtype=bool) if "applied" in actions.columns else False
    dates = pd.DatetimeIndex(pd.to_datetime(checked["ex_date"]))
    if dates.tz is not None:
        dates = dates.tz_convert("UTC").tz_localize(None)
    checked = checked.assign(
        ex_date=dates,
        value=checked["value"].astype(np.float64),
        applied=applied,
        day=dates.as_unit("s").asi8 // SECONDS,
    )
    _refuse(checked, ~checked["kind"].isin(KINDS).to_numpy(), f"is not one of {', '.join(KINDS)}")
    _refuse(checked, np.asarray(dates.isna()), "has no ex date")
    value = checked["value"].to_numpy()
    _refuse(checked, ~((value > 0) & np.isfinite(value)), "has a value that is not above 0")
    twice = checked.duplicated(["symbol", "day", "kind"]).to_numpy()
    _refuse(checked, twice, "is given more than once: give the product of splits, the sum of dividends")
    return checked


def _refuse(actions: pd.DataFrame, wrong: npt.NDArray[np.bool_], why: str) -> None:
    if not wrong.any():
        return
    first = actions[wrong].iloc[0]
    others = f" (and {wrong.sum() - 1} more)" if wrong.sum() > 1 else ""
    what = f"the {first['kind']} of {first['symbol']} on {first['ex_date']}"[:-9]
    raise QueryError(f"{what} ({first['value']:g}){others} {why}")
