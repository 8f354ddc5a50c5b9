"""A run's record as displayed: as rows, on a notebook's card and on the run's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.attempt import PURPOSES
from workbench.display.card import card_html
from workbench.runs.saved_in import SAVED_IN, saved_in

__all__ = ["RunRecord", "about", "moment_told", "of_slot"]

_SHOWN_SERIES = 12
_PURPOSES: dict[str | None, str] = {name: f"{name}, says nothing live" for name in PURPOSES}
_PURPOSES["live"] = "live"
# What the kinds of evidence are called; others go by their own name.
_EVIDENCE = {
    "environment": "environment differs",
    "unclamped": "read unclamped",
    "unknown_close": "unknown close",
    "contradicts": "says otherwise than was said",
    SAVED_IN: "saved in",
}


class RunRecord(dict[str, Any]):
    """The record of one run: a dict that notebooks show as a card."""

    def _repr_html_(self) -> str:
        rows = [("status", self["status"]), *about(self)]
        rows += [("started", moment_told(self["started_at"]))]
        rows += [("ended", moment_told(self["ended_at"]))] if self["ended_at"] else []
        removed = self["outputs_removed_at"]
        there = ("error",) if removed else ("error", "html_path", "output_path")
        rows += [(name, str(self[name])) for name in there if self[name]]
        rows += [("outputs", f"removed on {moment_told(removed)}, since they were old")] if removed else []
        rows += [(f"parameters.{name}", repr(value)) for name, value in self["parameters"].items()]
        rows += [(f"headline.{name}", f"{value}") for name, value in self["headline"].items()]
        return card_html(f"Run {self['run_id'][:8]} of {self['notebook']}", rows)


def about(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The run's id, its trigger, and the code, notebook and data that its results come from.

    Parameters
    ----------
    record : mapping
        As `wb.runs.show` returns it; for a run in progress, with the data read so far.

    Returns
    -------
    list of (str, str)
        Names and values as text; without fields that are empty in the record. The slot is the moment at which
        the run was due, UTC. Last what its evidence lists, such as reads that its slot did not clamp.
    """
    trigger = record["trigger"]
    if trigger == "deployment":
        trigger = "the schedule" if record["scheduled_for"] else "a trigger of the deployment"
    revisions = sorted(record["data_revisions"].items())
    data = _several([f"{series} at revision {revision}" for series, revision in revisions])
    rows = {
        "run": str(record["run_id"]),
        "notebook": record["notebook"],
        "content": _short(record["notebook_sha256"]),
        "deployment": record["deployment"],
        "slot": moment_told(record["slot"]) if record["slot"] else None,
        "purpose": _PURPOSES.get(record["purpose"]),
        "attempt": str(record["attempt"]) if record["attempt"] else None,
        "started by": trigger,
        "version": _short(record["version_sha256"]),
        "code": record["code_version"],
        "modules": _hashes(record["modules"]),
        "files": _hashes(record["files"]),
        "data": data,
        "contradicted": _several(record.get("contradictions", [])),
    }
    shown = [(name, value) for name, value in rows.items() if value]
    return shown + [
        (_EVIDENCE.get(kind, kind.replace("_", " ")), _several(_told(kind, lines)))
        for kind, lines in sorted(record["evidence"].items())
    ]


def _told(kind: str, lines: Sequence[str]) -> Sequence[str]:
    """The lines of a kind of evidence as people read them."""
    if kind != SAVED_IN:
        return lines
    return list(dict.fromkeys(f"{one.table} in {one.told()}" for one in saved_in({kind: lines})))


def of_slot(record: Mapping[str, Any]) -> str:
    """The slot that a run was for, and as what: "2026-11-27 22:30:00 UTC (live)"; empty if for none."""
    if not record["slot"]:
        return ""
    return f"{moment_told(record['slot'])} ({_PURPOSES[record['purpose']]})"


def _short(sha256: str | None) -> str | None:
    return sha256[:12] if sha256 else None


def _several(lines: Sequence[str]) -> str:
    told = [str(line) for line in lines[:_SHOWN_SERIES]]
    if len(lines) > _SHOWN_SERIES:
        told.append(f"and {len(lines) - _SHOWN_SERIES:,} more, in the record")
    return ", ".join(told)


def _hashes(contents: Mapping[str, str]) -> str:
    """Paths with the first characters of their hashes; of many the first ones."""
    return _several([f"{path} ({_short(sha256)})" for path, sha256 in sorted(contents.items())])


def moment_told(moment: Any) -> str:
    """A moment in UTC to the second: "2026-11-27 22:30:00 UTC"."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
