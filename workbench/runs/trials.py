"""TrialStore: stores the trials of all runs and notebooks in the database, and counts them by strategy."""

from __future__ import annotations

import json
import logging
import math
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from workbench.backtest.trials import Moments, TrialBatch, TrialJournal, joined_moments
from workbench.db import frames
from workbench.db.pool import ServiceConnectionPool
from workbench.display.face import Face
from workbench.errors import WorkbenchError
from workbench.tables.workbench import trials

__all__ = ["TrialCount", "TrialStore"]

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 5.0


class Scope(Protocol):
    """The run that trials belong to."""

    def run_id(self) -> uuid.UUID | None:
        """The run's id; None outside of any run."""


@dataclass(frozen=True, repr=False)
class TrialCount:
    """How many variants of a strategy were tried, in the whole database.

    Attributes
    ----------
    strategy : str
    variants : int
        The trials. A variant in two different sweeps counts twice: too many is safer than too few.
    batches : int
        The backtests, sweeps and walk-forwards with these trials.
    sharpe_mean, sharpe_variance : float
        Of the variants' Sharpe ratios, per bar (variance with ddof=1); NaN with fewer than 1, or 2, ratios.
    best_sharpe : float
        The highest one, per bar; NaN if none is defined.
    """

    strategy: str
    variants: int
    batches: int
    sharpe_mean: float
    sharpe_variance: float
    best_sharpe: float

    def __repr__(self) -> str:
        return (
            f"<TrialCount {self.strategy!r}: {self.variants:,} variants in {self.batches:,} batches, "
            f"best Sharpe {self.best_sharpe:.4f} a bar>"
        )


class TrialStore(Face):
    """Stores the journal of trials in the database, and counts trials.

    Parameters
    ----------
    pool : ServiceConnectionPool
        With the role `workbench_runs`.
    scope : callable
        Returns the scope (the run) of this process.
    journal : TrialJournal
        This process's journal.
    """

    _inside = frozenset({"pool", "store_in_passing", "store_or_warn"})

    def __init__(
        self, pool: ServiceConnectionPool, scope: Callable[[], Scope], journal: TrialJournal
    ) -> None:
        self.pool = pool
        self._scope = scope
        self._journal = journal
        self._last = -math.inf

    def store(self) -> int:
        """Store the journal's pending trials in one transaction; return the number of variants.

        Raises
        ------
        RunFenced
            The run was declared dead, so its trials are not stored.
        """
        batches = self._journal.pending()
        self._last = time.monotonic()
        if not batches:
            return 0
        run_id = self._scope().run_id()
        with self.pool.begin("counting trials") as connection:
            if run_id is not None:
                connection.execute(sa.select(sa.func.workbench.require_live_run(run_id)))
            # Otherwise two processes that store the same trials in different orders could deadlock.
            frames.take_turns(connection, trials)
            _insert(connection, batches, run_id)
        self._journal.settle(batches)
        return sum(batch.variants for batch in batches)

    def store_in_passing(self) -> None:
        """Store unless that was done seconds ago; never raises, because counting must not stop a backtest."""
        if time.monotonic() - self._last >= _PATIENCE_SECONDS:
            self.store_or_warn()

    def store_or_warn(self) -> None:
        """Store; an error is logged instead of raised."""
        try:
            self.store()
        except WorkbenchError as error:
            self._last = time.monotonic()
            logger.warning("trials could not be stored yet; this is tried again later: %s", error)

    def count(self, strategy: str) -> TrialCount:
        """Count the trials of a strategy, with those of this process."""
        self.store()
        columns = (
            trials.c.variants,
            trials.c.sharpe_count,
            trials.c.sharpe_mean,
            trials.c.sharpe_m2,
            trials.c.best_sharpe,
        )
        query = sa.select(*columns).where(trials.c.strategy == strategy)
        with self.pool.begin("counting trials") as connection:
            rows = connection.execute(query).all()
        moments: Moments = (math.nan, 0.0, 0, math.nan)
        for row in rows:
            if row.sharpe_count:
                theirs = (row.sharpe_mean, row.sharpe_m2, row.sharpe_count, row.best_sharpe)
                moments = joined_moments(moments, theirs)
        mean, squares, count, best = moments
        return TrialCount(
            strategy=strategy,
            variants=sum(row.variants for row in rows),
            batches=len(rows),
            sharpe_mean=mean,
            sharpe_variance=squares / (count - 1) if count > 1 else math.nan,
            best_sharpe=best,
        )

    def list(self, strategy: str | None = None, *, latest: int = 50) -> pd.DataFrame:
        """List the newest batches of trials, newest first; Sharpe ratios are per bar."""
        self.store()
        query = sa.select(trials).order_by(trials.c.trial_id.desc()).limit(latest)
        if strategy is not None:
            query = query.where(trials.c.strategy == strategy)
        with self.pool.begin("listing trials") as connection:
            return frames.read(connection, query)


def _insert(connection: sa.Connection, batches: Sequence[TrialBatch], run_id: uuid.UUID | None) -> None:
    rows = [
        {
            "strategy": batch.strategy,
            "key": batch.key,
            "kind": batch.kind,
            "variants": batch.variants,
            "sharpe_count": batch.sharpe_count,
            "sharpe_mean": _or_null(batch.sharpe_mean),
            "sharpe_m2": batch.sharpe_m2,
            "best_sharpe": _or_null(batch.best_sharpe),
            "n_bars": batch.n_bars,
            "symbols": list(batch.symbols),
            "period_start": batch.start.to_pydatetime(),
            "period_end": batch.end.to_pydatetime(),
            "parameters": _as_json(batch.parameters),
            "run_id": run_id,
        }
        for batch in batches
    ]
    connection.execute(insert(trials).on_conflict_do_nothing(constraint="trials_key"), rows)


def _as_json(parameters: Mapping[str, Any]) -> Any:
    """Converted to JSON types: other values as text, NaN and infinity as null."""
    return json.loads(json.dumps(dict(parameters), default=str), parse_constant=lambda _: None)


def _or_null(value: float) -> float | None:
    return value if math.isfinite(value) else None
