"""What is decided at each bar's close, laid out as arrays and with contradictions resolved; no fills."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.arguments import real_numbers
from workbench.errors import BacktestError
from workbench.signals.inputs import BarArrays, check_columns, in_order, read_signals, utc_index
from workbench.signals.signals import Flags, Signals, Weights
from workbench.signals.strategy import Strategy

__all__ = [
    "Decisions",
    "Fill",
    "Targets",
    "decide",
    "decided_sha256",
    "holding",
    "read_decisions",
    "read_flags",
    "without_contradictions",
]

Fill = Literal["next_open", "next_close", "same_close"]
"""At which price a decision made at a bar's close is filled."""

Said = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Decisions:
    """Signals, one meaning a bar.

    Attributes
    ----------
    enter : ndarray of int8, shape (n_bars, n_symbols)
        1 where a long position is wanted, -1 where a short one is, 0 where neither.
    leave_long, leave_short : ndarray of bool, shape (n_bars, n_symbols)
        Where a long, and a short, position is to be closed.
    """

    enter: npt.NDArray[np.int8]
    leave_long: npt.NDArray[np.bool_]
    leave_short: npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Targets:
    """Weights, laid out.

    Attributes
    ----------
    weights : ndarray of float64, shape (n_bars, n_symbols)
        Fractions of equity; NaN where nothing is ordered.
    """

    weights: npt.NDArray[np.float64]


def decide(
    bars: pd.DataFrame,
    market: BarArrays,
    given: Strategy | Signals | Weights | Flags | None,
    flags: tuple[Flags | None, Flags | None, Flags | None],
    parameters: Mapping[str, Any] | None,
    *,
    stopped: bool,
) -> tuple[Decisions | Targets, dict[str, Any]]:
    """What is decided at each close, and the parameters that it was decided with.

    Parameters
    ----------
    bars : DataFrame
        For a strategy.
    market : BarArrays
        The same bars, laid out.
    given : Strategy, Signals, Weights, Series or DataFrame of bool, optional
        What `backtest` was given as entries.
    flags : tuple
        Exits, short entries and short exits; None is never.
    parameters : mapping, optional
        Of a strategy.
    stopped : bool
        Whether a stop ends a position that no signal ends.

    Raises
    ------
    BacktestError
        Too much was said, or too little, or it is not aligned with the bars.
    """
    if isinstance(given, Strategy | Signals | Weights) and any(flag is not None for flag in flags):
        raise BacktestError(
            f"exits: a {type(given).__name__} says itself when to get out; leave exits and short signals out."
        )
    if isinstance(given, Strategy):
        chosen = given.check(parameters or {})
        return read_decisions(given(bars, **chosen), market), chosen
    if parameters is not None:
        raise BacktestError("parameters: only a Strategy takes them; pass one, or leave them out.")
    if isinstance(given, Signals | Weights):
        return read_decisions(given, market), {}
    exits, short_entries, _ = flags
    if given is None and short_entries is None:
        raise BacktestError("entries: nothing says what to trade; pass a Strategy, Signals or entries.")
    if given is not None and exits is None and short_entries is None and not stopped:
        raise BacktestError("exits: nothing says when to get out; pass exits=~entries, or a stop.")
    return read_flags(market, given, *flags), {}


def read_decisions(said: Signals | Weights, market: BarArrays) -> Decisions | Targets:
    """Check signals or weights, lay them out, and let what contradicts itself cancel out.

    Entry and exit of one side on one bar cancel each other; of what is left, a long and a short entry do.

    Raises
    ------
    BacktestError
        They are of another type, or not aligned with the bars.
    """
    if isinstance(said, Weights):
        return Targets(_read_weights(said.weights, market))
    return read_flags(market, said.entries, said.exits, said.short_entries, said.short_exits)


def read_flags(
    market: BarArrays,
    entries: Flags | None,
    exits: Flags | None,
    short_entries: Flags | None,
    short_exits: Flags | None,
) -> Decisions:
    """`read_decisions` of signals of which any may be left out: None is never."""
    never = np.zeros_like(market.present)
    long, leave_long, short, leave_short = (
        never if flags is None else read_signals(flags, market, role)
        for role, flags in (
            ("entries", entries),
            ("exits", exits),
            ("short_entries", short_entries),
            ("short_exits", short_exits),
        )
    )
    long, leave_long, short, leave_short = without_contradictions(long, leave_long, short, leave_short)
    return Decisions(long.astype(np.int8) - short.astype(np.int8), leave_long, leave_short)


def without_contradictions(
    long: Said, leave_long: Said, short: Said | None = None, leave_short: Said | None = None
) -> tuple[Said, Said, Said, Said]:
    """Entries and exits of both sides, of which those that contradict each other are taken out.

    Entry and exit of one side on one bar cancel each other; of what is left, a long and a short entry do.

    Parameters
    ----------
    long, leave_long, short, leave_short : ndarray of bool, or of bits, of one shape
        Without short entries there are no exits of short positions either: both come back empty.
    """
    long, leave_long = long & ~leave_long, leave_long & ~long
    if short is None:
        none = long[:0]
        return long, leave_long, none, none
    covered = np.zeros_like(short) if leave_short is None else leave_short
    short, covered = short & ~covered, covered & ~short
    return long & ~short, leave_long, short & ~long, covered


def holding(market: BarArrays) -> Decisions:
    """Buy and hold: in at every bar, and never out."""
    never = np.zeros_like(market.present)
    return Decisions(market.present.astype(np.int8), never, never)


def decided_sha256(decided: Decisions | Targets) -> str:
    """A fingerprint of decisions, for backtests of signals that no strategy made: 64 hex digits."""
    digest = hashlib.sha256()
    for values in vars(decided).values():
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def _read_weights(weights: pd.DataFrame, market: BarArrays) -> npt.NDArray[np.float64]:
    for column, dtype in zip(weights.columns, weights.dtypes, strict=True):
        if not real_numbers(dtype):
            raise BacktestError(
                f"weights: the column {column!r} is {dtype}; give fractions of equity as float64."
            )
    index = utc_index(weights.index, "weights")
    check_columns(weights, market, "weights")
    # Rows of the rebalancing dates are enough: on every other bar nothing is ordered.
    rows = market.timestamps.get_indexer(index)
    if (rows < 0).any() or not index.is_unique:
        odd = index[rows < 0] if (rows < 0).any() else index[index.duplicated()]
        raise BacktestError(
            f"weights: {odd[0]} is no timestamp of the bars, or stands there twice; "
            "give rows at times of bars only, each once."
        )
    values = in_order(weights, market).to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        raise BacktestError("weights: one is infinite; give fractions of equity, or NaN for no order.")
    laid_out = np.full(market.present.shape, np.nan)
    laid_out[rows] = values
    return laid_out
