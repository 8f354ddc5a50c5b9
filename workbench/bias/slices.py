"""Windows of tidy bars by row of their common time axis, and copies with later bars replaced."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from workbench.signals.inputs import BarArrays

__all__ = ["PERTURBATIONS", "BarSlices", "Perturbation"]

Perturbation = Literal["scaled", "scaled the other way", "made noisy", "shuffled"]
"""How later bars are replaced; every bar stays valid (low ≤ open, close ≤ high)."""

PERTURBATIONS: tuple[Perturbation, ...] = get_args(Perturbation)

Floats = npt.NDArray[np.float64]

_SCALE = 100.0
"""Large enough that one bar changes a mean of a few hundred; a rule that only looks back is unaffected."""
_NOISE = 0.3
"""Standard deviation of the noise in log prices: changes the order, bodies and ranks of bars."""


class BarSlices:
    """Bars that can be cut at any rows, or replaced from any row on.

    Parameters
    ----------
    bars : DataFrame
        Tidy bars accepted by `read_bars`.
    market : BarArrays
        The result of `read_bars`.
    """

    def __init__(self, bars: pd.DataFrame, market: BarArrays) -> None:
        index = bars.index
        assert isinstance(index, pd.MultiIndex)
        index = index.remove_unused_levels()
        names, times = index.levels
        order = times.argsort()
        self._names, self._times = names, times[order]
        # For each row of `bars`: its row on the time axis, and its symbol's position in `names`.
        self._rows = np.argsort(order)[np.asarray(index.codes[1])]
        self._codes = np.asarray(index.codes[0])
        # Integers become floats here: a symbol without a bar has NaN, also as its volume.
        numeric = [is_numeric_dtype(bars[name]) and not is_bool_dtype(bars[name]) for name in bars.columns]
        self._index, self._order = index, list(bars.columns)
        self._numbers = [name for name, number in zip(bars.columns, numeric, strict=True) if number]
        self._values = bars[self._numbers].to_numpy(dtype=np.float64, na_value=np.nan)
        self._others = {name: bars[name].array for name in bars.columns if name not in self._numbers}
        self.market = market
        self.columns = np.array([market.symbols.index(str(name)) for name in names])[self._codes]

    def __len__(self) -> int:
        return len(self.market.timestamps)

    def window(self, begin: int, end: int, *, absent: bool = True) -> pd.DataFrame:
        """A copy of the bars in the rows `begin` to `end` (exclusive).

        Parameters
        ----------
        begin, end : int
            Rows of the time axis.
        absent : bool
            Whether a symbol without a bar in the window gets one row of NaN, at the window's last row. The
            universe is then the same in every window, like the columns of a panel.
        """
        return self._framed(self._values, begin, end, absent)

    def perturbed(
        self,
        kind: Perturbation,
        begin: int,
        end: int,
        generator: np.random.Generator,
        *,
        symbol: int | None = None,
    ) -> pd.DataFrame:
        """All bars, with those in the rows `begin` to `end` (exclusive) replaced.

        Parameters
        ----------
        kind : Perturbation
        begin, end : int
            Rows of the time axis.
        generator : numpy.random.Generator
        symbol : int, optional
            Column of the only symbol whose bars are replaced. Default: all symbols.
        """
        chosen = (self._rows >= begin) & (self._rows < end)
        if symbol is not None:
            chosen &= self.columns == symbol
        if kind == "shuffled":
            order = np.arange(len(chosen))
            for column in range(len(self.market.symbols)):
                own = np.flatnonzero(chosen & (self.columns == column))
                order[own] = generator.permutation(own)
            return self._all(self._values[order], order)
        values = self._values.copy()
        if kind == "made noisy":
            values[chosen] = self._noisy(values[chosen], generator)
        else:
            # Adjacent symbols are scaled in opposite directions, so that their ranking changes.
            up = (self.columns[chosen] % 2 == 0) == (kind == "scaled")
            values[chosen] *= np.where(up, _SCALE, 1.0 / _SCALE)[:, None]
        return self._all(values)

    def with_other_close(self, row: int, factor: float) -> pd.DataFrame:
        """The bars up to `row`, with everything but the open changed in the last row; the close by `factor`.

        Adjacent symbols change in opposite directions, so testing both directions takes two calls.
        """
        values = self._values.copy()
        chosen = self._rows == row
        changed = values[chosen]
        by = np.where(self.columns[chosen] % 2 == 0, factor, 1.0 / factor)
        for place, name in enumerate(self._numbers):
            if name not in ("open", "high", "low"):
                changed[:, place] *= by
        values[chosen] = self._enclosed(changed, np.ones((2, len(changed))))
        return self._framed(values, 0, row + 1, absent=True)

    def _noisy(self, changed: Floats, generator: np.random.Generator) -> Floats:
        """Independent noise on each number, then a high and a low that enclose the prices."""
        changed = changed * np.exp(generator.normal(0.0, _NOISE, changed.shape))
        wicks = np.exp(np.abs(generator.normal(0.0, _NOISE / 3.0, (2, len(changed)))))
        return self._enclosed(changed, wicks)

    def _enclosed(self, changed: Floats, wicks: Floats) -> Floats:
        """Sets the high above open and close, and the low below, by these factors."""
        place = {name: position for position, name in enumerate(self._numbers)}
        opens, closes = changed[:, place["open"]], changed[:, place["close"]]
        if "high" in place:
            changed[:, place["high"]] = np.fmax(opens, closes) * wicks[0]
        if "low" in place:
            changed[:, place["low"]] = np.fmin(opens, closes) / wicks[1]
        return changed

    def _all(self, values: Floats, order: npt.NDArray[np.int64] | None = None) -> pd.DataFrame:
        """All rows with these numbers; other columns are taken from the rows `order`."""
        taken = {name: other if order is None else other.take(order) for name, other in self._others.items()}
        return self._assembled(values, taken, self._index)

    def _assembled(self, values: Floats, others: dict[Any, Any], index: pd.MultiIndex) -> pd.DataFrame:
        frame = pd.DataFrame(values, index=index, columns=self._numbers)
        for name, other in others.items():
            frame[name] = other
        return frame[self._order] if others else frame

    def _framed(self, values: Floats, begin: int, end: int, absent: bool) -> pd.DataFrame:
        inside = (self._rows >= begin) & (self._rows < end)
        seen = np.zeros(len(self._names), dtype=np.bool_)
        seen[self._codes[inside]] = True
        # One code per symbol; the integer type depends on their number.
        codes: Any = self._codes
        names, rows, missing = self._names, self._rows, np.flatnonzero(~seen)
        if absent and missing.size:
            # Any row of the symbol, so that the order of symbols stays; set to NaN below.
            firsts = np.array([np.flatnonzero(codes == name)[0] for name in missing])
            inside[firsts] = True
            rows = rows.copy()
            rows[firsts] = end - 1
        elif missing.size:
            codes, names = (np.cumsum(seen) - 1)[codes], names[seen]
        # pandas-stubs requires lists here, but pandas takes an Index and arrays without copying.
        levels: Any = [names, self._times[begin:end]]
        numbers: Any = [codes[inside], rows[inside] - begin]
        index = pd.MultiIndex(levels, numbers, names=self._index.names, verify_integrity=False)
        kept = values[inside]
        if absent and missing.size:
            kept[np.isin(codes[inside], missing)] = np.nan
        return self._assembled(kept, {name: other[inside] for name, other in self._others.items()}, index)
