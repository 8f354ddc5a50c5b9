"""What the look-ahead check says of strategies that misbehave in other ways, and how it says it."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pandas as pd
import pytest

from tests.unit.bias import planted
from workbench.backtest import Signals, between, strategy
from workbench.bias import LookaheadReport, check_lookahead
from workbench.errors import BacktestError, StrategyError


def check(rule: Any, bars: pd.DataFrame, **options: Any) -> LookaheadReport:
    return check_lookahead(rule, bars, **{"cuts": 16, "perturbations": 3, **options})


def test_a_rule_of_chance_is_reported_as_such_and_nothing_else_is_claimed(bars: pd.DataFrame) -> None:
    generator = np.random.default_rng()

    def chance(bars: pd.DataFrame) -> Signals:
        close = planted.panel(bars)
        heads = generator.random(close.shape) > 0.5
        return planted.states(pd.DataFrame(heads, index=close.index, columns=close.columns))

    report = check(chance, bars)
    assert (report.ok, report.deterministic, report.findings, report.calls) == (False, False, (), 2)
    with pytest.raises(BacktestError, match="Two calls on the same bars gave different signals"):
        report.raise_if_found()


def test_bars_are_handed_out_as_copies_and_writing_into_them_is_told(bars: pd.DataFrame) -> None:
    before = bars.copy()

    def rewrites(bars: pd.DataFrame) -> Signals:
        bars["close"] = bars["close"].round(1)
        return planted.averages(bars)

    report = check(rewrites, bars)
    pd.testing.assert_frame_equal(bars, before)
    assert report.mutates_bars
    assert not report.ok
    assert "changes its bars" in report.verdict


def test_a_column_that_is_added_hurts_nobody(bars: pd.DataFrame) -> None:
    def adds(bars: pd.DataFrame) -> Signals:
        bars["mean"] = bars.groupby("symbol")["close"].transform(lambda close: close.rolling(5).mean())
        above = bars["close"] > bars["mean"]
        return Signals(entries=above, exits=~above)

    assert check(adds, bars).ok


def test_cuts_begin_after_the_bars_that_a_strategy_cannot_do_without(bars: pd.DataFrame) -> None:
    def choosy(bars: pd.DataFrame) -> Signals:
        close = planted.panel(bars)
        if len(close) < 100:
            raise ValueError("100 bars, please")
        return planted.states(close.shift(-1) > close)

    report = check(choosy, bars)
    assert report.first_bars == 100
    assert report.cuts[0] >= planted.panel(bars).index[99]
    assert not report.ok
    assert "It raises with fewer than 100 bars (ValueError: 100 bars, please)" in report.note


def test_a_strategy_that_takes_no_bar_less_is_judged_by_other_bars(bars: pd.DataFrame) -> None:
    def stubborn(bars: pd.DataFrame) -> Signals:
        close = planted.panel(bars)
        if len(close) < planted.N_BARS:
            raise ValueError("all of them")
        return planted.states(close.shift(-1) > close)

    report = check(stubborn, bars)
    assert report.first_bars == planted.N_BARS
    assert len(report.cuts) == 0
    assert report.findings[0].horizon == 1
    assert "later bars were replaced, not cut off" in report.note


def test_nothing_is_ok_where_nothing_could_be_compared(bars: pd.DataFrame) -> None:
    def once(frame: pd.DataFrame) -> Signals:
        if not frame["close"].equals(bars["close"]):
            raise ValueError("not mine")
        return planted.averages(frame)

    report = check(once, bars)
    assert (report.ok, report.compared) == (False, 0)
    assert "cannot be checked" in report.verdict


def test_a_declared_strategy_takes_its_parameters(bars: pd.DataFrame) -> None:
    @strategy
    def ahead(bars: pd.DataFrame, by: Annotated[int, between(0, 20)] = 0) -> Signals:
        close = planted.panel(bars)
        return planted.states(close.shift(-by) >= close)

    assert check(ahead, bars).ok
    report = check(ahead, bars, parameters={"by": 7})
    assert (report.strategy, report.parameters) == ("ahead", {"by": 7})
    assert report.findings[0].horizon == 7
    with pytest.raises(StrategyError, match="by=30"):
        check(ahead, bars, parameters={"by": 30})


def test_rows_in_any_order_whole_numbers_and_text_are_taken(bars: pd.DataFrame) -> None:
    odd = bars.assign(volume=bars["volume"].astype(np.int64), sector="energy").sample(
        frac=1.0, random_state=1
    )
    assert check(planted.channel, odd).ok
    assert not check(planted.next_volume, odd).ok


def test_an_absent_symbol_need_not_stand_in_the_bars(bars: pd.DataFrame) -> None:
    """Row by row it would be NaN; a strategy that refuses NaN gets bars without the symbol."""

    def strict(bars: pd.DataFrame) -> Signals:
        if bars["close"].isna().any():
            raise ValueError("NaN")
        return planted.averages(bars)

    report = check(strict, bars)
    assert (report.ok, report.first_bars, report.raised, report.error) == (True, 1, 0, "")


def test_cuts_can_be_given(bars: pd.DataFrame) -> None:
    dates = pd.to_datetime(["2020-05-29", "2020-05-31", "2020-08-03"], utc=True)
    report = check(planted.next_close, bars, cuts=list(dates))
    # 2020-05-31 is a Sunday: the last bar before it is Friday's.
    assert [f"{cut:%m-%d}" for cut in report.cuts] == ["05-29", "08-03"]
    with pytest.raises(BacktestError, match="cuts: the dates have no time zone"):
        check(planted.next_close, bars, cuts=[pd.Timestamp("2020-05-29")])
    with pytest.raises(BacktestError, match="cuts: none of them both leaves out a bar"):
        check(planted.next_close, bars, cuts=[pd.Timestamp("2030-05-29", tz="UTC")])


def test_a_slow_strategy_is_cut_less_often(bars: pd.DataFrame) -> None:
    assert len(check(planted.averages, bars, budget=1e-6).cuts) == 12


def test_the_same_seed_gives_the_same_report(bars: pd.DataFrame) -> None:
    one, two = (check(planted.next_close, bars, seed=5) for _ in range(2))
    assert (one.findings, list(one.cuts)) == (two.findings, list(two.cuts))
    assert list(check(planted.averages, bars, seed=6).cuts) != list(one.cuts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fill": "yesterday"}, "fill: 'yesterday' must be one of next_open"),
        ({"cuts": 0}, "cuts: 0 is too few"),
        ({"perturbations": -1}, "perturbations: -1 is below 0"),
        ({"budget": 0.0}, "budget: 0.0 is not above 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(
    options: dict[str, Any], message: str, bars: pd.DataFrame
) -> None:
    with pytest.raises(BacktestError, match=message):
        check_lookahead(planted.averages, bars, **options)


def test_what_is_no_strategy_is_refused(bars: pd.DataFrame) -> None:
    with pytest.raises(StrategyError, match="is not a strategy"):
        check("sma", bars)
    with pytest.raises(StrategyError, match="returned a DataFrame"):
        check(planted.panel, bars)
    with pytest.raises(BacktestError, match="2 are too few to cut"):
        check(planted.averages, bars.groupby("symbol").head(2).loc[["AAA"]])


def test_the_report_reads_as_one_sentence_a_finding_and_as_a_table(bars: pd.DataFrame) -> None:
    report = check(planted.one_kind, bars)
    finding = report.findings[0]
    assert repr(report).startswith("<LookaheadReport not ok: one_kind: short_entries of")
    assert f"at {finding.timestamp:%Y-%m-%d} change with" in str(finding)
    table = report.table
    assert table.index.tolist() == ["short_entries"]
    assert table.loc["short_entries", "horizon"] == 2
    assert 0 < finding.bars <= finding.cells
    assert check(planted.averages, bars).table.empty


def test_a_notebook_shows_it_without_external_parts_and_escaped(bars: pd.DataFrame) -> None:
    def rule(bars: pd.DataFrame) -> Signals:
        return planted.next_close(bars)

    rule.__name__ = "<script>"
    shown = check(rule, bars)._repr_html_()
    assert "looks ahead" in shown
    assert "constant distance" in shown
    assert "<script" not in shown
    assert "http" not in shown
    assert "no look-ahead found" in check(planted.averages, bars)._repr_html_()
