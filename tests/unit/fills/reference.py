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
class Account:
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

    def trade(
        self, account: Account, bar: int, symbol: int, units: float, price: float, reason: str
    ) -> float:
        r = self.rules
        paid: float = price * (1 + r["slippage"]) if units > 0 else price * (1 - r["slippage"])
        fee = r["fees"] * abs(units) * paid + r["fixed_fees"]
        spent = units * paid + fee
        # Next to nothing left is nothing.
        account.cash = 0.0 if math.isclose(account.cash, spent, rel_tol=1e-9) else account.cash - spent
        self.fills.append(Fill(bar, symbol, "buy" if units > 0 else "sell", abs(units), paid, fee, reason))
        return paid

    def close(self, account: Account, bar: int, symbol: int, price: float, reason: str) -> None:
        self.trade(account, bar, symbol, -account.held[symbol].units, price, reason)
        del account.held[symbol]

    def last_close(self, symbol: int, bar: int) -> float:
        return next(b[3] for b in reversed(self.bars[symbol][: bar + 1]) if b is not None)

    def price(self, symbol: int, bar: int, at: int) -> float:
        """The bar's open (`at` 0) or close (3), or the last close where it has none."""
        known = self.bars[symbol][bar]
        return known[at] if known is not None else self.last_close(symbol, bar)

    def equity(self, account: Account, bar: int, at: int) -> float:
        return account.cash + sum(p.units * self.price(s, bar, at) for s, p in account.held.items())

    def gross(self, account: Account, bar: int, at: int) -> float:
        return sum(abs(p.units) * self.price(s, bar, at) for s, p in account.held.items())

    def each(self, symbol: int, bar: int, at: int, side: int) -> tuple[float, float]:
        """What a unit that is bought (1) or sold (-1) is worth, and what it costs to trade it."""
        price = self.price(symbol, bar, at)
        paid = price * (1 + side * self.rules["slippage"])
        return price, abs(paid - price) + self.rules["fees"] * paid

    def since_last_bar(self, symbol: int, bar: int) -> range:
        """The rows whose decisions this bar fills: those before were filled by the symbol's last bar."""
        bars = self.bars[symbol]
        before = next((b for b in range(bar - 1, -1, -1) if bars[b] is not None), -1)
        if self.rules["fill"] == "same_close":
            return range(before + 1, bar + 1)
        return range(max(before, 0), bar)

    def due_weight(self, symbol: int, bar: int, weights: list[float]) -> float:
        """The newest weight since the symbol's last bar; NaN where there is none, or no bar to fill it."""
        rows = self.since_last_bar(symbol, bar) if self.bars[symbol][bar] is not None else range(0)
        return next((weights[row] for row in reversed(rows) if not math.isnan(weights[row])), math.nan)

    def due_signals(
        self, symbol: int, bar: int, said: list[tuple[bool, bool, bool, bool]]
    ) -> tuple[int, bool, bool, bool, bool] | None:
        """What a symbol's signals since its last bar come to, and the row of the newest; None of none.

        An entry takes back the exit of its side and the other side's entry; an exit takes back the entry of
        its side. Before its first bar a symbol has no signals. An entry that stands is of its own row,
        whatever exit was said after it.
        """
        bars = self.bars[symbol]
        newest, due = -1, {"enter": False, "leave": False, "short": False, "cover": False}
        undoes = {
            "enter": ("leave", "short"),
            "leave": ("enter",),
            "short": ("cover", "enter"),
            "cover": ("short",),
        }
        for row in self.since_last_bar(symbol, bar) if bars[bar] is not None else ():
            signals = dict(zip(due, resolve(said[row]), strict=True))
            # A short exit means nothing where no short position is ever entered.
            signals["cover"] = signals["cover"] and any(resolve(one)[2] for one in said)
            if any(signals.values()) and any(one is not None for one in bars[: row + 1]):
                taken_back = {other for name, given in signals.items() if given for other in undoes[name]}
                due = {name: signals[name] or (due[name] and name not in taken_back) for name in due}
                if signals["enter"] or signals["short"] or not (due["enter"] or due["short"]):
                    newest = row
        return (newest, due["enter"], due["leave"], due["short"], due["cover"]) if newest >= 0 else None


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


