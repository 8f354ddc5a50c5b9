"""The bars that every benchmark uses: synthetic, seeded, shaped like a vendor's minute bars; no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = [
    "FIELDS",
    "MINUTE_VOLATILITY",
    "SESSION_MINUTES",
    "Bars",
    "make_bars",
    "make_series",
    "minutes_of",
    "tidy",
]

FIELDS = ("open", "high", "low", "close", "volume")
SESSION_MINUTES = 390
MINUTE_VOLATILITY = 6e-4
"""The standard deviation of a minute bar's return."""

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

# A real symbol misses minutes in which nobody traded, each its own ones.
_QUIET_MINUTES = 0.02


@dataclass(frozen=True)
class Bars:
    """Bars of several symbols, one symbol after another.

    Attributes
    ----------
    symbols : sequence of str
        In alphabetical order.
    counts : ndarray of int64, shape (n_symbols,)
        How many bars each symbol has.
    stamps : ndarray of int64, shape (n_bars,)
        Microseconds since 1970 UTC, the start of each bar, ascending within a symbol.
    values : ndarray of float64, shape (5, n_bars)
        Rows as `FIELDS`: prices with two to four decimals, integral volumes.
    """

    symbols: Sequence[str]
    counts: Whole
    stamps: Whole
    values: Floats

    def __len__(self) -> int:
        return len(self.stamps)

    def frame(self) -> pd.DataFrame:
        """The bars as every candidate has to deliver them: indexed (symbol, timestamp UTC), float64."""
        return tidy(
            self.symbols, np.repeat(np.arange(len(self.symbols)), self.counts), self.stamps, self.values
        )

    @classmethod
    def of_frame(cls, frame: pd.DataFrame) -> Bars:
        """The arrays of such a frame, sorted as it is."""
        index = frame.index
        assert isinstance(index, pd.MultiIndex)
        stamps = index.get_level_values(1)
        assert isinstance(stamps, pd.DatetimeIndex)
        counts = np.bincount(index.codes[0], minlength=len(index.levels[0]))
        return cls(list(index.levels[0]), counts, stamps.as_unit("us").asi8, frame[list(FIELDS)].to_numpy().T)

    def of(self, position: int) -> Bars:
        """The bars of one symbol."""
        end = int(self.counts[: position + 1].sum())
        part = slice(end - int(self.counts[position]), end)
        return Bars(
            [self.symbols[position]],
            self.counts[position : position + 1],
            self.stamps[part],
            self.values[:, part],
        )

    def save(self, path: Path) -> None:
        """Write them for another process, of whatever pandas."""
        np.savez(
            path, symbols=np.array(self.symbols), counts=self.counts, stamps=self.stamps, values=self.values
        )

    @classmethod
    def load(cls, path: str | Path) -> Bars:
        """What `save` wrote."""
        with np.load(path) as stored:
            return cls(
                [str(name) for name in stored["symbols"]],
                stored["counts"],
                stored["stamps"],
                stored["values"],
            )


def tidy(
    symbols: Sequence[str], codes: npt.NDArray[np.integer[Any]], stamps: Whole, values: Floats
) -> pd.DataFrame:
    """The final frame, made the quickest way that pandas offers; sorts only what is not sorted yet.

    Parameters
    ----------
    symbols : sequence of str
    codes : ndarray of integers, shape (n_bars,)
        Which of the symbols each bar belongs to.
    stamps : ndarray of int64, shape (n_bars,)
        Microseconds since 1970 UTC.
    values : ndarray of float64, shape (n_fields, n_bars)
        As `FIELDS`; the frame's columns are these rows, not copies.
    """
    order = np.argsort(np.array(symbols, dtype=object))
    rank = np.empty(len(symbols), dtype=np.int16)
    rank[order] = np.arange(len(symbols))
    codes = rank[codes]
    forward = codes[1:] > codes[:-1]
    if not (forward | ((codes[1:] == codes[:-1]) & (stamps[1:] > stamps[:-1]))).all():
        by_key = np.lexsort((stamps, codes))
        codes, stamps, values = codes[by_key], stamps[by_key], values[:, by_key]
    minute_codes, minutes = pd.factorize(stamps, sort=True)
    names: Any = [symbols[position] for position in order]
    moments: Any = pd.DatetimeIndex(minutes.view("M8[us]"), tz="UTC")
    all_codes: Any = [codes, minute_codes]
    index = pd.MultiIndex([names, moments], all_codes, names=["symbol", "timestamp"], verify_integrity=False)
    return pd.DataFrame(values.T, index=index, columns=list(FIELDS), copy=False)


def make_bars(symbols: int, bars: int, *, year: int = 2024, prefix: str = "SYM", seed: int = 7) -> Bars:
    """Minute bars of several symbols within the sessions of one year, the same for the same arguments.

    Parameters
    ----------
    symbols : int
        How many; they are called SYM000, SYM001, …
    bars : int
        How many each has; a year of 2024 holds about 100,000.
    year : int
    prefix : str
    seed : int
    """
    random = np.random.default_rng([seed, year])
    minutes = minutes_of(year)
    grid = minutes[: min(len(minutes), int(bars * (1 + _QUIET_MINUTES)) + 1)]
    if bars > len(grid):
        raise ValueError(f"{bars} minute bars do not fit into the {len(minutes)} minutes of {year}")
    stamps = np.concatenate([np.sort(random.choice(grid, bars, replace=False)) for _ in range(symbols)])
    values = np.concatenate([make_series(random, bars) for _ in range(symbols)], axis=1)
    names = [f"{prefix}{number:03d}" for number in range(symbols)]
    return Bars(names, np.full(symbols, bars), stamps, values)


def make_series(random: np.random.Generator, bars: int, *, volatility: float = MINUTE_VOLATILITY) -> Floats:
    """A random walk's bars as (5, bars): what one symbol traded at; `volatility` is that of one bar."""
    decimals = int(random.integers(2, 5))
    start = float(np.exp(random.uniform(np.log(8), np.log(900))))
    # Held between a quarter and four times the start, whatever the length.
    walk = np.clip(np.cumsum(random.normal(0, volatility, bars + 1)), -1.4, 1.4)
    path = np.round(start * np.exp(walk), decimals)
    opened, close = path[:-1] + 0.0, path[1:]
    spread = np.abs(random.normal(0, 4e-4, (2, bars)))
    high = np.round(np.maximum(opened, close) * (1 + spread[0]), decimals)
    low = np.round(np.minimum(opened, close) * (1 - spread[1]), decimals)
    volume = np.floor(random.lognormal(7.0, 1.3, bars)) + 1
    return np.stack([opened, high, low, close, volume])


def minutes_of(year: int) -> Whole:
    """The starts of the minutes in which New York trades that year (weekdays, 09:30 to 16:00 there)."""
    days = pd.bdate_range(f"{year}-01-02", f"{year}-12-31", tz="America/New_York")
    opens = (days + pd.Timedelta(hours=9, minutes=30)).tz_convert("UTC").as_unit("us")
    starts = np.asarray(opens.asi8, dtype=np.int64)
    return (starts[:, None] + np.arange(SESSION_MINUTES) * 60_000_000).reshape(-1)
