"""Fills, prices and equity against another engine, backtesting.py 0.6, on the same real prices.

It fills at the next open, too, looks for a stop before a target, and leaves a bar that opens beyond one at
its open. It trades whole units: here 50 of them, or, by its `FractionalBacktest`, hundred-millionths of one
for as much as the cash pays. A stop has to be named with the order, before the entry price is known; its
strategy below is therefore shown the next open, from which ours are measured.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Fixed, Signals, backtest

SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import pandas as pd
from backtesting import Backtest, Strategy
from backtesting.lib import FractionalBacktest

bars = pd.read_pickle(sys.argv[1]).droplevel("symbol").tz_localize(None)
bars.columns = ["Open", "High", "Low", "Close", "Volume"]
fast, slow = bars["Close"].rolling(20).mean(), bars["Close"].rolling(100).mean()
above, below, opens = (fast > slow).to_numpy(), (fast < slow).to_numpy(), bars["Open"].to_numpy()


class Cross(Strategy):
    short, stop, target, fraction = False, None, None, None

    def init(self):
        pass

    def next(self):
        bar = len(self.data) - 1
        side = 1 if above[bar] else -1 if below[bar] else 0
        held = (self.position.size > 0) - (self.position.size < 0)
        if held and side == -held:
            self.position.close()
        if not side or held == side or (side < 0 and not self.short) or bar + 1 == len(opens):
            return
        # FractionalBacktest counts in hundred-millionths of a unit, and prices by them.
        entry = opens[bar + 1] * (1e-8 if self.fraction else 1.0)
        order = self.buy if side > 0 else self.sell
        order(
            size=self.fraction or 50,
            sl=entry * (1 - side * self.stop) if self.stop else None,
            tp=entry * (1 + side * self.target) if self.target else None,
        )


def run(kind, **options):
    found = kind(bars, Cross, cash=100_000, commission=0.001).run(**options)
    trades = found["_trades"].sort_values("EntryBar", kind="stable")
    columns = ["EntryBar", "ExitBar", "EntryPrice", "ExitPrice", "Size", "PnL"]
    return found["_equity_curve"]["Equity"].to_numpy(), trades[columns].reset_index(drop=True)


stops = {"stop": 0.08, "target": 0.15}
whole = {"fraction": 1 - sys.float_info.epsilon}
pd.to_pickle(
    {
        "long": run(Backtest),
        "long and short": run(Backtest, short=True),
        "long with stops": run(Backtest, **stops),
        "long and short with stops": run(Backtest, short=True, **stops),
        "all in, long": run(FractionalBacktest, **whole),
        "all in, long and short with stops": run(FractionalBacktest, short=True, **stops, **whole),
    },
    sys.argv[1],
)
"""


@pytest.fixture(scope="module")
def theirs(aapl: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What backtesting.py makes of it, in a process of its own: it warns, and shows its progress."""
    path: Path = tmp_path_factory.mktemp("backtesting_py") / "exchange.pkl"
    aapl.to_pickle(path)
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True, capture_output=True)
    return pd.read_pickle(path)


@pytest.mark.parametrize(
    ("case", "closed"),
    [
        ("long", 17),
        ("long and short", 34),
        ("long with stops", 108),
        ("long and short with stops", 186),
        ("all in, long", 17),
        ("all in, long and short with stops", 186),
    ],
)
def test_a_moving_average_cross_trades_as_in_backtesting_py(
    case: str, closed: int, aapl: pd.DataFrame, theirs: Any
) -> None:
    fast, slow = (aapl["close"].rolling(days).mean() for days in (20, 100))
    signals = Signals(fast > slow, fast < slow)
    if "short" in case:
        signals = Signals(fast > slow, fast < slow, fast < slow, fast > slow)
    result = backtest(
        aapl,
        signals,
        fees=0.001,
        size=None if "all in" in case else Fixed(50.0),
        stop_loss=0.08 if "stops" in case else None,
        take_profit=0.15 if "stops" in case else None,
    )
    equity, trades = theirs[case]
    np.testing.assert_allclose(result.equity, equity, rtol=1e-9)
    ours = result.trades[result.trades["status"] == "closed"]
    assert len(ours) == len(trades) == closed
    assert ours["entry_time"].tolist() == [result.equity.index[bar] for bar in trades["EntryBar"]]
    assert ours["exit_time"].tolist() == [result.equity.index[bar] for bar in trades["ExitBar"]]
    side = np.where(ours["direction"] == "short", -1.0, 1.0)
    np.testing.assert_allclose(ours["size"] * side, trades["Size"], rtol=1e-9)
    np.testing.assert_allclose(ours["entry_price"], trades["EntryPrice"], rtol=1e-12)
    np.testing.assert_allclose(ours["exit_price"], trades["ExitPrice"], rtol=1e-12)
    np.testing.assert_allclose(ours["pnl"], trades["PnL"], rtol=1e-6, atol=1e-6)
