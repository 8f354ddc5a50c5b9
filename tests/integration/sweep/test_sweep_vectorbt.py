"""A sweep's figures against vectorbt's own `Portfolio.from_signals`, for the same signals and fills."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, between, strategy
from workbench.sweep import sweep

FAST, SLOW = [5, 10, 20, 50], [60, 100, 200]
COSTS: dict[str, Any] = {"fees": 0.001, "slippage": 0.0005}
# vectorbt's own drawdown leaves the starting capital out, so it is taken here from its equity.
SCRIPT = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd, vectorbt as vbt
bars, fast, slow, costs = pd.read_pickle(sys.argv[1])
rows = []
for symbol in ("AAPL", "IBM", "MSFT"):
    close, open_ = bars.loc[symbol, "close"], bars.loc[symbol, "open"]
    for one in fast:
        for other in slow:
            above = close.rolling(one).mean() > close.rolling(other).mean()
            below = close.rolling(one).mean() < close.rolling(other).mean()
            fills = {"next_open": (open_, 1), "next_close": (close, 1), "same_close": (close, 0)}
            for fill, (price, lag) in fills.items():
                made = vbt.Portfolio.from_signals(
                    close, above.shift(lag, fill_value=False), below.shift(lag, fill_value=False),
                    price=price, init_cash=100_000, freq="1D", engine="rust", **costs,
                )
                value, returns = made.value(), made.returns()
                before = np.concatenate([[100_000.0], value.to_numpy()])
                rows.append({
                    "symbol": symbol, "fast": one, "slow": other, "fill": fill,
                    "total_return": made.total_return(),
                    "sharpe_ratio": made.sharpe_ratio(freq="1D", year_freq="252D"),
                    "by_hand": returns.mean() / returns.std(ddof=1) * 252 ** 0.5,
                    "total_trades": float(made.trades.closed.count()),
                    "win_rate": made.trades.closed.win_rate(),
                    "profit_factor": made.trades.closed.profit_factor(),
                    "max_drawdown": (before / np.maximum.accumulate(before)).min() - 1.0,
                })
pd.to_pickle(pd.DataFrame(rows), sys.argv[1])
"""


@strategy
def crossing(
    bars: pd.DataFrame,
    fast: Annotated[int, between(2, 100)] = 20,
    slow: Annotated[int, between(5, 400)] = 50,
) -> Signals:
    close = bars["close"].unstack("symbol")
    one, other = close.rolling(fast).mean(), close.rolling(slow).mean()
    return Signals(one > other, one < other)


@pytest.fixture(scope="module")
def bars(stocks: pd.DataFrame) -> pd.DataFrame:
    """AAPL, IBM and MSFT, daily from 2000-03-01 to 2013-03-01."""
    return stocks.loc[["AAPL", "IBM", "MSFT"], ["open", "high", "low", "close"]]


@pytest.fixture(scope="module")
def theirs(bars: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """What vectorbt makes of them, in a process of its own: its imports warn, and take seconds."""
    path: Path = tmp_path_factory.mktemp("vectorbt") / "exchange.pkl"
    path.write_bytes(pickle.dumps((bars, FAST, SLOW, COSTS)))
    subprocess.run([sys.executable, "-c", SCRIPT, str(path)], check=True, timeout=280)
    found: pd.DataFrame = pd.read_pickle(path)
    return found


@pytest.mark.parametrize("fill", ["next_open", "next_close", "same_close"])
def test_every_variants_figures_are_vectorbts(bars: pd.DataFrame, theirs: pd.DataFrame, fill: Any) -> None:
    ours = sweep(
        crossing, bars, {"fast": FAST, "slow": SLOW}, fill=fill, workers=1, progress=False, **COSTS
    ).frame
    expected = theirs[theirs["fill"] == fill].reset_index(drop=True)
    keys = ["symbol", "fast", "slow"]
    assert ours[keys].to_numpy().tolist() == expected[keys].to_numpy().tolist()
    assert expected["total_trades"].min() > 3
    names = ("total_return", "sharpe_ratio", "total_trades", "win_rate", "profit_factor", "max_drawdown")
    for name in names:
        np.testing.assert_allclose(ours[name], expected[name], rtol=1e-9, err_msg=name)
    # ddof=1, and 252 bars in a year, by numpy alone.
    np.testing.assert_allclose(ours["sharpe_ratio"], expected["by_hand"], rtol=1e-9)
