"""How much an entry buys: `Percent`, `Fixed` or `VolatilityTarget`; how it is filled is the engine's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from workbench.arguments import as_positive, as_whole
from workbench.errors import BacktestError
from workbench.signals.inputs import moment, utc_index

__all__ = ["Fixed", "Percent", "Size", "VolatilityTarget", "default_size", "largest_fraction"]

_LONGEST = 1_000_000
"""The longest window of returns; minutes of ten years are fewer."""


@dataclass(frozen=True, eq=False, repr=False)
class Percent:
    """A share of the account's equity at the moment of the fill, fees included.

    Attributes
    ----------
    fraction : float, or DataFrame of float64, shape (n_times, n_symbols)
        Above 0, at most 1, or as much as `leverage` allows; 1 puts all of it in. A frame (timestamp ×
        symbol) gives each bar and symbol a share of its own: that of the row in which an entry is decided
        counts, for long and short entries, and what is held stays as it is. So a row may hold what is known
        at its bar's close, and no more, as signals do. 0 and NaN enter nothing. It has a row for every bar
        and a column for every symbol, and may have more: a part of the bars can be traded with the frame of
        all of them. For a single symbol, also a Series by timestamp; a tidy Series by (symbol, timestamp) is
        made a frame.

    Raises
    ------
    BacktestError
        A fraction out of its range, or without a time zone, a timestamp or a number to go by.
    """

    fraction: float | pd.DataFrame | pd.Series[float] = 1.0

    def __post_init__(self) -> None:
        given: Any = self.fraction
        if isinstance(given, pd.DataFrame | pd.Series):
            object.__setattr__(self, "fraction", _checked(given))
            return
        advice = "give a fraction of equity such as 0.5, or a frame (timestamp × symbol) of one for each bar"
        object.__setattr__(self, "fraction", as_positive(given, "Percent", advice))

    @cached_property
    def largest(self) -> float:
        """The largest of the fractions; 0 where there is none."""
        if isinstance(self.fraction, float):
            return self.fraction
        values = self.fraction.to_numpy()
        return float(np.nanmax(values, initial=0.0)) if values.size else 0.0

    @cached_property
    def sha256(self) -> str:
        """What the fractions are known by: 64 hex digits; empty where there is one for all bars."""
        if isinstance(self.fraction, float):
            return ""
        digest = hashlib.sha256()
        frame = self.fraction
        if isinstance(frame, pd.DataFrame):
            digest.update("\0".join(frame.columns).encode())
        digest.update(pd.DatetimeIndex(frame.index).as_unit("ns").asi8.tobytes())
        digest.update(np.ascontiguousarray(frame.to_numpy()).tobytes())
        return digest.hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Percent) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        # Sweeps and trials are known by this text: other fractions must read otherwise.
        if isinstance(self.fraction, float):
            return f"Percent(fraction={self.fraction!r})"
        return f"Percent(<fractions of {len(self.fraction):,} bars, sha256 {self.sha256[:16]}>)"


def _checked(given: pd.DataFrame | pd.Series[float]) -> pd.DataFrame | pd.Series[float]:
    """Fractions as float64 by UTC timestamps, a copy; of a tidy Series the frame."""
    if isinstance(given, pd.Series) and isinstance(given.index, pd.MultiIndex):
        if list(given.index.names) != ["symbol", "timestamp"] or not given.index.is_unique:
            raise BacktestError(
                "Percent: a tidy Series needs a unique index ['symbol', 'timestamp'] like the bars' own, not "
                f"{list(given.index.names)}; compute it from the bars' columns."
            )
        given = given.unstack("symbol")
    wide = given.to_frame("") if isinstance(given, pd.Series) else given
    index = utc_index(wide.index, "Percent")
    names = [str(column) for column in wide.columns]
    if not index.is_unique or len(set(names)) < len(names):
        raise BacktestError(
            "Percent: a timestamp or a symbol stands there twice; give each bar and symbol one fraction."
        )
    for name, dtype in zip(names, wide.dtypes, strict=True):
        if not pd.api.types.is_numeric_dtype(dtype) or dtype == np.bool_:
            raise BacktestError(f"Percent: {name or 'the Series'} is {dtype}; give fractions as float64.")
    values = wide.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    wrong = ~((values >= 0.0) & np.isfinite(values)) & ~np.isnan(values)
    if wrong.any():
        row, column = (int(place[0]) for place in np.nonzero(wrong))
        whose = f" of {names[column]}" if names[column] else ""
        raise BacktestError(
            f"Percent: the fraction{whose} at {moment(index[row])} is {values[row, column]:.4g}; give "
            "fractions of 0 or more, as in frame.clip(lower=0). 0 and NaN enter nothing; "
            "whether an entry is long or short, the signals say."
        )
    if isinstance(given, pd.Series):
        return pd.Series(values[:, 0], index=index)
    return pd.DataFrame(values, index=index, columns=pd.Index(names))


@dataclass(frozen=True)
class Fixed:
    """The same number of units at every entry; cut to what the cash pays for.

    Attributes
    ----------
    units : float
        Above 0; shares, contracts or coins. A number of any type (int, NumPy's, Decimal), kept as a float.

    Raises
    ------
    BacktestError
        Not a finite number above 0.
    """

    units: float

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "units", as_positive(self.units, "Fixed(units)", "give a number such as 100")
        )


@dataclass(frozen=True)
class VolatilityTarget:
    """The share of equity at which the position's recent volatility would be `annual`.

    ``fraction = min(max_fraction, annual / (std(r, ddof=1) * sqrt(periods_per_year)))`` over the symbol's
    last `window` close-to-close returns up to the deciding bar. Without so many returns, or without any
    volatility, nothing is entered. A. Moreira and T. Muir, "Volatility-Managed Portfolios", Journal of
    Finance 72(4), 2017, scale by variance; practitioners scale by volatility, as here.

    Attributes
    ----------
    annual : float
        Volatility that is aimed at, as a fraction a year (0.10 is 10 %).
    window : int
        How many returns the volatility is measured on; 2 to 1,000,000.
    max_fraction : float
        The most that is put in: above 0, at most 1, or as much as `leverage` allows.

    Numbers of any type (int, NumPy's, Decimal) are kept as a float, the window as an int.

    Raises
    ------
    BacktestError
        A volatility or a fraction that is not a finite number above 0, or a window out of its range.
    """

    annual: float = 0.10
    window: int = 20
    max_fraction: float = 1.0

    def __post_init__(self) -> None:
        name, advice = "VolatilityTarget(annual)", "give a fraction a year such as 0.10"
        object.__setattr__(self, "annual", as_positive(self.annual, name, advice))
        name, advice = "VolatilityTarget(window)", "give a number of returns such as 20"
        window = as_whole(self.window, name, advice)
        if not 2 <= window <= _LONGEST:
            raise BacktestError(f"{name}: {window:,} is not from 2 to {_LONGEST:,}; {advice}.")
        object.__setattr__(self, "window", window)
        name, advice = "VolatilityTarget(max_fraction)", "give a fraction of equity such as 1.0"
        object.__setattr__(self, "max_fraction", as_positive(self.max_fraction, name, advice))


Size = Percent | Fixed | VolatilityTarget
"""What `backtest(size=…)` takes."""


def largest_fraction(size: Size) -> float:
    """The largest share of equity that an entry of this size takes; 0 where it is a number of units."""
    if isinstance(size, VolatilityTarget):
        return size.max_fraction
    if not isinstance(size, Percent):
        return 0.0
    return size.largest


def default_size(size: Size | None, n_symbols: int, *, shared: bool) -> Size:
    """The size that was given; else all of an account of one's own, an equal share of a common one."""
    return size or Percent(1.0 / n_symbols if shared else 1.0)
