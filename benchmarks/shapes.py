"""What is traded beside vectorbt: shapes of bars and decisions, the same for every candidate's process."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks import BenchmarkSize
from benchmarks.data import MINUTE_VOLATILITY, Bars, make_series, minutes_of

__all__ = ["Decided", "Shape", "make_daily", "monthly_weights", "read_shape", "shapes_of", "write_shape"]

_FAST, _SLOW = 10, 30
_DAILY_VOLATILITY = 0.01
_MONTH = 21
_LOOK_BACK = 60
# Sums of weights below one leave room for fees, so that no purchase is cut.
_INVESTED = 0.95
_HELD_SHARE = 0.2

Kind = Literal["signals", "monthly weights", "daily weights"]


@dataclass(frozen=True)
class Shape:
    """One backtest: what is decided, on how many symbols' bars."""

    kind: Kind
    symbols: int
    bars: int
    minutes: bool = False

    @property
    def name(self) -> str:
        """As the table shows it."""
        return f"{self.kind}, {self.symbols:,} × {self.bars:,}"


@dataclass(frozen=True)
class Decided:
    """Decisions at each bar's close, as wide frames (timestamp × symbol): entries and exits, or weights."""

    entries: pd.DataFrame | None = None
    exits: pd.DataFrame | None = None
    weights: pd.DataFrame | None = None

    def signals(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Entries and exits, of a shape that has them."""
        assert self.entries is not None
        assert self.exits is not None
        return self.entries, self.exits


def shapes_of(size: BenchmarkSize) -> list[Shape]:
    """The six shapes, from one symbol to many."""
    few, some, many = size.traded_symbols
    return [
        Shape("signals", few, size.traded_days),
        Shape("signals", few, size.traded_minutes, minutes=True),
        Shape("signals", some, size.traded_days),
        Shape("signals", many, size.traded_days),
        Shape("monthly weights", many, size.traded_days),
        Shape("daily weights", many, size.traded_days),
    ]


def make_daily(symbols: int, bars: int, *, seed: int = 21) -> Bars:
    """Daily bars from 2012 on; every symbol has every one of them."""
    days = pd.bdate_range("2012-01-02", periods=bars, tz="UTC").as_unit("us")
    return _complete(symbols, np.asarray(days.asi8, dtype=np.int64), seed=seed, volatility=_DAILY_VOLATILITY)


def write_shape(shape: Shape, path: Path) -> None:
    """Make its tidy bars and its decisions, and write them for every candidate."""
    if shape.minutes:
        bars = _complete(shape.symbols, minutes_of(2024)[: shape.bars], seed=22, volatility=MINUTE_VOLATILITY)
    else:
        bars = make_daily(shape.symbols, shape.bars)
    frame = bars.frame()
    path.write_bytes(pickle.dumps((frame, _decide(shape.kind, frame["close"].unstack("symbol")))))


def read_shape(path: str) -> tuple[pd.DataFrame, Decided]:
    """The tidy bars and the decisions that `write_shape` wrote."""
    bars, decided = pickle.loads(Path(path).read_bytes())
    assert isinstance(bars, pd.DataFrame)
    assert isinstance(decided, Decided)
    return bars, decided


def monthly_weights(close: pd.DataFrame) -> pd.DataFrame:
    """Every 21 bars all symbols, by the inverse of their volatility: rows of the days that trade alone."""
    risk = close.pct_change().rolling(_LOOK_BACK).std().iloc[_LOOK_BACK::_MONTH]
    weights = 1.0 / risk.where(risk > 0.0)
    return weights.div(weights.sum(axis=1), axis=0) * _INVESTED


def _daily_weights(close: pd.DataFrame) -> pd.DataFrame:
    """Each day the same weight to the fifth of the symbols that have risen the most, none to the others."""
    held = max(1, int(close.shape[1] * _HELD_SHARE))
    risen = close.pct_change(_LOOK_BACK).iloc[_LOOK_BACK:]
    best = risen.rank(axis=1, ascending=False, method="first") <= held
    return best.astype(np.float64) * (_INVESTED / held)


def _decide(kind: Kind, close: pd.DataFrame) -> Decided:
    if kind == "signals":
        fast, slow = close.rolling(_FAST).mean(), close.rolling(_SLOW).mean()
        return Decided(entries=fast > slow, exits=fast < slow)
    return Decided(weights=monthly_weights(close) if kind == "monthly weights" else _daily_weights(close))


def _complete(symbols: int, stamps: npt.NDArray[np.int64], *, seed: int, volatility: float) -> Bars:
    random = np.random.default_rng(seed)
    series = [make_series(random, len(stamps), volatility=volatility) for _ in range(symbols)]
    return Bars(
        [f"SYM{number:04d}" for number in range(symbols)],
        np.full(symbols, len(stamps)),
        np.tile(stamps, symbols),
        np.concatenate(series, axis=1),
    )
