"""What a save says live: the newest decisions of its result, and how those before went.

What it says at earlier bars is kept beside it, for parity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd
import sqlalchemy as sa

from workbench.errors import BacktestError, WorkbenchError
from workbench.runs.decisions_kept import KeptDecisions
from workbench.services.live_signals import Said, with_reasons
from workbench.services.shadow_said import SHADOW_SAID, shadow_lines
from workbench.tables.data_ingestion import ingestion_status

if TYPE_CHECKING:
    from workbench.attempt import Attempt
    from workbench.backtest import BacktestResult
    from workbench.session import Session

__all__ = ["keep_decided", "said_by"]

_EVIDENCE = "live_performance"
_KEPT_BARS = {"live": 400, "shadow": 400, "rerun": 20_000}
"""Of how many bars what they said is kept, by purpose: a live run leaves a file each night."""


def said_by(
    session: Session,
    result: BacktestResult,
    *,
    live: bool | None,
    strategy_id: str,
    parameters: Mapping[str, Any],
    bars: pd.DataFrame | None,
    weights: bool,
) -> Said | None:
    """What a save says for the slot of its run; None where it says nothing.

    Parameters
    ----------
    session : Session
    result : BacktestResult
    live : bool, optional
        False: nothing is said. Default: what a live run saves is said, what a rerun saves is compared, and
        what a shadow saves is noted in its record.
    strategy_id : str
        What it is saved under.
    parameters : mapping
        Those that are saved; `symbols` among them, a list of names, are those that the strategy has.
    bars : DataFrame, optional
        What it was run on, for the performance.
    weights : bool
        Whether targets are weights.
    """
    attempt = session.run.attempt() if live is not False else None
    if attempt is None or attempt.purpose not in ("live", "rerun", "shadow"):
        return None
    newest = _with_symbols(result.newest(), parameters.get("symbols"))
    if attempt.purpose == "shadow":
        _note_shadow(session, attempt, newest)
        return None
    performance = None
    if attempt.is_live:
        performance = _performance(session, attempt, result, strategy_id, bars, weights=weights)
    return Said(attempt, newest, performance)


def _note_shadow(session: Session, attempt: Attempt, newest: pd.DataFrame) -> None:
    """Note what a shadow would say live, a line for each symbol, in its record (`services.shadow_said`)."""
    # As the live run beside it holds where there was no new bar.
    with session.strategy_engine.pool.begin("reading what was said before") as connection:
        rows = with_reasons(connection, attempt, newest)
    session.run.note_evidence(SHADOW_SAID, shadow_lines(rows))


def _with_symbols(newest: pd.DataFrame, symbols: Any) -> pd.DataFrame:
    """The rows with one for each of the strategy's symbols that has no bar."""
    known = set(newest["symbol"])
    wanted = symbols if isinstance(symbols, list | tuple) else []
    lacking = [name for name in dict.fromkeys(wanted) if isinstance(name, str) and name and name not in known]
    if not lacking:
        return newest
    nothing = pd.DataFrame(
        {
            "symbol": pd.array(lacking, dtype="str"),
            "timestamp": pd.Series(pd.NaT, index=range(len(lacking)), dtype=newest["timestamp"].dtype),
            "signal": pd.array(["hold"] * len(lacking), dtype="str"),
            "strength": 0.0,
            "target": float("nan"),
        }
    )
    return pd.concat([newest, nothing], ignore_index=True)


def _performance(
    session: Session,
    attempt: Attempt,
    result: BacktestResult,
    strategy_id: str,
    bars: pd.DataFrame | None,
    *,
    weights: bool,
) -> pd.DataFrame | None:
    """How what was said until now went; None where nothing was, or where that cannot be told, with a note."""
    from workbench.backtest.live import live_performance

    said = session.strategy_engine.load_strategy_signals(
        strategy_id, kind="live", deployment=attempt.deployment
    )
    # Of earlier slots: what is said now can only be filled by bars to come.
    said = said[(said["member"] == attempt.member) & (said["slot"] < attempt.slot)]
    if said.empty:
        return None
    if bars is None:
        session.run.note_evidence(_EVIDENCE, [f"{strategy_id}: not computed; pass bars=bars to wb.save"])
        return None
    try:
        return live_performance(
            said, bars, result.rules, weights=weights, calendars=_calendars(session, set(said["symbol"]))
        )
    except WorkbenchError as error:
        # What was said is worth more than what became of it: it is stored all the same.
        session.run.note_evidence(_EVIDENCE, [f"{strategy_id}: not computed; {error}"])
        return None


def _calendars(session: Session, symbols: set[str]) -> dict[str, str]:
    """The exchange calendars of the symbols' series that the run has read, where they are known."""
    run_id = session.run.run_id()
    if run_id is None:
        return {}
    calendar = ingestion_status.c.calendar
    series = ingestion_status.c.data_source + "/" + ingestion_status.c.symbol
    read = list(session.runs.show(run_id)["data_revisions"])
    query = sa.select(ingestion_status.c.symbol, calendar).where(
        series.in_(read), ingestion_status.c.symbol.in_(sorted(symbols)), calendar.is_not(None)
    )
    # Not by the loader: what a run reads to act on is noted, and this is no such thing.
    with session.strategy_engine.pool.begin("reading the calendars of series") as connection:
        return {str(symbol): str(name) for symbol, name in connection.execute(query)}


def keep_decided(session: Session, result: BacktestResult, *, strategy_id: str, weights: bool) -> None:
    """Keep what a saved result says at each of its newest bars, if the run says or compares anything live."""
    from workbench.backtest.rules_json import rules_to_json

    attempt = session.run.attempt()
    last = None if attempt is None else _KEPT_BARS.get(attempt.purpose)
    if last is None:
        return
    try:
        rows = result.newest_at_each(last)
    except BacktestError as error:
        session.run.note_evidence("not_compared", [f"{strategy_id}: nothing kept to compare with; {error}"])
        return
    rows = rows.assign(returns=result.returns.reindex(rows["timestamp"]).to_numpy())
    session.run.note_decided(KeptDecisions(strategy_id, weights, rules_to_json(result.execution), rows))
