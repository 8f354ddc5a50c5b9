"""Each slot's rows: what was said beside what the content says, and the state that follows.

Pure: frames in, a frame out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.marketdata.completeness import Completeness, complete_before
from workbench.marketdata.openings import opening_times
from workbench.runs.decisions_kept import KeptDecisions

__all__ = ["STATES", "SeriesFacts", "lay_out"]

STATES = ("missed", "differed", "revised", "late", "matched")
"""From worst to best; a slot is in the worst state of its rows."""

SeriesFacts = Mapping[str, tuple[str | None, str | None]]
"""Calendar and length of bars by symbol."""

COLUMNS = {
    "slot": "datetime64[us, UTC]",
    "member": "str",
    "strategy_id": "str",
    "symbol": "str",
    "state": "str",
    "said_signal": "str",
    "said_target": "float64",
    "said_timestamp": "datetime64[us, UTC]",
    "said_reason": "str",
    "said_at": "datetime64[us, UTC]",
    "signal": "str",
    "target": "float64",
    "timestamp": "datetime64[us, UTC]",
    "reason": "str",
    "opens": "datetime64[us, UTC]",
    "late": "bool",
    "why": "str",
    "run_id": "str",
    "version": "str",
}
_DAY = 86_400_000_000
# The same for most series of a slot, and dear: what is complete, by slot, calendar, length and midnight.
_Known = dict[tuple[pd.Timestamp, str | None, str | None, bool], Completeness]
_TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class _Bars:
    """One symbol's rows of what the content says, by bar."""

    strategy_id: str
    stamps: pd.DatetimeIndex
    opens: pd.DatetimeIndex
    signal: Sequence[str]
    target: npt.NDArray[np.float64]
    calendar: str | None
    interval: str | None
    at_midnight: bool

    def place(self, slot: pd.Timestamp, said: pd.Timestamp | None, known: _Known) -> int:
        """The place of the newest bar that was complete at the slot; -1 if there is none.

        Where it is not known when bars are complete, the bar that was said about is taken for it.
        """
        key = (slot, self.calendar, self.interval, self.at_midnight)
        if key not in known:
            known[key] = complete_before(slot, self.calendar, self.interval, at_midnight=self.at_midnight)
        found = known[key]
        if not found.known and said is not None:
            return int(self.stamps.searchsorted(said, side="right")) - 1
        before = pd.Timestamp(found.before, unit="us", tz="UTC")
        return int(self.stamps.searchsorted(before, side="left")) - 1


def lay_out(
    slots: pd.DataFrame,
    said: pd.DataFrame,
    kept: Mapping[str, Sequence[KeptDecisions]],
    series: SeriesFacts,
    decided: Mapping[tuple[str, str], pd.Timestamp],
) -> pd.DataFrame:
    """One row for each slot, member and symbol.

    A row is *missed* if nothing was said; *differed* if the content orders something else: another signal, of
    a purchase or sale another target (to 1e-9), of a hold another side; *late* if it was said when the bar
    had opened at which the backtest fills it, the first one after the bar that it is about; else *matched*.
    A row that differed can be late as well (`late`). Why it differed is told by others.

    Parameters
    ----------
    slots : DataFrame
        slot (UTC), member, state, reason; oldest first.
    said : DataFrame
        As `read_said` returns it, of these slots.
    kept : mapping
        What the content says at each bar, by member.
    series : SeriesFacts
    decided : mapping
        The newest bar that was decided about before the first slot, by member and symbol.

    Returns
    -------
    DataFrame
        slot, member, strategy_id, symbol, state; what was said: said_signal, said_target, said_timestamp (of
        the bar), said_reason, said_at; what would be said: signal, target, timestamp, reason; opens (when the
        bar that it is about opened), late, why (of a missed slot), run_id and version (the content's hash) of
        what was said. Missing values where nothing was said, or nothing would be.
    """
    bars = {member: _by_symbol(several, series) for member, several in kept.items()}
    spoken = {(row["slot"], row["member"], row["symbol"]): row for row in said.to_dict("records")}
    symbols_said: dict[tuple[Any, str], list[str]] = {}
    for slot, member, symbol in spoken:
        symbols_said.setdefault((slot, member), []).append(symbol)
    last = dict(decided)
    last_missed: dict[tuple[str, str], pd.Timestamp] = {}
    rows, known = [], _Known()
    for due in slots.to_dict("records"):
        slot, member = due["slot"], due["member"]
        mine = bars.get(member, {})
        for symbol in sorted({*mine, *symbols_said.get((slot, member), ())}):
            row = spoken.get((slot, member, symbol))
            key = (member, symbol)
            # What was missed was not said either when a later slot was about the same bar.
            before = _later(last.get(key), last_missed.get(key)) if row is None else last.get(key)
            would = _would_say(mine.get(symbol), slot, row, before, known)
            if row is None and would["signal"] is not None and would["reason"] is None:
                last_missed[key] = would["timestamp"]
            elif row is not None and _missing(row["reason"]):
                last[key] = max(last.get(key, row["timestamp"]), row["timestamp"])
            rows.append(_row(due, symbol, row, would))
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _by_symbol(several: Sequence[KeptDecisions], series: SeriesFacts) -> dict[str, _Bars]:
    return {symbol: bars for kept in several for symbol, bars in _bars_of(kept, series)}


