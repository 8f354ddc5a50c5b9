"""An ingestion as a run of a deployment: with a record, a heartbeat and a slot, as a notebook has them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workbench.attempt import Attempt
from workbench.errors import RunFenced, SourceError, SourceUnreachable, WorkbenchError
from workbench.headless.execute import Progress
from workbench.headless.parameters import NotebookParameters
from workbench.ingestion import IngestedSeries, ingest
from workbench.marketdata.calendar import timezone_of
from workbench.promotion.held import HeldRun
from workbench.promotion.run import Origin
from workbench.runs.code import code_version
from workbench.runs.heartbeats import Pulse
from workbench.runs.scope import NoRun
from workbench.services.filters import as_moment
from workbench.session import Session
from workbench.settings import Settings
from workbench.sources.opening import open_source

__all__ = ["INGESTION", "IngestionResult", "check_ingestion", "ingestion_parameters", "run_ingestion"]

INGESTION = "ingestion"
"""What runs of ingestions have in their records in place of a notebook's name."""

_CELL = """
symbols: list[str]  # such as AAPL
source: str = "sample"  # sample, file, yahoo, polygon or alpaca
start: str | None = None  # the first day, UTC; from a vendor by default what is missing
interval: str | None = None  # the length of a vendor's bars, such as 1h; by default 1d
data_source: str | None = None  # the name that the bars are stored under
feed: str | None = None  # of alpaca: sip or iex
path: str | None = None  # the file, for the source file
bars_calendar: str | None = None  # the exchange calendar that bars are checked against; none for none
"""
_OPTIONS = ("interval", "data_source", "feed", "path")
_ERROR_LENGTH = 4_000
_MOST_NAMED = 20


@dataclass(frozen=True, repr=False)
class IngestionResult:
    """An ingestion that completed: its run's id, and how long it took. It leaves no notebook and no page."""

    run_id: str
    seconds: float
    notebook: str = INGESTION
    output: None = None
    html: None = None

    def __repr__(self) -> str:
        return f"<IngestionResult: run {self.run_id[:8]}, {self.seconds:.1f} s>"


class _OfIngestion(NoRun):
    """The run that bars are written for, so that nothing is written by one that was declared dead.

    It reads as nobody does who is bound to a slot: an ingestion continues from what is stored.
    """

    def __init__(self, run_id: uuid.UUID) -> None:
        self._run_id = run_id

    def run_id(self) -> uuid.UUID | None:
        return self._run_id


def ingestion_parameters() -> NotebookParameters:
    """What an ingestion takes, declared as a notebook's parameters are."""
    cell = {"cell_type": "code", "source": _CELL, "metadata": {"tags": ["parameters"]}}
    return NotebookParameters.from_document({"cells": [cell]}, INGESTION)


def check_ingestion(settings: Settings, given: Mapping[str, Any]) -> dict[str, Any]:
    """Every parameter's value; refuses what no run could do.

    Raises
    ------
    ParametersRefused
        Unknown or wrongly typed parameters.
    SourceError
        No symbols; there is no such source, or it has no such option; or its key is missing.
    QueryError
        There is no such calendar, or `start` is no moment.
    """
    usual = {} if settings.source is None else {"source": settings.source}
    values = ingestion_parameters().complete({**usual, **given})
    symbols = values["symbols"]
    if not symbols or not all(symbol.strip() for symbol in symbols):
        raise SourceError("an ingestion needs its symbols, such as AAPL,MSFT; none of them may be empty")
    values["symbols"] = list(dict.fromkeys(symbol.strip() for symbol in symbols))
    as_moment(values["start"], "start")
    calendar = values["bars_calendar"]
    if calendar is not None and calendar.lower() != "none":
        timezone_of(calendar)
    open_source(values["source"], settings, _options(values))
    return values


