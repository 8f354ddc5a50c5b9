"""Compares what two runs of a notebook saved, row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.promotion.gates.capture import KEYS, SIGNALS, Captured
from workbench.promotion.gates.cells import CellNames

__all__ = ["MOST_TOLD", "Difference", "differing_rows", "differing_signals", "shown", "told"]

TOLERANCE = 1e-9
"""Numbers differ beyond this fraction of the larger one: less comes from the order of additions."""
MOST_TOLD = 5
"""So many differences are told."""

Flags = npt.NDArray[np.bool_]
_NOTHING = "nothing"


@dataclass(frozen=True)
class Difference:
    """One row that differs.

    Attributes
    ----------
    cell : int
        The cell that saved it.
    table : str
    key : dict of str to str
        For signals `strategy_id`, `symbol` and `bar`.
    before, now : str
        What the full run saved, and what the other one did.
    """

    cell: int
    table: str
    key: Mapping[str, str]
    before: str
    now: str

    def in_words(self, cells: CellNames) -> str:
        """The difference as a clause."""
        if self.table == SIGNALS:
            what = f"{self.key['symbol']} at the bar {self.key['bar']} (strategy {self.key['strategy_id']})"
        else:
            what = f"{self.table}, " + ", ".join(f"{name} {value}" for name, value in self.key.items())
        return f"{cells.name(self.cell)}: {what} was {self.before} and became {self.now}"

    def to_json(self, cells: CellNames) -> dict[str, Any]:
        """For the evidence."""
        key = dict(self.key)
        return {
            "cell": self.cell,
            "code": cells.name(self.cell),
            "table": self.table,
            **key,
            "was": self.before,
            "became": self.now,
        }


def shown(differences: Sequence[Difference]) -> list[Difference]:
    """At most five of them: the first of each cell and symbol, then others in their order."""
    firsts = {(one.cell, one.key.get("symbol")): one for one in reversed(differences)}
    first = {id(one) for one in firsts.values()}
    return sorted(differences, key=lambda one: id(one) not in first)[:MOST_TOLD]


def told(differences: Sequence[Difference], cells: CellNames) -> str:
    """Some differences in words, and how many more there are."""
    words = "; ".join(one.in_words(cells) for one in shown(differences))
    more = len(differences) - MOST_TOLD
    return words + (f"; and {more:,} more" if more > 0 else "")


def differing_rows(before: Captured, now: Captured, failed_in: int | None = None) -> list[Difference]:
    """Where two full runs differ, in any table that is compared: signals first, each by its key.

    Parameters
    ----------
    before, now : Captured
    failed_in : int, optional
        The cell in which the second run failed: rows that it lacks from there on are no difference.
    """
    found: list[Difference] = []
    for table, key in KEYS.items():
        values = sorted(({*before.rows[table].columns} | {*now.rows[table].columns}) - {"cell", *key})
        if table == SIGNALS:
            values = ["signal", "strength", "pending"]
        joined = _joined(before.rows[table], now.rows[table], ["cell", *key], values)
        wrong = ~_same(joined, values) & ~_beyond(joined, failed_in)
        found += _differences(table, joined[wrong], key, values)
    return found


def differing_signals(
    full: Captured, other: Captured, bar: pd.Timestamp, *, changed: bool, failed_in: int | None = None
) -> list[Difference]:
    """Where a run whose bars after one were hidden or changed says otherwise of bars up to it, by time.

    Before that bar signal and strength of every row must be the same, and no row may be more or less. At the
    bar itself, the newest one of such a run, as well: what was decided there counts. Three things are no
    difference at that bar alone, because the fill at the next one decides them: whether a row is still
    `pending`; a row that waits where the full run has none, as it was never filled for lack of cash; and the
    side of a weight (a strength between 0 and 1) that is the same, since whether that is to buy or to sell
    follows from the next price. With the future changed a weight may for the same reason be traded or not.

    Parameters
    ----------
    full, other : Captured
    bar : Timestamp
        The last bar that was left as it is.
    changed : bool
        Whether later bars were changed; else they were hidden.
    failed_in : int, optional
        As for `differing_rows`.
    """
    key, values = KEYS[SIGNALS], ["signal", "strength", "pending"]
    sides = [one.signals[one.signals["timestamp"] <= bar] for one in (full, other)]
    joined = _joined(sides[0], sides[1], ["cell", *key], values)
    same = _same(joined, values[:2])
    newest = (joined["timestamp"] == bar).to_numpy()
    waits = (joined["pending_now"] == "t").to_numpy()
    strengths = [pd.to_numeric(joined[f"strength_{side}"]).to_numpy() for side in ("before", "now")]
    # Of a weight.
    parts = [(strength > 0.0) & (strength < 1.0) for strength in strengths]
    there = [joined[f"signal_{side}"].notna().to_numpy() for side in ("before", "now")]
    fine = ~there[0] & waits
    fine |= there[0] & there[1] & parts[0] & _close(*strengths)
    if changed:
        fine |= (~there[0] & parts[1]) | (~there[1] & parts[0])
    wrong = ~same & ~(newest & fine) & ~_beyond(joined, failed_in)
    order = joined[wrong].sort_values(["timestamp", "symbol"], kind="stable")
    return _differences(SIGNALS, order, key, values[:2])


def _joined(before: pd.DataFrame, now: pd.DataFrame, key: Sequence[str], values: list[str]) -> pd.DataFrame:
    """Both sides' rows by their key, each value as `<name>_before` and `<name>_now`."""
    sides = []
    for frame, side in ((before, "before"), (now, "now")):
        kept = frame.reindex(columns=[*key, *values]).astype(dict.fromkeys(values, "object"))
        kept["cell"] = kept["cell"].astype("int64")
        sides.append(kept.rename(columns={name: f"{name}_{side}" for name in values}).assign(**{side: True}))
    for name in set(key) - {"cell"}:
        if sides[0][name].dtype != sides[1][name].dtype:  # one has no rows
            sides = [side.astype({name: "object"}) for side in sides]
    joined = sides[0].merge(sides[1], how="outer", on=list(key), sort=True)
    if "timestamp" in joined:
        joined["timestamp"] = pd.to_datetime(joined["timestamp"], utc=True)
    return joined


