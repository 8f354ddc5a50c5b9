"""`Why`: where a stored row comes from, and `Whys`, the same for the rows of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import pandas as pd

from workbench.display.card import card_html
from workbench.display.frames import frame_html
from workbench.runs.given_rows import GivenRow
from workbench.runs.record import about, moment_told
from workbench.runs.row_today import RowToday
from workbench.runs.saved_in import SavedIn

__all__ = ["Why", "Whys", "dirt_of", "series_told"]

_SHOWN = 12
# What `about` tells that is told here in another way, or is of no row.
_APART = {"run", "notebook", "data", "written", "saved in", "code"}


@dataclass(frozen=True, repr=False)
class Why:
    """Where a row comes from.

    Attributes
    ----------
    row : GivenRow
        What was asked for: its `table`, its `facts`.
    run : dict or None
        The record of the run that saved it, as `wb.runs.show` gives it without heartbeat and contradictions.
        None: it was saved outside of any run, or the record is not in this database.
    version : dict or None
        What was promoted: sha256, name, commit, created_at; and of the deployment's version its number
        (`version`), made, made_by, made_at, note, forced. None for a run of a working tree.
    cells : tuple of SavedIn
        The cells of the notebook that saved rows like it: `cell` (as in "In [3]"), `code` (its first lines).
        Empty where that was not noted, as by runs of earlier versions of workbench.
    series : DataFrame
        Each series that the run read: series, revision, revision_now, bars, bars_now, changed (bars that it
        read and that were corrected or removed since, or added between them), first, last (UTC), is_whole
        (False: that many at least, for older versions are not kept).
    today : RowToday or None
        With `check=True`, whether the row would differ today.
    """

    row: GivenRow
    run: Mapping[str, Any] | None
    version: Mapping[str, Any] | None
    cells: tuple[SavedIn, ...]
    series: pd.DataFrame
    today: RowToday | None = None

    @property
    def changed(self) -> bool:
        """Whether bars that the run read have changed since."""
        return bool((self.series["changed"] > 0).any())

    def sentence(self) -> str:
        """Who saved it, in one sentence."""
        what = self.row.told()
        if self.run is None and self.row.run_id is None:
            return (
                f"{what or 'the row'} was saved outside of any run, e.g. by a script or a shell, so nothing "
                "tells where it comes from; notebooks, `workbench run` and deployments leave a record"
            )
        if self.run is None:
            return (
                f"{what or 'the row'} was saved by run {self.row.run_id}, of which this database has no "
                "record: the row is from another one"
            )
        run = f"run {self.run['run_id'][:8]} of {self.run['notebook']}"
        where = ", ".join(one.told() for one in self.cells[:3]) + (" and others" if self.cells[3:] else "")
        if not what:
            return f"{run} saved rows in {where}" if where else run
        return f"{what} was saved by {where} of {run}" if where else f"{what} was saved by {run}"

    def bars_told(self) -> str:
        """How many of the series that the run read have changed since, in words."""
        changed = self.series[self.series["changed"] > 0]
        if changed.empty:
            return (
                f"none of its {len(self.series):,} series has changed since"
                if len(self.series)
                else "it read no bars"
            )
        bars = changed["changed"].sum()
        return f"of its {len(self.series):,} series {len(changed):,} changed since, in {bars:,} bars"

    def lines(self) -> list[tuple[str, str]]:
        """Names and values as text: the run, its version and code, the cells, parameters and series."""
        if self.run is None:
            return []
        run = self.run
        rows = [("run", run["run_id"]), ("status", run["status"])]
        rows += [line for line in about(run) if line[0] not in _APART]
        rows += [("started", moment_told(run["started_at"]))]
        rows += [("ended", moment_told(run["ended_at"]))] if run["ended_at"] else []
        if self.version is not None:
            rows += _version_told(self.version)
        rows.append(("code", dirt_of(run["code_version"])))
        rows += [(f"cell {one.cell}", one.code) for one in self.cells[:_SHOWN]]
        if not self.cells:
            rows.append(("cell", "not noted"))
        rows += [(f"parameters.{name}", repr(value)) for name, value in run["parameters"].items()]
        changed = self.series.sort_values("changed", ascending=False, kind="stable")
        rows += [(one["series"], series_told(one)) for one in changed.head(_SHOWN).to_dict("records")]
        if len(changed) > _SHOWN:
            rows.append(("", f"and {len(changed) - _SHOWN:,} more series, in .series"))
        if self.today is not None:
            rows.append(("today", self.today.sentence()))
            rows += [
                (f"today.{name}", f"{old} → {new}") for name, (old, new) in self.today.differences.items()
            ]
        return rows

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON can hold it: times as ISO 8601, UTC."""
        return {
            "sentence": self.sentence(),
            "table": self.row.table,
            # A report's own text is no part of where it comes from.
            "row": _plain(
                {name: at for name, at in self.row.facts.items() if name not in ("content", "file")}
            ),
            "run": _plain(self.run),
            "version": _plain(self.version),
            "cells": [{"cell": one.cell, "table": one.table, "code": one.code} for one in self.cells],
            "series": _plain(self.series.to_dict("records")),
            "changed": self.changed,
            "today": None if self.today is None else _plain(self.today.to_dict()),
        }

    def __repr__(self) -> str:
        return f"<Why: {self.sentence()}>"

    def __str__(self) -> str:
        rows = self.lines()
        width = max((len(name) for name, _ in rows), default=0)
        told = [f"  {name:<{width}}  {value}".replace("\n", f"\n{' ' * (width + 4)}") for name, value in rows]
        return "\n".join([self.sentence(), *told])

    def _repr_html_(self) -> str:
        return card_html(self.sentence(), self.lines())


