"""Finds signals that use the close at which they are filled, by changing single bars' closes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.bias.cuts import Rows
from workbench.bias.evidence import WEIGHT_TOLERANCE
from workbench.bias.findings import LookaheadFinding
from workbench.bias.slices import BarSlices
from workbench.bias.subject import SignalTable, Subject, differing

__all__ = ["own_close_findings"]

_CLOSE_FACTOR = 3.0
"""Closes change up and down by this factor, enough to cross any average."""


def own_close_findings(
    subject: Subject, slices: BarSlices, full: SignalTable, cuts: Rows
) -> list[LookaheadFinding]:
    """Signals that change at a bar when only that bar's high, low, close and volume change.

    Parameters
    ----------
    subject : Subject
    slices : BarSlices
    full : SignalTable
        The signals on all bars.
    cuts : ndarray of int64
        Number of known bars at each cut; the last one is replaced.

    Returns
    -------
    list of LookaheadFinding
        One per signal.
    """
    market = slices.market
    seen: dict[str, npt.NDArray[np.bool_]] = {}
    for end in cuts.tolist():
        true = subject.on_window(0, end)
        for factor in (_CLOSE_FACTOR, 1.0 / _CLOSE_FACTOR):
            other = subject.on(slices.with_other_close(end - 1, factor), 0, end)
            if true is None or other is None:
                continue
            for signal, cells in differing(
                true, other, 0, end, market.present[:end], WEIGHT_TOLERANCE
            ).items():
                seen.setdefault(signal, np.zeros_like(market.present))[end - 1] |= cells[-1]
    findings = []
    for signal in full:
        if signal not in seen or not seen[signal].any():
            continue
        row, column = (int(place) for place in np.argwhere(seen[signal])[0])
        findings.append(
            LookaheadFinding(
                signal=signal,
                timestamp=market.timestamps[row],
                symbol=market.symbols[column],
                symbols=tuple(market.symbols[place] for place in np.flatnonzero(seen[signal].any(axis=0))),
                shown_by=f"another close of {market.timestamps[row]:%Y-%m-%d %H:%M}".removesuffix(" 00:00"),
                horizon=0,
                pattern="own close",
                sources=(),
                bars=int(seen[signal].any(axis=1).sum()),
                cells=int(seen[signal].sum()),
                hint="Shift the signals by one bar, or fill at the next open: a close is not known in time.",
            )
        )
    return findings
