"""The kinds of results that can be saved, what each needs for it, and what to do with anything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from workbench.errors import SaveRefused

__all__ = ["Kind", "kind_of", "require_options"]

Kind = Literal["backtest", "sweep", "validation", "vectorbt portfolio"]

_TAKES: dict[Kind, tuple[str, ...]] = {
    "backtest": ("strategy_id", "name", "parameters", "status", "report", "bars", "sweep", "live"),
    "sweep": ("strategy_id", "report", "bars"),
    "validation": ("strategy_id",),
    "vectorbt portfolio": (
        "strategy_id",
        "bars",
        "name",
        "parameters",
        "status",
        "report",
        "periods_per_year",
        "live",
    ),
}
"""The options of a save that each kind takes."""

_INSTEAD = {
    "DataFrame": "its table's service stores it: wb.data_ingestion.write_market_data(bars, source='…')",
    "Series": "backtest what it says first: wb.save(backtest(bars, signals), strategy_id='…')",
    "Signals": "backtest them first: wb.save(backtest(bars, signals), strategy_id='…')",
    "Weights": "backtest them first: wb.save(backtest(bars, weights), strategy_id='…')",
    "Strategy": "backtest it first: wb.save(backtest(bars, strategy))",
    "Tearsheet": "it is stored with its result: wb.save(result); as a file: tearsheet.save('report.html')",
    "Honesty": "it is stored with its result, in the report: wb.save(result)",
    "Figure": "the report of a result has its figures: wb.save(result, bars=bars)",
    "dict": "save each of its results: for name, one in results.items(): wb.save(one, strategy_id=name)",
    "list": "save each of its results: for one in results: wb.save(one)",
    "tuple": "save each of its results: for one in results: wb.save(one)",
    "NoneType": "a cell that ends in an assignment or a print gives None; pass the result itself",
}
"""What to do with what is none of the kinds, by the name of its type."""


def kind_of(result: object) -> Kind:
    """Which kind of result it is.

    Raises
    ------
    SaveRefused
        It is none of them; the error says what to do instead.
    """
    from workbench.backtest import BacktestResult
    from workbench.sweep import SweepResult
    from workbench.validation import ValidationResult

    if isinstance(result, BacktestResult):
        return "backtest"
    if isinstance(result, SweepResult):
        return "sweep"
    if isinstance(result, ValidationResult):
        return "validation"
    if _is_portfolio(type(result)):
        return "vectorbt portfolio"
    name = type(result).__name__
    advice = _INSTEAD.get(name)
    raise SaveRefused(
        "wb.save takes a backtest, a sweep, a validation or a vectorbt portfolio, not an object of type "
        f"{name}{f'; {advice}' if advice else ''}"
    )


def require_options(kind: Kind, given: Mapping[str, Any]) -> None:
    """Refuse options that a kind does not take, and one that lacks what it needs.

    Parameters
    ----------
    kind : Kind
    given : mapping
        The options by name; None stands for one that was not given.

    Raises
    ------
    SaveRefused
    """
    takes = _TAKES[kind]
    strange = [name for name, value in given.items() if value is not None and name not in takes]
    if strange:
        raise SaveRefused(f"the save of a {kind} takes no {_listed(strange)}; it takes {_listed(takes)}")
    if kind != "vectorbt portfolio":
        return
    missing = [name for name in ("bars", "strategy_id") if given.get(name) is None]
    if missing:
        why = {
            "bars": "does not hold the bars that it was made on",
            "strategy_id": "has no name to store it under",
        }
        raise SaveRefused(
            f"a vectorbt portfolio {' and '.join(why[name] for name in missing)}; pass {_listed(missing)}: "
            "wb.save(portfolio, bars=bars, strategy_id='my-averages')"
        )


def _is_portfolio(kind: type) -> bool:
    """By name: one module alone imports vectorbt, which takes seconds."""
    return any(
        base.__name__ == "Portfolio" and base.__module__.partition(".")[0] == "vectorbt"
        for base in kind.__mro__
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"{name}=" for name in names)
