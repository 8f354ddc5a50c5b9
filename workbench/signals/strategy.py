"""`@strategy`: a typed function from bars and parameters to signals, with its parameters and ranges known.

Nothing is simulated here; what a strategy returns is defined in `workbench.signals.signals`.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints, overload

import pandas as pd

from workbench.arguments import named
from workbench.display.card import card_html
from workbench.errors import StrategyError
from workbench.signals.parameter import Parameter, read_parameter
from workbench.signals.signals import SignalArrays, Signals, Weights
from workbench.signals.told_rule import told_rule
from workbench.spelling import did_you_mean, near_names

__all__ = ["Strategy", "strategy"]

Rule = Callable[..., Signals | Weights]
Batch = Callable[..., SignalArrays]


@dataclass(frozen=True, eq=False, repr=False)
class Strategy:
    """A strategy: called with bars and parameters, it gives signals or weights.

    Attributes
    ----------
    name : str
        The function's name; trials are counted and rows are stored under it.
    function : callable
        ``function(bars, **parameters)``: tidy bars in, `Signals` or `Weights` out.
    parameters : mapping of str to Parameter
        Type, default and range of each, in the function's order.
    family : str
        "trend", "mean reversion", "momentum", …; empty where nobody said.
    source : str
        Where the idea was published; empty where nobody said.
    where : callable, optional
        ``where(**parameters)``: False for combinations that make no sense (a fast average that is slower).
    batched : callable, optional
        The same rule for many variants at once; see `batch`.

    Examples
    --------
    >>> sma_cross(bars, fast=20, slow=50)                            # doctest: +SKIP
    >>> backtest(bars, sma_cross, parameters={"fast": 20})           # doctest: +SKIP
    """

    name: str
    function: Rule
    parameters: Mapping[str, Parameter]
    family: str = ""
    source: str = ""
    where: Callable[..., bool] | None = None
    batched: Batch | None = None
    __doc__: str | None = field(default=None, init=False)

    def __call__(self, bars: pd.DataFrame, /, **parameters: Any) -> Signals | Weights:
        """Signals or weights on `bars`; parameters that are left out take their defaults.

        Raises
        ------
        StrategyError
            A parameter is unknown, of another type or out of its range, or the function returned neither
            `Signals` nor `Weights`.
        """
        made = self.function(bars, **self.check(parameters))
        if not isinstance(made, Signals | Weights):
            raise StrategyError(
                f"{self.name} returned a {type(made).__name__}; "
                "return Signals(entries, exits) or Weights(frame)."
            )
        return made

    @property
    def defaults(self) -> dict[str, Any]:
        """Every parameter's default."""
        return {name: parameter.default for name, parameter in self.parameters.items()}

    def check(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters with defaults filled in, as plain Python values.

        Raises
        ------
        StrategyError
            Says which parameter is wrong, and what it may be.
        """
        if not isinstance(parameters, Mapping):
            raise StrategyError(
                f"{self.name}: the parameters are {named(parameters)}; give values by name, as in "
                "{'fast': 20}."
            )
        unknown = [name for name in parameters if name not in self.parameters]
        if unknown:
            raise StrategyError(
                f"{self.name} has no parameter {unknown[0]!r}"
                f"{did_you_mean(near_names(unknown[0], self.parameters))}; "
                f"it has {', '.join(self.parameters) or 'none'}."
            )
        checked = {
            name: parameter.check(parameters[name], self.name) if name in parameters else parameter.default
            for name, parameter in self.parameters.items()
        }
        if self.where is not None and not self._asked(checked):
            shown = ", ".join(f"{name}={value!r}" for name, value in checked.items())
            rule = told_rule(self.where)
            why = f": it asks for {rule}." if rule else " (its `where` says no)."
            raise StrategyError(f"{self.name} does not allow {shown} together{why}")
        return checked

    def allows(self, parameters: Mapping[str, Any]) -> bool:
        """Whether `where` lets this combination pass; a sweep leaves out those that it does not."""
        return self.where is None or self._asked({**self.defaults, **parameters})

    def _asked(self, parameters: Mapping[str, Any]) -> bool:
        """What `where` says of these parameters."""
        assert self.where is not None
        try:
            return bool(self.where(**parameters))
        except TypeError as error:
            raise StrategyError(
                f"{self.name}: its `where` cannot be called with {', '.join(parameters)} ({error}); let it "
                "take the strategy's parameters by name, as in lambda fast, slow: fast < slow."
            ) from error

    @functools.cached_property
    def sha256(self) -> str:
        """The hash of the code (64 hex digits): another rule under the same name is another strategy."""
        digest = hashlib.sha256()
        for function in (self.function, self.where, self.batched):
            if function is not None:
                digest.update(_code_of(function))
        return digest.hexdigest()

    def batch(self, function: Batch) -> Batch:
        """Register the rule for many variants at once, which a sweep then prefers.

        The function takes `workbench.signals.inputs.BarArrays` and one array a parameter, each of shape
        (n_variants,), and returns `SignalArrays` of shape (n_variants, n_bars, n_symbols). A sweep compares
        it with the plain function on some variants before it trusts it.

        Parameters
        ----------
        function : callable
            ``function(market, **arrays) -> SignalArrays``.

        Returns
        -------
        callable
            The function as it was.
        """
        object.__setattr__(self, "batched", function)
        self.__dict__.pop("sha256", None)
        return function

    def __repr__(self) -> str:
        shown = ", ".join(str(parameter) for parameter in self.parameters.values())
        return f"<Strategy {self.name}({shown})>"

    def _repr_html_(self) -> str:
        rows = [(name, str(parameter).partition(": ")[2]) for name, parameter in self.parameters.items()]
        return card_html(self.name, rows, note=(self.__doc__ or "").strip().partition("\n")[0])


@overload
def strategy(function: Rule, /) -> Strategy: ...
@overload
def strategy(
    *,
    name: str | None = None,
    family: str = "",
    source: str = "",
    where: Callable[..., bool] | None = None,
) -> Callable[[Rule], Strategy]: ...
def strategy(
    function: Rule | None = None,
    /,
    *,
    name: str | None = None,
    family: str = "",
    source: str = "",
    where: Callable[..., bool] | None = None,
) -> Strategy | Callable[[Rule], Strategy]:
    """Make a strategy of a function.

    Its first argument is the tidy bars; every other one is a parameter and needs a type (int, float, bool,
    str or a Literal) and a default. A range stands in the type: ``Annotated[int, between(2, 200)]``.

    Parameters
    ----------
    name : str, optional
        What it is known by. Default: the function's name.
    family, source : str
        What kind of strategy it is, and where it was published.
    where : callable, optional
        ``where(**parameters)``: whether a combination makes sense.

    Raises
    ------
    StrategyError
        A parameter has no type, no default, or a default out of its range.

    Examples
    --------
    >>> @strategy(family="trend", where=lambda fast, slow: fast < slow)
    ... def sma_cross(
    ...     bars: pd.DataFrame,
    ...     fast: Annotated[int, between(2, 200)] = 20,
    ...     slow: Annotated[int, between(5, 400)] = 50,
    ... ) -> Signals:
    ...     close = panel(bars, "close")
    ...     above = close.rolling(fast).mean() > close.rolling(slow).mean()
    ...     return Signals(entries=above, exits=~above)
    """
    if function is None:
        return functools.partial(_make, name=name, family=family, source=source, where=where)
    return _make(function, name=name, family=family, source=source, where=where)


def _make(
    function: Rule, *, name: str | None, family: str, source: str, where: Callable[..., bool] | None
) -> Strategy:
    for what, given in (("a strategy", function), ("where", where)):
        if not callable(given) and not (given is None and what == "where"):
            raise StrategyError(
                f"strategy: {named(given)} is no function for {what}; write @strategy above a function, and "
                "its options by name, as in @strategy(family='trend')."
            )
    if name is not None and not isinstance(name, str):
        raise StrategyError(f"strategy: the name is {named(name)}; give text.")
    called = name or function.__name__
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except ValueError as error:
        raise StrategyError(f"{called} does not say what it takes ({error}); write a function.") from error
    if not arguments:
        raise StrategyError(f"{called} takes no bars; its first argument is the frame of bars.")
    try:
        hints = get_type_hints(function, include_extras=True)
    except NameError as error:
        raise StrategyError(f"{called}: a type of its parameters is not defined ({error}).") from error
    parameters = {
        argument.name: read_parameter(argument, hints.get(argument.name), called)
        for argument in arguments[1:]
    }
    made = Strategy(called, function, parameters, family, source, where)
    object.__setattr__(made, "__doc__", inspect.getdoc(function))
    made.check({})
    return made


def _code_of(function: Callable[..., Any]) -> bytes:
    code = getattr(function, "__code__", None)
    try:
        # What `exec` has made goes by the name under which Python 3.13 keeps the text of `python -c`.
        if code is None or code.co_filename != "<string>":
            return inspect.getsource(function).encode()
    except (OSError, TypeError):
        pass
    # Typed into a shell that keeps no source: the compiled code tells as well.
    return repr((code.co_code, code.co_consts, code.co_names) if code else function).encode()
