"""The journal of trials: how many variants of a strategy were looked at, whatever became of them.

Whoever tries a thousand variants and shows the best has to say so: the deflated Sharpe ratio asks how many
there were, and how much their Sharpe ratios differed. Every backtest and every sweep of this process is
written down here, once for each variant and set of bars; `Workbench` moves the journal to the database.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "JOURNAL",
    "Moments",
    "TrialBatch",
    "TrialJournal",
    "joined_moments",
    "sharpe_moments",
    "trial_key",
]

Moments = tuple[float, float, int, float]
"""Mean, sum of squared deviations, count and maximum; NaN, 0, 0 and NaN of nothing."""


@dataclass(frozen=True)
class TrialBatch:
    """One backtest, or all the variants of one sweep.

    Attributes
    ----------
    strategy : str
        What the trials are counted under.
    kind : str
        "backtest", "sweep", "walk_forward" or "cross_validation".
    key : str
        The same variants of the same code, on the same symbols from the same first bar on, under the same
        rules, have the same key and are counted once: a schedule that runs one variant on a bar more each
        day tries nothing new.
    variants : int
        How many were tried: the trials. Those whose Sharpe ratio is not defined count, too.
    sharpe_mean : float
        Mean Sharpe ratio of the variants, per bar (not annualised); NaN where none is defined.
    sharpe_m2 : float
        Sum of the squared deviations from that mean, so that batches can be put together.
    sharpe_count : int
        How many of the variants have a Sharpe ratio.
    best_sharpe : float
        The highest one, per bar; NaN where none is defined.
    n_bars : int
        How many returns each Sharpe ratio was computed from.
    symbols : tuple of str
    start, end : Timestamp
        The first and the last bar, UTC.
    parameters : mapping
        Of a backtest its parameters, of a sweep what was searched; JSON.
    """

    strategy: str
    kind: str
    key: str
    variants: int
    sharpe_mean: float
    sharpe_m2: float
    sharpe_count: int
    best_sharpe: float
    n_bars: int
    symbols: tuple[str, ...]
    start: pd.Timestamp
    end: pd.Timestamp
    parameters: Mapping[str, Any] = field(default_factory=dict)


class TrialJournal:
    """Trials in the order in which they were made; safe to use from several threads."""

    def __init__(self) -> None:
        self._batches: dict[tuple[str, str], TrialBatch] = {}
        self._settled: set[tuple[str, str]] = set()
        self._listeners: list[weakref.WeakMethod[Callable[[], None]]] = []
        self._lock = threading.Lock()

    def record(self, batch: TrialBatch) -> None:
        """Write a batch down, unless it is there or settled already, and tell the listeners."""
        with self._lock:
            identity = (batch.strategy, batch.key)
            if identity in self._settled or identity in self._batches:
                return
            self._batches[identity] = batch
            listeners = [method() for method in self._listeners]
        for listener in listeners:
            if listener is not None:
                listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Have a bound method called after each new batch, for as long as its object lives."""
        with self._lock:
            self._listeners = [method for method in self._listeners if method() is not None]
            self._listeners.append(weakref.WeakMethod(listener))

    def ignore(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        with self._lock:
            self._listeners = [method for method in self._listeners if method() != listener]

    def pending(self) -> list[TrialBatch]:
        """What was written down and is not settled yet."""
        with self._lock:
            return list(self._batches.values())

    def settle(self, batches: Sequence[TrialBatch]) -> None:
        """Forget batches that are stored now; those that came in meanwhile stay."""
        with self._lock:
            for batch in batches:
                self._batches.pop((batch.strategy, batch.key), None)
                self._settled.add((batch.strategy, batch.key))

    def __repr__(self) -> str:
        return f"<TrialJournal: {sum(batch.variants for batch in self.pending())} trials not yet stored>"


JOURNAL = TrialJournal()
"""This process's journal. It is global, since a trial that nobody handed over is the one that misleads."""


def trial_key(**facts: Any) -> str:
    """A key of whatever decides a trial's outcome: 32 hex digits of the SHA-256 of its JSON."""
    said = json.dumps(facts, sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def sharpe_moments(sharpes: npt.ArrayLike) -> Moments:
    """Mean, sum of squared deviations, count and maximum of the Sharpe ratios that are defined.

    Parameters
    ----------
    sharpes : array_like of float64, shape (n_variants,)
        Per bar; NaN and infinite ones are left out.

    Returns
    -------
    tuple of (float, float, int, float)
        NaN, 0, 0, NaN where none is defined.
    """
    values = np.asarray(sharpes, dtype=np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return math.nan, 0.0, 0, math.nan
    mean = float(values.mean())
    return mean, float(((values - mean) ** 2).sum()), int(values.size), float(values.max())


def joined_moments(one: Moments, other: Moments) -> Moments:
    """The moments of both together, as if their values had been in one list.

    T. F. Chan, G. H. Golub and R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for Computing
    Sample Variances", Stanford STAN-CS-79-773, 1979.
    """
    if not one[2] or not other[2]:
        return other if not one[2] else one
    count, apart = one[2] + other[2], other[0] - one[0]
    mean = one[0] + apart * other[2] / count
    squares = one[1] + other[1] + apart**2 * one[2] * other[2] / count
    return mean, squares, count, max(one[3], other[3])