def _bars_of(kept: KeptDecisions, series: SeriesFacts) -> Iterator[tuple[str, _Bars]]:
    for symbol, rows in kept.rows.groupby("symbol"):
        rows = rows.sort_values("timestamp")
        stamps = pd.DatetimeIndex(rows["timestamp"]).as_unit("us")
        calendar, interval = series.get(str(symbol), (None, None))
        yield (
            str(symbol),
            _Bars(
                strategy_id=kept.strategy_id,
                stamps=stamps,
                opens=opening_times(stamps, calendar),
                signal=rows["signal"].tolist(),
                target=rows["target"].to_numpy(dtype=np.float64),
                calendar=calendar,
                interval=interval,
                at_midnight=bool(((stamps.asi8[[0, -1]] % _DAY) == 0).all()),
            ),
        )


def _would_say(
    bars: _Bars | None,
    slot: pd.Timestamp,
    said: Mapping[Any, Any] | None,
    before: pd.Timestamp | None,
    known: _Known,
) -> dict[str, Any]:
    """What the content says of a symbol for a slot; `signal` is None where it has no such symbol."""
    nothing = {"strategy_id": None, "timestamp": pd.NaT, "opens": pd.NaT, "next": pd.NaT}
    if bars is None:
        held = {"signal": "hold", "target": np.nan, "reason": "no bar"}
        # A symbol that has never had a bar is held, then and now.
        without = said is not None and pd.isna(said["timestamp"])
        return nothing | (held if without else {"signal": None, "target": np.nan, "reason": None})
    about = None if said is None or pd.isna(said["timestamp"]) else said["timestamp"]
    place = bars.place(slot, about, known)
    if place < 0:
        return nothing | {
            "strategy_id": bars.strategy_id,
            "signal": "hold",
            "target": np.nan,
            "reason": "no bar",
        }
    stamp = bars.stamps[place]
    old = before is not None and stamp <= before
    return {
        "strategy_id": bars.strategy_id,
        "timestamp": stamp,
        "opens": bars.opens[place],
        "next": bars.opens[place + 1] if place + 1 < len(bars.stamps) else pd.NaT,
        "signal": "hold" if old else bars.signal[place],
        "target": bars.target[place],
        "reason": "no new bar" if old else None,
    }


def _row(
    due: Mapping[Any, Any], symbol: str, said: Mapping[Any, Any] | None, would: Mapping[str, Any]
) -> dict[str, Any]:
    row = {name: would[name] for name in ("strategy_id", "signal", "target", "timestamp", "reason", "opens")}
    row |= {"slot": due["slot"], "member": due["member"], "symbol": symbol, "late": False}
    if said is None:
        why = due["reason"] if due["state"] != "completed" else "its run completed and said nothing"
        return row | {"state": "missed", "why": None if _missing(why) else f"{due['state']}: {why}"}
    decided = _missing(said["reason"])
    late = bool(decided and not pd.isna(would["next"]) and said["said_at"] >= would["next"])
    state = "differed" if not _same(said, would) else "late" if late else "matched"
    return row | {
        "strategy_id": said["strategy_id"],
        "state": state,
        "late": late,
        **{f"said_{name}": said[name] for name in ("signal", "target", "timestamp", "reason")},
        **{name: said[name] for name in ("said_at", "run_id", "version")},
    }


def _same(said: Mapping[Any, Any], would: Mapping[str, Any]) -> bool:
    """Whether both order the same."""
    if said["signal"] != would["signal"]:
        return False
    one, other = said["target"], would["target"]
    if pd.isna(one) or pd.isna(other):
        # Of a hold without equity, or without a bar, there is no side to differ in.
        return bool(pd.isna(one) and pd.isna(other)) or said["signal"] == "hold"
    if said["signal"] == "hold":
        # A hold holds what there is, whatever it has become of equity.
        return bool(np.sign(one) == np.sign(other))
    return bool(abs(one - other) <= _TOLERANCE)


def _later(one: pd.Timestamp | None, other: pd.Timestamp | None) -> pd.Timestamp | None:
    known = [moment for moment in (one, other) if moment is not None and not pd.isna(moment)]
    return max(known) if known else None


def _missing(value: Any) -> bool:
    return value is None or bool(pd.isna(value))