def run_ingestion(
    session: Session,
    parameters: Mapping[str, Any],
    *,
    origin: Origin,
    locks: Sequence[str] = (),
    progress: Progress | None = None,
) -> IngestionResult:
    """Ingest, and record how it went; a symbol that fails stops no other one, and the run fails in the end.

    Parameters
    ----------
    session : Session
    parameters : mapping
        As `check_ingestion` gives them.
    origin : Origin
    locks : sequence of str
        As `run_notebook` takes them.
    progress : callable, optional
        `progress(symbols done, symbols in all, what is done)`.

    Raises
    ------
    SourceUnreachable
        Symbols failed, of some because the vendor did not answer: another attempt may have them.
    SourceError
        Symbols failed.
    SlotTaken
        A live run works on that slot, or has completed it.
    """
    began = time.monotonic()
    values = check_ingestion(session.settings, parameters)
    tell = progress or _quiet
    with HeldRun(session.runs) as run:
        if origin.purpose == "live" and origin.deployment is not None and origin.slot is not None:
            attempt = Attempt(origin.deployment, origin.slot, origin.member)
            run.reserve(attempt, is_retry=origin.trigger == "retry")
        run.start(
            notebook=INGESTION,
            parameters=values,
            trigger=origin.trigger,
            code_version=code_version(),
            deployment=origin.deployment,
            deployment_version=origin.version,
            scheduled_for=origin.scheduled_for,
            slot=origin.slot,
            member=origin.member,
            purpose=origin.purpose,
            flow_run_id=origin.flow_run_id,
        )
        try:
            run.await_resources(locks, None, lambda words: tell(0, 0, words))
            done = _ingest(session, run, values, tell)
        except BaseException as error:
            _record_failure(run, error)
            raise
        run.store.note_headline(run.run_id, _figures(done))
        failed = [one for one in done if one.error]
        if failed:
            run.store.note_evidence(run.run_id, "failed", [f"{one.symbol}: {one.error}" for one in failed])
            failure = _failure(failed, len(done))
            _record_failure(run, failure)
            raise failure
        run.finish("completed")
    return IngestionResult(str(run.run_id), time.monotonic() - began)


def _ingest(
    session: Session, run: HeldRun, values: Mapping[str, Any], tell: Progress
) -> list[IngestedSeries]:
    settings, total, done = session.settings, len(values["symbols"]), 0
    calendar = values["bars_calendar"]
    if calendar is None and values["source"] != "sample":
        calendar = settings.calendar

    def waits(words: str) -> None:
        # A source may have several series of a symbol, as the sample has.
        run.heartbeat.update(Pulse(cell=min(done + 1, total), cells=total, doing=words))
        tell(min(done, total), total, words)

    def is_done(one: IngestedSeries) -> None:
        nonlocal done
        done += 1
        if run.heartbeat.over:
            raise RunFenced(
                f"run {run.run_id} was declared dead ({run.heartbeat.over}); the rest is not fetched"
            )
        said = one.error or f"{one.written}, {one.refused} refused"
        waits(f"{one.symbol} from {one.data_source}: {said}")

    source = open_source(values["source"], settings, _options(values), on_wait=waits)
    with session.bars_of(_OfIngestion(run.run_id)) as service:
        return ingest(
            service, source, values["symbols"], values["start"], calendar=calendar, progress=is_done
        )


def _options(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: values[name] for name in _OPTIONS}


def _figures(done: Sequence[IngestedSeries]) -> dict[str, int]:
    return {
        "series": len(done),
        "inserted": sum(one.written.inserted for one in done),
        "updated": sum(one.written.updated for one in done),
        "unchanged": sum(one.written.unchanged for one in done),
        "refused": sum(one.refused for one in done),
        "failed": sum(bool(one.error) for one in done),
    }


def _failure(failed: Sequence[IngestedSeries], total: int) -> SourceError:
    named = "; ".join(f"{one.symbol}: {one.error}" for one in failed[:_MOST_NAMED])
    more = f"; and {len(failed) - _MOST_NAMED} more" if len(failed) > _MOST_NAMED else ""
    kind = SourceUnreachable if any(one.unreachable for one in failed) else SourceError
    return kind(f"{len(failed)} of {total} symbols failed, the others are stored: {named}{more}")


def _record_failure(run: HeldRun, error: BaseException) -> None:
    said = str(error) if isinstance(error, WorkbenchError) else f"{type(error).__name__}: {error}"
    try:
        run.finish("failed", error=said[:_ERROR_LENGTH])
    except WorkbenchError as second:
        # The run's own error matters more; this one is added to it as a note.
        error.add_note(f"the failure of run {run.run_id} could not be recorded: {second}")


def _quiet(done: int, total: int, what: str) -> None:
    """Ignore progress."""
