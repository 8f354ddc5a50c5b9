"""`SlotClamp`: what a run for a slot may see of the bars: those that were complete at the slot.

Each series is clamped by its own calendar and bar length. What cannot be clamped is listed in the run's
evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import sqlalchemy as sa

from workbench.services.bar_store import SeriesState
from workbench.services.future import Future
from workbench.services.service import RunScope

__all__ = ["SlotClamp", "is_clamped", "note_unclamped", "spans"]

_DAY = 86_400_000_000
_STATEMENT_LENGTH = 200


class SlotClamp:
    """What a run for a slot may see.

    Parameters
    ----------
    slot : Timestamp
        With a time zone.
    run : RunScope
        Whose evidence lists the series of which it is not known when their bars are complete.
    """

    def __init__(self, slot: pd.Timestamp, run: RunScope) -> None:
        self.slot = slot.tz_convert("UTC")
        self._run = run
        # By calendar, length and whether at midnight: the same for most series.
        self._found: dict[tuple[str | None, str | None, bool], tuple[int, bool]] = {}

    @classmethod
    def of(cls, run: RunScope, connection: sa.Connection) -> SlotClamp | None:
        """The clamp of a run; None for one that is for no slot, and whose future is not hidden by a gate."""
        future = Future.of_process()
        if future is not None:
            return None if future.changed else cls(future.slot(connection), run)
        attempt = run.attempt()
        return None if attempt is None else cls(pd.Timestamp(attempt.slot), run)

    def before(self, state: SeriesState) -> int:
        """The series' bars with an earlier stamp were complete at the slot; microseconds since 1970, UTC."""
        return self._completeness(state)[0]

    def hides(self, state: SeriesState) -> bool:
        """Whether the series has bars that were not complete at the slot."""
        return bool(state.bars) and self.before(state) <= state.last

    def note(self, states: Sequence[SeriesState]) -> None:
        """Add to the run's evidence those of the series whose bars are clamped by a guess."""
        unknown = [
            f"{state.source}/{state.symbol}"
            for state in states
            if state.bars and not self._completeness(state)[1]
        ]
        if unknown:
            self._run.note_evidence("unknown_close", unknown)

    def seen(self, actions: pd.DataFrame, states: Sequence[SeriesState]) -> pd.DataFrame:
        """Of corporate actions those with an ex date on which, or before which, a bar was complete.

        Parameters
        ----------
        actions : DataFrame
            symbol, ex_date, and data_source where `states` are of several sources.
        states : sequence of SeriesState
            Actions of a series that is not among them are treated as those of an unknown calendar.
        """
        if actions.empty:
            return actions
        unknown = int(self.slot.as_unit("us").asm8.astype(np.int64)) - _DAY + 1
        bounds: Mapping[tuple[str, ...], int] = {
            (state.source, state.symbol): self.before(state) for state in states
        }
        sources = actions["data_source"] if "data_source" in actions else [""] * len(actions)
        if "data_source" not in actions:
            bounds = {("", symbol): before for (_, symbol), before in bounds.items()}
        keys = zip(sources, actions["symbol"], strict=True)
        before = np.array([bounds.get(key, unknown) for key in keys], dtype=np.int64)
        days = pd.DatetimeIndex(actions["ex_date"]).as_unit("us").asi8
        kept = days < before
        return actions if kept.all() else actions[kept].reset_index(drop=True)

    def _completeness(self, state: SeriesState) -> tuple[int, bool]:
        from workbench.marketdata.completeness import complete_before

        at_midnight = state.first % _DAY == 0 and state.last % _DAY == 0
        key = (state.calendar, state.interval, at_midnight)
        if key not in self._found:
            found = complete_before(self.slot, state.calendar, state.interval, at_midnight=at_midnight)
            self._found[key] = (found.before, found.known)
        return self._found[key]


def spans(
    clamp: SlotClamp | None, states: Sequence[SeriesState], start: int | None, end: int | None
) -> list[tuple[list[SeriesState], int | None]]:
    """The series of a load of `[start, end)`, grouped by the end to which the run may see them.

    Usually one group, for a series ends before its bound as a rule, and such a one is read like outside of
    any run. Series of which nothing is left are in no group.
    """
    if clamp is None:
        return [(list(states), end)]
    groups: dict[int | None, list[SeriesState]] = {}
    for state in states:
        own = end
        if clamp.hides(state):
            before = clamp.before(state)
            own = before if end is None else min(end, before)
            if start is not None and own <= start:
                continue
        groups.setdefault(own, []).append(state)
    return [(group, own) for own, group in groups.items()]


def is_clamped(run: RunScope) -> bool:
    """Whether a run may not see all bars: it is for a slot, or for a gate."""
    return Future.of_process() is not None or run.attempt() is not None


def note_unclamped(run: RunScope, what: str) -> None:
    """List a read that is not clamped in the evidence of a run for a slot, or of a gate; else does nothing.

    Parameters
    ----------
    run : RunScope
    what : str
        The statement, or the method with its arguments; the first characters are kept, on one line.
    """
    if is_clamped(run):
        run.note_evidence("unclamped", [" ".join(what.split())[:_STATEMENT_LENGTH]])
