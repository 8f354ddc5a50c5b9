"""The rules of filling as a plain loop over every bar and symbol, written from their description alone.

It shares no code and no tricks with the engine: no arrays, no jumping ahead, everything looked at every time.
"""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Bar = tuple[float, float, float, float] | None
"""Open, high, low, close; None where there is no bar."""


class Fill(NamedTuple):
    """One order: the bar that filled it, the symbol, side, units, price with slippage, fee, why."""

    bar: int
    symbol: int
    side: str
    size: float
    price: float
    fee: float
    reason: str


@dataclass
class Position:
    """Units (negative: short), entry price, best price since, and whether it is of this bar's open."""

    units: float
    entry: float
    best: float
    fresh: bool = False


@dataclass
class Purse:
    """One account."""

    symbols: range
    cash: float
    held: dict[int, Position] = field(default_factory=dict)
    ruined: bool = False


@dataclass
class Exchange:
    """Bars, rules, and what happened."""

    bars: list[list[Bar]]
    rules: dict[str, Any]
    fills: list[Fill] = field(default_factory=list)

    def trade(self, purse: Purse, bar: int, symbol: int, units: float, price: float, reason: str) -> float:
        r = self.rules
        paid: float = price * (1 + r["slippage"]) if units > 0 else price * (1 - r["slippage"])
        fee = r["fees"] * abs(units) * paid + r["fixed_fees"]
        purse.cash -= units * paid + fee
        self.fills.append(Fill(bar, symbol, "buy" if units > 0 else "sell", abs(units), paid, fee, reason))
        return paid

    def close(self, purse: Purse, bar: int, symbol: int, price: float, reason: str) -> None:
        self.trade(purse, bar, symbol, -purse.held[symbol].units, price, reason)
        del purse.held[symbol]

    def last_close(self, symbol: int, bar: int) -> float:
        return next(b[3] for b in reversed(self.bars[symbol][: bar + 1]) if b is not None)

    def price(self, symbol: int, bar: int, at: int) -> float:
        """The bar's open (`at` 0) or close (3), or the last close where it has none."""
        known = self.bars[symbol][bar]
        return known[at] if known is not None else self.last_close(symbol, bar)

    def equity(self, purse: Purse, bar: int, at: int) -> float:
        return purse.cash + sum(p.units * self.price(s, bar, at) for s, p in purse.held.items())

    def free(self, purse: Purse, bar: int, at: int, *, freed: float = 0.0) -> float:
        shorts = sum(-p.units * self.price(s, bar, at) for s, p in purse.held.items() if p.units < 0)
        free = purse.cash - 2 * shorts + freed
        # Less than a billionth of the equity is what rounding leaves.
        return free if free > 1e-9 * self.equity(purse, bar, at) else 0.0

    def decided(self, symbol: int, bar: int) -> int | None:
        """The bar at whose close was decided what this bar fills."""
        if self.bars[symbol][bar] is None:
            return None
        if self.rules["fill"] == "same_close":
            return bar
        return next((b for b in range(bar - 1, -1, -1) if self.bars[symbol][b] is not None), None)


def resolve(said: tuple[bool, bool, bool, bool]) -> tuple[bool, bool, bool, bool]:
    """Long entry, long exit, short entry, short exit, without contradictions."""
    enter, leave, short, cover = said
    if enter and leave:
        enter = leave = False
    if short and cover:
        short = cover = False
    if enter and short:
        enter = short = False
    return enter, leave, short, cover


def entry_units(
    exchange: Exchange,
    purse: Purse,
    symbol: int,
    decided: int,
    price: float,
    side: int,
    equity: float,
    free: float,
) -> float:
    r = exchange.rules
    kind, value = r["size"]
    paid = price * (1 + side * r["slippage"])
    each = paid * (1 + r["fees"])
    payable = max(0.0, free - r["fixed_fees"]) / each
    if kind == "fixed":
        units: float = min(value, payable) if side > 0 else value
    else:
        fraction = value[symbol][decided] if kind == "per_bar" else value
        if math.isnan(fraction if kind != "volatility" else 0.0):
            return 0.0
        if kind == "volatility":
            annual, window, most = value
            closes = [b[3] for b in exchange.bars[symbol][: decided + 1] if b is not None][-window - 1 :]
            if len(closes) <= window:
                return 0.0
            returns = [after / before - 1 for before, after in itertools.pairwise(closes)]
            spread = statistics.stdev(returns) * math.sqrt(r["year"])
            if spread == 0:
                return 0.0
            fraction = min(most, annual / spread)
        budget = max(0.0, fraction * equity - r["fixed_fees"]) / each
        units = min(budget, payable) if side > 0 else budget
    return math.floor(units) if r["whole_units"] else units


def fill_signals(
    exchange: Exchange, purse: Purse, bar: int, signals: list[list[tuple[bool, ...]]], at: int
) -> None:
    """All exits, then all entries, at the open (`at` 0) or at the close (3)."""
    said = {}
    for symbol in purse.symbols:
        decided = exchange.decided(symbol, bar)
        if decided is not None:
            said[symbol] = (decided, *resolve(signals[symbol][decided]))  # type: ignore[arg-type]
    for symbol, (_, enter, leave, short, cover) in said.items():
        position = purse.held.get(symbol)
        if position and (
            (position.units > 0 and (leave or short)) or (position.units < 0 and (cover or enter))
        ):
            exchange.close(purse, bar, symbol, exchange.price(symbol, bar, at), "signal")
    equity = exchange.equity(purse, bar, at)
    for symbol, (decided, enter, _, short, _) in said.items():
        if symbol in purse.held or not (enter or short) or purse.ruined or equity <= 0:
            continue
        side, price = (1 if enter else -1), exchange.price(symbol, bar, at)
        free = exchange.free(purse, bar, at)
        units = entry_units(exchange, purse, symbol, decided, price, side, equity, free)
        if units > 0:
            paid = exchange.trade(purse, bar, symbol, side * units, price, "signal")
            purse.held[symbol] = Position(side * units, paid, paid, fresh=at == 0)


