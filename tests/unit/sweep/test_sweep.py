"""A sweep's rows equal backtests, in each way of computing them, and a stored sweep can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.backtest import Signals, Strategy, Weights, backtest, strategy
from workbench.backtest.trials import JOURNAL, TrialJournal
from workbench.errors import BacktestError, StrategyError, SweepError
from workbench.fills.sizing import VolatilityTarget
from workbench.signals.inputs import BarArrays
from workbench.signals.signals import SignalArrays
from workbench.sweep import (
    Bayesian,
    Random,
    SweepInterrupted,
    SweepResult,
    estimate_sweep,
    store,
    sweep,
    totals,
)
from workbench.sweep.store import METRICS

PERIODS = {"first": ("2004-06-01", "2005-01-31"), "second": ("2005-02-01", "2005-12-31")}


def quick(*arguments: Any, **options: Any) -> SweepResult:
    return sweep(*arguments, **{"progress": False, "workers": 1, **options})


def assert_rows_are_backtests(found: SweepResult) -> None:
    """Every figure of every row, from a whole backtest of it."""
    for number, row in found.frame.iterrows():
        whole = found.backtest(int(str(number)))
        figures = {**whole.metrics, "n_bars": float(len(whole.equity))}
        for name in METRICS:
            assert row[name] == pytest.approx(figures[name], rel=1e-9, abs=1e-11, nan_ok=True), name


def parts_of(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/*.arrow"))


def test_each_symbol_and_period_is_a_backtest_of_its_own(momentum: Strategy, two_years: pd.DataFrame) -> None:
    found = quick(momentum, two_years, {"n": [3, 10], "band": [0.0, 0.02]}, periods=PERIODS, fees=0.002)
    assert len(found) == 3 * 2 * 4
    assert found.frame.groupby(["symbol", "period"], sort=False).size().index.to_list() == [
        (symbol, period) for symbol in ("AAPL", "GOOG", "IBM") for period in PERIODS
    ]
    assert_rows_are_backtests(found)


def test_without_periods_a_row_is_the_plain_backtest_of_the_strategy(
    momentum: Strategy, two_years: pd.DataFrame
) -> None:
    found = quick(momentum, two_years, {"n": [3, 10]}, stop_loss=0.05, fill="next_close")
    expected = backtest(
        two_years.loc[["GOOG"]], momentum, parameters={"n": 10}, stop_loss=0.05, fill="next_close"
    )
    row = found.frame.query("symbol == 'GOOG' and n == 10").iloc[0]
    assert row["sharpe_ratio"] == pytest.approx(expected.metrics["sharpe_ratio"], rel=1e-9)
    assert row["profit_factor"] == pytest.approx(expected.metrics["profit_factor"], rel=1e-9)


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"cash_sharing": True, "take_profit": 0.1},
        {"size": VolatilityTarget(0.2), "whole_units": True, "trailing_stop": 0.1},
    ],
)
def test_symbols_together_are_one_backtest(
    momentum: Strategy, two_years: pd.DataFrame, rules: dict[str, Any]
) -> None:
    dividends = pd.Series(
        [0.5, 0.7],
        index=pd.MultiIndex.from_tuples(
            [("IBM", pd.Timestamp("2004-08-06", tz="UTC")), ("AAPL", pd.Timestamp("2005-03-05", tz="UTC"))]
        ),
    )
    found = quick(
        momentum, two_years, {"n": [3, 10]}, symbols="together", periods=[("2004-07-01", "2005-06-30")],
        dividends=dividends, **rules,
    )  # fmt: skip
    assert len(found) == 2
    assert_rows_are_backtests(found)


def test_a_period_begins_with_averages_that_are_known(crossing: Strategy, two_years: pd.DataFrame) -> None:
    apple = two_years.loc[["AAPL"]]
    period = {"p": ("2005-06-01", "2005-12-31")}
    found = quick(crossing, apple, {"n": [90]}, periods=period)
    cut = apple[apple.index.get_level_values(1) >= "2005-06-01"]
    cold = quick(crossing, cut, {"n": [90]}, periods={"p": ("2005-06-01", "2005-12-31")})
    assert found.backtest(0).orders["time"].min() == pd.Timestamp("2005-06-02", tz="UTC")
    assert cold.backtest(0).orders["time"].min() > pd.Timestamp("2005-10-01", tz="UTC")
    assert found.frame["n_bars"].iloc[0] == cold.frame["n_bars"].iloc[0]


def test_a_strategy_never_sees_what_comes_after_the_period(two_years: pd.DataFrame) -> None:
    seen = []

    @strategy
    def looking(bars: pd.DataFrame, n: int = 1) -> Signals:
        seen.append(bars.index.get_level_values("timestamp").max())
        close = bars["close"].unstack("symbol")
        return Signals(close > 0, close < 0)

    quick(looking, two_years.loc[["IBM"]], {"n": [1, 2]}, periods=[("2004-07-01", "2004-12-31")])
    assert set(seen) == {pd.Timestamp("2004-12-31", tz="UTC")}


def test_both_forms_of_a_strategy_give_the_same_rows(crossing: Strategy, two_years: pd.DataFrame) -> None:
    plain = strategy(name="crossing")(crossing.function)
    grid = {"n": range(2, 40)}
    many = quick(crossing, two_years, grid, workers=2, chunk=5, periods=PERIODS)
    one = quick(plain, two_years, grid, periods=PERIODS)
    pd.testing.assert_frame_equal(many.frame, one.frame)
    assert_rows_are_backtests(quick(crossing, two_years, {"n": [2, 30]}, periods=PERIODS))


def test_weights_are_swept_in_one_account(two_years: pd.DataFrame) -> None:
    @strategy
    def equal(bars: pd.DataFrame, every: int = 20) -> Weights:
        close = bars["close"].unstack("symbol")
        weights = close.notna().div(close.notna().sum(axis=1), axis=0).where(close.notna())
        return Weights(weights.iloc[::every])

    found = quick(
        equal, two_years, {"every": [5, 20]}, symbols="together", periods=[("2004-09-15", "2006-01-31")]
    )
    assert_rows_are_backtests(found)
    with pytest.raises(BacktestError, match="weights say at every rebalancing"):
        quick(equal, two_years, {"every": [5]}, stop_loss=0.1)


def test_an_error_of_the_strategy_stays_in_its_row(momentum: Strategy, two_years: pd.DataFrame) -> None:
    found = quick(momentum, two_years.loc[["IBM"]], {"n": [12, 13, 14]})
    assert found.n_failed == 1
    assert found.frame["error"].isna().to_list() == [True, False, True]
    assert found.frame["error"].iloc[1] == "ZeroDivisionError: thirteen"
    assert found.frame.iloc[1][list(METRICS)].isna().all()
    assert "1 of them failed" in repr(found)
    assert found.returns()[1].isna().all()


def test_a_form_for_many_that_fails_leaves_the_others(crossing: Strategy, two_years: pd.DataFrame) -> None:
    many = crossing.batched

    @crossing.batch
    def fragile(market: BarArrays, n: npt.NDArray[np.int64]) -> SignalArrays:
        if 33 in n:
            raise ValueError("33")
        assert many is not None
        return many(market, n=n)

    found = quick(crossing, two_years.loc[["IBM"]], {"n": range(2, 60)}, chunk=58)
    assert found.n_failed == 0
    assert found.frame["sharpe_ratio"].notna().all()


def test_a_strategy_that_fails_everywhere_is_raised(two_years: pd.DataFrame) -> None:
    @strategy
    def broken(bars: pd.DataFrame, n: int = 1) -> Signals:
        return Signals(bars["clos"] > n, bars["close"] < n)

    journal = len(JOURNAL.pending())
    with pytest.raises(
        StrategyError, match=r"broken failed for every variant, first for n=1: KeyError"
    ) as told:
        quick(broken, two_years, {"n": [1, 2]})
    assert isinstance(told.value.__cause__, KeyError)
    assert len(JOURNAL.pending()) == journal


def test_a_form_for_many_that_is_another_rule_is_refused(crossing: Strategy, two_years: pd.DataFrame) -> None:
    many = crossing.batched

    @crossing.batch
    def wrong(market: BarArrays, n: npt.NDArray[np.int64]) -> SignalArrays:
        assert many is not None
        said = many(market, n=n)
        said.entries[n == 50, 200, 0] ^= True
        return said

    with pytest.raises(
        StrategyError,
        match=r"gives other signals. For n=50 at 2005-03-17 00:00:00\+00:00 \(IBM\) the side to enter",
    ):
        quick(crossing, two_years.loc[["IBM"]], {"n": range(2, 51)})


@pytest.mark.parametrize(
    ("returned", "says"),
    [
        (None, "returned a NoneType; return SignalArrays"),
        (
            SignalArrays(np.zeros((1, 2, 3), bool), np.zeros((1, 2, 3), bool)),
            r"returned entries of bool \(1, 2, 3\)",
        ),
    ],
)
def test_a_form_for_many_that_returns_something_else_is_refused(
    crossing: Strategy, two_years: pd.DataFrame, returned: Any, says: str
) -> None:
    crossing.batch(lambda market, n: returned)
    with pytest.raises(StrategyError, match=says):
        quick(crossing, two_years, {"n": [3, 4]})


def test_a_form_for_many_that_raises_at_once_is_refused(crossing: Strategy, two_years: pd.DataFrame) -> None:
    crossing.batch(lambda market, n: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(StrategyError, match=r"batch form failed .ZeroDivisionError"):
        quick(crossing, two_years, {"n": [3, 4]})


def test_a_strategy_that_writes_into_its_bars_does_not_change_the_next_variant(
    two_years: pd.DataFrame,
) -> None:
    @strategy
    def writing(bars: pd.DataFrame, n: int = 1) -> Signals:
        bars["close"] = bars["close"] * (1.0 + 0.01 * n)
        close = bars["close"].unstack("symbol")
        return Signals(close > 50.0, close < 50.0)

    before = two_years.copy()
    quick(writing, two_years, {"n": [1, 2, 3]})
    pd.testing.assert_frame_equal(two_years, before)


def test_nothing_given_is_the_defaults_on_each_symbol(momentum: Strategy, two_years: pd.DataFrame) -> None:
    found = quick(momentum, two_years)
    assert found.frame[["symbol", "n", "band"]].to_numpy().tolist() == [
        [symbol, 5, 0.0] for symbol in ("AAPL", "GOOG", "IBM")
    ]


def test_a_seed_decides_random_variants(momentum: Strategy, two_years: pd.DataFrame) -> None:
    search = Random(5, over={"n": range(2, 200)})
    one, same, other = (quick(momentum, two_years, search, seed=seed).frame["n"] for seed in (1, 1, 2))
    assert one.to_list() == same.to_list() != other.to_list()


def test_an_adaptive_search_is_told_its_own_metric_for_each_symbol(
    crossing: Strategy, two_years: pd.DataFrame, tmp_path: Path
) -> None:
    search = Bayesian(24, seed=3, objective="total_return", batch=4)
    apple_and_ibm = two_years.loc[["AAPL", "IBM"]]
    found = quick(crossing, apple_and_ibm, search, store=tmp_path)
    assert found.frame.groupby("symbol").size().to_dict() == {"AAPL": 24, "IBM": 24}
    assert not found.frame.duplicated(["symbol", "n"]).any()
    assert found.objective == "total_return"
    assert_rows_are_backtests(found)
    # Some of its batches are lost: it goes on to the same end.
    for part in parts_of(tmp_path)[3:9:2]:
        part.unlink()
    again = quick(crossing, apple_and_ibm, search, store=tmp_path, workers=2)
    pd.testing.assert_frame_equal(again.frame, found.frame)


def test_the_same_call_reads_what_is_stored(
    momentum: Strategy, two_years: pd.DataFrame, tmp_path: Path
) -> None:
    grid = {"n": range(2, 12)}
    found = quick(momentum, two_years, grid, store=tmp_path)
    calls = []

    @strategy(name="momentum", where=momentum.where)
    def counting(bars: pd.DataFrame, n: int = 5, band: float = 0.0) -> Signals:
        calls.append(n)
        said = momentum(bars, n=n, band=band)
        assert isinstance(said, Signals)
        return said

    object.__setattr__(counting, "sha256", None)
    counting.__dict__["sha256"] = momentum.sha256
    again = quick(counting, two_years, grid, store=tmp_path)
    assert not calls
    assert again.estimate is None
    pd.testing.assert_frame_equal(again.frame, found.frame)


@pytest.mark.parametrize(
    "change",
    [{"fees": 0.002}, {"symbols": "together"}, {"periods": [("2005-01-01", None)]}, {"stop_loss": 0.1}],
)
def test_anything_that_changes_a_row_is_another_sweep(
    momentum: Strategy, two_years: pd.DataFrame, tmp_path: Path, change: dict[str, Any]
) -> None:
    quick(momentum, two_years, {"n": [2, 3]}, store=tmp_path)
    quick(momentum, two_years, {"n": [2, 3]}, store=tmp_path, **change)
    assert len(list(tmp_path.iterdir())) == 2


def test_other_columns_of_the_bars_belong_to_the_key(
    momentum: Strategy, two_years: pd.DataFrame, tmp_path: Path
) -> None:
    for news in (0.0, 1.0):
        quick(momentum, two_years.assign(news=news), {"n": [2, 3]}, store=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_lost_and_damaged_parts_are_done_again(
    crossing: Strategy, two_years: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PART_ROWS", 1)
    grid = {"n": range(2, 42)}
    found = quick(crossing, two_years.loc[["IBM"]], grid, store=tmp_path, chunk=8).frame
    lost, cut, turned = parts_of(tmp_path)[1:4]
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:-100])
    damaged = bytearray(turned.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    turned.write_bytes(damaged)
    # With chunks of another size, too: parts need not begin where others did.
    again = quick(crossing, two_years.loc[["IBM"]], grid, store=tmp_path, chunk=5)
    pd.testing.assert_frame_equal(again.frame, found)


def test_an_interrupt_keeps_what_is_finished_and_says_how_to_go_on(
    two_years: pd.DataFrame, tmp_path: Path
) -> None:
    interrupt = True

    @strategy
    def slow(bars: pd.DataFrame, n: int = 5) -> Signals:
        if n == 30 and interrupt:
            raise KeyboardInterrupt
        close = bars["close"].unstack("symbol")
        return Signals(close > close.shift(n), close < close.shift(n))

    ibm, grid = two_years.loc[["IBM"]], {"n": range(2, 42)}
    with pytest.raises(
        SweepInterrupted, match=r"after 20 of 40 variants; they are stored in .*slow-"
    ) as told:
        quick(slow, ibm, grid, store=tmp_path, chunk=10)
    assert isinstance(told.value, KeyboardInterrupt)
    with pytest.raises(SweepInterrupted, match="pass store="):
        quick(slow, ibm, grid, chunk=10)
    interrupt = False
    found = quick(slow, ibm, grid, store=tmp_path)
    assert found.estimate is not None
    assert found.estimate.variants == 20
    assert len(found.frame) == 40


def test_a_full_disk_is_told_and_what_is_finished_stays(
    momentum: Strategy, two_years: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_PART_ROWS", 1)
    written: list[Path] = []
    write_bytes = Path.write_bytes

    def full(path: Path, content: Any) -> int:
        if path.suffix == ".tmp" and ".arrow" in path.name:
            if len(written) == 2:
                raise OSError(28, "No space left on device")
            written.append(path)
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SweepError, match=r"no space left for the sweep in .* finished rows stay"):
        quick(momentum, two_years.loc[["IBM"]], {"n": range(14, 54)}, store=tmp_path, chunk=10)
    assert len(parts_of(tmp_path)) == 2
    assert not list(tmp_path.glob("*/*.tmp"))
    monkeypatch.undo()
    found = quick(momentum, two_years.loc[["IBM"]], {"n": range(14, 54)}, store=tmp_path)
    assert found.estimate is not None
    assert found.estimate.variants == 20


def test_a_sweep_without_store_leaves_nothing_behind(
    momentum: Strategy, two_years: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = quick(momentum, two_years, {"n": [2, 3]})
    assert list(tmp_path.iterdir())
    frame = found.frame
    del found
    assert not list(tmp_path.iterdir())
    assert len(frame) == 6
    with pytest.raises(StrategyError):
        quick(momentum, two_years, {"n": [13]})
    assert not list(tmp_path.iterdir())


def test_a_sweep_is_as_many_trials_once(
    crossing: Strategy, two_years: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    journal = TrialJournal()
    monkeypatch.setattr(totals, "JOURNAL", journal)
    found = quick(crossing, two_years, {"n": range(2, 30)}, store=tmp_path)
    quick(crossing, two_years, {"n": range(2, 30)}, store=tmp_path, workers=2)
    quick(crossing, two_years, {"n": range(2, 30)})
    found.backtest(0)
    (batch,) = journal.pending()
    per_bar = found.frame["sharpe_ratio"] / np.sqrt(252.0)
    assert (batch.strategy, batch.kind, batch.variants) == ("crossing", "sweep", 3 * 28)
    assert batch.sharpe_mean == pytest.approx(per_bar.mean())
    assert batch.sharpe_m2 == pytest.approx(((per_bar - per_bar.mean()) ** 2).sum())
    assert batch.best_sharpe == pytest.approx(per_bar.max())
    assert found.sharpe_variance == pytest.approx(per_bar.var(ddof=1))


def test_an_estimate_says_how_many_and_keeps_nothing(
    momentum: Strategy, two_years: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = len(JOURNAL.pending())
    expected = estimate_sweep(momentum, two_years, {"n": range(14, 24)}, periods=PERIODS, workers=2)
    assert (expected.variants, expected.place, expected.workers) == (60, "processes", 2)
    assert str(expected).startswith("60 variants, about ")
    assert expected.memory > 0
    assert len(JOURNAL.pending()) == journal
    assert capsys.readouterr() == ("", "")


def test_a_bar_and_the_estimate_are_shown_unless_nobody_wants_them(
    momentum: Strategy, two_years: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    quick(momentum, two_years, {"n": [2, 3]}, progress=True)
    told = capsys.readouterr()
    assert "momentum: 6 variants, about a second in this process" in told.out
    assert "6.00/6.00" in told.err
    quick(momentum, two_years, {"n": [2, 3]})
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"symbols": "all"}, "neither 'each' nor 'together'"),
        ({"periods": [("1990-01-01", "1990-12-31")]}, "no bar from 1990-01-01"),
        ({"periods": [(pd.Timestamp("2005-01-01"), None)]}, "with a time zone"),
        ({"periods": []}, "there is none"),
        ({"periods": [("2005", "2005"), ("2005", "2005")]}, "the same name"),
        ({"objective": "luck"}, "'luck' is not a metric"),
        ({"workers": 0}, "workers: 0 is below 1; give a whole number of 1 or more"),
        ({"chunk": 0}, "chunk: 0 is below 1"),
    ],
)
def test_what_cannot_be_swept_is_told(
    momentum: Strategy, two_years: pd.DataFrame, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(SweepError, match=says):
        quick(momentum, two_years, {"n": [2, 3]}, **options)


def test_a_function_that_is_no_strategy_is_told(two_years: pd.DataFrame) -> None:
    with pytest.raises(StrategyError, match="put @strategy above"):
        quick(lambda bars: None, two_years)


def test_stops_need_highs_and_lows(momentum: Strategy, two_years: pd.DataFrame) -> None:
    with pytest.raises(BacktestError, match="only the range of a bar tells"):
        quick(momentum, two_years[["open", "close"]], {"n": [2]}, stop_loss=0.1)
