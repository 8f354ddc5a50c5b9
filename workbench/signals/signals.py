"""What a strategy says: `Signals` (when to be in and out) or `Weights` (how much of what); no rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import named
from workbench.errors import StrategyError

__all__ = ["Flags", "SignalArrays", "Signals", "Weights"]

Flags = pd.Series | pd.DataFrame
"""Bool: a wide frame (timestamp × symbol), a Series by timestamp for one symbol, or a tidy Series."""

BoolCube = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False, repr=False)
class Signals:
    """When to enter and to leave, known at each bar's close.

    Signals are states, not events: an entry while invested does nothing, so ``entries=above, exits=~above``
    says all there is to say. After a stop has closed a position, an entry that still stands enters again.

    Attributes
    ----------
    entries, exits : Series or DataFrame of bool
        Go long, and close the long position.
    short_entries, short_exits : Series or DataFrame of bool, optional
        Go short, and close the short position. An entry on the other side closes and reverses.

    Raises
    ------
    StrategyError
        Something is no Series and no frame; what it holds is checked against the bars by `backtest`.
    """

    entries: Flags
    exits: Flags
    short_entries: Flags | None = None
    short_exits: Flags | None = None

    def __post_init__(self) -> None:
        for role, flags in vars(self).items():
            if flags is None and role.startswith("short"):
                continue
            if not isinstance(flags, pd.Series | pd.DataFrame):
                raise StrategyError(
                    f"Signals: {role} is {named(flags)}, without timestamps to match with the bars'; give a "
                    "Series or a frame of bool, as computed on panel(bars, 'close')."
                )

    def __repr__(self) -> str:
        given = {
            "entries": self.entries,
            "exits": self.exits,
            "short entries": self.short_entries,
            "short exits": self.short_exits,
        }
        counts = [f"{_count(flags):,} {name}" for name, flags in given.items() if flags is not None]
        return f"<Signals {_reach(self.entries)}: {', '.join(counts)}>"


@dataclass(frozen=True, eq=False, repr=False)
class Weights:
    """How much of the account to hold in each symbol, decided at each bar's close.

    Attributes
    ----------
    weights : DataFrame of float64, shape (n_bars, n_symbols)
        Fractions of equity (0.25 is 25 %), negative for short positions. NaN places no order: the position
        stays as it is. Every other value is an order to hold just that much, so a frame without NaN trades
        at every bar; give rows at the rebalancing dates only.

    Raises
    ------
    StrategyError
        They are no frame; what it holds is checked against the bars by `backtest`.
    """

    weights: pd.DataFrame

    def __post_init__(self) -> None:
        if not isinstance(self.weights, pd.DataFrame):
            raise StrategyError(
                f"weights: {named(self.weights)} is no frame (timestamp × symbol); "
                "give one with a column for each symbol."
            )

    def __repr__(self) -> str:
        return (
            f"<Weights {_reach(self.weights)}: {int(self.weights.notna().any(axis=1).sum()):,} rebalancings>"
        )


@dataclass(frozen=True, eq=False)
class SignalArrays:
    """The signals of many variants at once, laid out as `BarArrays`.

    Attributes
    ----------
    entries, exits : ndarray of bool, shape (n_variants, n_bars, n_symbols)
    short_entries, short_exits : ndarray of bool, shape (n_variants, n_bars, n_symbols), optional
    """

    entries: BoolCube
    exits: BoolCube
    short_entries: BoolCube | None = None
    short_exits: BoolCube | None = None


def _count(flags: Flags) -> int:
    """In how many places the flags stand."""
    array = flags.to_numpy()
    if array.dtype != np.bool_:
        # What is refused later can be shown all the same: an object array may hold NaN and pd.NA.
        array = flags.to_numpy(dtype=object, na_value=False) == True  # noqa: E712
    return int(np.count_nonzero(array))


def _reach(frame: Flags) -> str:
    """How many bars, of what, from when to when."""
    if isinstance(frame, pd.DataFrame):
        names = [str(name) for name in frame.columns]
        of = f" of {', '.join(names[:3])}{', …' * (len(names) > 3)}"
    else:
        of = ""
    times = frame.index.get_level_values(-1)
    if not len(times) or not isinstance(times, pd.DatetimeIndex):
        return f"{len(frame):,} bars{of}"
    return f"{len(frame):,} bars{of}, {times.min():%Y-%m-%d} to {times.max():%Y-%m-%d}"
