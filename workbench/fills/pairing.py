"""The compiled pass over a simulation's lines that pairs entries with exits; no pandas, no files.

A file of its own, since Numba's cache goes by file; `trades.py` says what a trade is and calls it. Importing
it imports Numba.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from workbench.compiled import compiled
from workbench.fills.accounts import frozen

__all__ = ["NUMBERS", "compile_pairing", "pair"]

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int32]
Codes = npt.NDArray[np.int8]
Flags = npt.NDArray[np.bool_]

_BUY, _DIVIDEND = 0, 2
NUMBERS = ("entry_price", "exit_price", "size", "pnl", "change", "fees", "dividends")
"""What the rows of `numbers` hold."""
_ENTRY, _EXIT, _SIZE, _PNL, _CHANGE, _FEES, _DIVIDENDS = range(7)
# While a trade is open, two rows hold sums instead: what was paid in, and what came out.
_IN, _OUT = _PNL, _CHANGE


@compiled
def pair(
    row: Rows,
    column: Rows,
    side: Codes,
    size: Floats,
    price: Floats,
    fees: Floats,
    units: Floats,
    reason: Codes,
    last_close: Floats,
    places: Rows,
    flags: Flags,
    numbers: Floats,
    reasons: Codes,
) -> int:
    """Pair lines to trades, in the order in which they begin.

    Parameters
    ----------
    row, column, side, size, price, fees, units, reason : ndarray, shape (n_lines,)
        As `Lines` has them; each symbol's in the order in which they happened.
    last_close : ndarray of float64, shape (n_symbols,)
        What an open trade is valued at.
    places : ndarray of int32, shape (3, room)
        Filled: column, entry row and exit row (-1 while open) of each trade.
    flags : ndarray of bool, shape (2, room)
        Filled: closed, short.
    numbers : ndarray of float64, shape (7, room)
        Filled: see NUMBERS.
    reasons : ndarray of int8, shape (room,)
        Filled: of the last fill; -1 while open.

    Returns
    -------
    int
        How many trades there are: at most one a line, and one more for each that goes from long to short.
    """
    symbols = len(last_close)
    held = np.zeros(symbols)
    trade = np.full(symbols, -1, dtype=np.int64)
    # Fills that went in and came out, and the units that came out, of the trade that is open.
    entered, left, gone = np.zeros(symbols), np.zeros(symbols), np.zeros(symbols)
    count = 0
    for line in range(len(row)):
        symbol = column[line]
        if side[line] == _DIVIDEND:
            if trade[symbol] >= 0:
                paid = size[line] * price[line]
                numbers[_DIVIDENDS, trade[symbol]] += paid if units[line] > 0.0 else -paid
            continue
        bought = side[line] == _BUY
        before, after = held[symbol], units[line]
        held[symbol] = after
        amount, fee = size[line], fees[line]
        crosses = before * after < 0.0
        if crosses:
            # One order as two: what closes, then what opens; the fee by their sizes.
            amount = abs(before)
            fee = fees[line] * amount / size[line]
        for part in range(2 if crosses else 1):
            if part == 1:
                amount, fee = abs(after), fees[line] - fee
            if trade[symbol] < 0:
                trade[symbol] = count
                places[0, count], places[1, count], places[2, count] = symbol, row[line], -1
                flags[0, count], flags[1, count] = False, not bought
                numbers[:, count] = 0.0
                numbers[_ENTRY, count], numbers[_EXIT, count] = price[line], np.nan
                reasons[count] = -1
                entered[symbol], left[symbol], gone[symbol] = 0.0, 0.0, 0.0
                count += 1
            this = trade[symbol]
            numbers[_FEES, this] += fee
            if bought != flags[1, this]:
                entered[symbol] += 1.0
                numbers[_SIZE, this] += amount
                numbers[_IN, this] += amount * price[line]
            else:
                left[symbol] += 1.0
                gone[symbol] += amount
                numbers[_OUT, this] += amount * price[line]
            if part == 0 and (crosses or after == 0.0):
                places[2, this], flags[0, this], reasons[this] = row[line], True, reason[line]
                several = left[symbol] > 1.0
                numbers[_EXIT, this] = numbers[_OUT, this] / gone[symbol] if several else price[line]
                _settle(numbers, this, flags[1, this], entered[symbol], 0.0)
                trade[symbol] = -1
    for symbol in range(symbols):
        if trade[symbol] >= 0:
            # Before the costs of closing it.
            worth = abs(held[symbol]) * last_close[symbol]
            _settle(numbers, trade[symbol], flags[1, trade[symbol]], entered[symbol], worth)
    return count


@compiled
def _settle(numbers: Floats, this: int, short: bool, entered: float, worth: float) -> None:
    """From a trade's sums to its mean entry price, its profit and its return."""
    paid, received = numbers[_IN, this], numbers[_OUT, this] + worth
    if entered > 1.0:
        numbers[_ENTRY, this] = paid / numbers[_SIZE, this]
    profit = paid - received if short else received - paid
    profit += numbers[_DIVIDENDS, this] - numbers[_FEES, this]
    numbers[_PNL, this] = profit
    numbers[_CHANGE, this] = profit / paid if paid > 0.0 else profit


def compile_pairing() -> None:
    """Compile it, and keep it on disk, so that the first backtest need not wait for it."""
    whole, codes = frozen(np.zeros(1, dtype=np.int32)), frozen(np.zeros(1, dtype=np.int8))
    ones = frozen(np.ones(1))
    pair(
        whole, whole, codes, ones, ones, ones, ones, codes, ones, np.empty((3, 2), dtype=np.int32),
        np.empty((2, 2), dtype=np.bool_), np.empty((7, 2)), np.empty(2, dtype=np.int8),
    )  # fmt: skip
