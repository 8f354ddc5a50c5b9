"""Parameters are chosen on training bars alone, and traded on test bars that they never saw."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.validation.rules import bars_of, crossing, direction, monthly, seen
from workbench.backtest import Signals, backtest, strategy
from workbench.backtest.trials import TrialJournal
from workbench.errors import BacktestError, StrategyError
from workbench.fills.execution import Execution
from workbench.sweep import Bayesian, Random
from workbench.sweep.job import Job, make_job
from workbench.validation import (
    Searched,
    ValidationResult,
    combinatorial_purged,
    engine,
    purged_kfold,
    search_by_backtests,
    search_by_sweep,
    validate,
    walk_forward,
)
from workbench.validation.objectives import OBJECTIVES

FREE: dict[str, Any] = {"fees": 0.0}
UP_THEN_DOWN = [10.0, 11, 12.5, 13, 14, 15, 16, 17.5, 18, 19, 17, 16, 14.5, 13, 12, 11]
"""Ten bars that rise, six that fall."""


@pytest.fixture(autouse=True)
def journal(monkeypatch: pytest.MonkeyPatch) -> TrialJournal:
    """A journal of this test's own."""
    fresh = TrialJournal()
    monkeypatch.setattr(engine, "JOURNAL", fresh)
    seen.clear()
    return fresh


def test_what_training_chose_is_traded_for_better_or_worse() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    splits = walk_forward(bars, train=6, test=5)
    made = validate(direction, bars, {"side": ["out", "long", "short"]}, splits, **FREE)
    assert made.table["side"].tolist() == ["long", "long"]
    # By hand: decided on the span's first bar, bought at the second one's open, which is its close.
    expected = [0, 0, 18 / 17.5, 19 / 18, 17 / 19, 0, 0, 13 / 14.5, 12 / 13, 11 / 12]
    expected = [value - 1 if value else 0.0 for value in expected]
    # The spans are rows 6 to 10 and 11 to 15.
    assert made.returns.tolist() == pytest.approx(expected, abs=1e-15)
    assert made.returns.index.equals(pd.date_range("2024-01-07", periods=10, tz="UTC"))
    assert made.table["trades"].tolist() == [1, 1]
    assert made.table["out_of_sample"].iloc[1] < 0 < made.table["in_sample"].iloc[1]


def test_no_bar_after_the_span_is_seen() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    validate(direction, bars, {"side": ["long", "short"]}, walk_forward(bars, train=6, test=4, gap=1), **FREE)
    days = pd.date_range("2024-01-01", periods=16, tz="UTC")
    # Training on rows 0 to 5 and 4 to 9 alone; testing up to rows 10 and 14, with all that came before.
    train = {(days[0], days[5]), (days[4], days[9])}
    assert set(seen) == train | {(days[0], days[10]), (days[0], days[14])}


def test_what_comes_after_the_span_changes_nothing(aapl: pd.DataFrame) -> None:
    bars = aapl.iloc[:800]
    grid = {"fast": [5, 10], "slow": [20, 40]}
    whole = validate(crossing, bars, grid, walk_forward(bars, train=200, test=100))
    short = validate(crossing, bars.iloc[:500], grid, walk_forward(500, train=200, test=100))
    pd.testing.assert_frame_equal(whole.paths.iloc[:300], short.paths)
    pd.testing.assert_frame_equal(whole.table.iloc[:3], short.table)


def chosen(made: ValidationResult, split: int) -> tuple[int, int]:
    """What a split chose for `crossing`."""
    return int(made.table["fast"].iloc[split]), int(made.table["slow"].iloc[split])


def best_by_hand(bars: pd.DataFrame, grid: list[tuple[int, int]]) -> tuple[int, int]:
    """The pair with the highest Sharpe ratio, the first of equals."""

    def sharpe(pair: tuple[int, int]) -> float:
        said = crossing(bars, fast=pair[0], slow=pair[1])
        return backtest(bars, said, count_trial=False).metrics["sharpe_ratio"]

    return max(grid, key=sharpe)


def traded_by_hand(bars: pd.DataFrame, span: range, pair: tuple[int, int]) -> pd.Series[float]:
    """`crossing` on all bars up to the span's end, with entries within the span only."""
    known = bars.iloc[: span.stop]
    made = crossing(known, fast=pair[0], slow=pair[1])
    assert isinstance(made, Signals)
    assert isinstance(made.entries, pd.DataFrame)
    entries = made.entries.copy()
    entries.iloc[: span.start] = False
    result = backtest(known, entries, made.exits, count_trial=False)
    return result.returns.iloc[span.start :]


