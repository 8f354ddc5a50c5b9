"""Warns of signals that are set wherever a symbol has no bar, as a comparison with NaN makes them."""

from __future__ import annotations

import numpy as np

from workbench.errors import SignalsInGapsWarning
from workbench.outward import warn
from workbench.signals.decisions import Decisions
from workbench.signals.inputs import BarArrays, moment

__all__ = ["warn_of_signals_in_gaps"]

_GAPS = 3
"""A signal that is set in fewer gaps may well be meant."""


def warn_of_signals_in_gaps(decided: Decisions, market: BarArrays) -> None:
    """Warn where a signal is set in every row in which a symbol has no bar, between two of its bars.

    The symbol's next bar fills such a signal. Each kind of signal is looked at by itself, and one warning
    names the first symbol of the first kind.

    Warns
    -----
    SignalsInGapsWarning
    """
    if market.present.all():
        return
    last = np.maximum.accumulate(market.present[::-1], axis=0)[::-1]
    gaps = market.started & last & ~market.present
    count = gaps.sum(axis=0)
    for role, flags in (
        ("entries", decided.enter > 0),
        ("exits", decided.leave_long),
        ("short_entries", decided.enter < 0),
        ("short_exits", decided.leave_short),
    ):
        # A signal that is set at every bar as well says so without any comparison.
        odd = (count >= _GAPS) & (flags | ~gaps).all(axis=0) & (~flags & market.present).any(axis=0)
        if odd.any():
            column = int(np.argmax(odd))
            symbol = market.symbols[column]
            first = market.timestamps[int(np.argmax(gaps[:, column]))]
            warn(
                SignalsInGapsWarning(
                    f"{role}: {symbol} has no bar in {count[column]} rows between its bars (the first is "
                    f"{moment(first)}), and {role} is True in all of them, which its next bar fills. "
                    "A comparison with NaN is False, and its opposite True: mask it, as in "
                    f"{role} & close.notna().",
                    role=role,
                    symbol=symbol,
                )
            )
            return
