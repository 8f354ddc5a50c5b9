"""Grids, random draws and Bayesian search: which variants there are; expected ones come from itertools."""

from __future__ import annotations

import itertools
import json
import math
import pickle
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import StrategyError, SweepError
from workbench.signals.parameter import between
from workbench.signals.signals import Signals
from workbench.signals.strategy import Strategy, strategy
from workbench.sweep import allowed, space
from workbench.sweep.bayesian import Bayesian
from workbench.sweep.space import Grid, Random, Space


def make(where: Any = None) -> Strategy:
    @strategy(name="cross", where=where)
    def cross(
        bars: pd.DataFrame,
        fast: Annotated[int, between(2, 200)] = 20,
        slow: Annotated[int, between(5, 400)] = 50,
        threshold: Annotated[float, between(0.001, 1.0, log=True)] = 0.01,
        kind: Literal["simple", "exponential"] = "simple",
        strict: bool = False,
        label: str = "x",
    ) -> Signals:
        raise AssertionError("nothing is computed here")

    return cross


def rows(of: Space, start: int = 0, stop: int | None = None) -> list[dict[str, Any]]:
    """Variants as plain dicts."""
    arrays = of.variants(start, of.size if stop is None else stop)
    return [
        dict(zip(arrays, row, strict=True))
        for row in zip(*(values.tolist() for values in arrays.values()), strict=True)
    ]


FASTER = [
    pytest.param(lambda fast, slow, **_: fast < slow, id="one comparison, answered for whole arrays"),
    pytest.param(lambda fast, slow, **_: fast < slow and slow > 0, id="and, answered one by one"),
    pytest.param(
        lambda fast, slow, **_: bool(fast < slow) if np.ndim(fast) == 0 else np.ones(len(fast), dtype=bool),
        id="wrong for arrays, so asked one by one",
    ),
]


