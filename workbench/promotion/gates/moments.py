"""Chooses the bars after which gates hide or change the future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from workbench.promotion.gates.capture import Captured
from workbench.services.future import Future

__all__ = ["Moment", "choose_moments"]

_SHARES = (0.6, 0.8)
"""How far along the bars with signals the first cuts are; one more is near their end."""
_BACK = 3
_REACH = 0.1
"""How far from there, as a share of those bars, a moment may be that tells more."""


@dataclass(frozen=True)
class Moment:
    """A bar, and what is said at it.

    Attributes
    ----------
    bar : Timestamp
        UTC.
    series : tuple of str
        Of the symbols that have signals, those that the notebook read.
    towards : dict of str to float
        By symbol 1 where it is sold at the bar and -1 where it is bought: the opposite of what a rule that
        knew the future would do.
    """

    bar: pd.Timestamp
    series: tuple[str, ...]
    towards: Mapping[str, float]

    def future(self, *, changed: bool) -> Future:
        """What becomes of the bars after it."""
        return Future(self.bar, self.series, changed=changed, towards=self.towards)


def choose_moments(captured: Captured) -> list[Moment]:
    """Up to three bars at which a signal changes, at about 60 % and 80 % of all such bars and near their end.

    The bars are those of the signals that a run on all bars saved, so that they lie inside of whatever window
    the notebook has. Decisions that wait for the next bar are not among them: behind them is no future. The
    choice depends on these signals alone. Empty if there are none.
    """
    signals = captured.signals
    signals = signals[signals["pending"] != "t"].sort_values(["timestamp", "symbol"], kind="stable")
    before = signals.groupby(["cell", "strategy_id", "symbol"], sort=False)["signal"].shift()
    # Of rows that are saved for each bar, those where nothing changes tell little.
    turns = signals[signals["signal"] != before]
    earlier = turns[turns["timestamp"] < signals["timestamp"].max()]
    turns = earlier if len(earlier) else turns
    bars = pd.DatetimeIndex(turns["timestamp"].unique())
    if not len(bars):
        return []
    places = [int(share * len(bars)) for share in _SHARES] + [max(len(bars) - _BACK, 0)]
    chosen: dict[pd.Timestamp, Moment] = {}
    seen: set[tuple[object, ...]] = set()
    for place in places:
        bar = _telling(bars, turns, place, list(chosen), seen)
        if bar is not None:
            chosen[bar] = _moment(bar, signals, sorted(captured.revisions))
    return [chosen[bar] for bar in sorted(chosen)]


def _telling(
    bars: pd.DatetimeIndex,
    turns: pd.DataFrame,
    place: int,
    taken: list[pd.Timestamp],
    seen: set[tuple[object, ...]],
) -> pd.Timestamp | None:
    """The bar near a place at which the most strategies say what they say at no other moment, or None.

    So a rule is seen that needs the future only to enter, or only to leave, also beside other strategies.
    What is said there joins `seen`.
    """
    reach = max(int(_REACH * len(bars)), 5)
    near = [
        (abs(at - place), bars[at])
        for at in range(max(place - reach, 0), min(place + reach + 1, len(bars)))
        if bars[at] not in taken
    ]
    if not near:
        return None
    said: dict[pd.Timestamp, set[tuple[object, ...]]] = {bar: set() for _, bar in near}
    columns = (turns[name] for name in ("timestamp", "cell", "strategy_id", "signal"))
    for bar, *what in zip(*columns, strict=True):
        if bar in said:
            said[bar].add(tuple(what))
    _, bar = min(near, key=lambda one: (-len(said[one[1]] - seen), one))
    seen |= said[bar]
    return bar


def _moment(bar: pd.Timestamp, signals: pd.DataFrame, read: Sequence[str]) -> Moment:
    symbols = set(signals["symbol"])
    here = signals[signals["timestamp"] == bar]
    towards = {
        str(symbol): -1.0 if signal == "buy" else 1.0
        for symbol, signal in zip(here["symbol"], here["signal"], strict=True)
        if signal in ("buy", "sell")
    }
    series = tuple(name for name in read if name.partition("/")[2] in symbols)
    return Moment(bar, series or tuple(read), towards)
