"""Cross-sectional momentum: buy last year's winners, sell short its losers."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import pandas as pd

from workbench.signals.parameter import between
from workbench.signals.signals import Weights
from workbench.signals.strategy import strategy
from workbench.strategies.indicators import past_return
from workbench.strategies.prices import carried, closes, rebalanced

__all__ = ["cross_sectional_momentum"]


@strategy(
    family="momentum",
    source=(
        "N. Jegadeesh and S. Titman, Returns to Buying Winners and Selling Losers, Journal of Finance 48(1), "
        "1993; without the last month: E. F. Fama and K. R. French, Multifactor Explanations of Asset "
        "Pricing Anomalies, Journal of Finance 51(1), 1996"
    ),
    where=lambda lookback, skip, **_: skip < lookback,
)
def cross_sectional_momentum(
    bars: pd.DataFrame,
    lookback: Annotated[int, between(2, 756)] = 252,
    skip: Annotated[int, between(0, 63)] = 21,
    share: Annotated[float, between(0.01, 0.5)] = 0.1,
    short: bool = True,
) -> Weights:
    """Hold the symbols that rose most over the last year but one month, against those that rose least.

    Jegadeesh and Titman (1993) rank by past return and trade the extreme tenths, equally weighted; Fama and
    French (1996) leave out the last month, which tends to reverse ("12-1"). Their portfolios overlap over
    several months; here all of it is set anew each month.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars with open and close, of several symbols.
    lookback, skip : int
        The past return reaches from `lookback` bars ago to `skip` bars ago, in the symbol's own bars.
    share : float
        Which share of the ranked symbols is bought, and sold short; rounded down, but one at least.
    short : bool
        True: +0.5 over the winners and -0.5 over the losers, nothing net. False: 1 over the winners.

    Returns
    -------
    Weights
        At the first bar of each month, once two symbols have `lookback` bars; NaN between. Symbols with too
        few bars are not ranked and get 0; one without a bar on that day is ranked by its last bar, and its
        next bar fills the weight. Equal returns are ranked by symbol.
    """
    close = closes(bars)
    past = carried(past_return(close, lookback, skip=skip), close)
    ranked = past.notna().sum(axis=1)
    picked = np.maximum((ranked * share + 1e-9).astype(int), 1)
    winners = past.rank(axis=1, ascending=False, method="first").le(picked, axis=0)
    losers = past.rank(axis=1, ascending=True, method="first").le(picked, axis=0)
    weights = winners.astype(float) * (0.5 if short else 1.0) - losers.astype(float) * (0.5 if short else 0.0)
    enough = past.notna() & (ranked >= 2).to_numpy()[:, None]
    return rebalanced(weights.div(picked, axis=0).where(enough))
