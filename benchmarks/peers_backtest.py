"""One backtest with its statistics: workbench's, and backtesting.py's, on the same prices."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from benchmarks import Timed
from benchmarks.swept import read_prices

__all__ = ["backtesting_py", "workbench"]

Task = Mapping[str, Any]
_CASH, _UNITS, _FEES = 100_000.0, 50, 0.001


@contextlib.contextmanager
def workbench(task: Task) -> Iterator[Timed]:
    """`backtest` of signals, with all its figures, and what the other gives: the trades and the equity."""
    from workbench.backtest import Fixed, Signals, backtest

    bars = read_prices(task["prices"])
    above, below = _signals(bars["close"].droplevel("symbol"))
    said = Signals(above, below)

    def run() -> Any:
        result = backtest(bars, said, fees=_FEES, cash=_CASH, size=Fixed(_UNITS))
        assert result.metrics
        # Both are made when they are looked at.
        assert len(result.trades)
        assert len(result.equity)
        return result

    def tell(result: Any) -> dict[str, Any]:
        trades = result.trades[result.trades["status"] == "closed"]
        places = result.equity.index
        return {
            "equity": float(result.equity.iloc[-1]),
            "entered": places.get_indexer(pd.Index(trades["entry_time"])).tolist(),
            "left": places.get_indexer(pd.Index(trades["exit_time"])).tolist(),
            "pnl": trades["pnl"].tolist(),
        }

    yield Timed(run, tell=tell)


@contextlib.contextmanager
def backtesting_py(task: Task) -> Iterator[Timed]:
    """`Backtest.run` of the same signals, which computes its statistics as it ends."""
    from backtesting import Backtest, Strategy

    bars = read_prices(task["prices"]).droplevel("symbol")
    stamps = pd.DatetimeIndex(bars.index).tz_localize(None)
    bars = bars.set_axis(["Open", "High", "Low", "Close", "Volume"], axis=1).set_axis(stamps, axis=0)
    enter, leave = (flags.to_numpy() for flags in _signals(bars["Close"]))

    class Cross(Strategy):  # type: ignore[misc]
        def init(self) -> None:
            pass

        def next(self) -> None:
            bar = len(self.data) - 1
            if self.position:
                if leave[bar]:
                    self.position.close()
            elif enter[bar]:
                self.buy(size=_UNITS)

    test = Backtest(bars, Cross, cash=_CASH, commission=_FEES)

    def run() -> Any:
        with warnings.catch_warnings():
            # That a position is open at the end, which is so for all.
            warnings.simplefilter("ignore")
            return test.run()

    def tell(found: Any) -> dict[str, Any]:
        trades = found["_trades"].sort_values("EntryBar", kind="stable")
        return {
            "equity": float(found["_equity_curve"]["Equity"].iloc[-1]),
            "entered": trades["EntryBar"].tolist(),
            "left": trades["ExitBar"].tolist(),
            "pnl": trades["PnL"].tolist(),
        }

    yield Timed(run, tell=tell)


def _signals(close: pd.Series[float]) -> tuple[pd.Series[bool], pd.Series[bool]]:
    fast, slow = close.rolling(20).mean(), close.rolling(100).mean()
    return fast > slow, fast < slow
