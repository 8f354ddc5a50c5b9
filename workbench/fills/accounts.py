"""Arrays by account, as the compiled loop walks through them: one account's bars lie together in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["by_account", "by_symbol", "frozen"]


def frozen(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values in C order, not to be written to: Numba compiles anew for any other kind of array."""
    kept = np.ascontiguousarray(values).view()
    kept.flags.writeable = False
    return kept


def by_account(values: npt.NDArray[Any], *, shared: bool) -> npt.NDArray[Any]:
    """Values by bar and symbol, for each account.

    Parameters
    ----------
    values : ndarray of shape (…, n_bars, n_symbols)
    shared : bool
        Whether the symbols have one account, and not one each.

    Returns
    -------
    ndarray of shape (…, 1, n_bars, n_symbols) or (…, n_symbols, n_bars, 1)
        In C order, not to be written to.
    """
    if shared:
        return frozen(values[..., np.newaxis, :, :])
    return frozen(np.swapaxes(values, -1, -2)[..., np.newaxis])


def by_symbol(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The way back, of one variant: shape (n_bars, n_symbols)."""
    return values[0] if len(values) == 1 else values[:, :, 0].T