def _same(joined: pd.DataFrame, values: Sequence[str]) -> Flags:
    """Which rows both sides have alike."""
    same = joined["before"].notna().to_numpy() & joined["now"].notna().to_numpy()
    for name in values:
        one, other = joined[f"{name}_before"], joined[f"{name}_now"]
        alike = ((one == other) | (one.isna() & other.isna())).to_numpy(dtype=bool)
        if not alike.all():
            alike = alike | _close(_numbers(one), _numbers(other))
        same &= alike
    return same


def _numbers(text: pd.Series[Any]) -> npt.NDArray[np.float64]:
    return pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)


def _close(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> Flags:
    with np.errstate(invalid="ignore"):
        return np.abs(one - other) <= TOLERANCE * np.maximum(np.abs(one), np.abs(other))


def _beyond(joined: pd.DataFrame, failed_in: int | None) -> Flags:
    """The rows that the second run had no chance to save."""
    if failed_in is None:
        return np.zeros(len(joined), dtype=bool)
    lacks = joined["now"].isna() & (joined["cell"] >= failed_in)
    return lacks.to_numpy()


def _differences(
    table: str, joined: pd.DataFrame, key: Sequence[str], values: Sequence[str]
) -> list[Difference]:
    return [
        Difference(
            cell=int(row["cell"]),
            table=table,
            key={_shown(name): _in_words(row[name]) for name in key},
            before=_said(row, values, "before"),
            now=_said(row, values, "now"),
        )
        for row in joined.to_dict("records")
    ]


def _said(row: Mapping[Any, Any], values: Sequence[str], side: str) -> str:
    if row[side] is not True:
        return _NOTHING
    if "signal" in values:
        strength = float(row[f"strength_{side}"])
        beside = [f"strength {strength:.12g}"] if strength != 1.0 else []
        beside += ["pending"] if row.get(f"pending_{side}") == "t" else []
        return " ".join([str(row[f"signal_{side}"]), *([f"({', '.join(beside)})"] if beside else [])])
    both = row["before"] is True and row["now"] is True
    shown = [name for name in values if not both or row[f"{name}_before"] != row[f"{name}_now"]]
    return ", ".join(f"{name} {row[f'{name}_{side}']}" for name in shown[:MOST_TOLD])


def _shown(name: str) -> str:
    return "bar" if name == "timestamp" else name


def _in_words(value: Any) -> str:
    if not isinstance(value, pd.Timestamp):
        return str(value)
    return f"{value:%Y-%m-%d}" if value == value.normalize() else f"{value:%Y-%m-%d %H:%M:%S} UTC"
