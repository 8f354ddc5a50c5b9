"""`live_performance`: what became of what was said live, each row filled after it was said; `act_on`.

Pure: frames in, a frame out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from workbench.backtest.engine import backtest
from workbench.backtest.result import BacktestResult
from workbench.errors import BacktestError
from workbench.fills.daily import by_date
from workbench.fills.execution import Rules
from workbench.marketdata.openings import opening_times
from workbench.signals.signals import Signals, Weights

__all__ = ["Openings", "act_on", "acted_on", "live_performance", "openings"]

Openings = dict[str, tuple[pd.DatetimeIndex, pd.DatetimeIndex]]
"""By symbol: the timestamps of its bars, and when each opens."""


def live_performance(
    said: pd.DataFrame,
    bars: pd.DataFrame,
    rules: Rules,
    *,
    weights: bool,
    calendars: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The daily performance of an account that does what was said, from when it was said.

    It is a backtest (`workbench.backtest.backtest`) of the said rows by the strategy's own rules: starting
    cash, costs, sizes, stops and leverage. Only the moment of a fill is another: the open of the symbol's
    first bar that opens after `said_at`, whatever the rules say of fills, and never a price from before it
    was said. So what was said late is filled late.

    What a row orders:

    - buy and sell bring the account to the side of their `target`: long above zero, short below it, out at
      zero. Of weights they bring it to the weight `target` itself.
    - hold orders nothing: what was said before still stands. The exceptions are holds that come after
      something was left unsaid: the first row of a symbol, the first after bars that no row was said about,
      and one whose target is on another side than that of the row before. They bring the account to their
      `target` in the same way, since nobody was told before.
    - A row with a `reason` orders nothing: nobody decided it. Neither does a row about an older bar than one
      that was said about before.

    Parameters
    ----------
    said : DataFrame
        Live rows of one strategy of one deployment, in any order: symbol, timestamp (UTC, of the bar),
        signal, target (fraction of equity; NaN: not known, then buy is long and sell is out), said_at (UTC),
        reason (missing: decided). As `load_strategy_signals(kind="live")` returns them.
    bars : DataFrame
        Tidy bars of at least the symbols that were said about, from the first bar that was said about until
        the newest, best from earlier for `VolatilityTarget`.
    rules : Rules
        Of the strategy: ``result.rules``. `fill` is not applied; of weights neither size nor stops.
    weights : bool
        Whether targets are weights (of a backtest of `Weights`, of a vectorbt portfolio), and not sides.
    calendars : mapping, optional
        Exchange calendars by symbol; see `opening_times`. Default: none are known.

    Returns
    -------
    DataFrame
        One row a date (UTC) with a bar that opened after the first row was said, oldest first: the columns
        of `BacktestRecord.performance`, counted from the first of these dates on. Empty while there is none.

    Raises
    ------
    BacktestError
        The bars begin after the first bar that was said about, or lack a symbol.

    Examples
    --------
    >>> said = wb.strategy_engine.load_strategy_signals(deployment="sma-nightly")    # doctest: +SKIP
    >>> live_performance(said, bars, result.rules, weights=False)                    # doctest: +SKIP
    """
    market = bars[bars.index.get_level_values("symbol").isin(list(said["symbol"].unique()))]
    opens = openings(market, calendars or {})
    first = pd.Timestamp(said["said_at"].min())
    days = {time for stamps, moments in opens.values() for time in stamps[moments > first]}
    result = act_on(said, market, rules, weights=weights, opens=opens)
    return by_date(
        result.returns[result.returns.index.isin(list(days))],
        result.trades,
        periods_per_year=result.periods_per_year,
    )


def act_on(
    said: pd.DataFrame,
    bars: pd.DataFrame,
    rules: Rules,
    *,
    weights: bool,
    opens: Openings,
    dividends: pd.Series[float] | None = None,
) -> BacktestResult:
    """The account of `live_performance` itself, which has its cash from the first bar on.

    Parameters
    ----------
    said, bars, rules, weights
        As `live_performance` takes them; all symbols of the bars share the cash.
    opens : Openings
        Of the bars.
    dividends : Series of float64, optional
        Cash per unit by (symbol, ex-date).

    Raises
    ------
    BacktestError
        The bars do not reach back to what was said, or lack a symbol.
    """
    wanted = _wanted(acted_on(said, bars), opens)
    decisions = _decisions(wanted, bars, weights=weights)
    return backtest(bars, decisions, dividends=dividends, **_rules(rules, weights=weights))


