"""The one compiled loop: from signals or weights to fills, and for sweeps to figures; no pandas, no files.

Every rule of filling stands here, once: `backtest()` runs this loop with its fills logged, `sweep()` without.
The plain loop of the tests (`tests/unit/fills/reference.py`) says the same rules in words that a reader
can follow, and holds this one to them.

It is one file, and long for it: Numba keeps what it compiled by the file of each function, and does not
notice a change in another one. Importing it imports Numba, so it is imported where something is traded.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from workbench.compiled import compiled
from workbench.fills.accounts import frozen

__all__ = [
    "compile_all",
    "log_holding",
    "log_signals",
    "log_weights",
    "price_paid",
    "run_long_only",
    "run_signals",
    "run_weights",
    "stopped_at",
]

Bool1 = npt.NDArray[np.bool_]
Bool2 = npt.NDArray[np.bool_]
Bool3 = npt.NDArray[np.bool_]
Bool4 = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# What `rules` holds, by position; see `workbench.fills.layout`.
_CASH, _FEES, _FIXED_FEES, _SLIPPAGE, _FILL, _SIZE_KIND, _SIZE = 0, 1, 2, 3, 4, 5, 6
_STOP_LOSS, _TAKE_PROFIT, _TRAILING_STOP, _WHOLE_UNITS, _YEAR, _SHARED, _LEVERAGE = 7, 8, 9, 10, 11, 12, 13

# rules[_FILL]
_NEXT_OPEN, _NEXT_CLOSE, _SAME_CLOSE = 0, 1, 2
# rules[_SIZE_KIND]: a share of equity, a number of units, or a share that differs by bar and symbol.
_PERCENT, _FIXED, _FRACTIONS = 0, 1, 2

# So small a share of equity is what rounding leaves of it.
_ROUNDING = 1e-9
# So small a deviation of returns is rounding; see `workbench.metrics.observations`.
_NO_DEVIATION = 1e-12
# So small a part of an amount is rounding, not an order; and whole units may fall short of a number by it.
_DUST = 1e-12
# So many bars are looked at together for the deepest drawdown.
_BLOCK = 32

# What `stats` counts: trades that were closed, those that won, what was won, what was lost; lines.
_CLOSED, _WINS, _WON, _LOST, _LINES = 0, 1, 2, 3, 4
_STATS = 5
# So many numbers by symbol a walk keeps, and so many has a line of the log.
_STATE, _LINE = 7, 11
# Newton's steps end after one for each change of slope, and hardly ever need ten.
_STEPS = 50

# What a line says: see `workbench.fills.lines`.
_BUY, _SELL, _DIVIDEND = 0.0, 1.0, 2.0
_BY_SIGNAL, _BY_STOP_LOSS, _BY_TRAILING_STOP, _BY_TARGET, _BY_REBALANCE, _BY_RUIN = (
    0.0,
    1.0,
    2.0,
    3.0,
    4.0,
    5.0,
)

# A decision, as bits.
_ENTER_LONG, _EXIT_LONG, _ENTER_SHORT, _EXIT_SHORT = 1, 2, 4, 8
# In `due`, above the decision: the position was entered in this row.
_FRESH = 16
# The only variant of a backtest. For a plain 0 Numba would compile the loop once more, for that number alone.
_FIRST = np.int64(0)


def _compiled(function: Any) -> Any:
    """Compiled; division by zero gives infinity, as in numpy: a check for it would slow loops down."""
    return compiled(function, error_model="numpy")


def _compiled_sums(function: Any) -> Any:
    """As `_compiled`, with sums in whatever order is fastest; NaN and infinity keep their meaning."""
    return compiled(function, error_model="numpy", fastmath={"reassoc", "contract"})


# At which price an order is filled in a bar: these two, and the open or the close that a decision waits for.


@_compiled
def price_paid(price: float, buying: bool, slippage: float) -> Any:
    """What a unit costs, or brings: the price, worse by the slippage."""
    return price * (1.0 + slippage) if buying else price * (1.0 - slippage)


@_compiled
def stopped_at(
    long: bool, fresh: bool, entry: float, best: float, stop_loss: float, take_profit: float,
    trailing_stop: float, open_: float, high: float, low: float,
) -> Any:  # fmt: skip
    """The price at which a stop or the target closes the position in this bar, and which; else NaN.

    A bar that opens beyond a level is left at its open. Within a bar the stop is taken to come before the
    target, since nothing tells which came first.
    """
    # A short position's prices with their sign turned compare as a long one's.
    sign = 1.0 if long else -1.0
    stop, target, which = -np.inf, np.inf, _BY_STOP_LOSS
    if not np.isnan(stop_loss):
        stop = sign * entry * (1.0 - sign * stop_loss)
    if not np.isnan(trailing_stop):
        trailing = sign * best * (1.0 - sign * trailing_stop)
        if trailing > stop:
            stop, which = trailing, _BY_TRAILING_STOP
    if not np.isnan(take_profit):
        target = sign * entry * (1.0 + sign * take_profit)
    if not fresh and sign * open_ <= stop:
        return open_, which
    if not fresh and sign * open_ >= target:
        return open_, _BY_TARGET
    if (low if long else -high) <= stop:
        return sign * stop, which
    if (high if long else -low) >= target:
        return sign * target, _BY_TARGET
    return np.nan, which


@_compiled
def _fee(units: float, paid: float, fees: float, fixed: float) -> Any:
    """What an order costs: a fraction of its value, and a fixed amount."""
    return fees * abs(units) * paid + fixed


@_compiled
def _said(enter: bool, leave: bool, short: bool, cover: bool) -> Any:
    """What a bar's close says, as bits."""
    return (
        (_ENTER_LONG if enter else 0)
        | (_EXIT_LONG if leave else 0)
        | (_ENTER_SHORT if short else 0)
        | (_EXIT_SHORT if cover else 0)
    )


