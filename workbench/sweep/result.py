"""`SweepResult`: what a sweep found, read from disk when asked, and any variant as a whole backtest."""

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
from workbench.sweep.beside import differences, require_same
from workbench.sweep.chunk import arrays_of, curves_of, decide
from workbench.sweep.estimate import Estimate
from workbench.sweep.job import Job
from workbench.sweep.stage import Stage, dividends_of
from workbench.sweep.store import METRICS, PartStore
from workbench.sweep.totals import Totals

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["SweepResult"]


class SweepResult:
    """All variants of a sweep; made by `workbench.sweep`.

    Rows are numbered by symbol, then period, then variant. Conventions of the figures are those of
    `workbench.metrics`.

    Attributes
    ----------
    strategy : str
    objective : str
        The metric by which variants are ranked.
    n_variants : int
        How many rows there are: parameters × symbols × periods.
    n_failed : int
        In how many of them the strategy raised.
    sharpe_variance : float
        Variance (ddof=1) of the Sharpe ratios per bar, which the deflated Sharpe ratio asks for.
    execution : Execution
        The rules of filling.
    facts : mapping
        What decides every row: strategy, code, search, bars, execution, symbols and periods; JSON.
    estimate : Estimate, optional
        What was expected; None where every row was stored already.
    seconds : float
        What it took.
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
        self._temporary = temporary  # goes with this object

    def __len__(self) -> int:
        return self.n_variants

    @property
    def rules(self) -> Rules:
        """The rules of filling, as keyword arguments: ``backtest(bars, strategy, **found.rules)``."""
        return cast(Rules, dict(vars(self._job.plan.execution)))

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row a variant, by its number: symbol, period, the parameters, the metrics, and `error`.

        The metrics are NaN where they are not defined, and where the strategy raised; `error` then says what.
        """
        import pyarrow as pa

        parts = list(self._store.tables())
        numbers = np.concatenate([np.arange(start, start + table.num_rows) for start, table in parts])
        return self._labelled(pa.concat_tables([table for _, table in parts]), numbers)

    def best(self, n: int = 10, by: str | None = None, *, lowest: bool = False) -> pd.DataFrame:
        """The best variants, the best one first: rows of `frame`.

        Parameters
        ----------
        n : int
        by : str, optional
            A metric. Default: `objective`. Variants without a finite value of it are left out.
        lowest : bool
            Whether less is better.
        """
        metric = self._metric(by)
        values, numbers = np.empty(0), np.empty(0, dtype=np.int64)
        for start, table in self._store.tables([metric]):
            found = table[metric].to_numpy()
            defined = np.flatnonzero(np.isfinite(found))
            values = np.concatenate([values, found[defined]])
            numbers = np.concatenate([numbers, start + defined])
            # Of equal ones the first.
            kept = np.lexsort((numbers, values if lowest else -values))[:n]
            values, numbers = values[kept], numbers[kept]
        return self._rows(numbers)

    def differences(self, result: BacktestRecord) -> dict[str, tuple[Any, Any]]:
        """In what a backtest is of something else than this sweep; a report with both would mislead.

        Parameters
        ----------
        result : BacktestResult or its record

        Returns
        -------
        dict
            By name (strategy, symbols, a rule such as fees or size) what the backtest has and what the sweep
            has; `total_return` where only the figures differ, over the same span with the same parameters.
            Empty where they go together; which bars they are of may differ.
        """
        return differences(result, self._job, lambda: self.frame)

    def require_same(self, result: BacktestRecord) -> None:
        """Refuse a backtest that is of something else than this sweep.

        Raises
        ------
        SweepDiffers
            It names each difference with both values, and the call that would make the right sweep.
        """
        require_same(result, self.differences(result))

    @property
    def parameters(self) -> list[str]:
        """The columns of `frame` that say which variant a row is: symbol, period, and the strategy's own."""
        columns = [str(name) for name in self.frame.columns]
        return columns[: columns.index(METRICS[0])]

    def variant(self, number: int) -> dict[str, Any]:
        """The parameters of one row, as the strategy takes them."""
        row = self._rows(np.array([number]))
        kinds = self._job.plan.strategy.parameters
        return {name: kind.kind(row[name].iloc[0]) for name, kind in kinds.items()}

    def backtest(self, number: int) -> BacktestResult:
        """One row as a whole backtest, with the same figures; it is not counted as another trial.

        Parameters
        ----------
        number : int
            The row's number in `frame`.
        """
        plan, parameters = self._job.plan, self.variant(number)
        stage = plan.stage(number // plan.size)
        rules: Any = dict(vars(plan.execution))
        rules |= {"dividends": dividends_of(plan.dividends, stage.traded.symbols), "count_trial": False}
        if stage.is_whole:
            return backtest(stage.bars, plan.strategy, parameters=parameters, **rules)
        said = _cut(stage, decide(plan, stage, parameters))
        made = backtest(_traded(stage), said, name=plan.strategy.name, **rules)
        return replace(made, strategy=plan.strategy.name, parameters=parameters)

    def returns(self, numbers: Sequence[int] | slice = slice(None)) -> pd.DataFrame:
        """Returns of each bar: what tests of overfitting ask for.

        Parameters
        ----------
        numbers : sequence of int or slice
            Rows of `frame`. Default: all, which takes ``8 * n_bars * n_variants`` bytes.

        Returns
        -------
        DataFrame of float64, shape (n_bars, n_numbers)
            By timestamp; one column a row, by its number. NaN where the row's symbol or period has no bar,
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
            index = plan.stage(cell).traded.timestamps
            curves = curves_of(plan, cell, arrays_of(plan.strategy, mine[names]))
            before = np.concatenate([np.full((len(curves), 1), plan.execution.cash), curves[:, :-1]], axis=1)
            # Where nothing was left there is no return to speak of.
            gained = np.divide(curves, before, out=np.ones_like(curves), where=~(before <= 0.0)) - 1.0
            columns.append(pd.DataFrame(gained.T, index=index, columns=mine.index))
        return pd.concat(columns, axis=1)[rows.index] if columns else pd.DataFrame()

    def heatmap(self, x: str, y: str, metric: str | None = None, **options: Any) -> Figure:
        """A metric by two parameters; see `workbench.sweep.pictures.heatmap`."""
        from workbench.sweep.pictures import heatmap

        return heatmap(self.frame, x, y, self._metric(metric), **options)

    def parallel_coordinates(self, metric: str | None = None, **options: Any) -> Figure:
        """One line a variant; see `workbench.sweep.pictures.parallel_coordinates`."""
        from workbench.sweep.pictures import parallel_coordinates

        return parallel_coordinates(self.frame, self._metric(metric), **options)

    def _metric(self, name: str | None) -> str:
        if name is not None and name not in METRICS:
            raise SweepError(f"{name!r} is no metric of a sweep; there are {', '.join(METRICS)}.")
        return name or self.objective

    def _rows(self, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Some rows of `frame`, in the order given, reading only the parts that hold them."""
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
            raise SweepError(f"There is no variant {numbers[missing]}; their numbers are those of `frame`.")
        if not found:
            return self.frame.iloc[:0]
        order = np.argsort(held, kind="stable")
        return self._labelled(pa.concat_tables(found).take(pa.array(order)), numbers)

    def _labelled(self, table: Any, numbers: npt.NDArray[np.int64]) -> pd.DataFrame:
        """Rows with what their numbers say of them: symbol and period."""
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
        return f"<SweepResult {self.strategy!r}: {self.said}>"

    @property
    def said(self) -> str:
        """How many variants there are, how many failed, and how long it took, in words."""
        failed = f", {self.n_failed:,} of them failed" if self.n_failed else ""
        return f"{self.n_variants:,} variants{failed}, in {self.seconds:,.1f} s"

    def _repr_html_(self) -> str:
        from workbench.sweep.card import card_html

        plan = self._job.plan
        differing = {
            name for name in ("symbol", "period") if len({getattr(cell, name) for cell in plan.cells}) > 1
        }
        return card_html(
            self.best(5),
            title=self.strategy,
            told=self.said,
            objective=self.objective,
            parameters=self._job.names,
            differing=differing,
            sharpe_deviation=float(np.sqrt(self.sharpe_variance * plan.execution.periods_per_year)),
        )


def _traded(stage: Stage) -> pd.DataFrame:
    """The bars of what is traded, as they were given."""
    times = stage.bars.index.get_level_values(1)
    mine = stage.bars.index.get_level_values(0).astype(str).isin(stage.traded.symbols)
    return stage.bars[np.asarray(times >= stage.traded.timestamps[0]) & np.asarray(mine)]


def _cut(stage: Stage, decided: Decisions | Targets) -> Signals | Weights:
    """Decisions within the period, as `backtest` takes them."""

    def of(values: npt.NDArray[Any]) -> pd.DataFrame:
        part = values[stage.first :][:, stage.columns]
        return pd.DataFrame(part, index=stage.traded.timestamps, columns=list(stage.traded.symbols))

    if isinstance(decided, Targets):
        return Weights(of(decided.weights))
    return Signals(
        entries=of(decided.enter > 0),
        exits=of(decided.leave_long),
        short_entries=of(decided.enter < 0),
        short_exits=of(decided.leave_short),
    )