def test_a_walk_is_what_one_would_do_by_hand(aapl: pd.DataFrame) -> None:
    bars = aapl.iloc[:900]
    pairs = [pair for pair in itertools.product([5, 10, 30], [20, 40]) if pair[0] < pair[1]]
    made = validate(
        crossing, bars, {"fast": [5, 10, 30], "slow": [20, 40]}, walk_forward(bars, train=300, test=150)
    )
    parts = []
    for number, start in enumerate(range(300, 900, 150)):
        best = best_by_hand(bars.iloc[start - 300 : start], pairs)
        assert chosen(made, number) == best
        parts.append(traded_by_hand(bars, range(start, start + 150), best))
    assert made.variants == len(pairs) == 5
    np.testing.assert_allclose(made.returns, pd.concat(parts), rtol=1e-9, atol=1e-15)
    assert made.returns.index.equals(pd.concat(parts).index)


def test_averages_are_warm_when_the_test_begins() -> None:
    bars = bars_of(A=[float(price) for price in range(10, 50)])
    made = validate(crossing, bars, {"fast": [2], "slow": [5]}, walk_forward(bars, train=20, test=4), **FREE)
    # A test of 4 bars is shorter than the slow average; of a price that rises, all are invested from the
    # third bar on.
    assert (made.returns.to_numpy().reshape(-1, 4)[:, 2:] > 0).all()


def test_what_was_decided_before_the_span_is_not_traded() -> None:
    prices = [10.0, 10, 10, 10, 10, 12, 13, 14, 15, 16, 17, 18]
    bars = bars_of(A=prices)

    @strategy
    def once(bars: pd.DataFrame, n: int = 1) -> Signals:
        close = bars["close"].unstack("symbol")
        jump = close.diff() == 2
        return Signals(entries=jump, exits=jump & False)

    # The only entry is on row 5, which training ends with; held from there on, it would earn to the end.
    made = validate(once, bars, {"n": [1]}, walk_forward(bars, train=9, test=3, anchored=True), **FREE)
    assert made.returns.tolist() == [0.0, 0.0, 0.0]
    assert made.table["trades"].tolist() == [0]


def test_weights_in_force_are_taken_up_where_the_span_begins() -> None:
    # Weights are set on the 10th, 20th and 30th day; the test spans rows 11 to 18, between two of them.
    prices = [100.0 + day for day in range(19)]
    bars = bars_of(A=prices, B=[50.0] * 19)
    splits = walk_forward(bars, train=11, test=8)
    made = validate(monthly, bars, {"weight": [1.0]}, splits, objective="total_return", **FREE)
    # By hand: half in A at row 12's open, which is its close of 112; B does not move.
    equity = [1.0, 1.0] + [0.5 + 0.5 * price / 112.0 for price in prices[13:]]
    expected = [0.0] + [now / before - 1 for before, now in itertools.pairwise(equity)]
    assert made.returns.tolist() == pytest.approx(expected, abs=1e-14)


@pytest.mark.parametrize("scheme", ["kfold", "combinatorial"])
def test_training_around_a_test_counts_the_returns_of_its_rows_only(aapl: pd.DataFrame, scheme: str) -> None:
    bars = aapl.iloc[:600]
    pairs = [(5, 20), (5, 40), (10, 20), (10, 40)]
    splits = (
        purged_kfold(bars, 4, purge=5, embargo=40)
        if scheme == "kfold"
        else combinatorial_purged(bars, 4, 2, purge=5, embargo=10)
    )
    made = validate(crossing, bars, {"fast": [5, 10], "slow": [20, 40]}, splits)
    whole = {
        pair: backtest(bars, crossing(bars, fast=pair[0], slow=pair[1]), count_trial=False).returns.to_numpy()
        for pair in pairs
    }
    for number, split in enumerate(splits):
        rows = split.train_rows
        # Sharpe's ratio written out: mean by the sample's deviation, times the root of 252.
        sharpes = [
            whole[pair][rows].mean() / whole[pair][rows].std(ddof=1) * math.sqrt(252) for pair in pairs
        ]
        best = int(np.argmax(sharpes))
        assert chosen(made, number) == pairs[best]
        assert made.table.loc[number, "in_sample"] == pytest.approx(sharpes[best], rel=1e-9)


def test_each_path_is_put_together_of_the_splits_that_tested_its_groups(aapl: pd.DataFrame) -> None:
    bars = aapl.iloc[:600]
    splits = combinatorial_purged(bars, 4, 2, purge=5, embargo=10)
    made = validate(crossing, bars, {"fast": [5, 10], "slow": [20, 40]}, splits)
    assert made.paths.shape == (600, 3)
    for path, parts in enumerate(splits.paths):
        for number, place in parts:
            span = splits[number].test[place]
            expected = traded_by_hand(bars, span, chosen(made, number))
            np.testing.assert_allclose(
                made.paths[path].iloc[span.start : span.stop], expected, rtol=1e-9, atol=1e-15
            )
    # The one with the median Sharpe ratio of the three stands for all.
    assert (made.sharpe_ratios < made.sharpe_ratios[made.path]).sum() == 1