@_compiled
def _merged(due: int, said: int, since: int, row: int) -> Any:
    """What is due where a later bar's close says something else before a bar fills it, and who decided it.

    An entry takes back the exit of its side and the other side's entry, an exit the entry of its side. An
    entry that stands is of its own row, with that row's size, whatever exit was said after it.
    """
    if said & _ENTER_LONG:
        due &= ~(_EXIT_LONG | _ENTER_SHORT)
    if said & _EXIT_LONG:
        due &= ~_ENTER_LONG
    if said & _ENTER_SHORT:
        due &= ~(_EXIT_SHORT | _ENTER_LONG)
    if said & _EXIT_SHORT:
        due &= ~_ENTER_SHORT
    entries = _ENTER_LONG | _ENTER_SHORT
    return due | said, row if said & entries or not due & entries else since


@_compiled
def _sum(one: float, other: float) -> Any:
    """Their sum, 0 where it is nothing but rounding: as vectorbt does it, so that all spent is all spent."""
    total = one + other
    if one * other < 0.0 and abs(total) <= max(1e-9 * max(abs(one), abs(other)), 1e-12):
        return 0.0
    return total


# How much may be entered: gross exposure stays within `leverage` times equity, costs paid, after any entry.


@_compiled
def _outlay(price: float, paid: float, fees: float, leverage: float) -> Any:
    """By how much a unit that is entered, long or short, reduces `_room`: its value, and what it costs."""
    return price + leverage * (abs(paid - price) + fees * paid)


@_compiled
def _room(equity: float, gross: float, leverage: float) -> Any:
    """How much more may be held, without what rounding leaves of it; never below zero."""
    room = leverage * equity - gross
    return room if room > _ROUNDING * equity else 0.0


@_compiled
def _scale(wanted: float, fixed: float, room: float) -> Any:
    """By which factor entries of this outlay are cut to the room, fixed fees first; 1 where they fit."""
    if wanted + fixed <= room * (1.0 + _DUST):
        return 1.0
    return max(room - fixed, 0.0) / wanted


@_compiled
def _wanted(
    price: float, paid: float, equity: float, kind: int, size: float, fees: float, fixed: float
) -> Any:
    """How many units an entry is for: a number, or a share of equity that pays for its own costs."""
    if kind == _FIXED:
        return size
    return max(size * equity - fixed, 0.0) / _outlay(price, paid, fees, 1.0)


@_compiled
def _target(weight: float, equity: float, price: float, whole: bool) -> Any:
    """How many units a weight is for."""
    units = weight * equity / price
    return np.trunc(units * (1.0 + _DUST)) if whole else units


@_compiled
def _change(target: float, held: float) -> Any:
    """By how much a target differs from what is held; 0 where it is nothing but rounding."""
    amount = target - held
    return amount if abs(amount) > _DUST * max(abs(target), abs(held)) else 0.0


@_compiled
def _log(
    lines: Floats, stats: Floats, row: int, column: int, side: float, size: float, price: float, fees: float,
    cash: float, units: float, reason: float, strength: float, decided: float,
) -> None:  # fmt: skip
    """Count what happened, and write it down where there is room: with no room at all it is only counted."""
    number = int(stats[_LINES])
    stats[_LINES] += 1.0
    if number < lines.shape[1]:
        lines[0, number], lines[1, number], lines[2, number] = row, column, side
        lines[3, number], lines[4, number], lines[5, number] = size, price, fees
        lines[6, number], lines[7, number], lines[8, number] = cash, units, reason
        lines[9, number], lines[10, number] = strength, decided


@_compiled
def _count(profit: float, stats: Floats) -> None:
    """Write down a trade that was closed."""
    stats[_CLOSED] += 1.0
    if profit > 0.0:
        stats[_WINS] += 1.0
        stats[_WON] += profit
    else:
        stats[_LOST] -= profit


