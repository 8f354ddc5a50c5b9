"""`BacktestResult`: a record of a backtest that can plot, report and save itself; no simulation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd

from workbench.fills.record import BacktestRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from workbench.overfitting import Honesty
    from workbench.report.surface import SweptSurface
    from workbench.report.tearsheet import Tearsheet

__all__ = ["BacktestResult"]


class Saver(Protocol):
    """Where results are stored: a `Workbench`."""

    @property
    def save(self) -> Callable[..., dict[str, int]]:
        """Store a result; rows inserted or updated, by table."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class BacktestResult(BacktestRecord):
    """What became of the cash: a `BacktestRecord`, with pictures, the report and the way to the database."""

    def plot(self, benchmark: pd.Series[float] | None = None) -> Figure:
        """Equity and drawdown as an interactive picture: `workbench.report.equity_figure`."""
        from workbench.report import equity_figure

        return equity_figure(self, benchmark)

    def report(
        self,
        *,
        bars: pd.DataFrame | None = None,
        honesty: Honesty | None = None,
        sweep: SweptSurface | None = None,
        title: str | None = None,
        currency: str | None = None,
    ) -> Tearsheet:
        """The whole report: `workbench.report.tearsheet.tearsheet`."""
        from workbench.report.tearsheet import tearsheet

        return tearsheet(self, bars=bars, honesty=honesty, sweep=sweep, title=title, currency=currency)

    @classmethod
    def from_vectorbt(cls, portfolio: Any, bars: pd.DataFrame, **options: Any) -> BacktestResult:
        """A result of any `vectorbt.Portfolio`: `workbench.backtest.with_vectorbt.from_vectorbt`."""
        from workbench.backtest.with_vectorbt import from_vectorbt

        return from_vectorbt(cls, portfolio, bars, **options)

    def to_vectorbt(self, bars: pd.DataFrame) -> Any:
        """The same fills as a `vectorbt.Portfolio`: `workbench.backtest.with_vectorbt.to_vectorbt`."""
        from workbench.backtest.with_vectorbt import to_vectorbt

        return to_vectorbt(self, bars)

    def save(self, wb: Saver, strategy_id: str | None = None, **options: Any) -> dict[str, int]:
        """Store it: `wb.save(self, strategy_id=strategy_id, **options)`.

        Parameters
        ----------
        wb : Workbench
        strategy_id : str, optional
            What the strategy is known by. Default: made of the strategy's name.
        **options
            As `Workbench.save` takes them.

        Returns
        -------
        dict
            Rows inserted or updated, by table.
        """
        return wb.save(self, strategy_id=strategy_id, **options)

    def __repr__(self) -> str:
        from workbench.drawing.wording import percent, ratio, signed_percent, trades

        m = self.metrics
        return (
            f"<BacktestResult {self.name!r}: {', '.join(self.symbols[:5])}{', …' * (len(self.symbols) > 5)}, "
            f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}, "
            f"return {signed_percent(m['total_return'])}, "
            f"Sharpe {ratio(m['sharpe_ratio'])}, max drawdown {percent(m['max_drawdown'])}, "
            f"trades {trades(m['total_trades'], m['open_trades'])}>"
        )

    def _repr_html_(self) -> str:
        from workbench.report import summary_html

        return summary_html(self)
