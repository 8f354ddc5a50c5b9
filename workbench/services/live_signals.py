"""What a run for a slot says, beside what was said of that slot before: what is new, what contradicts."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
import sqlalchemy as sa

from workbench.attempt import Attempt
from workbench.db import frames
from workbench.errors import SaveRefused
from workbench.services.contradictions import told_causes
from workbench.tables.strategy_engine import signal_contradictions, strategy_signals

__all__ = ["Compared", "Said", "compare", "with_reasons"]

_TOLERANCE = 1e-9
_COMPARED = ("timestamp", "signal", "strength", "target")


@dataclass(frozen=True, eq=False)
class Said:
    """What a run says of its slot.

    Attributes
    ----------
    attempt : Attempt
        A live one says; a rerun is compared only.
    signals : DataFrame
        One row a symbol: symbol, timestamp (of its newest complete bar, UTC; NaT: it has none), signal,
        strength, target.
    performance : DataFrame, optional
        Of what was said until now: date, returns, sharpe_ratio, max_drawdown, total_trades, win_rate.
    """

    attempt: Attempt
    signals: pd.DataFrame
    performance: pd.DataFrame | None = None


@dataclass(frozen=True, eq=False)
class Compared:
    """What a run says, as rows of `strategy_signals` and `signal_contradictions`.

    Attributes
    ----------
    new : DataFrame
        What was not said before.
    contradictions : DataFrame
    """

    new: pd.DataFrame
    contradictions: pd.DataFrame


def compare(connection: sa.Connection, said: Said, strategy_id: str, run_id: uuid.UUID) -> Compared:
    """What is new in what a run says, and what contradicts what was said already.

    Parameters
    ----------
    connection : Connection
        In a transaction that has locked `strategy_signals` against other writers.
    said : Said
    strategy_id : str
    run_id : UUID
        The run that says it.

    Raises
    ------
    SaveRefused
        The same run has said something else of a symbol, or a bar lies after the slot.
    """
    attempt = said.attempt
    rows = said.signals.assign(strategy_id=strategy_id)
    late = rows[rows["timestamp"] > attempt.slot]
    if len(late):
        first = late.iloc[0]
        raise SaveRefused(
            f"the newest bar of {first['symbol']}, {_day(first['timestamp'])}, lies after the slot "
            f"{_moment(attempt.slot)}: a live run speaks of bars that were complete then; end the bars "
            "there, or save with live=False"
        )
    rows = with_reasons(connection, attempt, rows)
    there = _said_before(connection, attempt, list(rows["symbol"]))
    different = []
    told = _contradicted(connection, run_id)
    for row in rows.to_dict("records"):
        before = there.get(row["symbol"])
        if before is None:
            continue
        own = before["run_id"] == str(run_id)
        # Another strategy of the same run would say something else some day, if not today.
        if own and (before["strategy_id"] != strategy_id or not _same(row, before)):
            raise SaveRefused(
                f"this run has said something else of {row['symbol']} for the slot {_moment(attempt.slot)}, "
                f'when it saved "{before["strategy_id"]}"; one run says one thing of a symbol: save one of '
                "the two results with live=False"
            )
        if not own and row["symbol"] not in told and not _same(row, before):
            different.append(_contradiction(attempt, row, before))
    new = rows[~rows["symbol"].isin(list(there)) & attempt.is_live]
    return Compared(_as_live(attempt, new), told_causes(connection, different, run_id))


def with_reasons(connection: sa.Connection, attempt: Attempt, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a hold and its reason where there is no bar, or none that nothing was said about."""
    table = strategy_signals
    last = frames.read(
        connection,
        sa.select(table.c.symbol, table.c.timestamp, table.c.slot)
        .where(
            table.c.kind == "live",
            table.c.deployment == attempt.deployment,
            table.c.member == attempt.member,
            table.c.symbol.in_(list(rows["symbol"])),
            table.c.slot < attempt.slot,
            table.c.reason.is_(None),
        )
        .distinct(table.c.symbol)
        .order_by(table.c.symbol, table.c.slot.desc()),
    )
    newest = {row["symbol"]: row for row in last.to_dict("records")}
    reasons: list[str | None] = []
    for symbol, time in zip(rows["symbol"], rows["timestamp"], strict=True):
        before = newest.get(symbol)
        if pd.isna(time):
            reasons.append("no bar: there was none that was complete at the slot")
        elif before is not None and time <= before["timestamp"]:
            reasons.append(
                f"no new bar since {_day(time)}: the newest complete one was said about in the slot "
                f"{_moment(before['slot'])}"
            )
        else:
            reasons.append(None)
    reason = pd.Series(reasons, index=rows.index, dtype="str")
    decided = reason.isna()
    return rows.assign(
        signal=rows["signal"].where(decided, "hold"),
        strength=rows["strength"].where(decided, 0.0),
        reason=reason,
    )


def _said_before(
    connection: sa.Connection, attempt: Attempt, symbols: list[str]
) -> dict[str, Mapping[Any, Any]]:
    """The live rows of the attempt's slot, by symbol."""
    table = strategy_signals
    names = ("symbol", "strategy_id", *_COMPARED, "run_id")
    found = frames.read(
        connection,
        sa.select(*(table.c[name] for name in names)).where(
            table.c.kind == "live",
            table.c.deployment == attempt.deployment,
            table.c.slot == attempt.slot,
            table.c.member == attempt.member,
            table.c.symbol.in_(symbols),
        ),
    )
    return {row["symbol"]: row for row in found.to_dict("records")}


def _contradicted(connection: sa.Connection, run_id: uuid.UUID) -> set[str]:
    """The symbols of which this run's contradictions are told already: one save may be made twice."""
    table = signal_contradictions
    return set(connection.execute(sa.select(table.c.symbol).where(table.c.run_id == run_id)).scalars())


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    """Whether both say the same, but for rounding."""
    for name in _COMPARED:
        if pd.isna(one[name]) or pd.isna(other[name]):
            if pd.isna(one[name]) != pd.isna(other[name]):
                return False
        elif name in ("strength", "target"):
            if abs(one[name] - other[name]) > _TOLERANCE:
                return False
        elif one[name] != other[name]:
            return False
    return True


def _as_live(attempt: Attempt, rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of `strategy_signals`; when it was said and by which version, the server writes down."""
    slot = pd.Timestamp(attempt.slot).tz_convert("UTC")
    of = "/".join(filter(None, ("live", attempt.deployment, attempt.member, slot.isoformat())))
    return rows.assign(
        signal_id=[f"{of}/{symbol}" for symbol in rows["symbol"]],
        kind="live",
        deployment=attempt.deployment,
        slot=slot,
        member=attempt.member,
    )


def _contradiction(attempt: Attempt, row: Mapping[Any, Any], before: Mapping[Any, Any]) -> dict[str, Any]:
    return {
        "deployment": attempt.deployment,
        "slot": pd.Timestamp(attempt.slot).tz_convert("UTC"),
        "member": attempt.member,
        "symbol": row["symbol"],
        **{f"said_{name}": before[name] for name in (*_COMPARED, "run_id")},
        **{name: row[name] for name in _COMPARED},
    }


def _day(moment: Any) -> str:
    """A moment, of a midnight only the date."""
    stamp = pd.Timestamp(moment).tz_convert("UTC")
    return f"{stamp:%Y-%m-%d}" if stamp == stamp.normalize() else _moment(stamp)


def _moment(moment: Any) -> str:
    return f"{pd.Timestamp(moment).tz_convert('UTC'):%Y-%m-%d %H:%M} UTC"