@_compiled
def _walk_signals(  # noqa: C901 - see the docstring
    first: int,
    cash: float,
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    present: Bool2,
    dividends: Floats,
    entries: Bool2,
    exits: Bool2,
    short_entries: Bool2,
    short_exits: Bool2,
    fractions: Floats,
    rules: Floats,
    state: Floats,
    due: Integers,
    equity: Floats,
    gross: Floats,
    traded: Floats,
    stats: Floats,
    ruined: Bool1,
    cash_curve: Floats,
    positions: Floats,
    lines: Floats,
) -> None:
    """One account of symbols from `first` on: what it is worth, holds and trades is added row by row.

    `cash_curve` (cash by row), `positions` and `lines` are filled where they have room.

    One function, since to hand a dozen arrays to another one for each row would take longer than the row.
    """
    # A row of `state` for each: units held; the position's entry price, its profit so far in cash, and its
    # best price; the last close; units to enter; the row that decided what is due.
    held, entry, profit, best, known = state[0], state[1], state[2], state[3], state[4]
    amounts, since = state[5], state[6]
    fees, fixed, slippage, size = rules[_FEES], rules[_FIXED_FEES], rules[_SLIPPAGE], rules[_SIZE]
    stop_loss, take_profit, trailing = rules[_STOP_LOSS], rules[_TAKE_PROFIT], rules[_TRAILING_STOP]
    kind, whole, leverage = int(rules[_SIZE_KIND]), rules[_WHOLE_UNITS] != 0.0, rules[_LEVERAGE]
    at_open, same_bar = rules[_FILL] == _NEXT_OPEN, rules[_FILL] == _SAME_CLOSE
    stops = not (np.isnan(stop_loss) and np.isnan(take_profit) and np.isnan(trailing))
    shorts, paying = short_entries.shape[0] > 0, dividends.shape[0] > 0
    # Signals are filled before the stops of a bar where they are filled at its open, after them otherwise.
    filling, stopping, ruining = (0, 1, 2) if at_open else (1, 0, 2)
    dead, symbols = False, close.shape[1]
    for column in range(symbols):
        held[column] = entry[column] = profit[column] = best[column] = known[column] = since[column] = 0.0
        due[column] = 0
    for row in range(close.shape[0]):
        worth = 0.0
        exposed = 0.0
        # Whether any decision that is due does anything: in most bars none does.
        acting = False
        for column in range(symbols):
            if same_bar:
                said = _said(
                    entries[row, column],
                    exits[row, column],
                    shorts and short_entries[row, column],
                    shorts and short_exits[row, column],
                )
                if said != 0:
                    due[column], since[column] = _merged(due[column], said, int(since[column]), row)
            if not present[row, column]:
                continue
            units, said = held[column], due[column]
            if units == 0.0:
                acting |= said & (_ENTER_LONG | _ENTER_SHORT) != 0
            elif units > 0.0:
                acting |= said & (_EXIT_LONG | _ENTER_SHORT) != 0
            else:
                acting |= said & (_EXIT_SHORT | _ENTER_LONG) != 0
            if paying and units != 0.0 and dividends[row, column] != 0.0:
                paid = dividends[row, column]
                cash += units * paid
                profit[column] += units * paid
                _log(
                    lines, stats, row, first + column, _DIVIDEND, abs(units), paid, 0.0, cash, units,
                    _BY_SIGNAL, 1.0, row,
                )  # fmt: skip
        for step in range(3):
            # What a stop closed is entered again at this bar's close where an entry still stands.
            if (step == stopping and not stops) or (step == filling and not (acting or stops)):
                continue
            if step == ruining:
                worth = 0.0
                exposed = 0.0
                for column in range(symbols):
                    if present[row, column]:
                        known[column] = close[row, column]
                    worth += held[column] * known[column]
                    exposed += abs(held[column] * known[column])
                if exposed == 0.0 or cash + worth > 0.0:
                    break
                # For good, also where what is held has no bar in which it could be closed.
                dead = True
            opening = False
            for column in range(symbols):
                if not present[row, column]:
                    continue
                units, said = held[column], due[column]
                price, reason = np.nan, _BY_SIGNAL
                if step == filling:
                    if (units > 0.0 and said & (_EXIT_LONG | _ENTER_SHORT)) or (
                        units < 0.0 and said & (_EXIT_SHORT | _ENTER_LONG)
                    ):
                        price = open_[row, column] if at_open else close[row, column]
                        units = 0.0
                    opening |= units == 0.0 and said & (_ENTER_LONG | _ENTER_SHORT) != 0
                elif units == 0.0:
                    continue
                elif step == ruining:
                    price, reason = close[row, column], _BY_RUIN
                else:
                    price, reason = stopped_at(
                        units > 0.0, said & _FRESH != 0, entry[column], best[column], stop_loss, take_profit,
                        trailing, open_[row, column], high[row, column], low[row, column],
                    )  # fmt: skip
                    if np.isnan(price):
                        best[column] = (
                            max(best[column], high[row, column])
                            if units > 0.0
                            else min(best[column], low[row, column])
                        )
                if np.isnan(price):
                    continue
                units = held[column]
                got = price_paid(price, units < 0.0, slippage)
                fee = _fee(units, got, fees, fixed)
                cash += units * got - fee
                traded[row] += abs(units) * got
                held[column] = 0.0
                _count(profit[column] + (units * got - fee), stats)
                side = _SELL if units > 0.0 else _BUY
                decided = since[column] if step == filling else row
                _log(
                    lines,
                    stats,
                    row,
                    first + column,
                    side,
                    abs(units),
                    got,
                    fee,
                    cash,
                    0.0,
                    reason,
                    1.0,
                    decided,
                )
            if not opening or dead:
                continue
            worth = exposed = 0.0
            for column in range(symbols):
                price = known[column]
                if present[row, column]:
                    price = open_[row, column] if at_open else close[row, column]
                worth += held[column] * price
                exposed += abs(held[column] * price)
            available = cash + worth
            if not available > 0.0:
                continue
            outlay, fixed_outlay = 0.0, 0.0
            for column in range(symbols):
                said = due[column]
                amounts[column] = 0.0
                if not present[row, column] or held[column] != 0.0 or not said & (_ENTER_LONG | _ENTER_SHORT):
                    continue
                price = open_[row, column] if at_open else close[row, column]
                paid = price_paid(price, said & _ENTER_LONG != 0, slippage)
                fraction = size
                if kind == _FRACTIONS:
                    fraction = fractions[int(since[column]), column]
                units = _wanted(price, paid, available, kind, fraction, fees, fixed)
                # NaN is not above zero either.
                if units > 0.0:
                    amounts[column] = units
                    outlay += units * _outlay(price, paid, fees, leverage)
                    fixed_outlay += leverage * fixed
            scale = _scale(outlay, fixed_outlay, _room(available, exposed, leverage))
            for column in range(symbols):
                units = amounts[column] * scale
                if whole:
                    units = np.floor(units)
                if not units > 0.0:
                    continue
                long = due[column] & _ENTER_LONG != 0
                paid = price_paid(open_[row, column] if at_open else close[row, column], long, slippage)
                fee = _fee(units, paid, fees, fixed)
                traded[row] += units * paid
                entry[column] = best[column] = paid
                due[column] |= _FRESH
                if not long:
                    units = -units
                held[column] = units
                profit[column] = -(units * paid) - fee
                cash = _sum(cash, -(units * paid + fee))
                side = _BUY if long else _SELL
                _log(
                    lines, stats, row, first + column, side, abs(units), paid, fee, cash, units,
                    _BY_SIGNAL, 1.0, since[column],
                )  # fmt: skip
        if dead:
            worth = exposed = 0.0
            for column in range(symbols):
                worth += held[column] * known[column]
                exposed += abs(held[column] * known[column])
        equity[row] += cash + worth
        gross[row] += exposed
        if len(cash_curve) > 0:
            cash_curve[row] += cash
        for column in range(symbols):
            if positions.shape[0] > 0:
                positions[row, column] = held[column]
            # What the symbol's bar filled is done with; the newest decisions before its next bar count.
            said = 0
            if not same_bar:
                said = _said(
                    entries[row, column],
                    exits[row, column],
                    shorts and short_entries[row, column],
                    shorts and short_exits[row, column],
                )
            if present[row, column]:
                due[column], since[column] = said, row
            elif said != 0:
                due[column], since[column] = _merged(due[column], said, int(since[column]), row)
    ruined[first : first + symbols] = dead