def fraction_of(exchange: Exchange, symbol: int, decided: int) -> float:
    """Which share of equity an entry is for that was decided in this row; NaN where there is none."""
    kind, value = exchange.rules["size"]
    bars = exchange.bars[symbol]
    last = next(b for b in range(decided, -1, -1) if bars[b] is not None)
    if kind == "per_bar":
        return float(value[symbol][last] if math.isnan(value[symbol][decided]) else value[symbol][decided])
    if kind == "percent":
        return float(value)
    annual, window, most = value
    closes = [b[3] for b in bars[: decided + 1] if b is not None][-window - 1 :]
    if len(closes) <= window:
        return math.nan
    returns = [after / before - 1 for before, after in itertools.pairwise(closes)]
    spread = statistics.stdev(returns) * math.sqrt(exchange.rules["year"])
    return min(most, annual / spread) if spread > 1e-10 else math.nan


def entries_of(
    exchange: Exchange, account: Account, bar: int, said: dict[int, Any], at: int
) -> dict[int, float]:
    """How many units each entry would buy (or sell short, below 0), were there room for all."""
    r, equity = exchange.rules, exchange.equity(account, bar, at)
    entries = {}
    for symbol, (decided, enter, _, short, _) in said.items():
        if symbol in account.held or not (enter or short) or account.ruined or equity <= 0:
            continue
        side = 1 if enter else -1
        worth, cost = exchange.each(symbol, bar, at, side)
        if r["size"][0] == "fixed":
            units = r["size"][1]
        else:
            units = (fraction_of(exchange, symbol, decided) * equity - r["fixed_fees"]) / (worth + cost)
        if units > 0:
            entries[symbol] = side * units
    return entries


def fill_signals(
    exchange: Exchange, account: Account, bar: int, signals: list[list[tuple[bool, ...]]], at: int
) -> None:
    """All exits, then all entries, at the open (`at` 0) or at the close (3)."""
    said = {}
    for symbol in account.symbols:
        due = exchange.due_signals(symbol, bar, signals[symbol])  # type: ignore[arg-type]
        if due is not None:
            said[symbol] = due
    for symbol, (_, enter, leave, short, cover) in said.items():
        position = account.held.get(symbol)
        if position and (
            (position.units > 0 and (leave or short)) or (position.units < 0 and (cover or enter))
        ):
            exchange.close(account, bar, symbol, exchange.price(symbol, bar, at), "signal")
    entries = entries_of(exchange, account, bar, said, at)
    r, equity = exchange.rules, exchange.equity(account, bar, at)
    # After the entries gross exposure is at most `leverage` times the equity that is left by their costs.
    lever, room = r["leverage"], r["leverage"] * equity - exchange.gross(account, bar, at)
    if room < 1e-9 * equity:
        room = 0.0
    taken = 0.0
    for symbol, units in entries.items():
        worth, cost = exchange.each(symbol, bar, at, 1 if units > 0 else -1)
        taken += abs(units) * (worth + lever * cost)
    fixed = lever * r["fixed_fees"] * len(entries)
    cut = 1.0 if taken + fixed <= room * (1 + 1e-12) else max(0.0, room - fixed) / taken
    for symbol, units in entries.items():
        size = math.floor(abs(units) * cut) if r["whole_units"] else abs(units) * cut
        if size > 0:
            units = math.copysign(size, units)
            paid = exchange.trade(account, bar, symbol, units, exchange.price(symbol, bar, at), "signal")
            account.held[symbol] = Position(units, paid, paid, fresh=at == 0)


def stop(exchange: Exchange, account: Account, bar: int, symbol: int) -> None:
    """Close a position that this bar's open or range stops; else remember the best price."""
    known, position, r = exchange.bars[symbol][bar], account.held[symbol], exchange.rules
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
        exchange.close(account, bar, symbol, open_, why)
    elif not position.fresh and target is not None and (open_ >= target if long else open_ <= target):
        exchange.close(account, bar, symbol, open_, "take_profit")
    elif level is not None and (low <= level if long else high >= level):
        exchange.close(account, bar, symbol, level, why)
    elif target is not None and (high >= target if long else low <= target):
        exchange.close(account, bar, symbol, target, "take_profit")
    else:
        position.best = max(position.best, high) if long else min(position.best, low)
        position.fresh = False


def orders_of(
    exchange: Exchange, account: Account, bar: int, at: int, due: dict[int, float], equity: float, cut: float
) -> dict[int, float]:
    """How many units each order buys (or sells, below 0) to get to weights that are cut by a factor."""
    orders = {}
    for symbol, weight in due.items():
        held = account.held[symbol].units if symbol in account.held else 0.0
        target = cut * (weight * equity / exchange.price(symbol, bar, at))
        if exchange.rules["whole_units"]:
            target = float(math.trunc(target * (1 + 1e-12)))
        if not math.isclose(target, held, rel_tol=1e-12, abs_tol=0.0):
            orders[symbol] = target - held
    return orders


