"""The rules of filling as JSON and back: what is stored of a backtest so that it can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, cast, get_args

import numpy as np
import pandas as pd

from workbench.errors import BacktestError
from workbench.fills.execution import Execution, Rules
from workbench.fills.sizing import Percent, Size

__all__ = ["rules_from_json", "rules_to_json"]

_SIZES = {kind.__name__: kind for kind in get_args(Size)}


def rules_to_json(execution: Execution) -> dict[str, Any]:
    """All the rules by the names that `backtest` has for them, defaults included; JSON.

    A size is its kind with its own numbers: ``{"kind": "Percent", "fraction": 0.5}``; null is the default.
    Of a frame of fractions it is what that is known by: ``{"kind": "Percent", "per_bar": {"sha256": …}}``.
    """
    said = {name: _plain(value) for name, value in vars(execution).items()}
    return {**said, "size": None if execution.size is None else _size_as_json(execution.size)}


def rules_from_json(stored: Mapping[str, Any]) -> Rules:
    """Stored rules as keyword arguments of `backtest`, `sweep` and `validate`.

    Parameters
    ----------
    stored : mapping
        As `rules_to_json` made them: `rules` of a row of `strategies`. Rules that it does not name take their
        defaults.

    Raises
    ------
    BacktestError
        There is a rule, a size or a value that this version does not know; or the size was a frame, which is
        not kept.

    Examples
    --------
    >>> row = wb.strategy_engine.load_strategies("sma-cross").iloc[0]        # doctest: +SKIP
    >>> backtest(bars, sma_cross, parameters=row["inputs"]["parameters"],
    ...          **rules_from_json(row["rules"]))                            # doctest: +SKIP
    """
    known = {rule.name for rule in fields(Execution)}
    strange = [name for name in stored if name not in known]
    if strange:
        raise BacktestError(
            f"rules: there is no rule {strange[0]!r} in this version; it has {', '.join(sorted(known))}."
        )
    made = dict(stored)
    if made.get("size") is not None:
        made["size"] = _size(made["size"])
    Execution(**made)
    return cast(Rules, made)


def _size_as_json(size: Size) -> dict[str, Any]:
    kind = type(size).__name__
    if not isinstance(size, Percent) or isinstance(size.fraction, float):
        return {"kind": kind, **{name: _plain(value) for name, value in asdict(size).items()}}
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


def _size(said: Any) -> Size:
    numbers = dict(said) if isinstance(said, Mapping) else {}
    if "per_bar" in numbers:
        raise BacktestError(
            "rules: this size was a frame of fractions, of which only a fingerprint is kept; make the frame "
            "again, and pass it: {**rules, 'size': Percent(frame)}."
        )
    kind = _SIZES.get(str(numbers.pop("kind", None)))
    try:
        if kind is not None:
            return cast(Size, kind(**numbers))
    except TypeError:
        # Numbers that this kind does not have: told below.
        pass
    raise BacktestError(f"rules: {said!r} is no size in this version; there are {', '.join(_SIZES)}.")


def _plain(value: Any) -> Any:
    """A NumPy scalar as the number that it is."""
    return value.item() if hasattr(value, "item") else value