@_compiled
def _next(bits: Words, start: int, end: int) -> Any:
    """The place of the first bit that is set from `start` to before `end`; `end` where none is."""
    if start >= end:
        return end
    place = start
    word = bits[start >> 6] >> np.uint64(start & 63)
    if word == 0:
        number, last = (start >> 6) + 1, (end - 1) >> 6
        while number <= last and bits[number] == 0:
            number += 1
        if number > last:
            return end
        place, word = number << 6, bits[number]
    # How many zeros come before it, by halves.
    for zeros in (32, 16, 8, 4, 2, 1):
        if word & ((np.uint64(1) << np.uint64(zeros)) - np.uint64(1)) == 0:
            word >>= np.uint64(zeros)
            place += zeros
    return min(place, end)


@_compiled_sums
def _hold(units: float, cash: float, close: Floats, equity: Floats) -> Any:
    """Value a position bar by bar; the sum of its shares of equity."""
    held = 0.0
    for bar in range(len(close)):
        value = units * close[bar]
        equity[bar] = cash + value
        held += value / (cash + value)
    return held


@_compiled
def _walk_long_only(
    open_: Floats,
    close: Floats,
    entries: Words,
    exits: Words,
    begin: int,
    rules: Floats,
    equity: Floats,
    curve: Floats,
    stats: Floats,
) -> Any:
    """`_walk_signals` for the plainest case: one symbol without gaps, long only, filled at the next open.

    Its signals begin at the bit `begin`. It walks from one to the next, values the bars of a position in a
    loop that uses vectors, and leaves out those between positions, in which equity stands still; only
    `curve` has all bars, where it has any. Returns how many bars it valued, and what `_shares` does.
    """
    bars = len(close)
    # What the last bar says is not filled.
    end = begin + bars - 1
    cash, fees, fixed, slippage = rules[_CASH], rules[_FEES], rules[_FIXED_FEES], rules[_SLIPPAGE]
    fraction, whole, leverage = rules[_SIZE], rules[_WHOLE_UNITS] != 0.0, rules[_LEVERAGE]
    held = turned = 0.0
    counted = valued = decided = row = 0
    while True:
        decided = _next(entries, begin + decided, end) - begin
        counted += decided + 1 - row if cash > 0.0 else 0
        if len(curve) > 0:
            curve[row : decided + 1] = cash
        row = decided + 1
        if row >= bars:
            break
        paid = price_paid(open_[row], True, slippage)
        units = _wanted(open_[row], paid, cash, _PERCENT, fraction, fees, fixed)
        outlay = units * _outlay(open_[row], paid, fees, leverage)
        units *= _scale(outlay, leverage * fixed, _room(cash, 0.0, leverage))
        if whole:
            units = np.floor(units)
        decided = row
        if not units > 0.0:
            continue
        fee = _fee(units, paid, fees, fixed)
        cash = _sum(cash, -(units * paid + fee))
        bought = row
        decided = _next(exits, begin + decided, end) - begin
        row = decided + 1
        held += _hold(units, cash, close[bought:row], equity[valued : valued + row - bought])
        turned += units * paid / equity[valued]
        if len(curve) > 0:
            curve[bought:row] = equity[valued : valued + row - bought]
        valued += row - bought
        counted += row - bought
        if row >= bars:
            break
        got = price_paid(open_[row], False, slippage)
        leaving = _fee(units, got, fees, fixed)
        cash += units * got - leaving
        _count(units * got - leaving - (units * paid + fee), stats)
        # The bar of an exit is not that of an entry: the bar before it said only one of them.
        equity[valued] = cash
        if len(curve) > 0:
            curve[row] = cash
        valued += 1
        if cash > 0.0:
            turned += units * got / cash
            counted += 1
        decided = row
        row += 1
    return valued, (held / counted if counted > 0 else np.nan), (turned / counted if counted > 0 else np.nan)


