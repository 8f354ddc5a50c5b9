"""Who sweeps: workbench, and vectorbt with either engine, all variants at once or in a loop."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import Timed
from benchmarks.swept import channel, columns, read_prices, windows_of

__all__ = ["vectorbt_at_once", "vectorbt_in_a_loop", "workbench_averages", "workbench_python"]

Task = Mapping[str, Any]
_FEES, _CASH = 0.001, 100_000.0


@contextlib.contextmanager
def workbench_averages(task: Task) -> Iterator[Timed]:
    """`sweep` of the library's `sma_cross`, as one writes it in a notebook."""
    from workbench.strategies import sma_cross
    from workbench.sweep import sweep

    bars, windows = read_prices(task["prices"]), windows_of(task["windows"])

    def run() -> pd.DataFrame:
        return sweep(sma_cross, bars, {"fast": windows, "slow": windows}, fees=_FEES, progress=False).frame

    yield Timed(run, tell=columns)


@contextlib.contextmanager
def vectorbt_at_once(task: Task, *, engine: str) -> Iterator[Timed]:
    """All pairs as the columns of one `Portfolio`, vectorbt's own fastest way."""
    vbt = _vectorbt(engine)
    bars, windows = read_prices(task["prices"]), windows_of(task["windows"])
    opened, close = (bars[name].droplevel("symbol") for name in ("open", "close"))

    def run() -> dict[str, Any]:
        fast, slow = vbt.MA.run_combs(close, window=windows, r=2, short_names=["fast", "slow"])
        above = fast.ma.to_numpy() > slow.ma.to_numpy()
        entered, left = _next_bar(above), _next_bar(~above)
        portfolio = vbt.Portfolio.from_signals(
            close,
            entered,
            left,
            price=opened.to_numpy()[:, np.newaxis],
            fees=_FEES,
            init_cash=_CASH,
            freq="1D",
        )
        return _figures(portfolio)

    yield Timed(run, tell=_as_lists)


@contextlib.contextmanager
def workbench_python(task: Task) -> Iterator[Timed]:
    """`sweep` of a strategy in plain pandas."""
    from workbench.sweep import sweep

    bars, variants = read_prices(task["prices"]), task["variants"]

    def run() -> pd.DataFrame:
        return sweep(channel, bars, {"window": range(2, 2 + variants)}, fees=_FEES, progress=False).frame

    yield Timed(run, tell=columns)


@contextlib.contextmanager
def vectorbt_in_a_loop(task: Task, *, engine: str) -> Iterator[Timed]:
    """The same strategy called as often, each time with a `Portfolio` of its own."""
    vbt = _vectorbt(engine)
    bars, variants = read_prices(task["prices"]), task["variants"]
    opened, close = (bars[name].droplevel("symbol") for name in ("open", "close"))

    def run() -> pd.DataFrame:
        rows: list[dict[str, Any]] = []
        for window in range(2, 2 + variants):
            said: Any = channel(bars, window=window)
            portfolio = vbt.Portfolio.from_signals(
                close,
                said.entries.shift(1, fill_value=False),
                said.exits.shift(1, fill_value=False),
                price=opened,
                fees=_FEES,
                init_cash=_CASH,
                freq="1D",
            )
            rows.append({name: float(value) for name, value in _figures(portfolio).items()})
        return pd.DataFrame(rows)

    yield Timed(run, tell=columns)


def _vectorbt(engine: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import vectorbt as vbt

    vbt.settings["engine"] = engine
    vbt.settings.returns["year_freq"] = "252 days"
    return vbt


def _next_bar(flags: np.ndarray[Any, np.dtype[np.bool_]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    moved = np.zeros_like(flags)
    moved[1:] = flags[:-1]
    return moved


def _figures(portfolio: Any) -> dict[str, Any]:
    """The four figures; drawdown counts the starting capital, which no variant has left on the first bar."""
    return {
        "total_return": portfolio.total_return(),
        "sharpe_ratio": portfolio.sharpe_ratio(),
        "max_drawdown": portfolio.max_drawdown(),
        "total_trades": portfolio.trades.closed.count(),
    }


def _as_lists(found: Mapping[str, Any]) -> dict[str, Any]:
    """The figures as they travel between processes."""
    return {name: value.tolist() for name, value in found.items()}