def test_of_equals_the_first_is_chosen() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    splits = walk_forward(bars, train=6, test=4)
    made = validate(direction, bars, {"twin": [3, 1, 2], "side": ["long"]}, splits, **FREE)
    assert made.table["twin"].tolist() == [3, 3]


def test_another_objective_chooses_otherwise() -> None:
    # To be long earns more in the end, and loses on the way.
    bars = bars_of(A=[10.0, 10, 9, 12, 14, 15, 15, 15])
    sides = {}
    for objective in ("total_return", "max_drawdown"):
        made = validate(
            direction,
            bars,
            {"side": ["out", "long"]},
            walk_forward(bars, train=6, test=2),
            objective=objective,
            **FREE,
        )
        sides[objective] = made.table["side"].tolist()
    assert sides == {"total_return": ["long"], "max_drawdown": ["out"]}


def test_every_search_is_counted_and_what_is_traded_outside_is_not(journal: TrialJournal) -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    grid = {"side": ["long", "short"]}
    validate(direction, bars, grid, walk_forward(bars, train=6, test=4), **FREE)
    batches = journal.pending()
    assert [(batch.kind, batch.variants, batch.n_bars) for batch in batches] == [("walk_forward", 2, 6)] * 2
    days = pd.date_range("2024-01-01", periods=16, tz="UTC")
    assert [(batch.start, batch.end) for batch in batches] == [(days[0], days[5]), (days[4], days[9])]
    assert len({batch.key for batch in batches}) == 2
    returns = backtest(
        bars.iloc[:6], direction, parameters={"side": "long"}, count_trial=False, **FREE
    ).returns
    assert batches[0].best_sharpe == pytest.approx(returns.mean() / returns.std(ddof=1), rel=1e-9)
    assert batches[0].sharpe_count == 2
    # The same once more is not counted again.
    validate(direction, bars, grid, walk_forward(bars, train=6, test=4), **FREE)
    assert len(journal.pending()) == 2


def test_variants_of_a_cross_validation_are_run_once_and_counted_once(journal: TrialJournal) -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    made = validate(direction, bars, {"side": ["long", "short"]}, combinatorial_purged(bars, 4, 2), **FREE)
    (batch,) = journal.pending()
    assert (batch.kind, batch.variants, batch.n_bars) == ("cross_validation", 2, 16)
    assert len(made.table) == 6


def test_symbols_come_and_go() -> None:
    nan = math.nan
    rising = [float(price) for price in range(10, 34)]
    bars = bars_of(A=rising, LATE=[nan] * 14 + rising[:10], EARLY=rising[:8])
    made = validate(direction, bars, {"side": ["long"]}, walk_forward(bars, train=8, test=8), **FREE)
    # The first span holds A, and LATE from its third bar before the end on; EARLY has ended, and its third of
    # the cash waits. The second holds A and LATE from the beginning.
    assert made.table["trades"].tolist() == [2, 2]
    assert len(made.returns) == 16
    assert made.returns.iloc[10:].gt(0).all()


def test_dividends_are_paid_within_the_span() -> None:
    bars = bars_of(A=[10.0, 10, 11, 12, 12, 12, 12, 12])
    days = pd.date_range("2024-01-01", periods=8, tz="UTC")
    index = pd.MultiIndex.from_tuples([("A", days[1]), ("A", days[6])], names=["symbol", "timestamp"])
    made = validate(
        direction,
        bars,
        {"side": ["long"]},
        walk_forward(bars, train=4, test=4),
        dividends=pd.Series([1.0, 0.6], index=index),
        **FREE,
    )
    assert made.returns.tolist() == pytest.approx([0.0, 0.0, 0.6 / 12, 0.0], abs=1e-15)


def test_a_span_without_trades_has_no_sharpe_ratio() -> None:
    bars = bars_of(A=[10.0, 11, 10, 12, 11, 13, 9, 9, 9, 9])
    made = validate(crossing, bars, {"fast": [1], "slow": [2]}, walk_forward(bars, train=6, test=4), **FREE)
    assert made.table["trades"].tolist() == [0]
    assert made.table["out_of_sample"].isna().all()
    assert made.table["degradation"].isna().all()
    assert math.isnan(made.metrics["sharpe_ratio"])
    assert math.isnan(made.degradation)
    assert made.metrics["total_return"] == 0.0
    assert "Sharpe –" in repr(made)


def test_random_draws_are_searched_as_a_grid_is() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    grid = Random(2, seed=1, over={"side": ["long", "short"]})
    made = validate(direction, bars, grid, walk_forward(bars, train=6, test=4), **FREE)
    assert made.variants == 2
    assert made.table["side"].tolist() == ["long", "long"]


