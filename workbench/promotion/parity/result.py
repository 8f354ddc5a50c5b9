"""`Parity`: what a deployment said live beside what its content says, with the causes of the difference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from workbench.display.card import frame_html, table_html
from workbench.drawing.wording import signed_percent
from workbench.promotion.parity.causes import CAUSES
from workbench.promotion.parity.rows import STATES
from workbench.promotion.parity.tiles import LETTERS, Tile, legend_html, tiles_html, tiles_text

__all__ = ["Parity", "told_counts"]

_TILES = 60
_FEW = 3
_MEANING = {
    "fills": "start, sizes and costs of an account that begins at the first slot",
    "missed": "slots of which nothing was said",
    "late": "said when the bar had opened at which the backtest fills it",
    "differed": "said otherwise than the content says",
    "revised": "said otherwise, since bars were revised",
}


@dataclass(frozen=True, repr=False)
class Parity:
    """The parity of a deployment.

    Attributes
    ----------
    name : str
        The deployment's.
    version : int or None
        The version whose content it was compared with: the one in use.
    table : DataFrame
        One row a slot, member and symbol, oldest first: slot (UTC), member, strategy_id, symbol, state
        ("missed", "differed", "revised", "late" or "matched"), said_signal, said_target, said_timestamp (of
        the bar), said_reason, said_at, said_version (the number of the version that said it), run_id; signal,
        target, timestamp, reason (what the content says today); late, bars_revised (the series that the run
        read of which a bar has changed since, None for none), why (why it was missed, or differs).
    causes : DataFrame
        One row an account (member and strategy) and cause: member, strategy_id, cause, returns (what it adds
        to the return; the causes of an account add up to its difference), meaning. Empty where returns cannot
        be computed, which a note says.
    returns : DataFrame
        One row an account: member, strategy_id, backtest, live, difference; returns over all days.
    days : DataFrame
        One row an account and date: date, member, strategy_id, backtest, live, and of each cause what it adds
        to that day's return.
    source : str
        Where what the content says is from: of a run that kept it, or of one that was made for this.
    run_id : str or None
        That run.
    notes : tuple of str
        What could not be compared, and why.
    """

    name: str
    version: int | None
    table: pd.DataFrame
    causes: pd.DataFrame
    returns: pd.DataFrame
    days: pd.DataFrame
    source: str
    run_id: str | None
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def slots(self) -> pd.DataFrame:
        """One row a slot and member: slot, member, state (the worst of its rows), bars_revised, symbols."""
        columns = ["slot", "member", "state", "bars_revised", "symbols"]
        if self.table.empty:
            return pd.DataFrame(columns=columns)
        rank = self.table["state"].map(STATES.index)
        grouped = self.table.assign(rank=rank, revised=self.table["bars_revised"].notna()).groupby(
            ["slot", "member"], as_index=False
        )
        found = grouped.agg(
            rank=("rank", "min"), bars_revised=("revised", "any"), symbols=("symbol", "count")
        )
        return found.assign(state=[STATES[place] for place in found["rank"]])[columns]

    @property
    def counts(self) -> dict[str, int]:
        """How many slots are in each state, "matched" first; those without any are left out."""
        found = self.slots["state"].value_counts()
        return {state: int(found[state]) for state in reversed(STATES) if state in found}

    @property
    def summary(self) -> str:
        """What came of it, in a sentence or two."""
        if self.table.empty:
            return f"{self.name}: no slot of this time is over, so that there is nothing to compare"
        told = f"{self.name}: {told_counts(self.counts)}"
        touched = int(self.slots["bars_revised"].sum())
        if touched:
            told += f"; bars of {touched:,} slot{'s' * (touched != 1)} were revised since"
        if self.returns.empty:
            return told
        # Of several accounts the mean: each has the same capital.
        live, claimed = (float(self.returns[name].mean()) for name in ("live", "backtest"))
        told += f". Live {signed_percent(live, 2)}, backtest {signed_percent(claimed, 2)}"
        parts = self.causes.groupby("cause")["returns"].sum() / len(self.returns)
        parts = parts[parts.abs() >= 5e-5].sort_values(key=abs, ascending=False)
        if len(parts):
            told += ": " + ", ".join(f"{cause} {signed_percent(value, 2)}" for cause, value in parts.items())
        return told

    def tiles(self) -> list[Tile]:
        """The newest 60 slots, oldest first."""
        newest = self.slots.tail(_TILES)
        rows = self.table[self.table["slot"] >= newest["slot"].min()] if len(newest) else self.table
        of_slot = rows.groupby(["slot", "member"])
        return [
            Tile(row["state"], _title(row, of_slot.get_group((row["slot"], row["member"]))))
            for row in newest.to_dict("records")
        ]

    def strip(self) -> str:
        """The tiles for a terminal, as markup of rich."""
        return tiles_text(self.tiles())

    def legend(self) -> str:
        """What the letters of the strip mean."""
        return "  ".join(f"{LETTERS[state]} {state}" for state in self.counts)

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON can say it: times in ISO 8601, missing values null."""
        return {
            "name": self.name,
            "version": self.version,
            "summary": self.summary,
            "source": self.source,
            "run_id": self.run_id,
            "counts": self.counts,
            **{
                name: _records(getattr(self, name))
                for name in ("slots", "table", "causes", "returns", "days")
            },
            "notes": list(self.notes),
        }

    def __repr__(self) -> str:
        return f"<Parity {self.summary}>"

    def _repr_html_(self) -> str:
        from html import escape

        body = tiles_html(self.tiles()) + legend_html(list(self.counts.items()))
        if not self.causes.empty:
            body += _causes_html(self.returns, self.causes)
        if self.notes:
            lines = "".join(f"<div>{escape(note)}</div>" for note in self.notes)
            body += f'<div style="padding:4px 10px 8px;opacity:.8;font-size:.9em">{lines}</div>'
        version = "" if self.version is None else f" (version {self.version})"
        return frame_html(
            escape(f"Parity of {self.name}{version}"), body, note=escape(f"{self.summary}. {self.source}")
        )