def stop(exchange: Exchange, purse: Purse, bar: int, symbol: int) -> None:
    """Close a position that this bar's open or range stops; else remember the best price."""
    known, position, r = exchange.bars[symbol][bar], purse.held[symbol], exchange.rules
    assert known is not None
    open_, high, low, close = known
    if math.isnan(high) or math.isnan(low):
        high, low = max(open_, close), min(open_, close)
    long = position.units > 0
    levels = []
    if r["stop_loss"] is not None:
        levels.append((position.entry * (1 - r["stop_loss"] if long else 1 + r["stop_loss"]), "stop_loss"))
    if r["trailing_stop"] is not None:
        levels.append(
            (position.best * (1 - r["trailing_stop"] if long else 1 + r["trailing_stop"]), "trailing_stop")
        )
    level, why = None, ""
    for price, name in levels:
        if level is None or (price > level if long else price < level):
            level, why = price, name
    target = None
    if r["take_profit"] is not None:
        target = position.entry * (1 + r["take_profit"] if long else 1 - r["take_profit"])
    if not position.fresh and level is not None and (open_ <= level if long else open_ >= level):
        exchange.close(purse, bar, symbol, open_, why)
    elif not position.fresh and target is not None and (open_ >= target if long else open_ <= target):
        exchange.close(purse, bar, symbol, open_, "take_profit")
    elif level is not None and (low <= level if long else high >= level):
        exchange.close(purse, bar, symbol, level, why)
    elif target is not None and (high >= target if long else low <= target):
        exchange.close(purse, bar, symbol, target, "take_profit")
    else:
        position.best = max(position.best, high) if long else min(position.best, low)
        position.fresh = False


def fill_weights(exchange: Exchange, purse: Purse, bar: int, weights: list[list[float]], at: int) -> None:
    """Bring each symbol to its share of equity: sales, then purchases."""
    r, equity = exchange.rules, exchange.equity(purse, bar, at)
    if purse.ruined or equity <= 0:
        return
    orders = []
    for symbol in purse.symbols:
        decided = exchange.decided(symbol, bar)
        if decided is None or math.isnan(weights[symbol][decided]):
            continue
        held = purse.held[symbol].units if symbol in purse.held else 0.0
        target = weights[symbol][decided] * equity / exchange.price(symbol, bar, at)
        if not math.isclose(target, held, rel_tol=1e-12, abs_tol=0.0):
            orders.append((symbol, held, target - held))
    for symbol, held, change in sorted(orders, key=lambda order: order[2] > 0):
        price, units = exchange.price(symbol, bar, at), change
        if change > 0:
            # Buying back is never refused; beyond it, what cash is then free is the limit.
            back, each = max(0.0, -held), price * (1 + r["slippage"]) * (1 + r["fees"])
            free = exchange.free(purse, bar, at, freed=2 * back * price - back * each)
            units = min(change, back + max(0.0, free - r["fixed_fees"]) / each)
        if r["whole_units"]:
            units = math.copysign(math.floor(abs(units)), units)
        if units != 0:
            exchange.trade(purse, bar, symbol, units, price, "rebalance")
            # Next to nothing left is nothing.
            left = 0.0 if math.isclose(-held, units, rel_tol=1e-9) else held + units
            purse.held[symbol] = Position(left, 0.0, 0.0)
            if left == 0:
                del purse.held[symbol]


def ruin(exchange: Exchange, purse: Purse, bar: int) -> None:
    """Where nothing is left at a close, close what can be closed."""
    if purse.held and exchange.equity(purse, bar, 3) <= 0:
        purse.ruined = True
        for symbol in sorted(purse.held):
            if exchange.bars[symbol][bar] is not None:
                exchange.close(purse, bar, symbol, exchange.price(symbol, bar, 3), "ruin")


def run(
    bars: list[list[Bar]],
    said: list[list[Any]],
    dividends: list[list[float]] | None = None,
    *,
    weights: bool = False,
    **rules: Any,
) -> tuple[list[float], list[Fill]]:
    """Equity at each bar, and the fills, of signals (four flags a bar) or weights by symbol and bar."""
    exchange = Exchange(bars, rules)
    n_symbols, n_bars = len(bars), len(bars[0])
    if rules["cash_sharing"]:
        purses = [Purse(range(n_symbols), rules["cash"])]
    else:
        purses = [Purse(range(s, s + 1), rules["cash"] / n_symbols) for s in range(n_symbols)]
    fill = fill_weights if weights else fill_signals
    equity = []
    for bar in range(n_bars):
        for purse in purses:
            for symbol in list(purse.held):
                if dividends is not None and bars[symbol][bar] is not None:
                    purse.cash += purse.held[symbol].units * dividends[symbol][bar]
            if rules["fill"] == "next_open":
                fill(exchange, purse, bar, said, 0)
            for symbol in sorted(purse.held):
                if bars[symbol][bar] is not None and not weights:
                    stop(exchange, purse, bar, symbol)
            if rules["fill"] != "next_open":
                fill(exchange, purse, bar, said, 3)
            ruin(exchange, purse, bar)
        equity.append(sum(exchange.equity(purse, bar, 3) for purse in purses))
    return equity, exchange.fills