class TestGrid:
    def test_has_every_combination_once_and_the_last_parameter_changes_fastest(self) -> None:
        values: dict[str, Any] = {
            "kind": ["exponential", "simple"],
            "fast": range(5, 8),
            "threshold": np.array([0.5, 0.25]),
        }
        found = Grid(values).resolve(make())
        expected = list(itertools.product(*values.values()))
        assert found.size == len(expected) == 12
        assert [(row["kind"], row["fast"], row["threshold"]) for row in rows(found)] == expected

    def test_fills_in_defaults_in_the_order_and_types_of_the_strategy(self) -> None:
        arrays = Grid({"slow": [60, 70]}).resolve(make()).variants(0, 2)
        assert list(arrays) == ["fast", "slow", "threshold", "kind", "strict", "label"]
        assert {name: values.dtype.kind for name, values in arrays.items()} == {
            "fast": "i",
            "slow": "i",
            "threshold": "f",
            "kind": "U",
            "strict": "b",
            "label": "U",
        }
        assert rows(Grid({"slow": [60, 70]}).resolve(make()))[1] == {**make().defaults, "slow": 70}

    @pytest.mark.parametrize("where", FASTER)
    def test_leaves_out_what_where_refuses(self, where: Any) -> None:
        found = Grid({"fast": range(2, 40), "slow": range(5, 60)}).resolve(make(where))
        expected = [pair for pair in itertools.product(range(2, 40), range(5, 60)) if pair[0] < pair[1]]
        assert [(row["fast"], row["slow"]) for row in rows(found)] == expected

    @given(start=st.integers(0, 1500), length=st.integers(0, 700))
    def test_gives_any_part_of_it_as_the_whole_has_it(self, start: int, length: int) -> None:
        found = Grid({"fast": range(2, 40), "slow": range(5, 60)}).resolve(make(FASTER[0].values[0]))
        assert rows(found, start, start + length) == rows(found)[start : start + length]

    def test_finds_allowed_combinations_across_many_blocks(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(allowed, "BLOCK", 64)
        made = make(lambda fast, slow, **_: (fast + slow) % 7 == 0)
        found = Grid({"fast": range(2, 40), "slow": range(5, 60)}).resolve(made)
        expected = [p for p in itertools.product(range(2, 40), range(5, 60)) if sum(p) % 7 == 0]
        assert [(row["fast"], row["slow"]) for row in rows(found)] == expected
        assert [(row["fast"], row["slow"]) for row in rows(found, 100, 333)] == expected[100:333]

    def test_takes_a_range_with_a_step(self) -> None:
        found = Grid({"fast": between(2, 20, step=6), "threshold": between(0.1, 0.5, step=0.1)}).resolve(
            make()
        )
        assert sorted({row["fast"] for row in rows(found)}) == [2, 8, 14, 20]
        assert sorted({row["threshold"] for row in rows(found)}) == [0.1, 0.2, 0.3, 0.4, 0.5]

    def test_tries_a_value_that_is_listed_twice_once(self) -> None:
        assert Grid({"fast": [5, 5.0, np.int64(6), 5]}).resolve(make()).size == 2

    def test_of_nothing_is_the_defaults(self) -> None:
        assert rows(Grid({}).resolve(make())) == [make().defaults]

    def test_of_a_billion_combinations_gives_its_last_ones(self) -> None:
        @strategy
        def wide(bars: pd.DataFrame, a: int = 1, b: int = 1, c: int = 1) -> Signals:
            raise AssertionError("nothing is computed here")

        found = Grid(dict.fromkeys("abc", range(1000))).resolve(wide)
        assert found.size == 10**9
        assert rows(found, 10**9 - 1, 10**9 + 5) == [{"a": 999, "b": 999, "c": 999}]

    def test_keeps_one_bit_a_combination(self) -> None:
        @strategy(where=lambda a, b: a < b)
        def wide(bars: pd.DataFrame, a: int = 1, b: int = 2) -> Signals:
            raise AssertionError("nothing is computed here")

        found = Grid(dict.fromkeys("ab", range(1000))).resolve(wide)
        assert found.size == 499_500
        assert found.chosen is not None
        assert found.chosen.bits.nbytes == 125_000

    def test_and_random_draws_travel_to_other_processes(self) -> None:
        for wanted in (Grid({"fast": range(2, 9)}), Random(20, seed=3)):
            found = wanted.resolve(make(lambda fast, slow, **_: fast < slow))
            assert rows(pickle.loads(pickle.dumps(found))) == rows(found)
            assert json.loads(json.dumps(found.spec())) == found.spec()

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            ({"quick": [1]}, "cross has no parameter 'quick' to search; it has fast, slow"),
            ({"slwo": [1]}, r"cross has no parameter 'slwo' to search \(did you mean slow\?\); it has fast"),
            ({"fast": [5, 1]}, "cross: fast=1 is not a whole number from 2 to 200"),
            ({"fast": [5.5]}, "cross: fast=5.5 is not a whole number"),
            ({"fast": []}, "fast has no values to try"),
            ({"kind": "weighted"}, "kind='weighted' is not one of 'simple', 'exponential'"),
            ({"kind": between(1, 2)}, "kind has no range to search; list its values"),
            ({"fast": between(5, 300)}, "fast=300 is not a whole number from 2 to 200"),
            ({"fast": between(5, 10, step=0.5)}, "gives no whole numbers"),
            ({"threshold": between(0.1, 0.2)}, "a grid needs the values of threshold"),
        ],
    )
    def test_says_which_parameter_is_wrong(self, values: dict[str, Any], says: str) -> None:
        with pytest.raises(StrategyError, match=says):
            Grid(values).resolve(make())

    def test_says_that_where_allows_nothing(self) -> None:
        with pytest.raises(StrategyError, match="`where` allows none of the 4 combinations"):
            Grid({"fast": [50, 60], "slow": [5, 6]}).resolve(make(lambda fast, slow, **_: fast < slow))

    def test_says_for_which_values_where_failed(self) -> None:
        with pytest.raises(
            StrategyError, match=r"`where` failed for fast=2, slow=5.*ZeroDivisionError"
        ) as raised:
            Grid({"fast": [2], "slow": [5]}).resolve(make(lambda fast, slow, **_: 1 / (fast - 2) < slow))
        assert isinstance(raised.value.__cause__, ZeroDivisionError)

    def test_refuses_more_than_where_can_be_asked_about(self) -> None:
        @strategy(where=lambda a, b: a < b)
        def wide(bars: pd.DataFrame, a: int = 1, b: int = 2) -> Signals:
            raise AssertionError("nothing is computed here")

        with pytest.raises(SweepError, match="10,000,000,000 combinations"):
            Grid(dict.fromkeys("ab", range(100_000))).resolve(wide)


