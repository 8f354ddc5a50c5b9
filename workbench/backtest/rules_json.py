"""The rules of filling as JSON and back: what is stored of a backtest so that it can be run again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast, get_args

from workbench.backtest.execution import Execution, Rules
from workbench.backtest.sizing import Size
from workbench.errors import BacktestError

__all__ = ["rules_from_json", "rules_to_json"]

_SIZES = {kind.__name__: kind for kind in get_args(Size)}


def rules_to_json(execution: Execution) -> dict[str, Any]:
    """All the rules by the names that `backtest` has for them, defaults included; JSON.

    A size is its kind with its own numbers: ``{"kind": "Percent", "fraction": 0.5}``; null is the default. No
    rule is left out, and there is none that JSON cannot say.
    """
    said = {name: _plain(value) for name, value in vars(execution).items()}
    if execution.size is not None:
        numbers = {name: _plain(value) for name, value in vars(execution.size).items()}
        said["size"] = {"kind": type(execution.size).__name__, **numbers}
    return said


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
        There is a rule, a size or a value that this version does not know.

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


def _size(said: Any) -> Size:
    numbers = dict(said) if isinstance(said, Mapping) else {}
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