def told_counts(counts: Mapping[str, int]) -> str:
    """Counts in words: "58 matched, 1 differed, 1 missed"."""
    return ", ".join(f"{count:,} {state}" for state, count in counts.items() if count) or "no slots"


def _title(slot: Mapping[Any, Any], rows: pd.DataFrame) -> str:
    """As in: 2026-11-27 22:30 UTC: differed. AAPL: said buy, would say hold (bars were revised)."""
    of = f" ({slot['member']})" if slot["member"] else ""
    told = f"{slot['slot']:%Y-%m-%d %H:%M} UTC{of}: {slot['state']}"
    bad = rows[rows["state"] != "matched"]
    if bad.empty:
        calls = [f"{row['symbol']} {row['said_signal']}" for row in rows.to_dict("records")]
        return f"{told}. {', '.join(calls[:_FEW])}{', …' if len(calls) > _FEW else ''}"
    parts = []
    for row in bad.head(_FEW).to_dict("records"):
        said = "nothing" if row["state"] == "missed" else str(row["said_signal"])
        would = "nothing" if pd.isna(row["signal"]) else str(row["signal"])
        part = f"{row['symbol']}: said {said}, would say {would}"
        parts.append(part if pd.isna(row["why"]) else f"{part} ({str(row['why']).partition(chr(10))[0]})")
    more = f"; and {len(bad) - _FEW} more" if len(bad) > _FEW else ""
    return f"{told}. {'; '.join(parts)}{more}"


def _causes_html(returns: pd.DataFrame, causes: pd.DataFrame) -> str:
    """A row for the backtest, one for each cause, and one for what was live; of each account a column."""
    from html import escape

    cell = "text-align:right;padding:3px 10px;border-top:1px solid rgba(128,128,128,.3)"
    accounts = list(zip(returns["member"], returns["strategy_id"], strict=True))
    values = causes.set_index(["member", "strategy_id", "cause"])["returns"]

    def row(name: str, numbers: Sequence[float], meaning: str = "", weight: int = 400) -> str:
        cells = "".join(f'<td style="{cell}">{signed_percent(value, 2)}</td>' for value in numbers)
        return (
            f'<tr style="background:transparent;font-weight:{weight}">'
            f'<td style="{cell};text-align:left">{escape(name)}</td>{cells}'
            f'<td style="{cell};text-align:left;opacity:.7">{escape(meaning)}</td></tr>'
        )

    lines = [row("backtest", list(returns["backtest"]), "what it claims for these days", 600)]
    lines += [
        row(cause, [float(values[member, strategy, cause]) for member, strategy in accounts], _MEANING[cause])
        for cause in CAUSES
    ]
    lines.append(row("live", list(returns["live"]), "what was said, as it could be traded", 600))
    names = "".join(
        f'<th style="{cell};border-top:none;font-weight:400;opacity:.7">'
        f"{escape(' '.join(filter(None, account)))}</th>"
        for account in accounts
    )
    return table_html(f"<th></th>{names}<th></th>", "".join(lines))


def with_meaning(causes: pd.DataFrame) -> pd.DataFrame:
    """The causes with what each means."""
    return causes.assign(meaning=causes["cause"].map(_MEANING).astype("str"))


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    def plain(value: Any) -> Any:
        if value is None or (not isinstance(value, str) and pd.isna(value)):
            return None
        if hasattr(value, "isoformat"):
            return value.isoformat()
        return value.item() if hasattr(value, "item") else value

    return [{str(name): plain(value) for name, value in row.items()} for row in frame.to_dict("records")]