class Whys(Sequence[Why]):
    """Where each row of a frame comes from, in the frame's order; shown as a table."""

    def __init__(self, found: Sequence[Why]) -> None:
        self._found = tuple(found)

    @overload
    def __getitem__(self, at: int) -> Why: ...
    @overload
    def __getitem__(self, at: slice) -> Whys: ...
    def __getitem__(self, at: int | slice) -> Why | Whys:
        return Whys(self._found[at]) if isinstance(at, slice) else self._found[at]

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Why]:
        return iter(self._found)

    @property
    def table(self) -> pd.DataFrame:
        """A line for each row: row, run, notebook, cell, deployment, slot, status, code, series, changed.

        `series` is how many the run read, `changed` how many of them have changed since.
        """
        return pd.DataFrame([_line(why) for why in self._found])

    def to_dict(self) -> list[dict[str, Any]]:
        """`Why.to_dict` of each."""
        return [why.to_dict() for why in self._found]

    def __repr__(self) -> str:
        runs = {why.row.run_id for why in self._found}
        return f"<Whys: {len(self):,} rows of {len(runs):,} runs>"

    def __str__(self) -> str:
        return self.table.to_string()

    def _repr_html_(self) -> str | None:
        return frame_html(self.table)


def _version_told(version: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was promoted, as names and values."""
    rows = []
    if "version" in version:
        made = {"rolled_back": f"back to {version['of_version']}", "cut_over": "from its shadow"}
        how = made.get(version["made"], "promoted")
        told = f"{version['version']}, {how} by {version['made_by']}, {moment_told(version['made_at'])}"
        rows.append(("deployment's version", told))
    elif "created_at" in version:
        rows.append(("promoted", moment_told(version["created_at"])))
    return rows + [(name, version[name]) for name in ("note", "forced") if version.get(name)]


def dirt_of(code_version: str | None) -> str:
    """The code's version, and whether what ran was in the commit."""
    if code_version is None:
        return "not recorded"
    if code_version.endswith(".dirty"):
        return f"{code_version}: with changes that no commit has"
    return code_version


def series_told(one: Mapping[Any, Any]) -> str:
    """A row of `Why.series` in words."""
    now = one["revision_now"]
    if pd.isna(now):
        return f"read at revision {one['revision']}; there is no such series any more"
    if now < one["revision"]:
        return (
            f"read at revision {one['revision']}, of which this database knows nothing: it stands at {now}; "
            "it was restored from a backup, or is another one"
        )
    if now == one["revision"]:
        return f"read at revision {one['revision']}, unchanged since"
    told = f"read at revision {one['revision']}, now {now}: "
    if one["changed"]:
        span = f"{_day(one['first'])} to {_day(one['last'])}" if one["changed"] > 1 else _day(one["first"])
        least = "" if one["is_whole"] else "at least "
        told += f"{least}{one['changed']:,} of its bars changed since ({span})"
    else:
        told += (
            "none of its bars changed" if one["is_whole"] else "whether its bars changed is not kept any more"
        )
    more = 0 if pd.isna(one["bars"]) else one["bars_now"] - one["bars"]
    return f"{told}, {more:,} more bars" if more > 0 else told


def _day(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d %H:%M}".removesuffix(" 00:00")


def _line(why: Why) -> dict[str, Any]:
    run: Mapping[str, Any] = why.run or {}
    return {
        "row": why.row.told(),
        "run": None if why.row.run_id is None else str(why.row.run_id),
        "notebook": run.get("notebook"),
        "cell": ", ".join(dict.fromkeys(str(one.cell) for one in why.cells)),
        "deployment": run.get("deployment"),
        "slot": run.get("slot"),
        "status": run.get("status", "no record"),
        "code": run.get("code_version"),
        "series": len(why.series),
        "changed": int((why.series["changed"] > 0).sum()),
    }


def _plain(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if hasattr(value, "isoformat"):
        return None if pd.isna(value) else value.isoformat()
    if hasattr(value, "item"):  # NumPy's
        value = value.item()
    if value is None or isinstance(value, str | bool | int):
        return value
    if pd.api.types.is_scalar(value) and pd.isna(value):
        return None
    return value if isinstance(value, float) else str(value)