@_compiled
def _weights_scale(
    row: int, equity: float, held: Floats, due: Floats, known: Floats, price_of: Floats, present: Bool2,
    fees: float, fixed: float, slippage: float, leverage: float,
) -> Any:  # fmt: skip
    """By which factor the weights that are due are cut, so that what is then held fits; 1 where it does.

    It fits where gross exposure, with what no weight is due for, is at most `leverage` times the equity that
    the costs of getting there leave. Those costs are piecewise linear in the factor, and convex, so that
    Newton's steps from 1 come down to the largest factor that fits. All weights are cut alike, whatever the
    order of the symbols.
    """
    scale = 1.0
    for step in range(_STEPS):
        gross = costs = slope = others = 0.0
        for column in range(len(held)):
            units = held[column]
            if not present[row, column] or np.isnan(due[column]):
                others += abs(units * (price_of[row, column] if present[row, column] else known[column]))
                continue
            price = price_of[row, column]
            full = due[column] * equity / price
            amount = _change(scale * full, units)
            gross += abs(scale * full * price)
            slope += abs(full * price)
            # After the first step a fixed fee is reckoned for all, so that the costs have no jumps.
            if amount != 0.0 or (step > 0 and (full != 0.0 or units != 0.0)):
                costs += fixed
            # What needs no order now is sold, or bought back, with a smaller factor.
            buying = amount > 0.0 or (amount == 0.0 and full < 0.0)
            paid = price_paid(price, buying, slippage)
            each = abs(paid - price) + fees * paid
            costs += each * abs(amount)
            slope += leverage * each * (full if buying else -full)
        room = leverage * equity - others
        excess = gross + leverage * costs - room
        # Cut ones fit to the last digits, lest what is cut to what is held be an order.
        if excess <= (_DUST if step == 0 else 1e-14) * leverage * equity:
            break
        # Where less does not cost less, nothing fits, and none of it into what rounding leaves.
        fits = slope > 0.0 and room > _ROUNDING * equity
        scale = max(scale - excess / slope, 0.0) if fits else 0.0
        if scale == 0.0:
            break
    return scale


@_compiled
def _walk_weights(  # noqa: C901 - see _walk_signals
    variant: int,
    open_: Floats,
    close: Floats,
    present: Bool2,
    dividends: Floats,
    weights: Floats,
    rules: Floats,
    state: Floats,
    equity: Floats,
    gross: Floats,
    traded: Floats,
    stats: Floats,
    ruined: Bool1,
    cash_curve: Floats,
    positions: Floats,
    lines: Floats,
) -> None:
    """The common account of all symbols, brought to its target weights; see `_walk_signals`."""
    # A row of `state` for each: units held, the position's profit so far in cash, the weight that is due,
    # units to buy or sell, the last close, the row that decided the weight.
    held, profit, due, amounts, known, since = state[0], state[1], state[2], state[3], state[4], state[5]
    symbols = close.shape[1]
    cash, fees, fixed, slippage = rules[_CASH], rules[_FEES], rules[_FIXED_FEES], rules[_SLIPPAGE]
    whole, at_open, leverage = rules[_WHOLE_UNITS] != 0.0, rules[_FILL] == _NEXT_OPEN, rules[_LEVERAGE]
    same_bar, paying = rules[_FILL] == _SAME_CLOSE, dividends.shape[0] > 0
    price_of = open_ if at_open else close
    dead = False
    for column in range(symbols):
        held[column] = profit[column] = known[column] = since[column] = 0.0
        due[column] = np.nan
    for row in range(close.shape[0]):
        worth = 0.0
        ordered = False
        for column in range(symbols):
            price = known[column]
            if same_bar and not np.isnan(weights[variant, row, column]):
                due[column], since[column] = weights[variant, row, column], row
            if present[row, column]:
                if paying and held[column] != 0.0 and dividends[row, column] != 0.0:
                    cash += held[column] * dividends[row, column]
                    profit[column] += held[column] * dividends[row, column]
                    _log(
                        lines, stats, row, column, _DIVIDEND, abs(held[column]), dividends[row, column], 0.0,
                        cash, held[column], _BY_SIGNAL, 1.0, row,
                    )  # fmt: skip
                ordered |= not np.isnan(due[column])
                price = price_of[row, column]
            worth += held[column] * price
        if ordered and not dead and cash + worth > 0.0:
            available = cash + worth
            scale = _weights_scale(
                row, available, held, due, known, price_of, present, fees, fixed, slippage, leverage
            )
            for column in range(symbols):
                amounts[column] = 0.0
                if present[row, column] and not np.isnan(due[column]):
                    target = _target(scale * due[column], available, price_of[row, column], whole)
                    amounts[column] = _change(target, held[column])
            for buying in range(2):
                for column in range(symbols):
                    amount = amounts[column]
                    if amount == 0.0 or (amount > 0.0) != (buying == 1):
                        continue
                    before = held[column]
                    paid = price_paid(price_of[row, column], buying == 1, slippage)
                    fee = _fee(amount, paid, fees, fixed)
                    after = _sum(before, amount)
                    held[column] = after
                    cash = _sum(cash, -(amount * paid + fee))
                    traded[row] += abs(amount) * paid
                    _log(
                        lines, stats, row, column, _BUY if buying else _SELL, abs(amount), paid, fee, cash,
                        after, _BY_REBALANCE, min(abs(due[column]), 1.0), since[column],
                    )  # fmt: skip
                    if before * after < 0.0:
                        # From one side to the other: one trade ends and another begins, each with its fees.
                        ending = fee * abs(before) / abs(amount)
                        _count(profit[column] + before * paid - ending, stats)
                        profit[column] = -(after * paid) - (fee - ending)
                    elif after == 0.0:
                        _count(profit[column] - amount * paid - fee, stats)
                        profit[column] = 0.0
                    else:
                        profit[column] -= amount * paid + fee
        worth = exposed = 0.0
        for column in range(symbols):
            if present[row, column]:
                known[column] = close[row, column]
                due[column] = np.nan
            # The newest decision before the symbol's next bar counts.
            if not (same_bar or np.isnan(weights[variant, row, column])):
                due[column], since[column] = weights[variant, row, column], row
            worth += held[column] * known[column]
            exposed += abs(held[column] * known[column])
        if exposed > 0.0 and not cash + worth > 0.0:
            dead = True
            worth = exposed = 0.0
            for column in range(symbols):
                units = held[column]
                if units != 0.0 and present[row, column]:
                    paid = price_paid(close[row, column], units < 0.0, slippage)
                    fee = _fee(units, paid, fees, fixed)
                    cash += units * paid - fee
                    traded[row] += abs(units) * paid
                    _count(profit[column] + (units * paid - fee), stats)
                    held[column] = profit[column] = 0.0
                    side = _SELL if units > 0.0 else _BUY
                    _log(
                        lines, stats, row, column, side, abs(units), paid, fee, cash, 0.0, _BY_RUIN, 1.0, row
                    )
                worth += held[column] * known[column]
                exposed += abs(held[column] * known[column])
        equity[row] = cash + worth
        gross[row] = exposed
        if len(cash_curve) > 0:
            cash_curve[row] = cash
        if positions.shape[0] > 0:
            positions[row] = held
    ruined[:] = dead


