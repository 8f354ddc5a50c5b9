"""`@strategy`, `Parameter` and `between`: what a function says of its parameters holds for every call."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from workbench.errors import BacktestError, StrategyError
from workbench.signals.inputs import BarArrays
from workbench.signals.parameter import Parameter, Range, between
from workbench.signals.signals import SignalArrays, Signals, Weights
from workbench.signals.strategy import Strategy, strategy

NOTHING = pd.DataFrame({"A": [False]})


@strategy(family="test", source="Nobody, 2024", where=lambda fast, slow, **_: fast < slow)
def crossing(
    bars: pd.DataFrame,
    fast: Annotated[int, between(2, 200)] = 20,
    slow: Annotated[int, between(5, 400)] = 50,
    band: Annotated[float, between(0.0, 0.5)] = 0,
    kind: Literal["simple", "exponential"] = "simple",
    short: bool = False,
    note: str = "",
) -> Signals:
    """Cross.

    And back.
    """
    bars.attrs["called"] = {
        "fast": fast,
        "slow": slow,
        "band": band,
        "kind": kind,
        "short": short,
        "note": note,
    }
    return Signals(entries=NOTHING, exits=NOTHING)


def called_with(**parameters: Any) -> dict[str, Any]:
    bars = pd.DataFrame()
    crossing(bars, **parameters)
    return cast(dict[str, Any], bars.attrs["called"])


def test_a_strategy_knows_what_its_function_says() -> None:
    assert crossing.name == "crossing"
    assert crossing.family == "test"
    assert crossing.source == "Nobody, 2024"
    assert crossing.__doc__ == "Cross.\n\nAnd back."
    assert list(crossing.parameters) == ["fast", "slow", "band", "kind", "short", "note"]
    assert crossing.parameters["fast"] == Parameter("fast", int, 20, Range(2, 200))
    assert crossing.parameters["kind"].choices == ("simple", "exponential")
    # A whole number is a fraction, too: the default 0 of a float is 0.0.
    assert type(crossing.defaults["band"]) is float
    assert repr(crossing) == (
        "<Strategy crossing(fast: int 2…200 = 20, slow: int 5…400 = 50, band: float 0…0.5 = 0.0, "
        "kind: 'simple' | 'exponential' = 'simple', short: bool = False, note: str = '')>"
    )


def test_a_call_fills_in_defaults_and_hands_over_plain_values() -> None:
    assert called_with() == crossing.defaults
    given = called_with(fast=np.int64(5), slow=60.0, band=np.float32(0.25), short=np.True_)
    assert given == {"fast": 5, "slow": 60, "band": 0.25, "kind": "simple", "short": True, "note": ""}
    assert [type(value) for value in given.values()] == [int, int, float, str, bool, str]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"fats": 5},
            r"has no parameter 'fats' \(did you mean fast\?\); it has fast, slow, band, kind, short, note",
        ),
        ({"window": 5}, "has no parameter 'window'; it has fast, slow, band, kind, short, note"),
        ({"fast": 1}, "fast=1 is not a whole number from 2 to 200"),
        ({"fast": 201}, "fast=201 is not"),
        ({"fast": 5.5}, "fast=5.5 is not a whole number"),
        ({"fast": "5"}, "fast='5' is not a whole number"),
        ({"fast": True}, "fast=True is not a whole number"),
        ({"fast": None}, "fast=None is not a whole number"),
        ({"band": 0.6}, "band=0.6 is not a finite number from 0 to 0.5"),
        ({"band": math.nan}, "band=nan is not a finite number"),
        ({"band": math.inf}, "band=inf is not a finite number"),
        ({"band": False}, "band=False is not a finite number"),
        ({"short": 1}, "short=1 is not True or False"),
        ({"kind": "weighted"}, "kind='weighted' is not one of 'simple', 'exponential'"),
        ({"note": 5}, "note=5 is not text"),
        ({"fast": 60}, "does not allow fast=60, slow=50, .* together: it asks for fast < slow\\.$"),
    ],
)
def test_a_wrong_parameter_is_refused_by_name(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        called_with(**parameters)


def test_a_strategy_error_is_a_backtest_error() -> None:
    assert issubclass(StrategyError, BacktestError)


def test_where_says_which_combinations_count() -> None:
    assert crossing.allows({"fast": 5, "slow": 6})
    assert not crossing.allows({"fast": 6, "slow": 6})
    # What is left out is at its default: slow=50.
    assert not crossing.allows({"fast": 50})


def test_without_a_where_every_combination_counts() -> None:
    assert strategy(lambda bars: Signals(NOTHING, NOTHING)).allows({})


def test_what_a_strategy_gives_is_signals_or_weights() -> None:
    @strategy
    def lost(bars: pd.DataFrame) -> Signals:
        return cast(Signals, bars)

    with pytest.raises(StrategyError, match="lost returned a DataFrame; return Signals"):
        lost(pd.DataFrame())

    @strategy
    def held(bars: pd.DataFrame) -> Weights:
        return Weights(bars)

    assert isinstance(held(pd.DataFrame()), Weights)


def test_a_strategy_can_be_named_otherwise_than_its_function() -> None:
    @strategy(name="second")
    def first(bars: pd.DataFrame) -> Signals:
        return Signals(NOTHING, NOTHING)

    assert (first.name, first.family, first.source, first.__doc__) == ("second", "", "", None)


def no_bars() -> Signals:
    return Signals(NOTHING, NOTHING)


def no_type(bars: pd.DataFrame, n=5) -> Signals:  # type: ignore[no-untyped-def]
    return Signals(NOTHING, NOTHING)


def no_default(bars: pd.DataFrame, n: int) -> Signals:
    return Signals(NOTHING, NOTHING)


def odd_type(bars: pd.DataFrame, n: list[int] = []) -> Signals:  # noqa: B006
    return Signals(NOTHING, NOTHING)


def no_name(bars: pd.DataFrame, *ns: int) -> Signals:
    return Signals(NOTHING, NOTHING)


def any_name(bars: pd.DataFrame, **ns: int) -> Signals:
    return Signals(NOTHING, NOTHING)


def by_position(bars: pd.DataFrame, n: int = 5, /) -> Signals:
    return Signals(NOTHING, NOTHING)


def default_beyond(bars: pd.DataFrame, n: Annotated[int, between(2, 4)] = 5) -> Signals:
    return Signals(NOTHING, NOTHING)


def default_of_another_type(bars: pd.DataFrame, n: int = "5") -> Signals:  # type: ignore[assignment]
    return Signals(NOTHING, NOTHING)


def type_unknown(bars: pd.DataFrame, n: Missing = 5) -> Signals:  # type: ignore[name-defined]  # noqa: F821
    return Signals(NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_bars, "no_bars takes no bars; its first argument is the frame of bars"),
        (no_type, "no_type: the parameter n needs a type"),
        (no_default, "no_default: the parameter n has no default"),
        (odd_type, "odd_type: the parameter n needs a type"),
        (no_name, "no_name: the parameter ns has no name"),
        (any_name, "any_name: the parameter ns has no name"),
        (by_position, "by_position: the parameter n has no name"),
        (default_beyond, "default_beyond: n=5 is not a whole number from 2 to 4"),
        (default_of_another_type, "n='5' is not a whole number"),
        (type_unknown, "type_unknown: a type of its parameters is not defined .*Missing"),
    ],
)
def test_a_function_that_says_too_little_is_refused(function: Any, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        strategy(function)


def test_defaults_that_where_refuses_are_refused() -> None:
    with pytest.raises(StrategyError, match="does not allow n=5 together"):

        @strategy(where=lambda n: n > 5)
        def never(bars: pd.DataFrame, n: int = 5) -> Signals:
            return Signals(NOTHING, NOTHING)


@pytest.mark.parametrize(
    ("low", "high", "options", "message"),
    [
        (5, 2, {}, "is no range; give a finite low that is at most high"),
        (0, math.inf, {}, "is no range"),
        (math.nan, 1, {}, "is no range"),
        (1, 5, {"step": 0}, "a step is above zero"),
        (1, 5, {"step": -1}, "a step is above zero"),
        (0, 5, {"log": True}, "needs bounds above zero and no step"),
        (1, 5, {"log": True, "step": 1}, "needs bounds above zero and no step"),
    ],
)
def test_bounds_that_are_no_range_are_refused(
    low: float, high: float, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(StrategyError, match=message):
        between(low, high, **options)


def test_a_range_holds_both_its_ends() -> None:
    assert between(2, 2) == Range(2, 2)
    assert called_with(fast=2)["fast"] == 2
    assert called_with(slow=400)["slow"] == 400
    assert between(0.1, 1.0, log=True) == Range(0.1, 1.0, None, log=True)


def test_the_rule_for_many_variants_is_registered_and_changes_the_hash() -> None:
    @strategy
    def plain(bars: pd.DataFrame, n: int = 5) -> Signals:
        return Signals(NOTHING, NOTHING)

    before = plain.sha256

    @plain.batch
    def many(market: BarArrays, n: npt.NDArray[np.int64]) -> SignalArrays:
        flags = np.zeros((len(n), *market.close.shape), dtype=np.bool_)
        return SignalArrays(flags, flags)

    assert plain.batched is many
    assert plain.sha256 != before


def test_the_hash_is_of_the_code() -> None:
    def made(threshold: int) -> tuple[Strategy, Strategy]:
        @strategy(name="same")
        def one(bars: pd.DataFrame, n: int = 5) -> Signals:
            return Signals(NOTHING, NOTHING)

        @strategy(name="same")
        def other(bars: pd.DataFrame, n: int = 5) -> Signals:
            assert n > 0
            return Signals(NOTHING, NOTHING)

        return one, other

    (one, other), (again, _) = made(1), made(2)
    assert len(one.sha256) == 64
    assert int(one.sha256, 16) >= 0
    assert one.sha256 == again.sha256
    assert one.sha256 != other.sha256


def test_code_that_was_typed_into_a_shell_is_hashed_as_well() -> None:
    def typed(body: str) -> Strategy:
        names: dict[str, Any] = {}
        exec(f"def rule(bars, n: int = 5):\n    return {body}", names)
        return strategy(names["rule"])

    assert typed("n + 1").sha256 == typed("n + 1").sha256
    assert typed("n + 1").sha256 != typed("n + 2").sha256
