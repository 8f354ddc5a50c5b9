"""Which combinations a strategy's `where` allows: checked in blocks, stored as one bit each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.errors import StrategyError
from workbench.signals.strategy import Strategy

__all__ = ["BLOCK", "Chosen", "choose", "judge"]

Variants = Mapping[str, npt.NDArray[Any]]
Bools = npt.NDArray[np.bool_]

BLOCK = 65_536
"""Combinations checked at once; bounds the memory needed beside the bits."""
_PROBES = 32
"""Combinations per block that are also checked one by one, before the vectorised answer is trusted."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """A subset of the numbers from 0 on, in order.

    One bit for every possible number: 12.5 MB for 100 million, however many are chosen.

    Attributes
    ----------
    bits : ndarray of uint8
        Packed by `numpy.packbits`.
    ends : ndarray of int64, shape (n_blocks,)
        Numbers chosen up to each block's end.
    """

    bits: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many numbers are chosen."""
        return int(self.ends[-1])

    def numbers(self, start: int, stop: int) -> npt.NDArray[np.int64]:
        """The chosen numbers from the `start`-th to the `stop`-th (exclusive)."""
        stop = min(stop, self.size)
        if start >= stop:
            return np.empty(0, dtype=np.int64)
        first, last = np.searchsorted(self.ends, [start, stop - 1], side="right")
        found = [
            block * BLOCK + np.flatnonzero(np.unpackbits(self.bits[block * BLOCK // 8 :][: BLOCK // 8]))
            for block in range(first, last + 1)
        ]
        before = int(self.ends[first - 1]) if first else 0
        return np.concatenate(found)[start - before : stop - before].astype(np.int64)


def choose(total: int, passes: Callable[[int, int], Bools]) -> Chosen:
    """The numbers below `total` for which ``passes(start, stop)`` is True."""
    bits = np.zeros((total + 7) // 8, dtype=np.uint8)
    counts = []
    for start in range(0, total, BLOCK):
        mask = passes(start, min(start + BLOCK, total))
        packed = np.packbits(mask)
        bits[start // 8 : start // 8 + len(packed)] = packed
        counts.append(int(np.count_nonzero(mask)))
    return Chosen(bits, np.cumsum(counts, dtype=np.int64))


def judge(strategy: Strategy, variants: Variants) -> Bools:
    """Which variants the strategy's `where` allows.

    It is called once with arrays of all of them. If that fails (``and``, ``if``), or some sampled answers
    differ from single calls, it is called for each variant.

    Parameters
    ----------
    strategy : Strategy
    variants : mapping of str to ndarray, shape (n_variants,)
        Every parameter.

    Returns
    -------
    ndarray of bool, shape (n_variants,)

    Raises
    ------
    StrategyError
        `where` raised; the message has the values.
    """
    n = len(next(iter(variants.values()))) if variants else 1
    if strategy.where is None:
        return np.ones(n, dtype=np.bool_)
    answer: Any = None
    # If it raises for arrays, it may still work for single values: these are tried below.
    with contextlib.suppress(Exception), np.errstate(all="ignore"):
        answer = strategy.where(**variants)
    if isinstance(answer, np.ndarray) and answer.dtype == np.bool_ and answer.shape == (n,):
        probes = np.unique(np.linspace(0, n - 1, _PROBES).astype(np.int64))
        if np.array_equal(answer[probes], _one_by_one(strategy, variants, probes)):
            return answer
    return _one_by_one(strategy, variants, np.arange(n))


def _one_by_one(strategy: Strategy, variants: Variants, positions: npt.NDArray[np.int64]) -> Bools:
    assert strategy.where is not None
    columns = [values[positions].tolist() for values in variants.values()]
    answers = np.empty(len(positions), dtype=np.bool_)
    for row, values in enumerate(zip(*columns, strict=True)):
        combination = dict(zip(variants, values, strict=True))
        try:
            answers[row] = bool(strategy.where(**combination))
        except Exception as error:
            shown = ", ".join(f"{name}={value!r}" for name, value in combination.items())
            raise StrategyError(
                f"{strategy.name}: its `where` failed for {shown} ({type(error).__name__}: {error}); "
                "make it return True or False for every combination."
            ) from error
    return answers