@_compiled_sums
def _returns(equity: Floats, cash: float, returns: Floats) -> Any:
    """The return at each value of equity; before how many of them nothing was left."""
    ruined = 0
    if len(equity) > 0:
        returns[0] = equity[0] / cash - 1.0
    for row in range(1, len(equity)):
        before = equity[row - 1]
        returns[row] = equity[row] / before - 1.0
        ruined += 1 if before <= 0.0 else 0
    return ruined


@_compiled_sums
def _moments(returns: Floats, still: int) -> Any:
    """Mean, sums of the second to fourth powers about it, and of the squares below zero.

    Of the returns, and of `still` more that are 0.
    """
    bars = len(returns) + still
    total = 0.0
    for row in range(len(returns)):
        total += returns[row]
    mean = total / bars
    second = still * mean**2
    third = -second * mean
    fourth = second * mean**2
    below = 0.0
    for row in range(len(returns)):
        value = returns[row]
        deviation = value - mean
        square = deviation * deviation
        second += square
        third += square * deviation
        fourth += square * square
        # Not min(): that one also looks for NaN, and the loop would not use vectors.
        loss = 0.0
        if value < 0.0:
            loss = value
        below += loss * loss
    return mean, second, third, fourth, below


@_compiled_sums
def _shares(gross: Floats, traded: Floats, equity: Floats) -> Any:
    """Means over the bars with equity of what was held and what was traded, by that equity."""
    held = 0.0
    turned = 0.0
    counted = 0
    for row in range(len(equity)):
        there = equity[row] > 0.0
        held += gross[row] / equity[row] if there else 0.0
        turned += traded[row] / equity[row] if there else 0.0
        counted += 1 if there else 0
    return (held / counted, turned / counted) if counted > 0 else (np.nan, np.nan)


def _compiled_extremes(function: Any) -> Any:
    """As `_compiled`, for loops that look for the least or the most of numbers none of which is NaN."""
    return compiled(function, error_model="numpy", fastmath={"reassoc", "nnan", "nsz"})


@_compiled_extremes
def _deepest(equity: Floats, cash: float) -> Any:
    """The lowest equity by the highest before it, the starting capital included."""
    peak = cash
    lowest = 1.0
    for start in range(0, len(equity), _BLOCK):
        block = equity[start : start + _BLOCK]
        most, least = -np.inf, np.inf
        for place in range(len(block)):
            most = max(most, block[place])
            least = min(least, block[place])
        if most <= peak:
            lowest = min(lowest, least / peak)
        elif least < lowest * most:
            # Only here it matters which came first.
            for place in range(len(block)):
                peak = max(peak, block[place])
                lowest = min(lowest, block[place] / peak)
        else:
            peak = most
    return lowest


@_compiled
def _summarise(
    bars: int,
    equity: Floats,
    returns: Floats,
    held: float,
    turned: float,
    rules: Floats,
    stats: Floats,
    out: Floats,
) -> None:
    """The figures of one variant, in the order of `workbench.sweep.store.METRICS`.

    `equity` may leave out bars in which it stood still; `returns` is room for as many values.
    """
    valued, cash, year = len(equity), rules[_CASH], rules[_YEAR]
    growth = peak = lowest = 1.0
    if _returns(equity, cash, returns) == 0:
        if valued > 0:
            growth = equity[valued - 1] / cash
            lowest = _deepest(equity, cash)
    else:
        # Where nothing is left, wealth stands still, whatever becomes of what is owed.
        for row in range(valued):
            if row > 0 and equity[row - 1] <= 0.0:
                returns[row] = 0.0
            growth *= 1.0 + returns[row]
            peak = max(peak, growth)
            lowest = min(lowest, growth / peak)
    mean, second, third, fourth, below = _moments(returns, bars - valued)
    deviation = np.sqrt(second / (bars - 1)) if bars > 1 else np.nan
    # Equal returns have no deviation, whatever rounding says.
    moves = deviation > _NO_DEVIATION * (1.0 + abs(mean))
    if deviation <= _NO_DEVIATION * (1.0 + abs(mean)):
        deviation = 0.0
    downside, depth = np.sqrt(below / bars), 1.0 - lowest
    cagr = growth ** (year / bars) - 1.0 if growth > 0.0 else -1.0
    out[0] = growth - 1.0
    out[1] = cagr
    out[2] = deviation * np.sqrt(year)
    out[3] = mean / deviation * np.sqrt(year) if moves else np.nan
    out[4] = mean / downside * np.sqrt(year) if downside > _NO_DEVIATION else np.nan
    out[5] = cagr / depth if depth > _NO_DEVIATION else np.nan
    out[6] = lowest - 1.0
    out[7] = stats[_CLOSED]
    out[8] = stats[_WINS] / stats[_CLOSED] if stats[_CLOSED] > 0.0 else np.nan
    out[9] = stats[_WON] / stats[_LOST] if stats[_LOST] > 0.0 else np.nan
    out[10] = held
    out[11] = turned * year
    variance = second / bars
    out[12] = third / bars / variance**1.5 if moves else np.nan
    out[13] = fourth / bars / variance**2 if moves else np.nan
    out[14] = bars


