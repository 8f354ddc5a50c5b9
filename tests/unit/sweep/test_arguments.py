"""An argument that `sweep` and its searches cannot use is refused in a sentence that names it."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from workbench.backtest import Signals, strategy
from workbench.errors import BacktestError, StrategyError, SweepError
from workbench.sweep import Bayesian, Grid, Random, SweepResult, estimate_sweep, sweep

DAYS = pd.date_range("2020-01-01", periods=40, tz="UTC", name="timestamp")
BARS = pd.DataFrame(
    dict.fromkeys(("open", "high", "low", "close"), 100.0 + np.sin(np.arange(40.0))),
    index=pd.MultiIndex.from_product([["A"], DAYS], names=["symbol", "timestamp"]),
)


@strategy
def rising(bars: pd.DataFrame, n: int = 3) -> Signals:
    """Above the mean of the last closes."""
    close = bars["close"].unstack("symbol")
    above = close > close.rolling(n).mean()
    return Signals(above, ~above)


def swept(grid: Any = None, **given: Any) -> SweepResult:
    return sweep(rising, BARS, grid or {"n": [3, 5]}, **{"progress": False, "workers": 1, **given})


def refused(grid: Any = None, kind: type[BacktestError] = SweepError, **given: Any) -> str:
    with pytest.raises(kind) as caught:
        swept(grid, **given)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    return message


NO_NUMBERS: list[Any] = [
    True, "5", 2.5, -1, math.nan, math.inf, 1e300, 10**400, pd.NA, pd.NaT, [5], np.array(5),
    pd.Series([5]), 2j, Decimal("NaN"), DAYS[0], b"5", int,
]  # fmt: skip


@pytest.mark.parametrize("value", [0, *NO_NUMBERS])
def test_counts_that_are_none(value: Any) -> None:
    for name in ("workers", "chunk"):
        assert refused(**{name: value}).startswith(f"{name}: ")
        with pytest.raises(SweepError, match=rf"^{name}: "):
            estimate_sweep(rising, BARS, {"n": [3]}, **{name: value})
    for name in ("n", "batch"):
        guided = Bayesian(**{"n": 2, "over": {"n": [3, 5]}, name: value})
        assert refused(guided).startswith(f"Bayesian({name}): ")
    assert refused(Random(value, over={"n": [3, 5]})).startswith("Random(n): ")


@pytest.mark.parametrize("value", NO_NUMBERS)
def test_seeds_that_are_none(value: Any) -> None:
    assert refused(seed=value).startswith("seed: "), "also of a grid, where it draws the variants to compare"
    assert refused(Random(2, seed=value, over={"n": [3, 5]})).startswith("Random(seed): ")
    assert refused(Bayesian(2, seed=value, over={"n": [3, 5]})).startswith("Bayesian(seed): ")


def test_counts_of_any_type_are_plain_ones() -> None:
    kind: Any
    for given in ((np.int64(2), np.uint8(7)), (2.0, Decimal(7))):
        for kind in (Random, Bayesian):
            specs = [
                kind(*counts, over={"n": [3, 5, 8]}).resolve(rising).spec() for counts in ((2, 7), given)
            ]
            assert json.dumps(specs[0]) == json.dumps(specs[1]), "they are known by the same key"
    options: Any = {"seed": np.int64(7), "workers": np.int64(1), "chunk": 1.0}
    search = Random(2, over={"n": [3, 5, 8]})
    pd.testing.assert_frame_equal(swept(search, **options).frame, swept(search, seed=7).frame)


def test_a_seed_that_optuna_does_not_take() -> None:
    guided = Bayesian(2, over={"n": [3, 5]})
    assert (
        refused(guided, seed=2**32) == "Bayesian(seed): 4294967296 is too large; give at most 4,294,967,295."
    )
    assert len(swept(guided, seed=2**32 - 1).frame) == 2


NO_NAMES: list[Any] = [
    True, "", "luck", 5, math.nan, pd.NA, ["sharpe_ratio"], {}, np.array(["calmar"]), pd.DataFrame(), int,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_NAMES)
def test_names_that_there_are_not(value: Any) -> None:
    assert refused(objective=value).startswith("objective: ")
    assert refused(Bayesian(2, objective=value, over={"n": [3, 5]})).startswith("objective: ")
    assert refused(symbols=value).startswith("symbols: ")


@pytest.mark.parametrize("value", ["yes", 1, None, math.nan, pd.NA, [True], np.array(True)])
def test_switches_are_true_or_false(value: Any) -> None:
    assert refused(kind=BacktestError, progress=value).startswith("progress: ")
    guided = Bayesian(2, over={"n": [3, 5]}, maximise=value)
    assert refused(guided, BacktestError).startswith("Bayesian(maximise): ")


NO_MAPPINGS: list[Any] = [
    True, "n", 5, math.nan, pd.NA, [3], [("n", [3])], np.array(3), np.array([3, 5]), pd.Series({"n": 3}),
    pd.DataFrame({"n": [3]}), {"n"}, rising,
]  # fmt: skip


@pytest.mark.parametrize("value", NO_MAPPINGS)
def test_searches_that_are_none(value: Any) -> None:
    with pytest.raises(SweepError, match=r"^grid: .* is no search; give the values"):
        sweep(rising, BARS, value, progress=False)
    assert refused(Grid(value)).startswith("grid: ")
    for guided in (Random(2, over=value), Bayesian(2, over=value)):
        assert refused(guided).startswith("over: ")


@pytest.mark.parametrize(
    "value", [None, "3", 2.5, True, math.nan, pd.NA, np.array(2.5), [[3]], np.array([[3, 5]]), {"n": 3}, int]
)
def test_values_that_a_parameter_cannot_have(value: Any) -> None:
    assert refused({"n": value}, StrategyError).startswith("rising: n=")
    assert refused(Random(2, over={"n": value}), StrategyError).startswith("rising: n=")


def test_an_array_without_dimensions_is_a_single_value() -> None:
    assert swept({"n": np.array(5)}).frame["n"].tolist() == [5]


NO_PERIODS: list[Any] = [
    True, "2020", "", 5, math.nan, pd.NA, DAYS[0], np.array(["2020-01-01", "2020-01-31"]),
    pd.Series(["2020"]), [], {}, [5], ["2020"], ["ab"], [None], [("2020-01-01",)], [("a", "b", "c")],
    {"early": "2020"}, {"early": 5},
    {5: ("2020-01-01", None)}, [("x", "y")], [(True, None)], [([], {})], [("2020-02-01", "2020-01-01")],
    [(math.nan, None)], [("2020-01-01", pd.NaT)], [(None, pd.NA)], [(None, DAYS[5].tz_localize(None))],
]  # fmt: skip


@pytest.mark.parametrize("value", NO_PERIODS)
def test_periods_that_are_none(value: Any) -> None:
    assert refused(periods=value).startswith("periods: ")


def test_a_bound_of_none_is_the_first_or_the_last_bar() -> None:
    found = swept({"n": [3]}, periods={"early": (None, "2020-01-31"), "late": ("2020-02-01", None)})
    assert found.frame[["period", "n_bars"]].to_numpy().tolist() == [["early", 31.0], ["late", 9.0]]


@pytest.mark.parametrize(
    "value", [True, 5, "", b"folder", "a\0b", [], {}, math.nan, pd.NA, np.array("a"), int]
)
def test_folders_that_are_none(value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refused(store=value).startswith("store: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "value", [True, 5, 0, math.nan, pd.NA, ["tcp://127.0.0.1:1"], {}, np.array(1), DAYS, int]
)
def test_clusters_that_are_none(value: Any) -> None:
    assert refused(cluster=value, workers=None).startswith("cluster: ")
