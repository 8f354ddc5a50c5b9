"""StrategyEngineService: strategies, their configurations, signals and daily performance, of both kinds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.db.frames import Written, take_turns
from workbench.db.pool import afterwards
from workbench.errors import WriteRefused
from workbench.events import outbox
from workbench.services.announcing import in_parts
from workbench.services.contradictions import sentence
from workbench.services.filters import Moment, Strings, as_moment, flagged, matching, of_run, span
from workbench.services.live_signals import Said, compare
from workbench.services.service import Service
from workbench.tables.strategy_engine import (
    signal_contradictions,
    strategies,
    strategy_configs,
    strategy_performance,
    strategy_signals,
)

__all__ = ["StrategyEngineService"]

_BACKTESTS = {"kind": "backtest"}
_LIVE = {"kind": "live"}


class StrategyEngineService(Service):
    """Loads and writes the tables of schema `strategy_engine`."""

    name = "strategy_engine"
    _inside = Service._inside | {"write_backtest"}

    def load_strategies(
        self,
        strategy_id: Strings | None = None,
        *,
        status: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
    ) -> pd.DataFrame:
        """Strategies with name, parameters (dict) and status (active, inactive, paused).

        Of a saved backtest, `rules` (dict) holds the rules of filling, which `rules_from_json` of
        `workbench.backtest` turns into arguments of `backtest`, and `inputs` (dict) what was traded:
        strategy, parameters, symbols, first_bar, last_bar, n_bars, dividends, benchmark. Both are empty for a
        strategy without a saved backtest. `run_id` is the run that saved it last.
        """
        return self._load(
            strategies,
            where=[
                *matching(strategies, strategy_id=strategy_id, status=status),
                *of_run(strategies.c.run_id, run_id),
            ],
            order_by=("strategy_id",),
        )

    def write_strategies(self, frame: pd.DataFrame) -> Written:
        """Write strategies. Key: strategy_id. Columns: strategy_id, name, parameters (dict), status.

        A frame of some columns, such as strategy_id and status, updates these columns of strategies that are
        stored already; their `run_id` stays.
        """
        return self._write(strategies, frame, key=("strategy_id",), partial=True)

    def load_strategy_signals(
        self,
        strategy_id: Strings | None = None,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        kind: Strings | None = None,
        deployment: Strings | None = None,
        slot: Moment | None = None,
        run_id: str | uuid.UUID | None = None,
        pending: bool | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Signals, oldest first: those of backtests, or those that were said live.

        `timestamp` is the bar at whose close the signal was known, UTC; `signal` is buy, sell or hold;
        `strength` lies between 0 and 1; `run_id` is the run that wrote it last. There are two kinds:

        - "backtest": what the last save of a strategy says of its whole history, replaced with each save.
          `pending` is True for a decision at a symbol's last bar, to be filled at the next bar.
        - "live": what a run of a deployment said for its slot, one row for each symbol, never changed:
          `deployment`, `member`, `slot` and `said_at` (UTC), `version` (SHA-256 of what was promoted),
          `target` (the wanted position as a fraction of equity, as `BacktestResult.newest` states it; NaN
          where that cannot be told), and, of a hold that nobody decided, the `reason`. Without any bar
          `timestamp` is NaT.

        Parameters
        ----------
        kind : str or list of str, optional
            "live", "backtest" or both. Default: "backtest", so that no bar comes twice; with `deployment` or
            `slot`, which backtests do not have, "live".
        deployment : str or list of str, optional
        slot : Timestamp, date or str, optional
            The moment at which the runs were due; without a time zone UTC.
        pending : bool, optional
            True: only decisions that wait for the next bar; False: only filled ones. Default: both.
        """
        table = strategy_signals
        moment = as_moment(slot, "slot")
        chosen = kind or ("backtest" if deployment is None and moment is None else "live")
        where = [
            *matching(table, strategy_id=strategy_id, symbol=symbols, kind=chosen, deployment=deployment),
            *span(table.c.timestamp, start, end),
            *of_run(table.c.run_id, run_id),
            *flagged(table.c.pending, pending, "pending"),
            *([] if moment is None else [table.c.slot == moment.to_pydatetime()]),
        ]
        said = chosen == "live" or chosen == ["live"]
        return self._load(
            table,
            where=where,
            order_by=("slot", "deployment", "member", "symbol", "id")
            if said
            else ("timestamp", "strategy_id", "symbol", "id"),
            latest=latest,
        )

    def write_strategy_signals(self, frame: pd.DataFrame) -> Written:
        """Write signals of backtests. Key: signal_id (default: made of strategy, symbol and timestamp).

        Columns: strategy_id, symbol, timestamp (timezone-aware), signal; optional: strength (default 1),
        pending (default false). Live signals are said by live runs alone, when they save a result.
        """
        if any(level is not None for level in frame.index.names):
            frame = frame.reset_index()
        _refuse_live(strategy_signals, frame)
        parts = ["strategy_id", "symbol", "timestamp"]
        if "signal_id" not in frame.columns and set(parts) <= set(frame.columns):
            frame = frame.assign(signal_id=_signal_ids(frame))
        return self._write(strategy_signals, frame, key=("signal_id",))

    def load_signal_contradictions(
        self,
        deployment: Strings | None = None,
        symbols: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        cause: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """What runs would have said differently about what had been said live, oldest first.

        `said_signal`, `said_strength`, `said_target` and `said_timestamp` (of the bar) were said for the
        slot by the run `said_run_id`; `signal`, `strength`, `target` and `timestamp` are what the run
        `run_id` said later, which changed nothing. `cause` is the first that was found in the two runs'
        records of "bars_revised", "code", "parameters" and "nondeterminism" (nothing recorded differs);
        `details` (dict) lists what differs by cause. `start` and `end` are of `created_at`.
        """
        table = signal_contradictions
        return self._load(
            table,
            where=[
                *matching(table, deployment=deployment, symbol=symbols, cause=cause),
                *span(table.c.created_at, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("created_at", "id"),
            latest=latest,
        )

    def write_signal_contradictions(self, frame: pd.DataFrame) -> Written:
        """Append contradictions; runs do it themselves when they save. They are never changed or deleted."""
        return self._write(signal_contradictions, frame)

    def load_strategy_configs(
        self, strategy_id: Strings | None = None, *, active: bool | None = None
    ) -> pd.DataFrame:
        """Configurations by strategy and version; `config` is a dict."""
        table = strategy_configs
        where = [*matching(table, strategy_id=strategy_id), *flagged(table.c.active, active, "active")]
        return self._load(table, where=where, order_by=("strategy_id", "version"))

    def write_strategy_configs(self, frame: pd.DataFrame) -> Written:
        """Write configurations. Key: (strategy_id, version)."""
        return self._write(strategy_configs, frame, key=("strategy_id", "version"))

    def load_strategy_performance(
        self,
        strategy_id: Strings | None = None,
        start: Moment | None = None,
        end: Moment | None = None,
        *,
        kind: Strings | None = None,
        deployment: Strings | None = None,
        run_id: str | uuid.UUID | None = None,
        latest: int | None = None,
    ) -> pd.DataFrame:
        """Daily performance, oldest first: that of backtests, or that of what was said live.

        `returns` is the day's simple return (0.01 is 1 %); sharpe_ratio, max_drawdown (≤ 0), total_trades
        and win_rate are those from the start to that day; NaN or NA where not yet defined. The live one of a
        deployment begins with the first day after it first said something: each signal is filled at the
        first open after it was said (`workbench.backtest.live.live_performance`).

        Parameters
        ----------
        kind : str or list of str, optional
            "live", "backtest" or both. Default: "backtest", and with `deployment` "live".
        deployment : str or list of str, optional
        """
        table = strategy_performance
        chosen = kind or ("backtest" if deployment is None else "live")
        return self._load(
            table,
            where=[
                *matching(table, strategy_id=strategy_id, kind=chosen, deployment=deployment),
                *span(table.c.date, start, end),
                *of_run(table.c.run_id, run_id),
            ],
            order_by=("date", "strategy_id", "id"),
            latest=latest,
        )

    def write_strategy_performance(self, frame: pd.DataFrame) -> Written:
        """Write daily performance of backtests. Key: (strategy_id, date)."""
        _refuse_live(strategy_performance, frame)
        return self._write(strategy_performance, frame, key=("strategy_id", "date"), among=_BACKTESTS)

    def write_backtest(
        self,
        *,
        strategy_id: str,
        name: str,
        parameters: Mapping[str, Any],
        status: str,
        signals: pd.DataFrame,
        performance: pd.DataFrame,
        rules: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        said: Said | None = None,
    ) -> dict[str, Written]:
        """Write a strategy with its signals and its daily performance in one transaction.

        All rows get the run's id, unchanged ones, too; outside of a run they get none. Signals and days of
        an earlier backtest of the strategy that this one does not have are deleted, so that what is stored is
        the last backtest. Nothing of this touches live rows.

        Parameters
        ----------
        strategy_id, name, parameters, status
            The row of `strategies`.
        signals : DataFrame
            symbol, timestamp, signal, strength; optional: pending (default false).
        performance : DataFrame
            date, returns, sharpe_ratio, max_drawdown, total_trades, win_rate.
        rules, inputs : mapping, optional
            The rules of filling and what was traded, JSON; see `load_strategies`.
        said : Said, optional
            What the run says for its slot. What was not said before is inserted as live rows; what was said
            otherwise stays, and the contradiction is a row of `signal_contradictions`.

        Returns
        -------
        dict of str to Written
            The counts by table.

        Raises
        ------
        SaveRefused
            The run itself has said something else for its slot; nothing was written.
        """
        strategy = pd.DataFrame(
            {
                "strategy_id": [strategy_id],
                "name": [name],
                "parameters": [dict(parameters)],
                "status": [status],
                "rules": [dict(rules or {})],
                "inputs": [dict(inputs or {})],
            }
        )
        signals = signals.assign(strategy_id=strategy_id)
        if "pending" not in signals.columns:
            # Without the column, rows that are stored as pending would stay so.
            signals = signals.assign(pending=False)
        signals = signals.assign(signal_id=_signal_ids(signals))
        performance = performance.assign(strategy_id=strategy_id)
        with self.pool.begin(f"writing the backtest of {strategy_id}") as connection:
            written = {
                "strategies": self._write_within(connection, strategies, strategy, key=("strategy_id",)),
                "strategy_signals": self._write_within(
                    connection, strategy_signals, signals, key=("signal_id",)
                ),
                "strategy_performance": self._write_within(
                    connection,
                    strategy_performance,
                    performance,
                    key=("strategy_id", "date"),
                    among=_BACKTESTS,
                ),
            }
            for column, kept in (
                (strategy_signals.c.signal_id, list(signals["signal_id"])),
                (strategy_performance.c.date, list(performance["date"])),
            ):
                table = column.table
                connection.execute(
                    sa.delete(table).where(
                        table.c.strategy_id == strategy_id,
                        table.c.kind == "backtest",
                        sa.not_(column == sa.any_(sa.literal(kept, sa.ARRAY(column.type)))),
                    )
                )
            run_id = self._run.run_id()
            if said is not None and run_id is not None:
                for name, count in self._say(connection, said, strategy_id, run_id).items():
                    written[name] = written.get(name, Written(0, 0, 0)) + count
        return written

    def _say(
        self, connection: sa.Connection, said: Said, strategy_id: str, run_id: uuid.UUID
    ) -> dict[str, Written]:
        """Insert what a run says for its slot and what it contradicts, with an event for each."""
        take_turns(connection, strategy_signals)
        found, attempt, written = compare(connection, said, strategy_id, run_id), said.attempt, {}
        for event, table, rows in (
            ("signals.said", strategy_signals, found.new),
            ("signals.contradicted", signal_contradictions, found.contradictions),
        ):
            if rows.empty:
                continue
            written[table.name] = self._write_within(connection, table, rows)
            for symbols in in_parts(sorted(rows["symbol"])):
                facts = {
                    "deployment": attempt.deployment,
                    "slot": pd.Timestamp(attempt.slot).isoformat(),
                    "member": attempt.member,
                    "strategy_id": strategy_id,
                    "symbols": symbols,
                    "run_id": str(run_id),
                }
                outbox.add(connection, event, self.name, facts, key=attempt.deployment)
        if said.performance is not None and attempt.is_live:
            days = said.performance.assign(
                strategy_id=strategy_id, kind="live", deployment=attempt.deployment, member=attempt.member
            )
            written[strategy_performance.name] = self._write_within(
                connection,
                strategy_performance,
                days,
                key=("deployment", "member", "strategy_id", "date"),
                among=_LIVE,
            )
        if not attempt.is_live and len(found.contradictions):
            # The rows of a rerun are undone; its record stays.
            told = found.contradictions.assign(run_id=str(run_id)).to_dict("records")
            lines = [sentence({str(name): value for name, value in row.items()}) for row in told]
            afterwards(connection, lambda: self._run.note_evidence("contradicts", lines))
        return written


def _refuse_live(table: sa.Table, frame: pd.DataFrame) -> None:
    """Refuse rows of another kind than backtests."""
    if "kind" in frame.columns and (frame["kind"] != "backtest").any():
        raise WriteRefused(
            f"{table}: only a live run says live rows, when it saves a result; leave the column 'kind' out, "
            "nothing was written"
        )


def _signal_ids(frame: pd.DataFrame) -> list[str]:
    return [
        f"{strategy}/{symbol}/{pd.Timestamp(moment).isoformat()}"
        for strategy, symbol, moment in zip(
            frame["strategy_id"], frame["symbol"], frame["timestamp"], strict=True
        )
    ]