@_compiled
def run_long_only(
    open_: Floats, close: Floats, entries: Words, exits: Words, rules: Floats, out: Floats, curves: Floats
) -> None:
    """`run_signals` for one symbol without gaps, long only, a share of equity, filled at the next open.

    Parameters
    ----------
    open_, close : ndarray of float64, shape (n_bars,)
    entries, exits : ndarray of uint64
        A bit for each of n_variants × n_bars signals, the lowest first; never both set.
    rules, out, curves : ndarray of float64
        See `run_signals`.
    """
    bars = len(close)
    equity, returns, stats = np.empty(bars), np.empty(bars), np.empty(_STATS)
    curve = np.empty(0)
    for variant in range(out.shape[0]):
        stats[:] = 0.0
        if curves.shape[0] > 0:
            curve = curves[variant]
        valued, held, turned = _walk_long_only(
            open_, close, entries, exits, variant * bars, rules, equity, curve, stats
        )
        _summarise(bars, equity[:valued], returns[:valued], held, turned, rules, stats, out[variant])


@_compiled
def _of_account(values: Floats, account: int) -> Any:
    """One account's values; empty ones where there are none."""
    return values[account] if len(values) > 0 else values.reshape((0, 0))


@_compiled
def _of_variant(values: Bool4, variant: int, account: int) -> Any:
    """One account's flags of one variant; empty ones where there are none."""
    return values[variant, account] if len(values) > 0 else values.reshape((0, 0))


@_compiled
def run_signals(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    present: Bool3,
    dividends: Floats,
    entries: Bool4,
    exits: Bool4,
    short_entries: Bool4,
    short_exits: Bool4,
    fractions: Floats,
    rules: Floats,
    out: Floats,
    curves: Floats,
) -> None:
    """Trade the signals of many variants and write down their figures.

    What is read is by account (`workbench.fills.accounts`): n_accounts is 1 and n_columns n_symbols where the
    symbols share one, else n_accounts is n_symbols and n_columns 1. It is in C order and not written to.

    Parameters
    ----------
    open_, high, low, close : ndarray of float64, shape (n_accounts, n_bars, n_columns)
        High and low are looked at where there are stops, and are never NaN where there is a bar.
    present : ndarray of bool, shape (n_accounts, n_bars, n_columns)
        Where there is a bar.
    dividends : ndarray of float64, shape (n_accounts, n_bars, n_columns) or (0, 0, 0)
        Cash per unit, on bars only.
    entries, exits : ndarray of bool, shape (n_variants, n_accounts, n_bars, n_columns)
    short_entries, short_exits : ndarray of bool, of the same shape or (0, 0, 0, 0)
    fractions : ndarray of float64, shape (n_accounts, n_bars, n_columns) or (0, 0, 0)
        The share of equity of an entry that is decided in this row, where it differs; NaN enters nothing.
    rules : ndarray of float64, shape (14,)
    out : ndarray of float64, shape (n_variants, 15)
        Filled.
    curves : ndarray of float64, shape (n_variants, n_bars) or (0, 0)
        Filled with equity.
    """
    accounts, bars, columns = close.shape
    symbols = accounts * columns
    equity, gross, traded, returns = np.empty(bars), np.empty(bars), np.empty(bars), np.empty(bars)
    stats, ruined = np.empty(_STATS), np.empty(symbols, dtype=np.bool_)
    state, due = np.empty((_STATE, columns)), np.empty(columns, dtype=np.int64)
    nothing, none = np.empty(0), np.empty((0, 0))
    for variant in range(entries.shape[0]):
        stats[:] = 0.0
        equity[:] = 0.0
        gross[:] = 0.0
        traded[:] = 0.0
        for account in range(accounts):
            _walk_signals(
                account * columns, rules[_CASH] / accounts, open_[account], high[account], low[account],
                close[account], present[account], _of_account(dividends, account),
                entries[variant, account], exits[variant, account],
                _of_variant(short_entries, variant, account), _of_variant(short_exits, variant, account),
                _of_account(fractions, account), rules, state, due, equity, gross, traded, stats, ruined,
                nothing, none, none,
            )  # fmt: skip
        held, turned = _shares(gross, traded, equity)
        _summarise(bars, equity, returns, held, turned, rules, stats, out[variant])
        if curves.shape[0] > 0:
            curves[variant] = equity


@_compiled
def run_weights(
    open_: Floats,
    close: Floats,
    present: Bool2,
    dividends: Floats,
    weights: Floats,
    rules: Floats,
    out: Floats,
    curves: Floats,
) -> None:
    """Trade the target weights of many variants in one account each; see `run_signals`.

    Parameters
    ----------
    weights : ndarray of float64, shape (n_variants, n_bars, n_symbols)
        Fractions of equity, decided at each close; NaN where nothing is ordered.
    """
    bars, symbols = close.shape
    equity, gross, traded, returns = np.empty(bars), np.empty(bars), np.empty(bars), np.empty(bars)
    stats, state, ruined = np.empty(_STATS), np.empty((_STATE, symbols)), np.empty(symbols, dtype=np.bool_)
    nothing, none = np.empty(0), np.empty((0, 0))
    for variant in range(weights.shape[0]):
        stats[:] = 0.0
        traded[:] = 0.0
        _walk_weights(
            variant, open_, close, present, dividends, weights, rules, state, equity, gross, traded, stats,
            ruined, nothing, none, none,
        )  # fmt: skip
        held, turned = _shares(gross, traded, equity)
        _summarise(bars, equity, returns, held, turned, rules, stats, out[variant])
        if curves.shape[0] > 0:
            curves[variant] = equity


