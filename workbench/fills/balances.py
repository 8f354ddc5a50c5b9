"""`Balances`: what the accounts together held at each close, as the compiled loop leaves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Balances"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Balances:
    """What there was at each close.

    Attributes
    ----------
    equity, cash, gross : ndarray of float64, shape (n_bars,)
        Cash with all positions, cash, and the positions' value with short ones counted as long; currency, of
        all accounts together.
    units : ndarray of float64, shape (n_bars, n_symbols)
        Held, negative for short positions.
    """

    equity: Floats
    cash: Floats
    gross: Floats
    units: Floats
