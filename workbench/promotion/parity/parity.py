"""Computes the parity of a deployment; `wb.deployments.parity` has the help."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from workbench.errors import BacktestError, QueryError, WorkbenchError
from workbench.promotion.parity.causes import CAUSES, split
from workbench.promotion.parity.content import Content, ContentReader, Spoken, content_in_use
from workbench.promotion.parity.reading import (
    decided_before,
    read_runs,
    read_said,
    read_series,
    read_slots,
    revised_since,
)
from workbench.promotion.parity.result import Parity, with_meaning
from workbench.promotion.parity.rows import SeriesFacts, lay_out
from workbench.promotion.parity.why import told_why
from workbench.runs import RunStore
from workbench.runs.decisions_kept import KeptDecisions
from workbench.services.filters import Moment, as_moment
from workbench.settings import Settings

__all__ = ["parity", "window"]

MOST_SLOTS = 5_000
"""Of more, as of a deployment of each minute, the newest are compared."""
_MOST_CONFIRMED = 3
_RETURNS = ["member", "strategy_id", "backtest", "live", "difference"]


def window(days: int, since: Moment | None) -> datetime:
    """The first moment of which slots are compared, UTC.

    Raises
    ------
    QueryError
        `days` is less than 1, or `since` is no moment.
    """
    if isinstance(days, bool) or not isinstance(days, int) or days < 1:
        raise QueryError(f"days={days!r}: expected a whole number of days, 1 or more")
    moment = as_moment(since, "since")
    if moment is not None:
        return moment.to_pydatetime()
    return datetime.now(UTC) - timedelta(days=days)


def parity(
    settings: Settings,
    runs: RunStore,
    name: str,
    *,
    since: datetime,
    fresh: bool,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
) -> Parity:
    """Compare what a deployment said since a moment with what its content says today."""
    content = content_in_use(runs, name)
    with runs.pool.snapshot("reading what was said") as connection:
        slots = read_slots(connection, name, since, MOST_SLOTS + 1)
        cut = len(slots) > MOST_SLOTS
        slots = slots.tail(MOST_SLOTS).reset_index(drop=True)
        first = slots["slot"].min()
        said = read_said(connection, name, first) if len(slots) else pd.DataFrame()
        decided = decided_before(connection, name, first) if len(slots) else {}
    if slots.empty:
        return _nothing(content)
    notes = [f"only the newest {MOST_SLOTS:,} slots are compared"] if cut else []
    reader = ContentReader(settings, runs, environment, tell)
    spoken: dict[str, Spoken] = {}
    series: dict[str, SeriesFacts] = {}
    parts = []
    for member in sorted(slots["member"].unique()):
        mine = slots[slots["member"] == member]
        bounds = mine["slot"].min().to_pydatetime(), mine["slot"].max().to_pydatetime()
        spoken[member] = reader.read(content, member, *bounds, fresh=fresh)
        if not spoken[member].kept:
            notes.append(f"run {spoken[member].run_id[:8]} saved nothing that it would say live")
        with runs.pool.snapshot("reading calendars") as connection:
            series[member] = read_series(connection, spoken[member].run_id)
        of_slots = said[(said["member"] == member) & said["slot"].isin(mine["slot"])]
        parts.append(lay_out(mine, of_slots, {member: spoken[member].kept}, series[member], decided))
    rows = pd.concat(parts).sort_values(["slot", "member", "symbol"], ignore_index=True)
    rows = _with_reasons(runs, rows, content, spoken)
    if fresh:
        rows = _confirmed(reader, rows, notes)
    tell("splitting the difference in return")
    returns, causes, days = _accounts(rows, spoken, series, notes)
    sources = list(dict.fromkeys(one.source for one in spoken.values()))
    return Parity(
        name=name,
        version=content.version,
        table=rows.drop(columns="opens"),
        causes=with_meaning(causes),
        returns=returns,
        days=days,
        source=" ".join(sources[:3]),
        run_id=next(iter(spoken.values())).run_id,
        notes=tuple(notes),
    )


def _with_reasons(
    runs: RunStore, rows: pd.DataFrame, content: Content, spoken: Mapping[str, Spoken]
) -> pd.DataFrame:
    said = rows[rows["run_id"].notna()]
    bars = said[["said_timestamp", "timestamp"]].max(axis=1).fillna(said["slot"])
    untils = {str(run_id): moment for run_id, moment in bars.groupby(said["run_id"]).max().items()}
    with runs.pool.snapshot("reading why it differed") as connection:
        wanted = [*untils, *(one.run_id for one in spoken.values())]
        records = read_runs(connection, wanted)
        revised = revised_since(connection, untils)
    parameters = {
        member: {name: value for name, value in records[one.run_id]["parameters"].items() if name != "slot"}
        for member, one in spoken.items()
    }
    return told_why(rows, records, revised, sha256=content.sha256, parameters=parameters)


def _confirmed(reader: ContentReader, rows: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """The rows, after the newest runs that said "revised" ones were run again on the bars that they knew."""
    rows = rows.copy()
    doubted = list(dict.fromkeys(reversed(rows.loc[rows["state"] == "revised", "run_id"].tolist())))
    for run_id in doubted[:_MOST_CONFIRMED]:
        try:
            kept = reader.again(run_id)
        except WorkbenchError as error:
            notes.append(f"run {run_id[:8]} could not be run again on the bars that it knew: {error}")
            continue
        told = {
            (row["symbol"], row["timestamp"]): (row["signal"], row["target"])
            for one in kept or ()
            for row in one.rows.to_dict("records")
        }
        for place in rows.index[(rows["run_id"] == run_id) & (rows["state"] == "revised")]:
            row = rows.loc[place]
            then = told.get((row["symbol"], row["said_timestamp"]))
            decided = pd.isna(row["said_reason"])
            if then is not None and decided and not _as_then(row, then):
                rows.loc[place, "state"] = "differed"
                rows.loc[place, "why"] = (
                    "it differs on the bars that its run knew, too, so the notebook is not deterministic"
                )
    if len(doubted) > _MOST_CONFIRMED:
        notes.append(
            f"the newest {_MOST_CONFIRMED} of {len(doubted)} runs with revised bars were run again on the "
            "bars that they knew"
        )
    return rows


def _as_then(row: Any, then: tuple[str, float]) -> bool:
    signal, target = then
    if row["said_signal"] != signal:
        return False
    return signal == "hold" or bool(abs(row["said_target"] - target) <= 1e-9)


def _accounts(
    rows: pd.DataFrame,
    spoken: Mapping[str, Spoken],
    series: Mapping[str, SeriesFacts],
    notes: list[str],
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Returns, causes and days of each member and strategy."""
    returns: list[dict[str, Any]] = []
    causes: list[dict[str, Any]] = []
    days: list[pd.DataFrame] = []
    accounts: Sequence[tuple[str, KeptDecisions]] = [
        (member, kept) for member, one in spoken.items() for kept in one.kept
    ]
    for member, kept in accounts:
        # By symbol: an earlier version may have said it under another strategy's name.
        theirs = rows["symbol"].isin(kept.rows["symbol"].unique())
        mine = rows[(rows["member"] == member) & (theirs | (rows["strategy_id"] == kept.strategy_id))]
        whose = f"{kept.strategy_id} ({member})" if member else kept.strategy_id
        calendars = {symbol: facts[0] for symbol, facts in series[member].items() if facts[0] is not None}
        try:
            found = split(mine, kept, calendars)
        except BacktestError as error:
            notes.append(f"{whose}: returns are not computed; {error}")
            continue
        if found.left_out:
            notes.append(f"{whose}: without {', '.join(found.left_out)}, of which the content has no bars")
        key = {"member": member, "strategy_id": kept.strategy_id}
        returns.append(
            {**key, "backtest": found.backtest, "live": found.live, "difference": found.live - found.backtest}
        )
        causes += [{**key, "cause": cause, "returns": value} for cause, value in found.causes.items()]
        days.append(found.days.assign(**key))
    columns = ["date", "member", "strategy_id", "backtest", "live", *CAUSES]
    return (
        pd.DataFrame(returns, columns=_RETURNS),
        pd.DataFrame(causes, columns=["member", "strategy_id", "cause", "returns"]),
        pd.concat(days, ignore_index=True)[columns] if days else pd.DataFrame(columns=columns),
    )


def _nothing(content: Content) -> Parity:
    rows = lay_out(
        pd.DataFrame(columns=["slot", "member", "state", "reason"]),
        pd.DataFrame(columns=["slot", "member", "symbol"]),
        {},
        {},
        {},
    )
    table = told_why(rows, {}, {}, sha256=content.sha256, parameters={})
    return Parity(
        name=content.deployment,
        version=content.version,
        table=table.drop(columns="opens"),
        causes=pd.DataFrame(columns=["member", "strategy_id", "cause", "returns", "meaning"]),
        returns=pd.DataFrame(columns=_RETURNS),
        days=pd.DataFrame(columns=["date", "member", "strategy_id", "backtest", "live", *CAUSES]),
        source="",
        run_id=None,
    )
