"""The rules of filling as JSON, and back: what is stored of a backtest so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast

from workbench.backtest.execution import Execution, Rules
from workbench.backtest.sizing import Fixed, Percent, Size, VolatilityTarget
from workbench.errors import BacktestError

__all__ = ["rules_as_json", "rules_from_json"]

_SIZES = {size.__name__: size for size in (Percent, Fixed, VolatilityTarget)}


def rules_as_json(execution: Execution) -> dict[str, Any]:
    """The rules as JSON can say them, by the names of `backtest`'s keyword arguments.

    Parameters
    ----------
    execution : Execution
        As of `BacktestResult.execution`.

    Returns
    -------
    dict
        Numbers, booleans, text and None; the size as ``{"kind": "Percent", "fraction": 0.5}``.
    """
    told = {field.name: getattr(execution, field.name) for field in fields(execution)}
    size = execution.size
    return {**told, "size": None if size is None else {"kind": type(size).__name__, **asdict(size)}}


def rules_from_json(stored: Mapping[str, Any]) -> Rules:
    """The rules that `rules_as_json` told of: ``backtest(bars, strategy, **rules_from_json(stored))``.

    Parameters
    ----------
    stored : mapping
        Any of the rules; those that are left out take their defaults.

    Raises
    ------
    BacktestError
        A rule is unknown, or has a value that no account could have.
    """
    known = [field.name for field in fields(Execution)]
    for name in stored:
        if name not in known:
            raise BacktestError(f"rules: {name!r} is no rule of filling; there are {', '.join(known)}.")
    rules = {**stored, "size": _size_from_json(stored.get("size"))}
    return cast(Rules, vars(Execution(**rules)))


def _size_from_json(stored: Mapping[str, Any] | None) -> Size | None:
    if stored is None:
        return None
    given = {name: value for name, value in stored.items() if name != "kind"}
    kind = _SIZES.get(str(stored.get("kind")))
    try:
        if kind is not None:
            return kind(**given)
    except TypeError as error:
        raise BacktestError(f"rules: {dict(stored)} is no size ({error}).") from error
    raise BacktestError(f"rules: {dict(stored)} is no size; its kind is one of {', '.join(_SIZES)}.")
