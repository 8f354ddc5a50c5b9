"""A result of any portfolio of vectorbt has its equity, its trades and its figures."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import BacktestResult, Signals, backtest, counting
from workbench.backtest.trials import TrialJournal
from workbench.errors import BacktestError
from workbench.marketdata import panel

SYMBOLS = ["AAPL", "IBM", "MSFT"]

with warnings.catch_warnings():
    # vectorbt's own imports warn of what they will have to change.
    warnings.simplefilter("ignore")
    import vectorbt as vbt
    from vectorbt.portfolio import nb
    from vectorbt.portfolio.enums import SizeType


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def bars(stocks: pd.DataFrame) -> pd.DataFrame:
    return stocks.loc[SYMBOLS]


@pytest.fixture(scope="module")
def close(bars: pd.DataFrame) -> pd.DataFrame:
    return panel(bars, "close")


def crossing(close: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    fast, slow = close.rolling(20).mean(), close.rolling(50).mean()
    return fast > slow, fast < slow


def one_column(close: pd.DataFrame) -> Any:
    above, below = crossing(close)
    return vbt.Portfolio.from_signals(close["IBM"], above["IBM"], below["IBM"], fees=0.001, init_cash=1_000.0)


def many_columns(close: pd.DataFrame) -> Any:
    return vbt.Portfolio.from_signals(close, *crossing(close), fees=0.001, fixed_fees=1.0, init_cash=5_000.0)


def shared_cash(close: pd.DataFrame) -> Any:
    return vbt.Portfolio.from_signals(
        close, *crossing(close), size=50, fees=0.002, slippage=0.001, group_by=True, cash_sharing=True
    )


def two_groups(close: pd.DataFrame) -> Any:
    return vbt.Portfolio.from_signals(
        close, *crossing(close), size=20, group_by=[0, 0, 1], cash_sharing=True, init_cash=10_000.0
    )


def grouped_without_sharing(close: pd.DataFrame) -> Any:
    return vbt.Portfolio.from_signals(close, *crossing(close), fees=0.001, group_by=[0, 0, 1])


def shorts(close: pd.DataFrame) -> Any:
    above, below = crossing(close)
    return vbt.Portfolio.from_signals(
        close, above, short_entries=below, size=30, upon_opposite_entry="reverse", fees=0.001
    )


def target_weights(close: pd.DataFrame) -> Any:
    weights = (close.pct_change(60).rank(axis=1) - 1.2).iloc[::21].reindex(close.index) * 0.3
    return vbt.Portfolio.from_orders(
        close,
        weights,
        size_type="targetpercent",
        group_by=True,
        cash_sharing=True,
        call_seq="auto",
        fees=0.001,
    )


def order_function(close: pd.DataFrame) -> Any:
    """Ten units more at every hundredth bar."""
    return vbt.Portfolio.from_order_func(
        close.iloc[:400],
        _buys_ten_at_every_hundredth_bar(),
        use_numba=True,
        init_cash=1_000_000.0,
    )


def _buys_ten_at_every_hundredth_bar() -> Any:
    from numba import njit

    amount = int(SizeType.Amount)

    @njit
    def order(context: Any) -> Any:
        if context.i % 100 == 0:
            return nb.order_nb(size=10.0, price=context.close[context.i, context.col], size_type=amount)
        return nb.order_nothing_nb()

    return order


def worth(portfolio: Any) -> Any:
    value = portfolio.value()
    return (value if value.ndim == 1 else value.sum(axis=1)).to_numpy()


@pytest.mark.parametrize(
    "make",
    [
        one_column,
        many_columns,
        shared_cash,
        two_groups,
        grouped_without_sharing,
        shorts,
        target_weights,
        order_function,
    ],
)
def test_equity_cash_orders_and_trades_are_the_portfolios(
    make: Callable[[pd.DataFrame], Any], bars: pd.DataFrame, close: pd.DataFrame
) -> None:
    portfolio = make(close)
    result = BacktestResult.from_vectorbt(portfolio, bars, name="theirs", count_trial=False)
    np.testing.assert_allclose(result.equity, worth(portfolio), rtol=1e-9)
    cash = portfolio.cash(group_by=None if portfolio.cash_sharing else False)
    np.testing.assert_allclose(
        result.cash, cash if cash.ndim == 1 else cash.sum(axis=1), rtol=1e-9, atol=1e-6
    )
    assets = portfolio.assets()
    held = result.positions[list(np.atleast_1d(portfolio.wrapper.columns))]
    np.testing.assert_allclose(held.to_numpy().reshape(np.shape(assets)), assets, rtol=1e-9, atol=1e-9)
    assert len(result.orders) == len(portfolio.orders.values) > 0
    assert result.metrics["fees_paid"] == pytest.approx(portfolio.orders.values["fees"].sum())
    theirs = portfolio.get_positions(group_by=False).values
    assert len(result.trades) == len(theirs)
    assert result.trades["pnl"].sum() == pytest.approx(theirs["pnl"].sum(), rel=1e-9)
    assert int((result.trades["status"] == "closed").sum()) == int((theirs["status"] == 1).sum())


def test_figures_reports_and_records_come_with_it(
    bars: pd.DataFrame, close: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One of its own: whoever listens to that of the process takes away what it has stored.
    journal = TrialJournal()
    monkeypatch.setattr(counting, "JOURNAL", journal)
    portfolio = shared_cash(close)
    result = BacktestResult.from_vectorbt(portfolio, bars, name="from their notebook")
    assert result.metrics["total_return"] == pytest.approx(float(portfolio.total_return()), rel=1e-9)
    assert result.metrics["sharpe_ratio"] > 0
    assert "from their notebook" in result.report().html
    assert [batch.strategy for batch in journal.pending()] == ["from their notebook"]
    assert list(result.signals().columns) == ["symbol", "timestamp", "signal", "strength"]
    assert result.pending.empty


def test_there_and_back_it_is_the_same(bars: pd.DataFrame, close: pd.DataFrame) -> None:
    above, below = crossing(close)
    ours = backtest(
        bars, Signals(above, below, below, above), stop_loss=0.05, slippage=0.001, count_trial=False
    )
    again = BacktestResult.from_vectorbt(ours.to_vectorbt(bars), bars, count_trial=False)
    np.testing.assert_allclose(again.equity, ours.equity, rtol=1e-9)
    for column in ("symbol", "direction", "entry_time", "exit_time", "status"):
        assert again.trades[column].equals(ours.trades[column]), column
    for column in ("pnl", "return", "size", "entry_price", "exit_price", "fees"):
        np.testing.assert_allclose(again.trades[column], ours.trades[column], rtol=1e-9, err_msg=column)


def test_naive_timestamps_count_as_utc(bars: pd.DataFrame, close: pd.DataFrame) -> None:
    naive = close.tz_localize(None)
    portfolio = vbt.Portfolio.from_signals(naive, *crossing(naive), size=10)
    result = BacktestResult.from_vectorbt(portfolio, bars, count_trial=False)
    assert str(pd.DatetimeIndex(result.equity.index).tz) == "UTC"
    np.testing.assert_allclose(result.equity, worth(portfolio), rtol=1e-9)


def test_of_many_variants_one_is_chosen_first(bars: pd.DataFrame, close: pd.DataFrame) -> None:
    averages = vbt.MA.run(close[["IBM"]], [10, 20], short_name="fast")
    portfolio = vbt.Portfolio.from_signals(
        close[["IBM"]], averages.close_crossed_above(averages.ma), averages.close_crossed_below(averages.ma)
    )
    with pytest.raises(BacktestError, match=r"2 of its 2 columns are of IBM; choose.*portfolio\["):
        BacktestResult.from_vectorbt(portfolio, bars)
    chosen = portfolio[portfolio.wrapper.columns[1]]
    result = BacktestResult.from_vectorbt(chosen, bars, count_trial=False)
    assert result.symbols == ("IBM",)
    np.testing.assert_allclose(result.equity, worth(chosen), rtol=1e-9)


def test_what_does_not_fit_is_named(bars: pd.DataFrame, close: pd.DataFrame) -> None:
    strange = vbt.Portfolio.from_holding(close.rename(columns={"IBM": "HAL"}))
    with pytest.raises(BacktestError, match=r"column 'HAL' is no symbol of the bars .AAPL, IBM, MSFT"):
        BacktestResult.from_vectorbt(strange, bars)
    portfolio = vbt.Portfolio.from_holding(close)
    with pytest.raises(BacktestError, match=r"timestamps are no bar's .the first is 20"):
        BacktestResult.from_vectorbt(portfolio, bars[bars.index.get_level_values(1) > close.index[9]])
    numbered = vbt.Portfolio.from_holding(close.reset_index(drop=True))
    with pytest.raises(BacktestError, match="int64, and not timestamps"):
        BacktestResult.from_vectorbt(numbered, bars)
