"""A fingerprint of what was traded, made beside the simulation: hashing 100 MB takes as long as trading."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.signals.bars_hash import nanoseconds
from workbench.signals.decisions import Decisions, Targets
from workbench.signals.inputs import BarArrays

__all__ = ["Fingerprint"]

_WORTH_A_THREAD = 2_000_000
"""Bytes from which on a thread of its own pays; hashlib lets other threads run meanwhile."""


class Fingerprint:
    """SHA-256 of decisions and of the bars that decide what comes of them; computed as soon as it is made.

    Parameters
    ----------
    market : BarArrays
    decided : Decisions or Targets
    ranges : bool
        Whether highs and lows matter, which stops look at. Volume does not.
    dividends : ndarray of float64, shape (n_bars, n_symbols), optional
    """

    def __init__(
        self,
        market: BarArrays,
        decided: Decisions | Targets,
        *,
        ranges: bool,
        dividends: npt.NDArray[np.float64] | None,
    ) -> None:
        arrays = [*vars(decided).values(), market.open, market.close, market.present]
        arrays += [market.high, market.low] if ranges else []
        arrays += [] if dividends is None else [dividends]
        self._digest = hashlib.sha256("\0".join((type(decided).__name__, *market.symbols)).encode())
        self._digest.update(nanoseconds(market.timestamps).data)
        self._thread = None
        self._failure: BaseException | None = None
        if sum(array.nbytes for array in arrays) < _WORTH_A_THREAD:
            self._update(arrays)
        else:
            self._thread = threading.Thread(target=self._try_update, args=(arrays,), daemon=True)
            self._thread.start()

    def hexdigest(self) -> str:
        """64 hex digits; waits for what is still computed, and raises what went wrong with it."""
        if self._thread is not None:
            self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._digest.hexdigest()

    def _try_update(self, arrays: Iterable[npt.NDArray[Any]]) -> None:
        try:
            self._update(arrays)
        except BaseException as failure:  # noqa: BLE001 - raised where the digest is asked for
            self._failure = failure

    def _update(self, arrays: Iterable[npt.NDArray[Any]]) -> None:
        for array in arrays:
            # By symbol, as whole series lie in memory.
            self._digest.update(np.ascontiguousarray(array.T).data)
