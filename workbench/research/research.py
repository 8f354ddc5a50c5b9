"""`Research`: the facet behind `wb.research`: sweep, judge, report, save."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from workbench.display.face import Face
from workbench.research import rows
from workbench.research.kinds import Kind, kind_of, require_options
from workbench.research.saying import keep_decided, said_by
from workbench.runs.rehearsing import note_figures

if TYPE_CHECKING:
    import pandas as pd

    from workbench.backtest import BacktestResult, Strategy
    from workbench.db.frames import Written
    from workbench.overfitting import Honesty
    from workbench.report import Tearsheet
    from workbench.session import Session
    from workbench.sweep import SweepResult
    from workbench.validation import ValidationResult

__all__ = ["Research"]


class Research(Face):
    """What is done with strategies and their results.

    Parameters
    ----------
    session : Session
        Where trials are counted and results are stored.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def sweep(
        self, strategy: Strategy, bars: pd.DataFrame, grid: Any = None, /, **options: Any
    ) -> SweepResult:
        """Backtest many variants of a strategy, resumable: `workbench.sweep` with this home's store.

        A sweep that was killed goes on where it stopped when it is called again in the same way. Every
        variant counts as a trial of the strategy.

        Parameters
        ----------
        strategy : Strategy
        bars : DataFrame
            Tidy bars.
        grid : mapping, Grid, Random or Bayesian
            What to search: ``{"fast": range(5, 50, 5), "slow": [100, 200]}``.
        **options
            As `workbench.sweep` takes them: symbols, periods, fees, cluster, seed, … To sweep by the rules of
            a backtest, pass ``**result.rules``.

        Examples
        --------
        >>> found = wb.sweep(sma_cross, bars, {"fast": range(5, 50, 5), "slow": range(60, 210, 10)})
        >>> found.heatmap("fast", "slow")
        """
        from workbench.home.temporary import temporaries_in
        from workbench.sweep import sweep

        home = self._session.settings.home
        options.setdefault("store", home / "sweeps")
        with temporaries_in(home):
            found = sweep(strategy, bars, grid, **options)
        self._session.store_trials()
        return found

    def honesty(
        self,
        result: BacktestResult | ValidationResult,
        *,
        pbo: float | None = None,
        spa: float | None = None,
    ) -> Honesty:
        """How likely a result is luck, given everything that was ever tried of its strategy here.

        Parameters
        ----------
        result : BacktestResult or ValidationResult
        pbo, spa : float, optional
            From `probability_of_overfitting` and `reality_check`; they join the sentence.

        Returns
        -------
        Honesty
            Its `sentence` says it in one line; trials are those of `wb.trials.count(…)`.
        """
        count = self._session.trials.count(rows.counted_under(result))
        honesty = rows.honesty_of(result, count, pbo=pbo, spa=spa)
        # For the floors of a promotion: no table has these figures.
        note_figures({"deflated_sharpe_ratio": honesty.dsr, "probability_of_overfitting": pbo})
        return honesty

    def tearsheet(
        self,
        result: BacktestResult,
        *,
        bars: pd.DataFrame | None = None,
        sweep: SweepResult | None = None,
        title: str | None = None,
    ) -> Tearsheet:
        """The report of a backtest, with the trials of every run and notebook in its honesty section.

        Amounts have the setting `currency` behind them, if there is one.

        Parameters
        ----------
        result : BacktestResult
        bars : DataFrame, optional
            What it was run on, to draw the trades on the price.
        sweep : SweepResult, optional
            What it was chosen from, to draw the surface of its parameters.
        title : str, optional
            Default: the result's name.

        Raises
        ------
        SweepDiffers
            The sweep is of another strategy, of other symbols or by other rules; the error names them.
        """
        return result.report(
            bars=bars,
            honesty=self.honesty(result),
            sweep=sweep,
            title=title,
            currency=self._session.settings.currency,
        )

    def save(
        self,
        result: object,
        *,
        strategy_id: str | None = None,
        bars: pd.DataFrame | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        status: str | None = None,
        report: bool | None = None,
        sweep: SweepResult | None = None,
        periods_per_year: float | None = None,
        live: bool | None = None,
    ) -> dict[str, int]:
        """Store a result of research: a backtest, a sweep, a validation or a vectorbt portfolio.

        A backtest, and a portfolio as one: the strategy with its rules of filling and what was traded, its
        signals, daily performance, every figure and the report. What was decided at the newest bar is stored
        as `pending`. A sweep: what was searched and its best variants, in `analytics_cache` under
        ``sweep/<strategy_id>``, and the report of the best one. A validation: its out-of-sample record as a
        strategy of its own, with daily performance and figures.

        Saved again under the same id, its rows are brought up to date, and name the run that saved them last.

        Parameters
        ----------
        result : BacktestResult, SweepResult, ValidationResult or vectorbt.Portfolio
        strategy_id : str, optional
            What the strategy is known by. Default: of a backtest its strategy's name and symbols, of a sweep
            the strategy's name, of a validation that name and the kind of validation. A portfolio needs one.
        bars : DataFrame, optional
            What it was run on, to draw the trades on the price; not for a validation. A portfolio needs them.
        name : str, optional
            For people; of a backtest or portfolio. Default: the result's name; a portfolio's strategy_id,
            and its trial is counted under this name.
        parameters : mapping, optional
            What the strategy was run with, as JSON can say it; of a backtest or portfolio. Default: the
            result's parameters, none for a portfolio.
        status : str, optional
            "active", "inactive" (default) or "paused"; of a backtest or portfolio.
        report : bool, optional
            Whether to store the tearsheet, as a page and as a picture. Default: yes; a validation has none.
        sweep : SweepResult, optional
            What a backtest was chosen from, for its tearsheet.
        periods_per_year : float, optional
            Of a portfolio: bars in a year, for annualised figures. Default: 252.
        live : bool, optional
            Of a backtest or portfolio: False says nothing live. Default: what a live run of a deployment
            saves is said for its slot, one row a symbol that is never changed
            (`load_strategy_signals(kind="live")`), with the performance of what was said until now, for which
            `bars` are needed. A run that says otherwise than was said leaves a row of
            `signal_contradictions`.

        Returns
        -------
        dict
            Rows inserted or updated, by table.

        Raises
        ------
        SaveRefused
            It cannot be saved, or not with these options, or the run has said something else of one of the
            symbols already; nothing was stored.
        SweepDiffers
            The sweep is not of this backtest; nothing was stored.

        Examples
        --------
        >>> wb.save(result, strategy_id="sma-cross", bars=bars, sweep=found)
        >>> wb.save(portfolio, strategy_id="my-averages", bars=bars, parameters={"fast": 20, "slow": 50})
        """
        kind = kind_of(result)
        given: dict[str, Any] = {
            "strategy_id": strategy_id,
            "bars": bars,
            "name": name,
            "parameters": parameters,
            "status": status,
            "report": report,
            "sweep": sweep,
            "periods_per_year": periods_per_year,
            "live": live,
        }
        require_options(kind, given)
        options = {option: value for option, value in given.items() if value is not None}
        saves: dict[Kind, Callable[..., dict[str, Written]]] = {
            "backtest": self._save_backtest,
            "sweep": self._save_sweep,
            "validation": self._save_validation,
            "vectorbt portfolio": self._save_portfolio,
        }
        written = saves[kind](result, **options)
        return {table: count.changed for table, count in written.items()}

    def _save_backtest(
        self,
        result: BacktestResult,
        *,
        strategy_id: str | None = None,
        name: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        status: str = "inactive",
        report: bool = True,
        bars: pd.DataFrame | None = None,
        sweep: SweepResult | None = None,
        live: bool | None = None,
        weights: bool | None = None,
    ) -> dict[str, Written]:
        stored_under = rows.chosen_id(strategy_id, lambda: rows.strategy_id_of(result))
        if sweep is not None:
            sweep.require_same(result)
        chosen = dict(result.parameters if parameters is None else parameters)
        tearsheet = self.tearsheet(result, bars=bars, sweep=sweep, title=name) if report else None
        of_weights = result.of_weights if weights is None else weights
        said = said_by(
            self._session,
            result,
            live=live,
            strategy_id=stored_under,
            parameters=chosen,
            bars=bars,
            weights=of_weights,
        )
        written = rows.save_backtest(
            self._session.strategy_engine,
            self._session.analytics,
            result,
            strategy_id=stored_under,
            name=name or result.name,
            parameters=chosen,
            status=status,
            tearsheet=tearsheet,
            said=said,
        )
        if live is not False:
            keep_decided(self._session, result, strategy_id=stored_under, weights=of_weights)
        self._session.run.note_headline(rows.as_json(result.metrics))
        return written

    def _save_portfolio(
        self,
        portfolio: Any,
        *,
        strategy_id: str,
        bars: pd.DataFrame,
        name: str | None = None,
        periods_per_year: float = 252.0,
        **options: Any,
    ) -> dict[str, Written]:
        from workbench.backtest import BacktestResult

        stored_under = rows.chosen_id(strategy_id, lambda: strategy_id)
        result = BacktestResult.from_vectorbt(
            portfolio, bars, name=name or stored_under, periods_per_year=periods_per_year
        )
        # Its signals are the orders that were filled, of any size: only its weights tell what was wanted.
        return self._save_backtest(result, strategy_id=stored_under, bars=bars, weights=True, **options)

    def _save_sweep(
        self,
        sweep: SweepResult,
        *,
        strategy_id: str | None = None,
        bars: pd.DataFrame | None = None,
        report: bool = True,
    ) -> dict[str, Written]:
        stored_under = rows.chosen_id(strategy_id, lambda: sweep.strategy)
        tearsheet = None
        if report:
            best = sweep.backtest(int(sweep.best(1).index[0]))
            tearsheet = self.tearsheet(best, bars=bars, sweep=sweep)
        return rows.save_sweep(self._session.analytics, sweep, strategy_id=stored_under, tearsheet=tearsheet)

    def _save_validation(
        self, validation: ValidationResult, *, strategy_id: str | None = None
    ) -> dict[str, Written]:
        stored_under = rows.chosen_id(strategy_id, lambda: f"{validation.strategy}-{validation.kind}")
        written = rows.save_validation(
            self._session.strategy_engine, self._session.analytics, validation, strategy_id=stored_under
        )
        self._session.run.note_headline(rows.as_json(validation.metrics))
        return written