def acted_on(said: pd.DataFrame, bars: pd.DataFrame) -> pd.DataFrame:
    """The rows that order something, by `said_at`; see `live_performance`.

    Raises
    ------
    BacktestError
        The bars do not reach back to what was said, or lack a symbol.
    """
    rows = said[said["reason"].isna() & said["timestamp"].notna()].sort_values("said_at", kind="stable")
    newest = rows.groupby("symbol")["timestamp"].cummax()
    rows = rows[rows["timestamp"] == newest]
    if rows.empty:
        return rows
    symbols = bars.index.get_level_values("symbol")
    kept = pd.Series(False, index=rows.index)
    for symbol, mine in rows.groupby("symbol"):
        stamps = pd.DatetimeIndex(
            bars.index.get_level_values("timestamp")[np.asarray(symbols == symbol)]
        ).sort_values()
        about = pd.DatetimeIndex(mine["timestamp"])
        if not len(stamps) or stamps[0] > about[0]:
            raise BacktestError(
                f"bars: those of {symbol} begin {'nowhere' if not len(stamps) else f'{stamps[0]:%Y-%m-%d}'}, "
                f"and the first live signal is of the bar at {about[0]:%Y-%m-%d}; give bars from there on."
            )
        # How many bars came since the row before: more than one, and some were left unsaid.
        place = np.asarray(stamps.searchsorted(about, side="right"))
        side = np.sign(mine["target"].to_numpy(dtype=np.float64))
        turned = np.append(False, (side[1:] != side[:-1]) & ~np.isnan(side[1:]))
        unsaid = (np.diff(place, prepend=place[0] - 2) > 1) | turned
        kept[mine.index] = unsaid | (mine["signal"] != "hold").to_numpy()
    return rows[kept]


def openings(bars: pd.DataFrame, calendars: Mapping[str, str]) -> Openings:
    """When the bars of each symbol open, by its exchange calendar where that is known."""
    opens = {}
    present = bars[bars["open"].notna() & bars["close"].notna()]
    for symbol, mine in present.groupby(level="symbol"):
        stamps = pd.DatetimeIndex(mine.index.get_level_values("timestamp")).sort_values()
        opens[str(symbol)] = stamps, opening_times(stamps, calendars.get(str(symbol)))
    return opens


def _wanted(ordered: pd.DataFrame, opens: Openings) -> dict[tuple[str, pd.Timestamp], float]:
    """Targets by symbol and the bar at whose close they count: the one before the bar that fills them."""
    found: dict[tuple[str, pd.Timestamp], float] = {}
    columns = (ordered[name] for name in ("symbol", "said_at", "signal", "target"))
    for symbol, said_at, signal, target in zip(*columns, strict=True):
        stamps, moments = opens[str(symbol)]
        place = int((moments <= said_at).sum())
        if 0 < place < len(stamps):
            if np.isnan(target):
                target = 1.0 if signal == "buy" else 0.0
            # Of several rows that one bar fills, the newest counts.
            found[str(symbol), stamps[place - 1]] = float(target)
    return found


def _decisions(
    wanted: Mapping[tuple[str, pd.Timestamp], float], bars: pd.DataFrame, *, weights: bool
) -> Signals | Weights:
    times = pd.DatetimeIndex(bars.index.get_level_values("timestamp").unique()).sort_values()
    columns = pd.Index(bars.index.get_level_values("symbol").unique()).sort_values()
    targets = pd.DataFrame(np.nan, index=times, columns=columns)
    for (symbol, time), target in wanted.items():
        targets.at[time, symbol] = target
    if weights:
        return Weights(targets)
    # An entry of one side closes the other; being out is said to both.
    return Signals(
        entries=targets > 0.0, exits=targets == 0.0, short_entries=targets < 0.0, short_exits=targets == 0.0
    )


def _rules(rules: Rules, *, weights: bool) -> dict[str, Any]:
    kept: dict[str, Any] = {**rules, "fill": "next_open", "count_trial": False}
    if weights:
        kept |= dict.fromkeys(("size", "cash_sharing", "stop_loss", "take_profit", "trailing_stop"))
    return kept