def test_another_search_can_be_handed_in() -> None:
    asked = []

    def search(job: Job) -> Searched:
        rules = job.plan.execution
        asked.append((len(job.plan.bars), job.objective, rules.periods_per_year, rules.fees))
        return Searched({"side": "short", "twin": 0}, 1.5, np.array([0.1, math.nan]))

    bars = bars_of(A=UP_THEN_DOWN)
    made = validate(
        direction,
        bars,
        {"side": ["long", "short"]},
        walk_forward(bars, train=6, test=4),
        search=search,
        periods_per_year=52.0,
        **FREE,
    )
    assert asked == [(6, "sharpe_ratio", 52.0, 0.0)] * 2
    assert made.table["side"].tolist() == ["short", "short"]
    assert made.table["in_sample"].tolist() == [1.5, 1.5]


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_the_fast_search_is_a_backtest_of_each_variant(aapl: pd.DataFrame, objective: str) -> None:
    job = make_job(
        crossing,
        aapl.iloc[:400],
        {"fast": [5, 10, 30, 80], "slow": [20, 100, 200]},
        symbols="together",
        periods=None,
        dividends=None,
        seed=None,
        objective=objective,
        execution=Execution(fees=0.002, slippage=0.001, periods_per_year=260.0),
    )
    fast, slow = search_by_sweep(job), search_by_backtests(job)
    assert fast.parameters == slow.parameters
    assert fast.objective == pytest.approx(slow.objective, rel=1e-9)
    np.testing.assert_allclose(fast.sharpes, slow.sharpes, rtol=1e-9)


def test_what_a_strategy_raises_for_every_variant_is_told() -> None:
    @strategy
    def broken(bars: pd.DataFrame, n: int = 1) -> Signals:
        raise ValueError("no such column")

    bars = bars_of(A=UP_THEN_DOWN)
    for splits in (walk_forward(bars, train=6, test=4), purged_kfold(bars, 4)):
        with pytest.raises(ValueError, match=r"^no such column$") as caught:
            validate(broken, bars, {"n": [1, 2]}, splits)
        assert type(caught.value) is ValueError, "the strategy's own error, and none of ours"


def test_a_variant_that_fails_is_not_chosen() -> None:
    @strategy
    def fragile(bars: pd.DataFrame, n: int = 1) -> Signals:
        if n == 1:
            raise ValueError("not with 1")
        close = bars["close"].unstack("symbol")
        return Signals(entries=close > 0, exits=close < 0)

    bars = bars_of(A=UP_THEN_DOWN)
    made = validate(fragile, bars, {"n": [1, 2]}, walk_forward(bars, train=6, test=4), **FREE)
    assert made.table["n"].tolist() == [2, 2]
    assert made.variants == 2


def test_where_no_variant_has_the_objective_none_can_be_chosen() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    with pytest.raises(
        BacktestError, match=r"split 0: none of the 1 variants has a sharpe_ratio .*2024-01-06"
    ):
        validate(direction, bars, {"side": ["out"]}, walk_forward(bars, train=6, test=4))
    with pytest.raises(BacktestError, match="split 0: none of the 1 variants"):
        validate(direction, bars, {"side": ["out"]}, purged_kfold(bars, 4))


def test_splits_of_other_bars_are_refused() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    with pytest.raises(BacktestError, match="these splits are of 30 bars, but there are 16"):
        validate(direction, bars, {"side": ["long"]}, walk_forward(30, train=6, test=4))


def test_what_cannot_be_searched_or_traded_is_refused() -> None:
    bars = bars_of(A=UP_THEN_DOWN)
    splits = walk_forward(bars, train=6, test=4)
    with pytest.raises(BacktestError, match="'win_rate' cannot be computed from returns alone"):
        validate(direction, bars, {"side": ["long"]}, splits, objective="win_rate")
    with pytest.raises(BacktestError, match="Bayesian is not supported"):
        validate(direction, bars, Bayesian(5), splits)  # type: ignore[arg-type]
    odd = pd.Series([1.0], index=pd.MultiIndex.from_tuples([("B", bars.index[0][1])]))
    with pytest.raises(BacktestError, match="dividends: none is of a symbol of the bars"):
        validate(direction, bars, {"side": ["long"]}, splits, dividends=odd)
    with pytest.raises(BacktestError, match="fees: 2"):
        validate(direction, bars, {"side": ["long"]}, splits, fees=2.0)
    with pytest.raises(StrategyError, match="has no parameter 'sides'"):
        validate(direction, bars, {"sides": ["long"]}, splits)
    with pytest.raises(StrategyError, match="allows none of the 1 combinations"):
        validate(crossing, bars, {"fast": [20], "slow": [10]}, splits)
