"""Every backtest is written down as a trial, the same one once."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.signals.sketches import bars, days
from workbench.backtest import BacktestResult, Fixed, Signals, Weights, backtest, between, counting, strategy
from workbench.backtest.trials import TrialBatch, TrialJournal
from workbench.errors import BacktestError, StrategyError
from workbench.signals.bars_hash import bars_sha256
from workbench.signals.inputs import read_bars

PRICES = bars(X=[10, 11, 12, 11, 13, 12, 14, 15])


@strategy
def above_mean(frame: pd.DataFrame, days: Annotated[int, between(2, 5)] = 3) -> Signals:
    """In while the close is above its mean."""
    close = frame["close"].unstack("symbol")
    above = close > close.rolling(days).mean()
    return Signals(above, ~above)


@strategy
def half_in(frame: pd.DataFrame) -> Weights:
    """Half of it, always."""
    return Weights(frame["close"].unstack("symbol") * 0.0 + 0.5)


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> TrialJournal:
    """A journal of its own: the process's one is written to by every other test."""
    empty = TrialJournal()
    monkeypatch.setattr(counting, "JOURNAL", empty)
    return empty


def test_a_strategys_backtest_is_a_trial_of_it(journal: TrialJournal) -> None:
    result = backtest(PRICES, above_mean, parameters={"days": 2})
    (trial,) = journal.pending()
    per_bar = result.metrics["sharpe_ratio"] / np.sqrt(252)
    assert (trial.strategy, trial.kind, trial.variants) == ("above_mean", "backtest", 1)
    assert (trial.sharpe_mean, trial.best_sharpe) == pytest.approx((per_bar, per_bar))
    assert (trial.sharpe_m2, trial.sharpe_count, trial.n_bars) == (0.0, 1, 8)
    assert (trial.symbols, trial.start, trial.end) == (("X",), result.start, result.end)
    assert trial.parameters == {"days": 2} == result.parameters
    assert (result.strategy, result.name) == ("above_mean", "above_mean")


def trials_of(journal: TrialJournal, **options: Any) -> list[TrialBatch]:
    backtest(PRICES, above_mean, **options)
    return journal.pending()


def test_the_same_trial_is_counted_once_and_another_one_again(journal: TrialJournal) -> None:
    trials_of(journal)
    assert len(trials_of(journal, parameters={"days": 3}, name="under another name")) == 1
    assert len(trials_of(journal, parameters={"days": 4})) == 2
    assert len(trials_of(journal, fees=0.002)) == 3
    assert len(trials_of(journal, size=Fixed(0.5))) == 4
    backtest(PRICES.iloc[::-1], above_mean)
    assert len(journal.pending()) == 4, "the same bars in another order"
    backtest(PRICES.iloc[:-1], above_mean)
    assert len(journal.pending()) == 4, "bars that came since make no other trial"
    backtest(PRICES.iloc[1:], above_mean)
    assert len(journal.pending()) == 5
    paid = pd.Series([1.0], index=pd.MultiIndex.from_tuples([("X", days(3)[2])]))
    assert len(trials_of(journal, dividends=paid)) == 6


def test_a_trial_that_is_counted_elsewhere_is_not_counted_here(journal: TrialJournal) -> None:
    assert trials_of(journal, count_trial=False) == []


def test_signals_without_a_strategy_count_under_their_name(journal: TrialJournal) -> None:
    above = PRICES["close"] > 11
    for name in (None, "mine", "mine"):
        backtest(PRICES, above, ~above, name=name)
    backtest(PRICES, ~above, above, name="mine")
    assert [trial.strategy for trial in journal.pending()] == ["backtest", "mine", "mine"]
    assert all(trial.parameters == {} for trial in journal.pending())


def test_a_strategy_of_weights_is_traded_from_one_account(journal: TrialJournal) -> None:
    result = backtest(PRICES, half_in)
    assert result.execution.cash_sharing is True
    assert set(result.orders["reason"]) == {"rebalance"}
    assert len(journal.pending()) == 1


def test_a_strategy_trades_as_the_signals_that_it_gives() -> None:
    made = above_mean(PRICES, days=2)
    assert isinstance(made, Signals)
    expected = backtest(PRICES, made.entries, made.exits)
    for same in (backtest(PRICES, made), backtest(PRICES, above_mean, parameters={"days": 2})):
        pd.testing.assert_frame_equal(same.orders, expected.orders)
        pd.testing.assert_series_equal(same.equity, expected.equity)


def test_what_contradicts_a_strategy_is_refused() -> None:
    above = PRICES["close"] > 11
    refused: list[tuple[str, dict[str, Any]]] = [
        ("a Strategy says itself when to get out", {"entries": above_mean, "exits": above}),
        ("a Signals says itself", {"entries": Signals(above, ~above), "short_exits": above}),
        ("only a Strategy takes them", {"entries": above, "exits": ~above, "parameters": {}}),
        ("nothing says what to trade", {}),
        ("nothing says when to get out", {"entries": above}),
    ]
    for match, given in refused:
        with pytest.raises(BacktestError, match=match):
            backtest(PRICES, **given)
    with pytest.raises(StrategyError, match="days=9 is not a whole number from 2 to 5"):
        backtest(PRICES, above_mean, parameters={"days": 9})


def test_a_short_entry_or_a_stop_may_stand_for_the_exit() -> None:
    above = PRICES["close"] > 11
    reversed_ = backtest(PRICES, above, short_entries=~above)
    assert set(reversed_.trades["direction"]) == {"long", "short"}
    assert not backtest(PRICES, above, stop_loss=0.02).orders.empty
    assert set(backtest(PRICES, short_entries=~above, short_exits=above).trades["direction"]) == {"short"}


def test_saving_hands_the_result_to_the_workbench() -> None:
    saved: list[Any] = []

    class Saver:
        def save(
            self, result: BacktestResult, *, strategy_id: str | None = None, **options: Any
        ) -> dict[str, int]:
            saved.append((result, strategy_id, options))
            return {"strategies": 1}

    result = backtest(PRICES, above_mean)
    assert result.save(Saver()) == {"strategies": 1}
    result.save(Saver(), "mean-1", status="active")
    assert saved == [(result, None, {}), (result, "mean-1", {"status": "active"})]


def test_the_fingerprint_of_bars_is_of_all_that_they_hold() -> None:
    def of(frame: pd.DataFrame) -> str:
        return bars_sha256(read_bars(frame))

    known = of(PRICES)
    assert len(known) == 64
    assert known == of(PRICES.sample(frac=1.0, random_state=1))
    nanoseconds = PRICES.reset_index().astype({"timestamp": "datetime64[ns, UTC]"})
    assert known == of(nanoseconds.set_index(["symbol", "timestamp"]))
    assert known != of(PRICES.rename({"X": "Y"}, level="symbol"))
    assert known != of(PRICES.assign(volume=1.0))
    for column, change in (("open", 0.01), ("high", 0.01), ("low", -0.01), ("close", 0.01)):
        assert known != of(PRICES.assign(**{column: PRICES[column] + change}))
