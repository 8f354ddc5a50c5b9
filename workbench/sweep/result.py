"""`SweepResult`: a sweep's rows, read from disk on demand, and any variant as a full backtest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.backtest.engine import backtest
from workbench.backtest.result import BacktestResult
from workbench.errors import SweepError
from workbench.fills.execution import Rules
from workbench.fills.record import BacktestRecord
from workbench.home.temporary import TemporaryFolder
from workbench.signals.decisions import Decisions, Targets
from workbench.signals.signals import Signals, Weights
from workbench.sweep.cells import CellBars, dividends_of
from workbench.sweep.chunk import arrays_of, curves_of, decide
from workbench.sweep.compare_backtest import differences, require_same
from workbench.sweep.estimate import Estimate
from workbench.sweep.job import Job
from workbench.sweep.store import METRICS, PartStore
from workbench.sweep.totals import Totals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["SweepResult"]


class SweepResult:
    """All variants of a sweep; returned by `workbench.sweep`.

    Rows are numbered by symbol, then period, then variant. The metrics' conventions are those of
    `workbench.metrics`.

    Attributes
    ----------
    strategy : str
    objective : str
        The metric to rank variants by.
    n_variants : int
        Number of rows: parameters × symbols × periods.
    n_failed : int
        Rows for which the strategy raised.
    sharpe_variance : float
        Variance (ddof=1) of the Sharpe ratios per bar; an input of the deflated Sharpe ratio.
    execution : Execution
        The execution rules.
    facts : mapping
        Everything that determines the rows: strategy, code, search, bars, execution, symbols and periods, as
        JSON types.
    estimate : Estimate, optional
        The estimate made before the run; None if every row was already stored.
    seconds : float
        How long it took.
    """

    def __init__(
        self,
        job: Job,
        store: PartStore,
        totals: Totals,
        estimate: Estimate | None,
        *,
        seconds: float,
        temporary: TemporaryFolder | None,
    ) -> None:
        self._job, self._store, self._totals = job, store, totals
        self.strategy = job.plan.strategy.name
        self.objective, self.facts = job.objective, job.facts
        self.execution = job.plan.execution
        self.estimate, self.seconds = estimate, seconds
        self.n_variants, self.n_failed = totals.rows, totals.failed
        self.sharpe_variance = totals.sharpe_variance
        self._temporary = temporary  # deleted with this object

    def __len__(self) -> int:
        return self.n_variants

    @property
    def rules(self) -> Rules:
        """The execution rules as keyword arguments: ``backtest(bars, strategy, **found.rules)``."""
        return cast(Rules, dict(vars(self._job.plan.execution)))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per variant, by its number: symbol, period, the parameters, the metrics, and `error`.

        Metrics are NaN where undefined, and where the strategy raised; `error` then holds the exception.
        """
        import pyarrow as pa

        parts = list(self._store.tables())
        numbers = np.concatenate([np.arange(start, start + table.num_rows) for start, table in parts])
        return self._labelled(pa.concat_tables([table for _, table in parts]), numbers)

    def best(self, n: int = 10, by: str | None = None, *, lowest: bool = False) -> pd.DataFrame:
        """The `n` best variants, best first: rows of `frame`.

        Parameters
        ----------
        n : int
        by : str, optional
            A metric. Default: `objective`. Variants without a finite value of it are left out.
        lowest : bool
            Whether lower is better.
        """
        metric = self._metric(by)
        values, numbers = np.empty(0), np.empty(0, dtype=np.int64)
        for start, table in self._store.tables([metric]):
            found = table[metric].to_numpy()
            defined = np.flatnonzero(np.isfinite(found))
            values = np.concatenate([values, found[defined]])
            numbers = np.concatenate([numbers, start + defined])
            # Ties go to the lower number.
            kept = np.lexsort((numbers, values if lowest else -values))[:n]
            values, numbers = values[kept], numbers[kept]
        return self._rows(numbers)

    def differences(self, result: BacktestRecord) -> dict[str, tuple[Any, Any]]:
        """The differences between a backtest and this sweep; a report with both would mislead.

        Parameters
        ----------
        result : BacktestResult or its record

        Returns
        -------
        dict
            (backtest's value, sweep's value) by name: strategy, symbols, or a rule such as fees or size;
            `total_return` if only the returns differ, over the same time range with the same parameters.
            Empty if they match; their bars may differ.
        """
        return differences(result, self._job, lambda: self.frame)

    def require_same(self, result: BacktestRecord) -> None:
        """Refuse a backtest that differs from this sweep.

        Raises
        ------
        SweepDiffers
            Names each difference with both values, and the call for a matching sweep.
        """
        require_same(result, self.differences(result))

    @property
    def parameters(self) -> list[str]:
        """The columns of `frame` that identify a variant: symbol, period, and the strategy's parameters."""
        columns = [str(name) for name in self.frame.columns]
        return columns[: columns.index(METRICS[0])]

    def variant(self, number: int) -> dict[str, Any]:
        """The strategy's parameters in one row, as Python values."""
        row = self._rows(np.array([number]))
        kinds = self._job.plan.strategy.parameters
        return {name: kind.kind(row[name].iloc[0]) for name, kind in kinds.items()}

    def backtest(self, number: int) -> BacktestResult:
        """One row as a full backtest, with the same metrics; it is not counted as another trial.

        Parameters
        ----------
        number : int
            The row's number in `frame`.
        """
        plan, parameters = self._job.plan, self.variant(number)
        prepared = plan.bars_of(number // plan.size)
        rules: Any = dict(vars(plan.execution))
        rules |= {"dividends": dividends_of(plan.dividends, prepared.traded.symbols), "count_trial": False}
        if prepared.is_whole:
            return backtest(prepared.bars, plan.strategy, parameters=parameters, **rules)
        decisions = _cut(prepared, decide(plan, prepared, parameters))
        made = backtest(_traded(prepared), decisions, name=plan.strategy.name, **rules)
        return replace(made, strategy=plan.strategy.name, parameters=parameters)

    def returns(self, numbers: Sequence[int] | slice = slice(None)) -> pd.DataFrame:
        """Returns per bar, as the overfitting tests need them.

        Parameters
        ----------
        numbers : sequence of int or slice
            Row numbers of `frame`. Default: all, which takes ``8 * n_bars * n_variants`` bytes.

        Returns
        -------
        DataFrame of float64, shape (n_bars, n_numbers)
            By timestamp; one column per row, by its number. NaN where the row's symbol or period has no bar,
            and where the strategy raised.
        """
        plan = self._job.plan
        if isinstance(numbers, slice):
            numbers = range(self._job.rows)[numbers]
        wanted = np.asarray(numbers, dtype=np.int64)
        rows = self._rows(wanted)
        names = list(plan.strategy.parameters)
        columns = []
        for cell in np.unique(wanted // plan.size).tolist():
            mine = rows[wanted // plan.size == cell]
            index = plan.bars_of(cell).traded.timestamps
            curves = curves_of(plan, cell, arrays_of(plan.strategy, mine[names]))
            before = np.concatenate([np.full((len(curves), 1), plan.execution.cash), curves[:, :-1]], axis=1)
            # With no equity left the return is 0.
            gained = np.divide(curves, before, out=np.ones_like(curves), where=~(before <= 0.0)) - 1.0
            columns.append(pd.DataFrame(gained.T, index=index, columns=mine.index))
        return pd.concat(columns, axis=1)[rows.index] if columns else pd.DataFrame()

    def heatmap(self, x: str, y: str, metric: str | None = None, **options: Any) -> Figure:
        """A metric by two parameters; see `workbench.sweep.pictures.heatmap`."""
        from workbench.sweep.pictures import heatmap

        return heatmap(self.frame, x, y, self._metric(metric), **options)

    def parallel_coordinates(self, metric: str | None = None, **options: Any) -> Figure:
        """One line per variant; see `workbench.sweep.pictures.parallel_coordinates`."""
        from workbench.sweep.pictures import parallel_coordinates

        return parallel_coordinates(self.frame, self._metric(metric), **options)

    def _metric(self, name: str | None) -> str:
        if name is not None and name not in METRICS:
            raise SweepError(f"{name!r} is not a metric of a sweep; choose one of {', '.join(METRICS)}.")
        return name or self.objective

    def _rows(self, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Some rows of `frame`, in the order given; reads only the parts that hold them."""
        import pyarrow as pa

        found, places = [], []
        for part in self._store.parts():
            start = part.start + part.skip
            inside = np.flatnonzero((numbers >= start) & (numbers < part.stop))
            if len(inside):
                found.append(self._store.read(part).take(pa.array(numbers[inside] - start)))
                places.append(inside)
        held = np.concatenate(places) if places else np.empty(0, dtype=np.int64)
        if len(held) < len(numbers):
            missing = np.setdiff1d(np.arange(len(numbers)), held)[0]
            raise SweepError(
                f"There is no variant {numbers[missing]}; the valid numbers are the index of `frame`."
            )
        if not found:
            return self.frame.iloc[:0]
        order = np.argsort(held, kind="stable")
        return self._labelled(pa.concat_tables(found).take(pa.array(order)), numbers)

    def _labelled(self, table: Any, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Rows with their symbol and period, which follow from their numbers."""
        import pyarrow as pa

        plan = self._job.plan
        together = "+".join(self._job.market.symbols) if len(self._job.market.symbols) < 4 else "all"
        cells = pa.array(numbers // plan.size)
        for place, (name, known) in enumerate(
            {
                "symbol": [cell.symbol or together for cell in plan.cells],
                "period": [cell.period or "all" for cell in plan.cells],
            }.items()
        ):
            table = table.add_column(place, name, pa.array(known, pa.string()).take(cells))
        frame: pd.DataFrame = table.to_pandas(split_blocks=True)
        frame.index = pd.Index(numbers, name="variant")
        return frame

    def __repr__(self) -> str:
        return f"<SweepResult {self.strategy!r}: {self.description}>"

    @property
    def description(self) -> str:
        """How many variants there are, how many failed, and how long it took, as text."""
        failed = f", {self.n_failed:,} of them failed" if self.n_failed else ""
        return f"{self.n_variants:,} variants{failed}, in {self.seconds:,.1f} s"

    said = description
    """The property's earlier name."""

    def _repr_html_(self) -> str:
        from workbench.sweep.sweep_card import card_html

        plan = self._job.plan
        differing = {
            name for name in ("symbol", "period") if len({getattr(cell, name) for cell in plan.cells}) > 1
        }
        return card_html(
            self.best(5),
            title=self.strategy,
            description=self.description,
            objective=self.objective,
            parameters=self._job.names,
            differing=differing,
            sharpe_deviation=float(np.sqrt(self.sharpe_variance * plan.execution.periods_per_year)),
        )


def _traded(prepared: CellBars) -> pd.DataFrame:
    """The traded bars, with all their columns."""
    times = prepared.bars.index.get_level_values(1)
    mine = prepared.bars.index.get_level_values(0).astype(str).isin(prepared.traded.symbols)
    return prepared.bars[np.asarray(times >= prepared.traded.timestamps[0]) & np.asarray(mine)]


def _cut(prepared: CellBars, decided: Decisions | Targets) -> Signals | Weights:
    """The decisions within the period, in the form that `backtest` takes."""

    def of(values: npt.NDArray[Any]) -> pd.DataFrame:
        part = values[prepared.first :][:, prepared.columns]
        return pd.DataFrame(part, index=prepared.traded.timestamps, columns=list(prepared.traded.symbols))

    if isinstance(decided, Targets):
        return Weights(of(decided.weights))
    return Signals(
        entries=of(decided.enter > 0),
        exits=of(decided.leave_long),
        short_entries=of(decided.enter < 0),
        short_exits=of(decided.leave_short),
    )
