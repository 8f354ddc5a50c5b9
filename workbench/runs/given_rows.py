"""What `why` is given, as rows: a row or frame of a loader, a mapping, or the id of a run or a row."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.errors import QueryError
from workbench.tables.analytics import performance_metrics, reports
from workbench.tables.execution import orders, positions, trades
from workbench.tables.strategy_engine import strategies, strategy_performance, strategy_signals

__all__ = ["MOST_ROWS", "GivenRow", "TracedTable", "given_rows", "row_named"]

MOST_ROWS = 10_000
"""So many rows are explained at once."""


@dataclass(frozen=True)
class TracedTable:
    """A table whose rows can be explained.

    Attributes
    ----------
    table : Table
    known_by : tuple of str
        The columns by which a row of it is known from those of others.
    named : str
        A row in words, a format of its columns.
    name : str or None
        The column that is a row's name, if it has one.
    """

    table: sa.Table
    known_by: tuple[str, ...]
    named: str
    name: str | None = None


TRACED = (
    TracedTable(
        strategy_signals, ("signal_id", "signal"), "{signal} of {symbol} ({strategy_id})", "signal_id"
    ),
    TracedTable(
        strategy_performance, ("strategy_id", "date", "returns"), "performance of {strategy_id} on {date}"
    ),
    TracedTable(strategies, ("strategy_id", "name", "status"), "strategy {strategy_id}"),
    TracedTable(trades, ("trade_id", "executed_at"), "trade {trade_id} in {symbol}", "trade_id"),
    TracedTable(orders, ("order_id", "order_type"), "order {order_id}: {side} {symbol}", "order_id"),
    TracedTable(positions, ("account_id", "symbol", "avg_price"), "position of {account_id} in {symbol}"),
    TracedTable(performance_metrics, ("metric", "period_end"), "{metric} of {strategy}"),
    TracedTable(reports, ("report_id", "format"), "report {report_id}", "report_id"),
)
"""Every such table."""


@dataclass(frozen=True)
class GivenRow:
    """A row that is to be explained.

    Attributes
    ----------
    run_id : UUID or None
        None: it was saved outside of any run.
    of : TracedTable or None
        None: a run by itself, or a mapping that is no row of a table.
    facts : mapping
        The row's columns.
    """

    run_id: uuid.UUID | None
    of: TracedTable | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str | None:
        """The table's full name."""
        return None if self.of is None else str(self.of.table)

    @property
    def is_live(self) -> bool:
        """Whether it was said live, and is kept as it was said."""
        return self.facts.get("kind") == "live"

    def told(self) -> str:
        """In words: "buy of AAPL (mine) at 2026-11-27"; empty for no row of a table."""
        if self.of is None:
            return ""
        short = {name: _short(value) for name, value in self.facts.items()}
        words = self.of.named.format_map(_Missing(short))
        if self.of.table is strategy_signals:
            at = short.get("slot") if self.is_live else short.get("timestamp")
            words += f" {'live for' if self.is_live else 'at'} {at}" if at else ""
        return words


class _Missing(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "?"


def _short(value: Any) -> str:
    if isinstance(value, pd.Timestamp):
        return "" if pd.isna(value) else f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00")
    return str(value)


def given_rows(given: object) -> list[GivenRow]:
    """The rows that are meant, at least one.

    Raises
    ------
    QueryError
        It is no row, has no column `run_id`, is empty, or has more than 10,000 rows.
    """
    if isinstance(given, uuid.UUID):
        return [GivenRow(given)]
    if isinstance(given, pd.DataFrame):
        if given.empty:
            raise QueryError("the frame has no rows, so there is nothing to explain; load some first")
        if len(given) > MOST_ROWS:
            raise QueryError(
                f"the frame has {len(given):,} rows, and at most {MOST_ROWS:,} are explained at once; choose "
                "some, e.g. frame.tail(20)"
            )
        flat = given.reset_index() if any(name is not None for name in given.index.names) else given
        return [_row({str(name): value for name, value in row.items()}) for row in flat.to_dict("records")]
    if isinstance(given, pd.Series | Mapping):
        return [_row({str(name): value for name, value in given.items()})]
    raise QueryError(
        f"{type(given).__name__} is nothing that can be explained: give a row or frame from a load_… of "
        "signals, performance, orders, trades, figures or reports, or the id of a run or signal"
    )


def row_named(connection: sa.Connection, name: str) -> GivenRow | None:
    """The signal, order, trade or report of that id; None if there is none."""
    for of in TRACED:
        if of.name is None:
            continue
        columns = [column for column in of.table.columns if column.name not in ("content", "file")]
        found = connection.execute(sa.select(*columns).where(of.table.c[of.name] == name)).mappings().first()
        if found is not None:
            return _row({key: _as_loaded(value) for key, value in found.items()})
    return None


def _as_loaded(value: Any) -> Any:
    return pd.Timestamp(value).tz_convert("UTC") if getattr(value, "tzinfo", None) is not None else value


def _row(facts: Mapping[str, Any]) -> GivenRow:
    if "run_id" not in facts:
        told = ", ".join(list(facts)[:8])
        more = (
            "; bars are of no run: wb.runs.of(series='yahoo/AAPL') lists the runs that read a series"
            if {"open", "high", "low", "close"} <= facts.keys()
            else ""
        )
        raise QueryError(
            f"the row has no column run_id, only {told}, so nothing says which run saved it{more}"
        )
    of = next((one for one in TRACED if facts.keys() >= set(one.known_by)), None)
    return GivenRow(_run_id(facts["run_id"]), of, facts)


def _run_id(value: Any) -> uuid.UUID | None:
    if value is None or (not isinstance(value, str | uuid.UUID) and pd.isna(value)):
        return None
    try:
        return uuid.UUID(str(value))
    except ValueError as error:
        raise QueryError(
            f"run_id={value!r} is not a run's whole id; wb.why({str(value)!r}) finds it"
        ) from error
