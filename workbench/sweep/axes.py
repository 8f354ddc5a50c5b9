"""`Axis`: the values of one parameter that a search may try, as a list or as a range."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import StrategyError
from workbench.signals.parameter import Parameter, Range
from workbench.signals.strategy import Strategy
from workbench.spelling import did_you_mean, near_names

__all__ = ["DTYPES", "Axis", "Listed", "Span", "constant", "make_axes", "make_axis", "range_of"]

Values = npt.NDArray[Any]

DTYPES: dict[type, Any] = {bool: np.bool_, int: np.int64, float: np.float64, str: np.str_}
"""NumPy dtype by parameter type."""


@dataclass(frozen=True, eq=False)
class Listed:
    """Listed values.

    Attributes
    ----------
    name : str
    values : ndarray, shape (count,)
        In the order given, without duplicates.
    """

    name: str
    values: Values

    @property
    def count(self) -> int:
        """Number of values."""
        return len(self.values)

    def place(self, uniform: npt.NDArray[np.float64]) -> Values:
        """Positions for numbers drawn uniformly from [0, 1)."""
        return (uniform * self.count).astype(np.int64)

    def at(self, places: Values) -> Values:
        """The values at positions from 0 to ``count - 1``."""
        return self.values[places]

    def spec(self) -> Any:
        """The axis as JSON types."""
        return self.values.tolist()


@dataclass(frozen=True)
class Span:
    """Every value of a range; see `workbench.signals.parameter.between`.

    Attributes
    ----------
    name : str
    kind : type
        int or float.
    low, high : float
    step : float, optional
        None: any value (float parameters only).
    log : bool
    """

    name: str
    kind: type
    low: float
    high: float
    step: float | None
    log: bool

    @property
    def count(self) -> int | None:
        """Number of values; None for any value between the bounds."""
        if self.step is None:
            return None
        # (0.3 - 0.1) / 0.1 is slightly below 2: the last step must still count.
        return math.floor((self.high - self.low) / self.step + 1e-9) + 1

    def place(self, uniform: npt.NDArray[np.float64]) -> Values:
        """Positions for numbers drawn uniformly from [0, 1); the numbers themselves where `count` is None."""
        count = self.count
        if count is None:
            return uniform
        if self.log:
            # Half a step beyond both ends, so that rounding gives the ends their full share.
            low, high = math.log(self.low - 0.5), math.log(self.high + 0.5)
            drawn = np.rint(np.exp(low + uniform * (high - low))) - self.low
            return np.clip(drawn, 0, count - 1).astype(np.int64)
        return np.minimum(uniform * count, count - 1).astype(np.int64)

    def at(self, places: Values) -> Values:
        """The values at positions from `place`."""
        if self.step is None:
            if self.log:
                low, high = math.log(self.low), math.log(self.high)
                return np.asarray(np.clip(np.exp(low + places * (high - low)), self.low, self.high))
            return np.asarray(self.low + places * (self.high - self.low))
        if self.kind is int:
            return np.asarray(int(self.low) + places * int(self.step))
        # Twelve digits: the third step of 0.1 is 0.3, and not 0.30000000000000004.
        exact = self.low + places * self.step
        rounded = np.array([float(f"{value:.12g}") for value in exact], dtype=np.float64)
        return np.asarray(np.minimum(rounded, self.high))

    def spec(self) -> Any:
        """The axis as JSON types."""
        return {"low": self.low, "high": self.high, "step": self.step, "log": self.log}


Axis = Listed | Span


def make_axes(strategy: Strategy, over: Mapping[str, Any]) -> tuple[Axis, ...]:
    """One axis per name, in the mapping's order.

    Raises
    ------
    StrategyError
        A name is not a parameter of the strategy, or a value is not allowed for its parameter.
    """
    for name in over:
        if name not in strategy.parameters:
            raise StrategyError(
                f"{strategy.name} has no parameter {name!r} to search"
                f"{did_you_mean(near_names(name, strategy.parameters))}; "
                f"it has {', '.join(strategy.parameters) or 'none'}."
            )
    return tuple(make_axis(strategy.parameters[name], given, strategy.name) for name, given in over.items())


def make_axis(parameter: Parameter, given: Any, strategy: str) -> Axis:
    """The axis of one parameter: from `between(…)`, from several values, or from a single one.

    Raises
    ------
    StrategyError
        The values cannot be used; names the parameter and the allowed values.
    """
    if isinstance(given, Range):
        return _span(parameter, given, strategy)
    # An array without dimensions says that it can be iterated, and cannot.
    if isinstance(given, np.ndarray) and not given.ndim:
        given = given[()]
    several = isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping)
    values = [parameter.check(value, strategy) for value in (given if several else [given])]
    if not values:
        raise StrategyError(f"{strategy}: {parameter.name} has no values to try; list at least one.")
    # A repeated value would repeat the variant.
    distinct = list(dict.fromkeys(values))
    try:
        return Listed(parameter.name, np.array(distinct, dtype=DTYPES[parameter.kind]))
    except OverflowError as error:
        raise StrategyError(
            f"{strategy}: {parameter.name} has a value beyond 64 bits; list smaller values."
        ) from error


def range_of(parameter: Parameter) -> Any:
    """The default values to search: the range, the choices, or True and False; None if there are none."""
    if parameter.range is not None:
        return parameter.range
    if parameter.choices is not None:
        return parameter.choices
    return (False, True) if parameter.kind is bool else None


def constant(parameter: Parameter, n: int) -> Values:
    """The default value of a parameter, `n` times."""
    return np.full(n, parameter.default, dtype=None if parameter.kind is str else DTYPES[parameter.kind])


def _span(parameter: Parameter, given: Range, strategy: str) -> Span:
    where = f"{strategy}: {parameter.name}"
    if parameter.kind not in (int, float) or parameter.choices is not None:
        raise StrategyError(f"{where} has no range to search; list its values.")
    low, high, step = given.low, given.high, given.step
    if parameter.kind is int:
        low, high, step = math.ceil(low), math.floor(high), 1 if step is None else step
        if low > high or step != int(step):
            raise StrategyError(
                f"{where}: between({given.low:g}, {given.high:g}, step={step:g}) gives no whole numbers; "
                "give whole bounds and a whole step."
            )
    made = Span(parameter.name, parameter.kind, low, high, step, given.log)
    for value in (low, high) if made.count is None else made.at(np.array([0, made.count - 1])).tolist():
        parameter.check(value, strategy)
    return made
