"""`ValidationResult`: a `ValidationRecord` with a plot and a notebook view; no simulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from workbench.validation.record import ValidationRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["ValidationResult"]


@dataclass(frozen=True, eq=False, repr=False)
class ValidationResult(ValidationRecord):
    """The out-of-sample result of a validation: a `ValidationRecord` with a plot."""

    def plot(self) -> Figure:
        """Plot the joined equity with the test spans marked, and the objective in and out of sample below.

        Returns
        -------
        plotly.graph_objects.Figure
            See `workbench.validation.figure.validation_figure`.
        """
        from workbench.validation.figure import validation_figure

        return validation_figure(self)

    def __repr__(self) -> str:
        from workbench.drawing.wording import percent, ratio, signed_percent

        m = self.metrics
        paths = f"{self.paths.shape[1]} paths, median " if self.paths.shape[1] > 1 else ""
        return (
            f"<ValidationResult {self.strategy!r}, {self.kind}: {len(self.splits)} splits, "
            f"{self.returns.index[0]:%Y-%m-%d} to {self.returns.index[-1]:%Y-%m-%d}, out of sample: "
            f"{paths}Sharpe {ratio(m['sharpe_ratio'])}, return {signed_percent(m['total_return'])}, "
            f"max drawdown {percent(m['max_drawdown'])}>"
        )

    def _repr_html_(self) -> str:
        from workbench.validation.validation_card import validation_html

        return validation_html(self)
