"""What a backtest says at each of its bars: `BacktestRecord.newest`, as it would have been then."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.fills.accounts import by_symbol
from workbench.fills.balances import Balances
from workbench.fills.layout import Layout
from workbench.fills.lines import BUY, DIVIDEND, REASONS, Lines
from workbench.fills.pending import pending_signals
from workbench.fills.simulation import Simulation
from workbench.fills.wanted import held_fractions, wanted_fractions
from workbench.signals.decisions import Decisions, Targets

__all__ = ["Made", "said_at_each"]

_RUIN = REASONS.index("ruin")


@dataclass(frozen=True, eq=False)
class Made:
    """A simulation, with what it was made of.

    Attributes
    ----------
    layout : Layout
    simulation : Simulation
    decided : Decisions or Targets, optional
        None where it is not known what was decided, only what was filled.
    """

    layout: Layout
    simulation: Simulation
    decided: Decisions | Targets | None = None


def said_at_each(made: Made, last: int | None = None) -> pd.DataFrame:
    """What was said at each symbol's bars, with what the backtest was made on.

    Nothing that was filled or held at a bar depends on later ones, so each row is cut out of the one
    simulation: it is what the backtest of the bars up to there says of its newest bar. Symbols that have no
    bar yet then count among those that share the cash.

    Parameters
    ----------
    made : Made
    last : int, optional
        Of the last so many timestamps only. Default: all.

    Returns
    -------
    DataFrame
        By timestamp and symbol: symbol, timestamp (UTC), open, high, low, close, dividend (cash per unit),
        signal, strength, target; the last three as in `BacktestRecord.newest`.
    """
    market = made.layout.market
    count = len(market.timestamps)
    first = 0 if last is None else max(count - last, 0)
    parts = list(_parts(made, range(first, count)))
    rows = np.concatenate([np.full(len(part[0]), first + place) for place, part in enumerate(parts)])
    columns, sides, strengths, targets = (np.concatenate(values) for values in zip(*parts, strict=True))
    columns = columns.astype(np.int64)
    dividends = made.layout.dividends
    paid = by_symbol(dividends) if len(dividends) else np.zeros(market.present.shape)
    facts = {name: getattr(market, name)[rows, columns] for name in ("open", "high", "low", "close")}
    return pd.DataFrame(
        {
            "symbol": pd.array([market.symbols[column] for column in columns], dtype="str"),
            "timestamp": market.timestamps[rows],
            **facts,
            "dividend": paid[rows, columns],
            "signal": pd.array(np.array(["sell", "hold", "buy"])[sides.astype(np.int64) + 1], dtype="str"),
            "strength": strengths,
            "target": targets,
        }
    )


Part = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _parts(made: Made, rows: range) -> Iterable[Part]:
    """Of each row the columns with a bar, and of each of these the side (-1, 0, 1), strength and target."""
    layout, lines = made.layout, made.simulation.lines
    filled = np.flatnonzero(lines.side != DIVIDEND)
    filled = filled[np.argsort(lines.row[filled], kind="stable")]
    filled_rows = lines.row[filled]
    ruined = _ruined_from(made)
    for row in rows:
        columns = np.flatnonzero(layout.market.present[row])
        sides, strengths = (
            np.zeros(len(layout.market.symbols), np.int64),
            np.zeros(len(layout.market.symbols)),
        )
        # What this bar itself did: a stop, a target, a fill at its own close.
        for place in filled[np.searchsorted(filled_rows, row) : np.searchsorted(filled_rows, row + 1)]:
            if lines.decided[place] == row:
                column = lines.column[place]
                sides[column] = 1 if lines.side[place] == BUY else -1
                strengths[column] = lines.strength[place]
        cut, until = _cut(made, row, ruined)
        if made.decided is None:
            balances = until.balances
            targets = held_fractions(balances.units[-1], cut.last_closes[-1], float(balances.equity[-1]))
        else:
            decided = _decided_until(made.decided, row)
            waiting = pending_signals(cut, until, decided)
            for column, _, side, strength in waiting:
                sides[column], strengths[column] = (1 if side == "buy" else -1), strength
            targets = wanted_fractions(cut, until, decided, waiting)
        yield columns, sides[columns], strengths[columns], targets[columns]


def _cut(made: Made, row: int, ruined: npt.NDArray[np.int64]) -> tuple[Layout, Simulation]:
    """The layout and the simulation of the bars up to a row, as views."""
    market, balances = made.layout.market, made.simulation.balances
    until = slice(0, row + 1)
    arrays = {
        name: getattr(market, name)[until]
        for name in ("timestamps", "open", "high", "low", "close", "volume", "present")
    }
    layout = replace(made.layout, market=replace(market, **arrays))
    lines = made.simulation.lines
    return layout, Simulation(
        balances=Balances(
            balances.equity[until], balances.cash[until], balances.gross[until], balances.units[until]
        ),
        ruined=ruined <= row,
        lines=_lines_until(lines, row) if not layout.shared else lines,
    )


def _lines_until(lines: Lines, row: int) -> Lines:
    return lines.take(lines.row <= row)


def _decided_until(decided: Decisions | Targets, row: int) -> Decisions | Targets:
    if isinstance(decided, Targets):
        return Targets(decided.weights[: row + 1])
    return Decisions(decided.enter[: row + 1], decided.leave_long[: row + 1], decided.leave_short[: row + 1])


def _ruined_from(made: Made) -> npt.NDArray[np.int64]:
    """The row from which on each symbol's account is ruined: int64, shape (n_symbols,); n_bars for never."""
    count = len(made.layout.market.timestamps)
    found = np.full(len(made.layout.market.symbols), count)
    ruined = made.simulation.ruined
    lines = made.simulation.lines
    for place in np.flatnonzero(lines.reason == _RUIN):
        column = int(lines.column[place])
        found[column] = min(found[column], int(lines.row[place]))
    if made.layout.shared and ruined.any():
        found[:] = found.min()
    return np.where(ruined, np.minimum(found, count - 1), count)