def fits(
    exchange: Exchange, account: Account, bar: int, at: int, due: dict[int, float], equity: float, cut: float
) -> bool:
    """Whether gross exposure is then at most `leverage` times the equity that the costs leave."""
    r = exchange.rules
    whole, r["whole_units"] = r["whole_units"], False
    orders = orders_of(exchange, account, bar, at, due, equity, cut)
    r["whole_units"] = whole
    # Cut weights reckon with a fixed fee for each order that there may be.
    number = len(orders) if cut == 1 else sum(1 for s, weight in due.items() if weight or s in account.held)
    costs = number * r["fixed_fees"]
    gross = 0.0
    for symbol in account.symbols:
        held = account.held[symbol].units if symbol in account.held else 0.0
        units = orders.get(symbol, 0.0)
        if held or units:
            gross += abs(held + units) * exchange.price(symbol, bar, at)
        if units:
            costs += abs(units) * exchange.each(symbol, bar, at, 1 if units > 0 else -1)[1]
    slack = 1e-12 if cut == 1 else 1e-14
    return bool(gross + r["leverage"] * costs <= r["leverage"] * equity * (1 + slack))


def fill_weights(exchange: Exchange, account: Account, bar: int, weights: list[list[float]], at: int) -> None:
    """Bring each symbol to its share of equity, all cut by one factor where they do not fit: sales first."""
    equity = exchange.equity(account, bar, at)
    if account.ruined or equity <= 0:
        return
    due = {}
    for symbol in account.symbols:
        weight = exchange.due_weight(symbol, bar, weights[symbol])
        if not math.isnan(weight):
            due[symbol] = weight
    cut = 1.0
    if not fits(exchange, account, bar, at, due, equity, cut):
        low, cut = 0.0, 1.0
        for _ in range(200):
            middle = (low + cut) / 2
            if fits(exchange, account, bar, at, due, equity, middle):
                low = middle
            else:
                cut = middle
        cut = low
        others = sum(
            abs(position.units) * exchange.price(symbol, bar, at)
            for symbol, position in account.held.items()
            if symbol not in due
        )
        # Less than a billionth of the equity is what rounding leaves.
        if exchange.rules["leverage"] * equity - others < 1e-9 * equity:
            cut = 0.0
    orders = orders_of(exchange, account, bar, at, due, equity, cut)
    for symbol, units in sorted(orders.items(), key=lambda order: order[1] > 0):
        held = account.held[symbol].units if symbol in account.held else 0.0
        exchange.trade(account, bar, symbol, units, exchange.price(symbol, bar, at), "rebalance")
        # Next to nothing left is nothing.
        left = 0.0 if math.isclose(-held, units, rel_tol=1e-9) else held + units
        account.held[symbol] = Position(left, 0.0, 0.0)
        if left == 0:
            del account.held[symbol]


def ruin(exchange: Exchange, account: Account, bar: int) -> None:
    """Where nothing is left at a close, close what can be closed."""
    if account.held and exchange.equity(account, bar, 3) <= 0:
        account.ruined = True
        for symbol in sorted(account.held):
            if exchange.bars[symbol][bar] is not None:
                exchange.close(account, bar, symbol, exchange.price(symbol, bar, 3), "ruin")


def run(
    bars: list[list[Bar]],
    said: list[list[Any]],
    dividends: list[list[float]] | None = None,
    *,
    weights: bool = False,
    **rules: Any,
) -> tuple[list[float], list[Fill]]:
    """Equity at each bar, and the fills, of signals (four flags a bar) or weights by symbol and bar."""
    exchange = Exchange(bars, {"leverage": 1.0, **rules})
    n_symbols, n_bars = len(bars), len(bars[0])
    if rules["cash_sharing"]:
        accounts = [Account(range(n_symbols), rules["cash"])]
    else:
        accounts = [Account(range(s, s + 1), rules["cash"] / n_symbols) for s in range(n_symbols)]
    fill = fill_weights if weights else fill_signals
    equity = []
    for bar in range(n_bars):
        for account in accounts:
            for symbol in list(account.held):
                if dividends is not None and bars[symbol][bar] is not None:
                    account.cash += account.held[symbol].units * dividends[symbol][bar]
            if rules["fill"] == "next_open":
                fill(exchange, account, bar, said, 0)
            for symbol in sorted(account.held):
                if bars[symbol][bar] is not None and not weights:
                    stop(exchange, account, bar, symbol)
            if rules["fill"] != "next_open":
                fill(exchange, account, bar, said, 3)
            ruin(exchange, account, bar)
        equity.append(sum(exchange.equity(account, bar, 3) for account in accounts))
    return equity, exchange.fills
