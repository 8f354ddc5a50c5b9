"""`Future`: the bars after a moment, hidden or changed in every load of a gate's kernel.

It travels in an environment variable of that kernel, so that a notebook needs no parameter for it.
"""

from __future__ import annotations

import functools
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import sqlalchemy as sa

from workbench.marketdata.completeness import complete_before
from workbench.services.bar_series import series_states
from workbench.services.bar_store import SeriesState

__all__ = ["FUTURE_VARIABLE", "Future"]

FUTURE_VARIABLE = "WORKBENCH_FUTURE"
"""The environment variable of a gate's kernel, with a `Future` as JSON."""

_DAY = 86_400_000_000
# Bars of a month are the longest that complete within this time.
_REACH = pd.Timedelta(days=45)
_JUMP, _DAILY, _FARTHEST = 3.0, 0.03, 3.0


@dataclass(frozen=True)
class Future:
    """What becomes of the bars after one.

    Attributes
    ----------
    bar : Timestamp
        The last bar that stays as it is, UTC: all that was complete when it was.
    series : tuple of str
        The series whose bar it is ("yahoo/AAPL"), which say when it is complete.
    changed : bool
        Whether later bars are changed; else they are hidden.
    towards : mapping of str to float
        By symbol whether changed prices jump up (above 0) or down; for others chance decides.
    seed : int
    """

    bar: pd.Timestamp
    series: tuple[str, ...]
    changed: bool = False
    towards: Mapping[str, float] = field(default_factory=dict)
    seed: int = 0
    _slots: list[pd.Timestamp] = field(default_factory=list, repr=False, compare=False)

    def environment(self) -> dict[str, str]:
        """The variable for the kernel."""
        facts = {
            "bar": self.bar.isoformat(),
            "series": list(self.series),
            "changed": self.changed,
            "towards": dict(self.towards),
            "seed": self.seed,
        }
        return {FUTURE_VARIABLE: json.dumps(facts)}

    @classmethod
    def of_process(cls) -> Future | None:
        """The one of this process; None outside of a gate's kernel."""
        given = os.environ.get(FUTURE_VARIABLE)
        return None if not given else _read(given)

    def slot(self, connection: sa.Connection) -> pd.Timestamp:
        """The moment at which the bar was complete, UTC; found once for this process."""
        if not self._slots:
            symbols = sorted({name.partition("/")[2] for name in self.series})
            states = [
                state
                for state in (series_states(connection, symbols) if symbols else [])
                if f"{state.source}/{state.symbol}" in self.series
            ]
            self._slots.append(completed_at(self.bar, states))
        return self._slots[0]

    def change(self, bars: pd.DataFrame, bounds: Mapping[str, int]) -> pd.DataFrame:
        """Bars of which those from a bound on are scaled: a jump by the factor 3, then a random walk by days.

        What a bar becomes depends on its symbol, its time and the seed alone, whatever else is loaded.

        Parameters
        ----------
        bars : DataFrame
            Tidy bars of any fields.
        bounds : mapping of str to int
            By symbol the first time that is changed, microseconds since 1970, UTC.
        """
        times = pd.DatetimeIndex(bars.index.get_level_values("timestamp")).as_unit("us").asi8
        symbols = np.asarray(bars.index.get_level_values("symbol"))
        changed = bars.copy()
        for symbol, bound in bounds.items():
            later = np.flatnonzero((symbols == symbol) & (times >= bound))
            if not later.size:
                continue
            days = (times[later] - bound) // _DAY
            generator = np.random.default_rng([self.seed, zlib.crc32(symbol.encode())])
            jump = np.log(_JUMP) * (np.sign(self.towards.get(symbol, 0)) or generator.choice([-1.0, 1.0]))
            walk = np.cumsum(generator.normal(0.0, _DAILY, int(days.max()) + 1))
            factors = np.exp(jump + np.clip(walk, -_FARTHEST, _FARTHEST))[days]
            for place, name in enumerate(bars.columns):
                # Volume goes the other way, so that no rule on turnover sees a plain change of scale.
                scale = 1.0 / factors if name == "volume" else factors
                values = changed[name].to_numpy(copy=True)
                values[later] *= scale
                changed.isetitem(place, values)
        return changed


def completed_at(bar: pd.Timestamp, states: Sequence[SeriesState]) -> pd.Timestamp:
    """The first second at which a bar of these series was complete; a day after it where there are none.

    Of a bar at midnight all of the series count, for it may be a daily one; of any other of each symbol the
    series with the shortest bars.
    """
    if not states:
        return bar + pd.Timedelta(days=1)
    at = int(bar.as_unit("us").asm8.astype(np.int64))
    decides = all if at % _DAY == 0 else any

    def complete(moment: pd.Timestamp) -> bool:
        by_symbol: dict[str, list[bool]] = {}
        for state in states:
            at_midnight = state.first % _DAY == 0 and state.last % _DAY == 0
            found = complete_before(moment, state.calendar, state.interval, at_midnight=at_midnight)
            by_symbol.setdefault(state.symbol, []).append(found.before > at)
        return all(decides(of) for of in by_symbol.values())

    # Daily bars of the far east are complete before their date begins in UTC.
    low, high = -pd.Timedelta(days=2), _REACH
    while high - low > pd.Timedelta(seconds=1):
        middle = ((low + high) / 2).floor("s")
        low, high = (low, middle) if complete(bar + middle) else (middle, high)
    return bar + high


@functools.cache
def _read(given: str) -> Future:
    facts = json.loads(given)
    return Future(
        pd.Timestamp(facts["bar"]),
        tuple(facts["series"]),
        changed=facts["changed"],
        towards=facts["towards"],
        seed=facts["seed"],
    )
