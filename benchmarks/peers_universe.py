"""Who backtests the same decisions on the same tidy bars: workbench, and vectorbt in the ways that we found.

Every candidate is asked for the same three things: orders, trades and the account's equity, so that nobody
saves what is only computed when it is looked at. Decisions are those of a close; all fill them at the next
open, all with the same fees.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks import Timed
from benchmarks.shapes import Decided, read_shape

__all__ = ["vectorbt_as_documented", "vectorbt_by_hand", "workbench"]

Task = Mapping[str, Any]
Answer = dict[str, float]

_FEES, _CASH = 0.001, 100_000.0


@contextlib.contextmanager
def workbench(task: Task) -> Iterator[Timed]:
    """`backtest` of signals or weights; its figures are `metrics`."""
    from workbench.backtest import Signals, Weights, backtest

    def trade(bars: pd.DataFrame, decided: Decided) -> tuple[Any, Answer]:
        said: Any = Signals(*decided.signals()) if decided.weights is None else Weights(decided.weights)
        result = backtest(bars, said, fees=_FEES, cash=_CASH)
        return result, _answer(result.orders, result.trades, result.equity)

    yield _timed(task, trade, lambda result: len(result.metrics))


@contextlib.contextmanager
def vectorbt_as_documented(task: Task) -> Iterator[Timed]:
    """Prices by `unstack`, decisions by `shift`, frames into `Portfolio`: as one writes it in a notebook."""
    vbt = _vectorbt()

    def trade(bars: pd.DataFrame, decided: Decided) -> tuple[Any, Answer]:
        close, opened = bars["close"].unstack("symbol"), bars["open"].unstack("symbol")
        if decided.weights is not None:
            weights = decided.weights.reindex(close.index).shift(1)
            return _asked(_of_weights(vbt, close, weights, opened))
        entries, exits = (said.shift(1, fill_value=False) for said in decided.signals())
        return _asked(_of_signals(vbt, close, entries, exits, opened))

    yield _timed(task, trade, _stats)


@contextlib.contextmanager
def vectorbt_by_hand(task: Task) -> Iterator[Timed]:
    """The same with what is slow around the simulation written out.

    Prices are laid out by the codes of their index, decisions moved as arrays, and the index has no time
    zone, for vectorbt compares indices as arrays, and one with a zone becomes an array of objects.
    """
    vbt = _vectorbt()

    def trade(bars: pd.DataFrame, decided: Decided) -> tuple[Any, Answer]:
        index = bars.index
        assert isinstance(index, pd.MultiIndex)
        times = index.levels[1].tz_localize(None)  # type: ignore[attr-defined]
        close, opened = (_wide(bars[field], index) for field in ("close", "open"))
        panel = pd.DataFrame(close, times, index.levels[0], copy=False)
        if decided.weights is not None:
            weights = np.full(close.shape, np.nan)
            rows = index.levels[1].get_indexer(decided.weights.index) + 1
            inside = rows < len(weights)
            weights[rows[inside]] = decided.weights.to_numpy()[inside]
            return _asked(_of_weights(vbt, panel, weights, opened))
        entries, exits = (_next_bar(said.to_numpy()) for said in decided.signals())
        return _asked(_of_signals(vbt, panel, entries, exits, opened))

    yield _timed(task, trade, _stats)


def _timed(
    task: Task,
    trade: Callable[[pd.DataFrame, Decided], tuple[Any, Answer]],
    figures: Callable[[Any], int],
) -> Timed:
    """A candidate that is told which shape to trade, then to tell that one's figures, then to forget it."""
    given = {name: read_shape(path) for name, path in task["shapes"].items()}
    made: list[Any] = []

    def run(shape: str, step: str = "trade") -> Answer:
        if step == "trade":
            result, answer = trade(*given[shape])
            made.append(result)
            return answer
        if step == "figures":
            return {"figures": figures(made[-1])}
        made.clear()
        return {}

    return Timed(run)


def _answer(orders: Any, trades: Any, equity: Any) -> Answer:
    return {"orders": len(orders), "trades": len(trades), "equity": float(np.ravel(equity.iloc[-1])[0])}


def _asked(portfolio: Any) -> tuple[Any, Answer]:
    # A grouped value is the account's; of signals each symbol has cash of its own.
    return portfolio, _answer(
        portfolio.orders.records, portfolio.trades.records, portfolio.value(group_by=True)
    )


def _stats(portfolio: Any) -> int:
    """How many figures `stats` has of the whole account."""
    return len(portfolio.stats(group_by=True))


def _of_signals(vbt: Any, close: pd.DataFrame, entries: Any, exits: Any, opened: Any) -> Any:
    return vbt.Portfolio.from_signals(
        close, entries, exits, price=opened, fees=_FEES, init_cash=_CASH / close.shape[1], freq="1D"
    )


def _of_weights(vbt: Any, close: pd.DataFrame, weights: Any, opened: Any) -> Any:
    return vbt.Portfolio.from_orders(
        close,
        weights,
        size_type="targetpercent",
        price=opened,
        fees=_FEES,
        init_cash=_CASH,
        group_by=True,
        cash_sharing=True,
        call_seq="auto",
        freq="1D",
    )


def _wide(values: pd.Series[float], index: pd.MultiIndex) -> npt.NDArray[np.float64]:
    laid_out = np.full((len(index.levels[1]), len(index.levels[0])), np.nan)
    laid_out[index.codes[1], index.codes[0]] = values.to_numpy()
    return laid_out


def _next_bar(flags: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    moved = np.zeros_like(flags)
    moved[1:] = flags[:-1]
    return moved


def _vectorbt() -> Any:
    # Its engine in Rust, which is as quick as Numba's here and compiles nothing; without it vectorbt itself
    # would fail only once it trades.
    importlib.import_module("vectorbt_rust")
    # Of its imports, and of figures that are not defined.
    warnings.simplefilter("ignore")
    import vectorbt as vbt

    vbt.settings["engine"] = "rust"
    vbt.settings.returns["year_freq"] = "252 days"
    return vbt
