"""`Parameter` and `between`: the type, default and range of one of a strategy's parameters."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import numpy as np

from workbench.arguments import as_flag, as_number, named
from workbench.errors import BacktestError, StrategyError

__all__ = ["Parameter", "Range", "between", "read_parameter"]

_ALLOWED: dict[type, str] = {
    bool: "True or False",
    int: "a whole number",
    float: "a finite number",
    str: "text",
}
"""The types that a parameter may have, and what they allow, in words."""


@dataclass(frozen=True)
class Range:
    """The values that a parameter may have, both ends included; see `between`."""

    low: float
    high: float
    step: float | None = None
    log: bool = False


def between(low: float, high: float, *, step: float | None = None, log: bool = False) -> Range:
    """A range for `Annotated[int, between(2, 200)]`.

    Parameters
    ----------
    low, high : float
        The least and the greatest value, both allowed.
    step : float, optional
        Searches try `low`, ``low + step``, … only. Default: 1 for int; any value for float.
    log : bool
        Searches draw the logarithm uniformly, for what matters by its order of magnitude.

    Raises
    ------
    StrategyError
        The bounds are no numbers, or no range.
    """
    try:
        as_flag(log, "log")
        low, high = _bound(low, "low"), _bound(high, "high")
        step = None if step is None else _bound(step, "step")
    except BacktestError as error:
        raise StrategyError(f"between({low!r}, {high!r}): {error}") from error
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise StrategyError(f"between({low}, {high}) is no range; give a finite low that is at most high.")
    if step is not None and not 0 < step < math.inf:
        raise StrategyError(f"between({low}, {high}, step={step}): a step is above zero, and finite.")
    if log and (low <= 0 or step is not None):
        raise StrategyError(f"between({low}, {high}, log=True) needs bounds above zero and no step.")
    return Range(low, high, step, log)


def _bound(value: float, name: str) -> float:
    """An int as it is, for a range of whole numbers; another number (NumPy's, Decimal) as a plain one."""
    number = as_number(value, name, "give a finite one")
    return int(value) if isinstance(value, int | np.integer) else number


@dataclass(frozen=True)
class Parameter:
    """One parameter of a strategy.

    Attributes
    ----------
    name : str
    kind : type
        bool, int, float or str.
    default : bool, int, float or str
    range : Range, optional
        Of an int or a float.
    choices : tuple, optional
        Of a Literal: what there is to choose from.
    """

    name: str
    kind: type
    default: Any
    range: Range | None = None
    choices: tuple[Any, ...] | None = None

    def check(self, value: Any, strategy: str) -> Any:
        """The value as a plain Python one of this parameter's type (`StrategyError` where it is not)."""
        plain: Any = value.item() if isinstance(value, np.generic) else value
        if self.kind is float and type(plain) is int:
            plain = float(plain)
        if self.kind is int and type(plain) is float and plain.is_integer():
            plain = int(plain)
        right = type(plain) is self.kind and not (isinstance(plain, float) and not math.isfinite(plain))
        if right and self.choices is not None:
            right = plain in self.choices
        if right and self.range is not None:
            right = self.range.low <= plain <= self.range.high
        if not right:
            raise StrategyError(f"{strategy}: {self.name}={named(value)} is not {self._allowed()}.")
        return plain

    def _allowed(self) -> str:
        if self.choices is not None:
            return f"one of {', '.join(map(repr, self.choices))}"
        kind = {bool: "True or False", int: "a whole number", float: "a finite number", str: "text"}[
            self.kind
        ]
        return kind if self.range is None else f"{kind} from {self.range.low:g} to {self.range.high:g}"

    def __str__(self) -> str:
        kind = self.kind.__name__
        if self.choices is not None:
            kind = " | ".join(map(repr, self.choices))
        elif self.range is not None:
            kind += f" {self.range.low:g}…{self.range.high:g}"
        return f"{self.name}: {kind} = {self.default!r}"


def read_parameter(argument: inspect.Parameter, hint: Any, strategy: str) -> Parameter:
    """What a function's argument says of itself.

    Raises
    ------
    StrategyError
        It is not named, has no type, a type that no parameter has, no default, or a default that is not
        allowed.
    """
    where = f"{strategy}: the parameter {argument.name}"
    if argument.kind in (argument.VAR_POSITIONAL, argument.VAR_KEYWORD, argument.POSITIONAL_ONLY):
        raise StrategyError(f"{where} has no name to give it by; name every parameter.")
    if argument.default is argument.empty:
        raise StrategyError(f"{where} has no default; give it one, as in {argument.name}: int = 20.")
    limits = None
    if get_origin(hint) is Annotated:
        hint, *extras = get_args(hint)
        limits = next((extra for extra in extras if isinstance(extra, Range)), None)
    choices = None
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        hint = type(choices[0])
    if hint not in _ALLOWED:
        raise StrategyError(
            f"{where} needs a type: int, float, bool, str or a Literal, as in {argument.name}: int = 20."
        )
    made = Parameter(argument.name, hint, argument.default, limits, choices)
    return Parameter(argument.name, hint, made.check(argument.default, strategy), limits, choices)
