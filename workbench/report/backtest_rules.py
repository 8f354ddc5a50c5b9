"""The tearsheet's last section: strategy, parameters, symbols and execution rules of the backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.drawing.blocks import Beside, Facts, Item, Note, Section
from workbench.drawing.wording import TimeFormat, bars_long, count, listed, money, percent
from workbench.fills.sizing import Fixed, Percent, VolatilityTarget

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["rules_section"]

_FILLS = {
    "next_open": "at the open of the next bar",
    "next_close": "at the close of the next bar",
    "same_close": "at the close of the deciding bar (optimistic)",
}
_CONVENTIONS = (
    "Figures use simple returns per bar, after costs; annualised with the bars per year given here; "
    "without a risk-free rate; drawdown starts from the starting capital as its first peak."
)


def rules_section(result: BacktestRecord, time_format: TimeFormat, currency: str) -> Section:
    """The section: what was traded, with which parameters, and how orders were filled."""
    rules = result.execution
    what = [
        Item("Strategy", result.strategy or result.name),
        *(Item(name, _value(value)) for name, value in result.parameters.items()),
        Item("Symbols", listed(result.symbols, 12)),
        Item("Span", f"{time_format.text(result.start)} to {time_format.text(result.end)}"),
        Item("Bars", count(len(result.equity))),
        Item("Bars per year", f"{result.periods_per_year:,g}"),
    ]
    fixed = f"plus {money(rules.fixed_fees, currency)} per order" if rules.fixed_fees else ""
    shared = "shared by all symbols" if rules.cash_sharing else "split equally among the symbols"
    several = shared if len(result.symbols) > 1 else ""
    how = [
        Item("Starting capital", money(result.initial_cash, currency), note=several),
        Item("Orders fill", _FILLS[rules.fill]),
        Item("Size of an entry", _size(result) + (", whole units" if rules.whole_units else "")),
        Item("Fees", percent(rules.fees, 3), note=fixed),
        Item("Slippage", percent(rules.slippage, 3)),
    ]
    stops = (
        ("Stop loss", rules.stop_loss),
        ("Take profit", rules.take_profit),
        ("Trailing stop", rules.trailing_stop),
    )
    how += [Item(name, percent(distance)) for name, distance in stops if distance is not None]
    facts = Beside([[Facts(what, style="plain")], [Facts(how, style="plain")]])
    return Section("rules", "Rules", [facts, Note(_CONVENTIONS)])


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _size(result: BacktestRecord) -> str:
    if result.of_weights:
        return "the strategy's weights"
    match result.execution.size:
        case Percent(float(fraction)):
            return f"{percent(fraction, 0)} of equity"
        case Percent():
            return "a fraction of equity for each bar and symbol"
        case Fixed(units):
            return f"{units:g} units"
        case VolatilityTarget(annual, window, most):
            aim = f"for {percent(annual, 0)} volatility per year"
            return f"{aim} ({bars_long(window)}), at most {percent(most, 0)}"
        case _:
            shared = result.execution.cash_sharing and len(result.symbols) > 1
            return "an equal share of equity for each symbol" if shared else "the whole account"
