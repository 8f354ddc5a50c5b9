"""The difference in return between what was said live and what the backtest claims, split into its causes.

Pure: frames in, frames out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.backtest import rules_from_json
from workbench.backtest.live import Openings, act_on, openings
from workbench.runs.decisions_kept import KeptDecisions

__all__ = ["CAUSES", "Split", "split"]

CAUSES = ("fills", "missed", "late", "differed", "revised")
"""In the order in which they are taken in."""


@dataclass(frozen=True, eq=False)
class Split:
    """One account's difference.

    Attributes
    ----------
    live, backtest : float
        Returns over all days: what was said as it could be traded, and what the backtest claims.
    causes : dict
        By cause, in the order of `CAUSES`; they add up to ``live - backtest``.
    days : DataFrame
        By date (UTC): date, backtest, live, and the five causes of that day's difference.
    left_out : list of str
        Symbols that were said about and have no bars here.
    """

    live: float
    backtest: float
    causes: Mapping[str, float]
    days: pd.DataFrame
    left_out: list[str]


def split(rows: pd.DataFrame, kept: KeptDecisions, calendars: Mapping[str, str]) -> Split:
    """Replace what the content says by what was said, one cause after the other.

    An account is a backtest by the strategy's rules of filling that begins at the first slot, with cash only,
    on the bars as they are now, and in which each row is filled at the open of the first bar that opens after
    it was said (`workbench.backtest.live.live_performance`). With R of the returns r_t of the bars t after
    the first slot,

        R = Π (1 + r_t) - 1,

    the causes are R_k - R_(k-1) of these, so that they add up to R_5 - R_0:

    0. backtest: the returns that the content's backtest of its whole history claims for the bars.
    1. fills: the account does what the content says in each slot, in time for the next bar. The difference is
       how the account differs from the backtest although it says the same: it buys at the first slot what the
       backtest holds already, with the costs of that and by the sizes of then, and fills at opens whatever
       the rules say (`fill="same_close"`).
    2. missed: without the rows of which nothing was said.
    3. late: each row is said when it was said.
    4. differed: rows that differed, for another reason than revised bars, say what was said.
    5. revised: so do those that differed since bars were revised, and all others: what was said live.

    Another order would share out what two causes do together in another way; a cause without rows is 0.0.

    Parameters
    ----------
    rows : DataFrame
        Of one strategy and member, as `lay_out` returns them, with their final states.
    kept : KeptDecisions
        What the content says, with its bars and rules.
    calendars : mapping
        Exchange calendars by symbol, where they are known.

    Raises
    ------
    BacktestError
        The rules cannot be read back (a size that was a frame), or the bars begin after what was said.
    """
    rules = rules_from_json(kept.rules)
    bars = kept.rows.set_index(["symbol", "timestamp"])
    opens = openings(bars, calendars)
    left_out = sorted(set(rows["symbol"]) - set(opens))
    rows = rows[rows["symbol"].isin(list(opens))]
    dividends = bars["dividend"] if bool((bars["dividend"] != 0.0).any()) else None
    days = _days(rows, opens)
    claimed = kept.rows.drop_duplicates("timestamp").set_index("timestamp")["returns"].sort_index()
    returns = [claimed[claimed.index.isin(days)]]
    accounts = _accounts(rows)
    for place, said in enumerate(accounts):
        if place and said.equals(accounts[place - 1]):
            returns.append(returns[-1])
            continue
        result = act_on(said, bars, rules, weights=kept.weights, opens=opens, dividends=dividends)
        returns.append(result.returns[result.returns.index.isin(days)])
    whole = [float(np.prod(1.0 + one.to_numpy())) - 1.0 for one in returns]
    by_date = [_by_date(one) for one in returns]
    table = pd.DataFrame({"backtest": by_date[0], "live": by_date[-1]})
    for cause, before, after in zip(CAUSES, by_date, by_date[1:], strict=False):
        table[cause] = after - before
    return Split(
        live=whole[-1],
        backtest=whole[0],
        causes={
            cause: after - before for cause, before, after in zip(CAUSES, whole, whole[1:], strict=False)
        },
        days=table.rename_axis("date").reset_index(),
        left_out=left_out,
    )


def _days(rows: pd.DataFrame, opens: Openings) -> list[pd.Timestamp]:
    """The timestamps of all bars that open after the one that the first slot is about."""
    first = rows["opens"].min()
    if pd.isna(first):
        return []
    return sorted({time for stamps, moments in opens.values() for time in stamps[moments > first]})


def _accounts(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """What is said in each of the accounts 1 to 5."""
    would = pd.DataFrame(
        {
            "symbol": rows["symbol"],
            "timestamp": rows["timestamp"],
            "signal": rows["signal"],
            "target": rows["target"],
            "reason": rows["reason"],
            # In time for the next bar, and for no earlier one.
            "said_at": rows["opens"],
        }
    )
    # Of a symbol that the content does not have it says nothing.
    would["reason"] = would["reason"].where(would["signal"].notna(), "nothing said")
    was = pd.DataFrame(
        {
            "symbol": rows["symbol"],
            **{name: rows[f"said_{name}"] for name in ("timestamp", "signal", "target", "reason")},
            "said_at": rows["said_at"],
        }
    )
    said = rows["state"] != "missed"
    clocked = would.assign(said_at=rows["said_at"])
    with_differed = clocked.mask(rows["state"] == "differed", was)
    return [would, would[said], clocked[said], with_differed[said], was[said]]


def _by_date(returns: pd.Series[float]) -> pd.Series[float]:
    """Of several bars on one date their compounded return."""
    dates = pd.DatetimeIndex(returns.index).date
    return (1.0 + returns).groupby(dates).prod() - 1.0