class TestRandom:
    def test_draws_from_every_range_choice_and_flag_and_nothing_else(self) -> None:
        found = Random(3000, seed=1).resolve(make())
        assert found.names == ("fast", "slow", "threshold", "kind", "strict")
        arrays = found.variants(0, 3000)
        assert (arrays["fast"].min(), arrays["fast"].max()) == (2, 200)
        assert arrays["slow"].min() >= 5
        assert arrays["slow"].max() <= 400
        assert set(arrays["kind"].tolist()) == {"simple", "exponential"}
        assert set(arrays["strict"].tolist()) == {True, False}
        assert set(arrays["label"].tolist()) == {"x"}
        # Log-uniform from 0.001 to 1: a third of the draws in each power of ten (standard error 0.009).
        shares = np.histogram(np.log10(arrays["threshold"]), bins=[-3, -2, -1, 0])[0] / 3000
        assert shares == pytest.approx([1 / 3] * 3, abs=0.035)

    def test_draws_whole_numbers_of_a_logarithmic_range_by_their_order_of_magnitude(self) -> None:
        over = {"slow": between(10, 399, log=True), "threshold": between(0.001, 1.0)}
        slow = Random(4000, seed=5, over=over).resolve(make()).variants(0, 4000)["slow"]
        # ln(62.5 / 9.5) / ln(399.5 / 9.5) of the draws are at most 62.
        assert np.mean(slow <= 62) == pytest.approx(math.log(62.5 / 9.5) / math.log(399.5 / 9.5), abs=0.03)

    @pytest.mark.parametrize("over", [None, {"fast": between(2, 60), "slow": range(5, 90)}])
    @pytest.mark.parametrize("where", [None, FASTER[0].values[0], FASTER[1].values[0]])
    def test_does_not_depend_on_chunks(self, over: Any, where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(space, "_DRAWN", 128)
        found = Random(1000, seed=9, over=over).resolve(make(where))
        whole = rows(found)
        assert len(whole) == 1000
        assert [row for start in range(0, 1000, 37) for row in rows(found, start, start + 37)] == whole
        assert rows(found, 990, 2000) == whole[990:]
        assert rows(found, 5, 5) == []

    def test_gives_the_same_for_the_same_seed_and_the_same_first_ones_for_more(self) -> None:
        one, other, more = (Random(n, seed=s).resolve(make()) for n, s in ((50, 1), (50, 2), (80, 1)))
        assert rows(one) == rows(Random(50, seed=1).resolve(make())) == rows(more)[:50]
        assert rows(one) != rows(other)

    @settings(max_examples=40)
    @given(seed=st.integers(0, 10_000), n=st.integers(1, 200))
    def test_gives_no_variant_twice_and_none_that_where_refuses(self, seed: int, n: int) -> None:
        over = {"fast": range(2, 16), "slow": range(5, 20)}
        made = make(lambda fast, slow, **_: fast < slow)
        pairs = [(row["fast"], row["slow"]) for row in rows(Random(n, seed, over).resolve(made))]
        possible = {p for p in itertools.product(range(2, 16), range(5, 20)) if p[0] < p[1]}
        assert len(set(pairs)) == len(pairs) == min(n, len(possible))
        assert set(pairs) <= possible

    def test_is_everything_where_as_many_are_asked_for(self) -> None:
        over = {"fast": range(2, 16), "slow": range(5, 20)}
        made = make(lambda fast, slow, **_: fast < slow)
        assert rows(Random(10_000, over=over).resolve(made)) == rows(Grid(over).resolve(made))

    def test_needs_something_to_search(self) -> None:
        @strategy
        def plain(bars: pd.DataFrame, window: int = 5) -> Signals:
            raise AssertionError("nothing is computed here")

        with pytest.raises(StrategyError, match="plain has no parameter with a range;"):
            Random(5).resolve(plain)
        assert Random(5, over={"window": between(2, 9)}).resolve(plain).size == 5

    def test_says_that_where_allows_nothing(self) -> None:
        with pytest.raises(StrategyError, match="`where` allowed none of"):
            Random(5, over={"fast": range(40, 90), "slow": range(5, 40)}).resolve(make(FASTER[0].values[0]))

    @pytest.mark.parametrize("wanted", [Random(0), Random(5, seed=-1), Bayesian(0), Bayesian(5, batch=0)])
    def test_and_bayesian_refuse_numbers_that_are_none(self, wanted: Any) -> None:
        with pytest.raises(SweepError, match=r"is below [01]; give a whole number of"):
            wanted.resolve(make())


def hill(variant: dict[str, Any]) -> float:
    """Highest, zero, at fast 40 and slow 200; undefined for low thresholds."""
    if variant["threshold"] < 0.005:
        return math.nan
    fast, slow = float(variant["fast"]), float(variant["slow"])
    return -(((fast - 40) / 100) ** 2) - ((slow - 200) / 200) ** 2


def climb(wanted: Bayesian, made: Strategy) -> list[dict[str, Any]]:
    search = wanted.resolve(made)
    tried: list[dict[str, Any]] = []
    while batch := search.ask(search.batch):
        search.tell(batch, [hill(variant) for variant in batch])
        tried += batch
    return tried


class TestBayesian:
    def test_comes_closer_than_as_many_random_draws(self) -> None:
        over = {"fast": between(2, 200), "slow": between(5, 400)}
        guided = climb(Bayesian(150, seed=3, over=over), make())
        drawn = rows(Random(150, seed=3, over=over).resolve(make()))
        assert np.mean([hill(v) for v in guided[-50:]]) > np.mean([hill(v) for v in drawn]) / 4
        assert max(map(hill, guided)) > -0.01

    def test_gives_the_same_for_the_same_seed_and_batch(self) -> None:
        one = climb(Bayesian(24, seed=5, batch=8), make())
        assert one == climb(Bayesian(24, seed=5, batch=8), make())
        assert one != climb(Bayesian(24, seed=6, batch=8), make())

    def test_asks_allowed_new_and_complete_variants(self) -> None:
        made = make(lambda fast, slow, **_: fast < slow and fast % 2 == 0)
        tried = climb(Bayesian(30, seed=1), made)
        assert len(tried) == 30
        assert len({tuple(variant.values()) for variant in tried}) == 30
        for variant in tried:
            assert made.check(variant) == variant
            assert list(variant) == list(made.parameters)

    def test_ends_when_every_combination_was_tried(self) -> None:
        over = {
            "fast": [10, 20],
            "kind": ["simple", "exponential"],
            "threshold": between(0.1, 0.3, step=0.1),
        }
        tried = climb(Bayesian(500, over=over), make())
        found = sorted((v["fast"], v["kind"], v["threshold"]) for v in tried)
        assert found == sorted(itertools.product([10, 20], ["simple", "exponential"], [0.1, 0.2, 0.3]))

    def test_looks_for_the_least_where_less_is_better(self) -> None:
        over = {"fast": between(2, 200)}
        search = Bayesian(30, over=over, maximise=False, batch=5).resolve(make())
        tried = []
        while batch := search.ask(search.batch):
            search.tell(batch, [float(variant["fast"]) for variant in batch])
            tried += [variant["fast"] for variant in batch]
        assert min(tried) <= 4

    def test_takes_outcomes_in_another_order_but_only_once(self) -> None:
        search = Bayesian(10, over={"fast": between(2, 200)}).resolve(make())
        one, other = search.ask(2)
        search.tell([other, one], [1.0, math.nan])
        with pytest.raises(SweepError, match="is not waiting for an outcome"):
            search.tell([one], [1.0])

    def test_says_what_it_is_in_json(self) -> None:
        spec = Bayesian(10, seed=4, over={"fast": [5, 6]}).resolve(make()).spec()
        assert json.loads(json.dumps(spec)) == spec
        assert spec["over"] == {"fast": [5, 6]}

    def test_is_quiet(self, capfd: pytest.CaptureFixture[str]) -> None:
        climb(Bayesian(12), make())
        assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("value", ["5", None, True, 2.5, math.nan, pd.NA, [5], np.array([5, 6])])
def test_draws_that_cannot_be_counted(value: Any) -> None:
    @strategy
    def rule(bars: pd.DataFrame, n: Annotated[int, between(2, 9)] = 3) -> Signals:
        raise AssertionError("not called")

    for wanted in (Random(value), Random(5, seed=value)):
        with pytest.raises(
            SweepError, match=r"^Random\((n|seed)\): .*; give a whole number of [01] or more\.$"
        ):
            wanted.resolve(rule)
    assert Random(np.int64(5), seed=np.int64(2)).resolve(rule).size == 5  # type: ignore[arg-type]
