"""Loads bars: finds which series are meant, reads and adjusts them, and warns where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import sqlalchemy as sa

from workbench.db import frames
from workbench.errors import QueryError
from workbench.marketdata.bars import BAR_COLUMNS
from workbench.marketdata.series import SeriesBars, assemble
from workbench.services.bar_series import bounds, chosen_source, series_states
from workbench.services.bar_store import BarStore, SeriesState
from workbench.services.filters import Moment, Strings, as_list, as_moment
from workbench.services.future import Future
from workbench.services.known_bars import KnownBars
from workbench.services.known_revisions import AsKnown, KnownTo, RunRead, as_known, known_states, run_read
from workbench.services.no_bars import warn_of_none, warn_of_nothing
from workbench.services.service import RunScope
from workbench.services.slot_clamp import SlotClamp, spans
from workbench.tables.data_ingestion import corporate_actions

__all__ = ["BarRequest", "load_bars"]


@dataclass(frozen=True)
class BarRequest:
    """Which bars are asked for, checked as far as that needs no database; make one with `of`.

    Attributes
    ----------
    symbols : list of str, optional
        None for all of the source.
    start, end : int, optional
        `[start, end)` in microseconds since 1970, UTC.
    source : str, optional
        None for the only one that there is.
    fields : list of str
    method : str, optional
        How prices are adjusted; None for prices as they came.
    as_of : Timestamp, optional
    latest : int, optional
        Only the last that many bars of each symbol.
    known : Timestamp or str, optional
        Bars as they were known at that moment, or to the run whose id begins so; None for those of now.
    """

    symbols: list[str] | None
    start: int | None
    end: int | None
    source: str | None
    fields: list[str]
    method: str | None
    as_of: pd.Timestamp | None
    latest: int | None
    known: pd.Timestamp | str | None = None

    @classmethod
    def of(
        cls,
        symbols: Strings | None,
        start: Moment | None,
        end: Moment | None,
        *,
        source: str | None,
        fields: Sequence[str],
        adjust: str | None,
        as_of: Moment | None,
        latest: int | None,
        known: AsKnown | None = None,
    ) -> BarRequest:
        """The request that these arguments of `load_market_data` make.

        Raises
        ------
        QueryError
        EmptyRange
        """
        wanted, chosen = as_list(symbols, "symbols"), _fields(fields)
        if latest is not None and latest < 1:
            raise QueryError(f"latest={latest}: ask for at least one bar")
        if as_of is not None and adjust is None:
            raise QueryError("as_of= is for adjusted prices; say how to adjust them, too: adjust='yahoo'")
        first, last = bounds(start, end)
        then = None if known is None else as_known(known)
        return cls(wanted, first, last, source, chosen, adjust, as_moment(as_of, "as_of"), latest, then)


def load_bars(connection: sa.Connection, store: BarStore, request: BarRequest, run: RunScope) -> pd.DataFrame:
    """The bars that are asked for, of one source; `run` notes which revisions were read.

    Parameters
    ----------
    connection : Connection
        In a snapshot: which series there are and their bars must be of one state.
    store : BarStore
    request : BarRequest
    run : RunScope

    Returns
    -------
    DataFrame
        As `DataIngestionService.load_market_data` returns it, with its errors and its warning.
    """
    store, states, source = _states(connection, store, request, run)
    clamp, future = SlotClamp.of(run, connection), Future.of_process()
    if clamp is not None:
        clamp.note(states)
    groups = spans(clamp, states, request.start, request.end)
    if request.method is None and request.latest is None and len(groups) == 1:
        whole = store.assembled(connection, groups[0][0], request.start, groups[0][1])
        found, frame = whole.symbols, whole.frame(request.fields)
    else:
        if clamp is not None and future is not None and request.latest is not None:
            # The window of the latest bars stays where it is, or its first signals would be others.
            groups = [(states, request.end)]
        read = _read(connection, store, groups, request.start, request.latest)
        if clamp is not None and future is not None:
            bounds = {state.symbol: clamp.before(state) for state in states}
            read = [bars.between(None, bounds[bars.symbol]) for bars in read]
        found = [one.symbol for one in read if len(one)]
        if request.method is None:
            frame = assemble(read).frame(request.fields)
        else:
            frame = _adjusted(connection, store, read, states, source, request.method, request.as_of, clamp)
            frame = frame[request.fields]
    if future is not None and future.changed:
        last = SlotClamp(future.slot(connection), run)
        frame = future.change(frame, {state.symbol: last.before(state) for state in states})
    if request.symbols or not found:
        _warn_of_missing(connection, request, found, states, source, clamp)
    return frame


def _read(
    connection: sa.Connection,
    store: BarStore,
    groups: Sequence[tuple[list[SeriesState], int | None]],
    start: int | None,
    latest: int | None = None,
) -> list[SeriesBars]:
    """The bars of every group from `start` to its end, or the latest of them; in no order."""
    if latest is None:
        return [bars for states, end in groups for bars in store.read(connection, states, start, end)]
    return [
        bars for states, end in groups for bars in store.read_latest(connection, states, latest, start, end)
    ]


def _fields(fields: Sequence[str]) -> list[str]:
    chosen = [fields] if isinstance(fields, str) else list(fields)
    for field in chosen:
        if field not in BAR_COLUMNS:
            raise QueryError(f"{field!r} is not a field of bars; there are {', '.join(BAR_COLUMNS)}")
    if not chosen or len(set(chosen)) < len(chosen):
        raise QueryError(f"fields={chosen!r}: name each field once, of {', '.join(BAR_COLUMNS)}")
    return chosen


def _states(
    connection: sa.Connection, store: BarStore, request: BarRequest, run: RunScope
) -> tuple[BarStore, list[SeriesState], str]:
    """The series that are meant, their source, and what reads their bars: as they are, or were known."""
    symbols, source, known = request.symbols, request.source, _known(connection, request)
    if source is None and isinstance(known, RunRead):
        source = known.source_of(symbols)
    found = series_states(connection, symbols, source)
    if source is not None and len(found) < (1 if symbols is None else len(symbols)):
        # Some are missing: the warning or the error needs to know what other sources have.
        found = series_states(connection, symbols)
    source = chosen_source(connection, found, symbols, source)
    states = [state for state in found if state.source == source]
    if known is not None:
        then = known_states(connection, states, source, known, named=symbols)
        if then != states:
            store, states = KnownBars(store, states), then
    run.note_read({f"{source}/{state.symbol}": state.revision for state in states})
    return store, states, source


def _known(connection: sa.Connection, request: BarRequest) -> KnownTo | None:
    return run_read(connection, request.known) if isinstance(request.known, str) else request.known


def _adjusted(
    connection: sa.Connection,
    store: BarStore,
    read: Sequence[SeriesBars],
    states: Sequence[SeriesState],
    source: str,
    method: str,
    as_of: pd.Timestamp | None,
    clamp: SlotClamp | None,
) -> pd.DataFrame:
    """What was read, adjusted for the corporate actions of its source, also those after its last bar.

    In a run for a slot: for those that had happened, whatever `as_of` says.
    """
    from workbench.marketdata.adjustment import adjust

    symbols = [one.symbol for one in read]
    table = corporate_actions
    actions = frames.read(
        connection,
        sa.select(table.c.symbol, table.c.ex_date, table.c.kind, table.c.value, table.c.applied)
        .where(table.c.data_source == source, table.c.symbol.in_(symbols))
        .order_by(table.c.symbol, table.c.ex_date),
    )
    if clamp is not None:
        actions = clamp.seen(actions, states)
    earliest = min((int(one.times[0]) for one in read if len(one)), default=None)
    # The factors need the closes around each ex date, also of those after the range.
    acting = set(actions["symbol"])
    near = [state for state in states if state.symbol in acting]
    around = _read(connection, store, spans(clamp, near, earliest, None), earliest)
    closes = assemble(around).frame(["close"])
    return adjust(assemble(read).frame(), actions, method, as_of=as_of, closes=closes)


def _warn_of_missing(
    connection: sa.Connection,
    request: BarRequest,
    found: Sequence[str],
    states: Sequence[SeriesState],
    source: str,
    clamp: SlotClamp | None,
) -> None:
    """Warn of symbols of which no bar was found; where none was named, of a source without any bar."""
    wanted = request.symbols
    if wanted is None and not any(state.bars for state in states):
        warn_of_nothing(source, {state.source for state in series_states(connection) if state.bars})
        return
    asked = [state.symbol for state in states if state.bars] if wanted is None else wanted
    missing = list(dict.fromkeys(asked))
    if len(found) < len(missing):
        there = set(found)
        missing = [symbol for symbol in missing if symbol not in there]
        reach = series_states(connection, missing) if request.known is None else states
        warn_of_none(missing, reach, source, request.start, request.end, clamp=clamp)
