"""The rules of filling as JSON, and back: what is stored of a backtest so that it can be made again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast

import numpy as np
import pandas as pd

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
        Numbers, booleans, text and None; the size as ``{"kind": "Percent", "fraction": 0.5}``. Of a frame of
        fractions only what it is known by and how far it reaches: ``{"kind": "Percent", "per_bar": {…}}``.
    """
    told = {field.name: getattr(execution, field.name) for field in fields(execution)}
    return {**told, "size": None if execution.size is None else _size_as_json(execution.size)}


def rules_from_json(stored: Mapping[str, Any]) -> Rules:
    """The rules that `rules_as_json` told of: ``backtest(bars, strategy, **rules_from_json(stored))``.

    Parameters
    ----------
    stored : mapping
        Any of the rules; those that are left out take their defaults.

    Raises
    ------
    BacktestError
        A rule is unknown, or has a value that no account could have; or the size was a frame, which is not
        kept.
    """
    known = [field.name for field in fields(Execution)]
    for name in stored:
        if name not in known:
            raise BacktestError(f"rules: {name!r} is no rule of filling; there are {', '.join(known)}.")
    rules = {**stored, "size": _size_from_json(stored.get("size"))}
    return cast(Rules, vars(Execution(**rules)))


def _size_as_json(size: Size) -> dict[str, Any]:
    kind = type(size).__name__
    if not isinstance(size, Percent) or isinstance(size.fraction, float):
        return {"kind": kind, **asdict(size)}
    given = size.fraction
    values = given.to_numpy()
    known = values[~np.isnan(values)]
    return {
        "kind": kind,
        "per_bar": {
            "sha256": size.sha256,
            "rows": len(given),
            "symbols": list(given.columns) if isinstance(given, pd.DataFrame) else [],
            "least": float(known.min()) if len(known) else None,
            "most": float(known.max()) if len(known) else None,
        },
    }


def _size_from_json(stored: Mapping[str, Any] | None) -> Size | None:
    if stored is None:
        return None
    if "per_bar" in stored:
        raise BacktestError(
            "rules: this size was a frame of fractions, of which only a fingerprint is kept; make the frame "
            "again, and pass it: {**rules, 'size': Percent(frame)}."
        )
    given = {name: value for name, value in stored.items() if name != "kind"}
    kind = _SIZES.get(str(stored.get("kind")))
    try:
        if kind is not None:
            return kind(**given)
    except TypeError as error:
        raise BacktestError(f"rules: {dict(stored)} is no size ({error}).") from error
    raise BacktestError(f"rules: {dict(stored)} is no size; its kind is one of {', '.join(_SIZES)}.")
