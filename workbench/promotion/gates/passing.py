"""Runs the gates of a promotion in their order, and refuses at the first that fails, unless by force.

A notebook that runs its cells and saves no rows of signals, performance or figures costs one run; one without
signals two; any other up to eight, two at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future as Job
from typing import Any

from workbench.errors import GateFailed
from workbench.promotion.gates.capture import Captured
from workbench.promotion.gates.cells import CellNames
from workbench.promotion.gates.compare import (
    MOST_TOLD,
    Difference,
    differing_rows,
    differing_signals,
    shown,
    told,
)
from workbench.promotion.gates.floors import Floors
from workbench.promotion.gates.kernels import Kernels, Subject
from workbench.promotion.gates.moments import Moment, choose_moments
from workbench.promotion.gates.own_writes import judge_writes, wrote_by_itself
from workbench.promotion.gates.result import GateResult, gate_in_words
from workbench.promotion.rehearsal import Rehearsal
from workbench.stack.model import Progress

__all__ = ["pass_gates"]

_TRIES = 2
_WORDS = {"future_cut": ("hidden", "cut"), "future_changed": ("changed", "change")}


def pass_gates(
    subject: Subject, floors: Floors, *, force: bool, progress: Progress
) -> tuple[Rehearsal, list[GateResult]]:
    """Run the notebook as the gates ask for it.

    Parameters
    ----------
    subject : Subject
    floors : Floors
    force : bool
        Go on behind a gate that fails: all of them are run, and what they found is returned.
    progress : callable
        Called with a few words on what runs.

    Returns
    -------
    Rehearsal
        The first run, on all bars.
    list of GateResult
        One each, in the order of `GATES`.

    Raises
    ------
    GateFailed
        The first gate that failed, with those before it; every kernel has ended.
    """
    cells = CellNames(subject.file.document, subject.values)
    passing = _Passing(subject.file.path.name, force)
    with Kernels(subject, progress) as kernels:
        words = f"{gate_in_words('headless')}, running it once, without its writes"
        first = kernels.result(kernels.start(words))
        passing.take(_headless(first, cells), first.failure)
        moments = choose_moments(first.captured) if first.captured.revisions else []
        # All at once, so that no processor waits; each gate is judged when its turn has come.
        second = f"{gate_in_words('repeatable')}, a second run"
        saves = any(len(rows) for rows in first.captured.rows.values())
        again = kernels.start(second) if saves else None
        runs = {
            gate: [
                kernels.start(
                    f"{gate_in_words(gate)}, {_WORDS[gate][1]} {number} of {len(moments)}",
                    moment.future(changed=gate == "future_changed"),
                )
                for number, moment in enumerate(moments, 1)
            ]
            for gate in _WORDS
        }
        pair = first, None if again is None else kernels.result(again)
        for _ in range(_TRIES):
            # Bars came in between: two runs are asked for that read the same.
            if pair[1] is not None and pair[1].captured.changed_since(pair[0].captured):
                pair = pair[1], kernels.result(kernels.start(second))
        passing.take(_repeatable(*pair, cells))
        for gate, jobs in runs.items():
            passing.take(_future(gate, first.captured, moments, jobs, kernels.result, cells))
        passing.take(judge_writes(first, cells))
        passing.take(floors.passed(first.captured, cells))
    return first, passing.results


class _Passing:
    """Takes in one result after another."""

    def __init__(self, name: str, force: bool) -> None:
        self._name = name
        self._force = force
        self.results: list[GateResult] = []

    def take(self, result: GateResult, cause: Exception | None = None) -> None:
        self.results.append(result)
        if result.outcome == "failed" and not self._force:
            raise GateFailed(
                f"{self._name} is not promoted, because {_why(result)}. "
                'Promote it all the same with --force "why" (force="why").',
                gate=result.gate,
                gates=[one.to_json() for one in self.results],
            ) from cause


def _why(result: GateResult) -> str:
    said = result.summary.rstrip(".")
    return said if result.gate == "headless" else f"it does not pass the gate {result.gate}: {said}"


def _headless(first: Rehearsal, cells: CellNames) -> GateResult:
    failure = first.failure
    if failure is None:
        return GateResult("headless", "passed", first.seconds, f"it ran in {first.seconds:.1f} s")
    said = str(failure).rstrip(".")
    details: dict[str, Any] = {"cell": failure.cell, "error": said}
    if wrote_by_itself(first):
        # The gate for that is asked: it says what to do.
        summary = f"it was stopped in {cells.name(failure.cell)}, as the gate own_writes tells"
        return GateResult("headless", "not applicable", first.seconds, summary, details)
    if first.wrote:
        summary = f"not told: it failed, which may be only because what it wrote before was undone: {said}"
        return GateResult("headless", "not applicable", first.seconds, summary, details)
    return GateResult("headless", "failed", first.seconds, f"it fails: {said}", details)


def _repeatable(first: Rehearsal, second: Rehearsal | None, cells: CellNames) -> GateResult:
    if second is None:
        summary = "it saves no signals, performance or figures that could be compared"
        return GateResult("repeatable", "not applicable", 0.0, summary)
    if second.failure is not None and first.failure is None:
        summary = f"it ran once, and failed the second time: {str(second.failure).rstrip('.')}"
        return GateResult("repeatable", "failed", second.seconds, summary)
    if changed := second.captured.changed_since(first.captured):
        summary = f"bars of {', '.join(changed[:MOST_TOLD])} were written between any two runs; promote again"
        return GateResult("repeatable", "failed", second.seconds, summary)
    failed_in = None if second.failure is None else second.failure.cell
    found = differing_rows(first.captured, second.captured, failed_in)
    if found:
        return GateResult("repeatable", "failed", second.seconds, told(found, cells), _evidence(found, cells))
    count = sum(len(rows) for rows in first.captured.rows.values())
    summary = f"a second run saved the same {count:,} rows, {len(first.captured.signals):,} of them signals"
    return GateResult("repeatable", "passed", second.seconds, summary)


def _future(
    gate: str,
    full: Captured,
    moments: Sequence[Moment],
    jobs: Sequence[Job[Rehearsal]],
    result: Callable[[Job[Rehearsal]], Rehearsal],
    cells: CellNames,
) -> GateResult:
    """Judge the runs whose later bars were hidden or changed."""
    become, _ = _WORDS[gate]
    if not moments:
        return GateResult(gate, "not applicable", 0.0, _why_not(full))
    found: dict[tuple[str, ...], Difference] = {}
    failed, unclamped, written, seconds = list[str](), set[str](), set[str](), 0.0
    for moment, job in zip(moments, jobs, strict=True):
        run = result(job)
        seconds += run.seconds
        unclamped |= set(run.captured.unclamped)
        written |= set(run.captured.changed_since(full))
        failed_in = None
        if run.failure is not None:
            failed.append(f"after {_day(moment)}: {str(run.failure).rstrip('.')}")
            failed_in = run.failure.cell or 0
        for one in differing_signals(
            full, run.captured, moment.bar, changed=gate == "future_changed", failed_in=failed_in
        ):
            found.setdefault((str(one.cell), *one.key.values()), one)
    days = ", ".join(map(_day, moments))
    details: dict[str, Any] = {"moments": [moment.bar.isoformat() for moment in moments]}
    doubts = [f"With later bars {become} it fails {words}." for words in failed]
    if unclamped:
        doubts.append(f"Not {become} was what it read by {'; '.join(sorted(unclamped)[:MOST_TOLD])}.")
    if doubts:
        details["doubts"] = doubts
    if found:
        offenders = sorted(found.values(), key=lambda one: (one.key["bar"], one.key["symbol"]))
        details |= _evidence(offenders, cells)
        said = told(offenders, cells)
        if written:
            said += (
                f"; bars of {', '.join(sorted(written)[:MOST_TOLD])} were written meanwhile: promote again"
            )
        summary = f"with the bars after {days} {become}, signals of bars until then changed: {said}"
        return GateResult(gate, "failed", seconds, summary, details)
    if len(failed) == len(moments) and not all(_reached(full, run) for run in map(result, jobs)):
        summary = f"with later bars {become} it cannot be compared, for it fails {failed[0]}"
        return GateResult(gate, "failed", seconds, summary, details)
    summary = f"with the bars after {days} {become}, signals of bars until then stayed the same"
    return GateResult(gate, "passed", seconds, summary, details)


def _reached(full: Captured, run: Rehearsal) -> bool:
    """Whether each cell that saves signals has saved some before a run failed."""
    return set(full.signals["cell"]) <= set(run.captured.signals["cell"])


def _why_not(full: Captured) -> str:
    if not len(full.signals):
        return "it saves no signals, so there is nothing that the future could change"
    if not full.revisions:
        return "it loads no bars from the database, so none could be taken away; nothing was compared"
    return "it saves no signal but at its newest bar, behind which there is no future"


def _evidence(found: Sequence[Difference], cells: CellNames) -> dict[str, Any]:
    by_cell = Counter(cells.name(one.cell) for one in found)
    return {
        "offenders": [one.to_json(cells) for one in shown(found)],
        "count": len(found),
        "by_cell": dict(by_cell),
    }


def _day(moment: Moment) -> str:
    bar = moment.bar
    return f"{bar:%Y-%m-%d}" if bar == bar.normalize() else f"{bar:%Y-%m-%d %H:%M} UTC"
