"""What a strategy says: `Signals` (when to be in and out) or `Weights` (how much of what); no rules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["Flags", "SignalArrays", "Signals", "Weights"]

Flags = pd.Series | pd.DataFrame
"""Bool: a wide frame (timestamp × symbol), a Series by timestamp for one symbol, or a tidy Series."""

BoolCube = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
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
    """

    entries: Flags
    exits: Flags
    short_entries: Flags | None = None
    short_exits: Flags | None = None


@dataclass(frozen=True, eq=False)
class Weights:
    """How much of the account to hold in each symbol, decided at each bar's close.

    Attributes
    ----------
    weights : DataFrame of float64, shape (n_bars, n_symbols)
        Fractions of equity (0.25 is 25 %), negative for short positions. NaN places no order: the position
        stays as it is. Every other value is an order to hold just that much, so a frame without NaN trades
        at every bar; give rows at the rebalancing dates only.
    """

    weights: pd.DataFrame


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
