"""The hash of bars: by it a sweep finds its rows again, and a trial is known."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.signals.inputs import BarArrays

__all__ = ["bars_sha256", "nanoseconds"]

_COLUMNS = ("open", "high", "low", "close", "volume")
_NANOSECONDS = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}


def bars_sha256(market: BarArrays) -> str:
    """A fingerprint of bars: symbols, times, prices and volume; 64 hex digits.

    Parameters
    ----------
    market : BarArrays
        The bars; the same ones in another order of rows have the same fingerprint.
    """
    digest = hashlib.sha256("\0".join(market.symbols).encode())
    digest.update(nanoseconds(market.timestamps).tobytes())
    for column in _COLUMNS:
        # By symbol, as whole series lie in memory.
        digest.update(np.ascontiguousarray(getattr(market, column).T).data)
    return digest.hexdigest()


def nanoseconds(times: pd.DatetimeIndex) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970, whatever the index counts in: int64, shape (n,)."""
    return times.asi8 * _NANOSECONDS[times.unit]