@_compiled
def log_signals(
    open_: Floats,
    high: Floats,
    low: Floats,
    close: Floats,
    present: Bool3,
    dividends: Floats,
    entries: Bool3,
    exits: Bool3,
    short_entries: Bool3,
    short_exits: Bool3,
    fractions: Floats,
    rules: Floats,
    balances: Floats,
    ruined: Bool1,
    positions: Floats,
    lines: Floats,
) -> int:
    """Trade the signals of one variant and write down all that happened; see `run_signals`.

    Parameters
    ----------
    entries, exits : ndarray of bool, shape (n_accounts, n_bars, n_columns)
    short_entries, short_exits : ndarray of bool, of the same shape or (0, 0, 0)
    balances : ndarray of float64, shape (3, n_bars)
        Filled: cash, equity, and the positions' value with short ones counted as long, of all accounts.
    ruined : ndarray of bool, shape (n_symbols,)
        Filled: whether the account of the symbol lost everything.
    positions : ndarray of float64, shape (n_accounts, n_bars, n_columns) or (0, 0, 0)
        Filled: units at each close.
    lines : ndarray of float64, shape (11, n_lines)
        Filled, as far as there is room: see `workbench.fills.lines`.

    Returns
    -------
    int
        How many lines there are, which may be more than `lines` has room for.
    """
    accounts, bars, columns = close.shape
    stats, traded = np.zeros(_STATS), np.zeros(bars)
    state, due = np.empty((_STATE, columns)), np.empty(columns, dtype=np.int64)
    balances[:] = 0.0
    for account in range(accounts):
        _walk_signals(
            account * columns, rules[_CASH] / accounts, open_[account], high[account], low[account],
            close[account], present[account], _of_account(dividends, account), entries[account],
            exits[account], _of_account(short_entries, account), _of_account(short_exits, account),
            _of_account(fractions, account), rules, state, due, balances[1], balances[2], traded, stats,
            ruined, balances[0], _of_account(positions, account), lines,
        )  # fmt: skip
    return int(stats[_LINES])


@_compiled
def log_weights(
    open_: Floats,
    close: Floats,
    present: Bool2,
    dividends: Floats,
    weights: Floats,
    rules: Floats,
    balances: Floats,
    ruined: Bool1,
    positions: Floats,
    lines: Floats,
) -> int:
    """Trade the target weights of one variant and write down all that happened; see `log_signals`."""
    bars, symbols = close.shape
    stats, traded, state = np.zeros(_STATS), np.zeros(bars), np.empty((_STATE, symbols))
    _walk_weights(
        _FIRST, open_, close, present, dividends, weights, rules, state, balances[1], balances[2], traded,
        stats, ruined, balances[0], positions, lines,
    )  # fmt: skip
    return int(stats[_LINES])


@_compiled
def log_holding(
    open_: Floats, close: Floats, present: Bool3, dividends: Floats, rules: Floats, equity: Floats
) -> None:
    """Buy each symbol with all of an account of its own, at the first fill that it has, and hold it.

    What `log_signals` does of entries in every bar, without sizes and stops; all that is left of it is this.

    Parameters
    ----------
    open_, close, present, dividends, rules
        See `run_signals`; an account a symbol.
    equity : ndarray of float64, shape (n_bars,)
        Added to.
    """
    fees, fixed, slippage = rules[_FEES], rules[_FIXED_FEES], rules[_SLIPPAGE]
    whole, at_open = rules[_WHOLE_UNITS] != 0.0, rules[_FILL] == _NEXT_OPEN
    for account in range(close.shape[0]):
        cash, held, known = rules[_CASH] / close.shape[0], 0.0, 0.0
        decided = False
        for row in range(close.shape[1]):
            if present[account, row, 0]:
                if held == 0.0:
                    if decided or rules[_FILL] == _SAME_CLOSE:
                        price = open_[account, row, 0] if at_open else close[account, row, 0]
                        paid = price_paid(price, True, slippage)
                        held = _wanted(price, paid, cash, _PERCENT, 1.0, fees, fixed)
                        held = np.floor(held) if whole else held
                        if held > 0.0:
                            cash = _sum(cash, -(held * paid + _fee(held, paid, fees, fixed)))
                    decided = True
                elif len(dividends) > 0:
                    cash += held * dividends[account, row, 0]
                known = close[account, row, 0]
            equity[row] += cash + held * known


def compile_all() -> None:
    """Compile the loops, and keep them on disk, so that the first sweep need not wait for it."""
    bars, said = frozen(np.ones((1, 3, 1))), frozen(np.zeros((1, 1, 3, 1), dtype=np.bool_))
    none, plain = frozen(np.zeros((0, 0, 0))), frozen(np.zeros((0, 0)))
    rules = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, np.nan, np.nan, np.nan, 0.0, 252.0, 0.0, 1.0])
    present = frozen(np.ones((1, 3, 1), dtype=np.bool_))
    out, curves, bits = np.empty((1, 15)), np.empty((0, 0)), frozen(np.zeros(1, dtype=np.uint64))
    run_long_only(bars[0, :, 0], bars[0, :, 0], bits, bits, rules, out, curves)
    run_signals(bars, bars, bars, bars, present, none, said, said, said, said, none, rules, out, curves)
    run_weights(bars[0], bars[0], present[0], plain, bars, rules, out, curves)
    balances, ruined, lines = np.empty((3, 3)), np.empty(1, dtype=np.bool_), np.empty((_LINE, 1))
    flags, units = said[0], np.empty((1, 3, 1))
    log_signals(
        bars, bars, bars, bars, present, none, flags, flags, flags, flags, none, rules, balances, ruined,
        units, lines,
    )  # fmt: skip
    log_weights(bars[0], bars[0], present[0], plain, bars, rules, balances, ruined, units[0], lines)
    log_holding(bars, bars, present, none, rules, balances[0])
