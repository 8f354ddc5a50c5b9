"""`Floors`: the least that the figures which a notebook saves must reach to be promoted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from workbench.errors import PromotionRefused
from workbench.promotion.gates.capture import Captured
from workbench.promotion.gates.cells import CellNames
from workbench.promotion.gates.result import GateResult

__all__ = ["Floors"]

_METRICS = "analytics.performance_metrics"
_BY_HAND = 'or write it by hand: wb.analytics.write_performance_metrics(…), metric "{0}"'
# The figure, whether it must be at least the floor, and how a notebook saves it.
_FIGURES: Mapping[str, tuple[str, bool, str]] = {
    "min_dsr": (
        "deflated_sharpe_ratio",
        True,
        f"wb.save(result) computes it for its report, {_BY_HAND.format('deflated_sharpe_ratio')}",
    ),
    "max_pbo": (
        "probability_of_overfitting",
        False,
        "pass it on: wb.research.honesty(result, pbo=probability_of_overfitting(…).pbo), "
        + _BY_HAND.format("probability_of_overfitting"),
    ),
    "min_trades": ("total_trades", True, "wb.save(result) saves it"),
    "max_drawdown": ("max_drawdown", False, "wb.save(result) saves it"),
}


@dataclass(frozen=True)
class Floors:
    """What the figures must reach; None: no floor.

    Attributes
    ----------
    min_dsr : float or None
        The least deflated Sharpe ratio, a probability in [0, 1].
    max_pbo : float or None
        The highest probability of backtest overfitting, in [0, 1].
    min_trades : int or None
        The fewest closed trades.
    max_drawdown : float or None
        The deepest drawdown, as a fraction in (0, 1]: 0.25 is a quarter of the highest equity so far.
    """

    min_dsr: float | None = None
    max_pbo: float | None = None
    min_trades: int | None = None
    max_drawdown: float | None = None

    def check(self) -> None:
        """Refuse floors that no figure could be held against.

        Raises
        ------
        PromotionRefused
        """
        for name, value in self._given():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise PromotionRefused(f"{name}={value!r} is no number; give one, or leave it out")
            most = float("inf") if name == "min_trades" else 1.0
            if not 0.0 <= value <= most or (name == "max_drawdown" and value == 0.0):
                between = {
                    "min_trades": "a number of trades, 0 or more",
                    "max_drawdown": "a fraction above 0 and at most 1, as 0.25 for 25 %",
                }.get(name, "a probability from 0 to 1")
                raise PromotionRefused(f"{name}={value!r}: give {between}")

    def passed(self, captured: Captured, cells: CellNames) -> GateResult:
        """Whether every figure of its kind that the notebook saves reaches its floor."""
        if not self._given():
            return GateResult("floors", "not applicable", 0.0, "no floor was given")
        missed, reached = list[str](), list[str]()
        kept: dict[str, Any] = {}
        for name, floor in self._given():
            figure, at_least, how = _FIGURES[name]
            found = _values(captured, figure, cells)
            kept[name] = {"floor": floor, "figures": [value for _, value in found]}
            if not found:
                missed.append(f"{name}={floor:g}: the notebook saves no {figure}; {how}")
                continue
            where, worst = (min if at_least else max)(found, key=lambda one: one[1])
            # NaN, a figure that is not defined, reaches no floor.
            fine = worst >= floor if at_least else worst <= floor
            undefined = [place for place, value in found if value != value]
            if undefined:
                where, worst, fine = undefined[0], float("nan"), False
            asked = f"{'at least' if at_least else 'at most'} {floor:g} was asked for"
            (reached if fine else missed).append(f"{figure} is {worst:g} ({where}), and {asked}")
        said = "; ".join(missed or reached)
        return GateResult("floors", "failed" if missed else "passed", 0.0, said, kept)

    def _given(self) -> list[tuple[str, float]]:
        return [(name, value) for name, value in vars(self).items() if value is not None]


def _values(captured: Captured, figure: str, cells: CellNames) -> Sequence[tuple[str, float]]:
    """Where each value of a figure was saved, and the value; drawdowns as positive numbers."""
    rows = captured.rows[_METRICS]
    rows = rows[rows["metric"] == figure]
    values = pd.to_numeric(rows.get("value", pd.Series(dtype="float64")), errors="coerce")
    found: list[tuple[str, Any]] = [
        (f"strategy {strategy}, {cells.name(int(cell))}", float(value))
        for strategy, cell, value in zip(rows["strategy"], rows["cell"], values, strict=True)
    ]
    if not found:
        found = [("as computed", float(one[figure])) for one in captured.figures if figure in one]
    return [(where, abs(value)) for where, value in found] if figure == "max_drawdown" else found
