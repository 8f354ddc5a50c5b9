"""The tearsheet's headline figures and its full list of figures, all from the result's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.drawing.blocks import Beside, Facts, Item, Section
from workbench.drawing.wording import (
    bars_long,
    benchmark_name,
    count,
    money,
    percent,
    ratio,
    signed_percent,
    tone,
)

if TYPE_CHECKING:
    from workbench.fills.record import BacktestRecord

__all__ = ["figures_section", "headline"]


def headline(result: BacktestRecord) -> Facts:
    """The headline figures."""
    m = result.metrics
    won = [f"{percent(m['win_rate'], 0)} won"] if m["total_trades"] else []
    still_open = [f"+{count(m['open_trades'])} open"] if m["open_trades"] else []
    return Facts(
        [
            Item(
                "Return",
                signed_percent(m["total_return"]),
                tone(m["total_return"]),
                f"{benchmark_name(result)} {signed_percent(m['benchmark_return'])}",
            ),
            Item("CAGR", percent(m["cagr"]), note="growth per year"),
            Item("Sharpe", ratio(m["sharpe_ratio"]), note=f"volatility {percent(m['volatility'])}"),
            Item(
                "Max drawdown",
                percent(m["max_drawdown"]),
                tone(m["max_drawdown"]),
                f"longest {bars_long(m['max_drawdown_length'])}",
            ),
            Item("Calmar", ratio(m["calmar"]), note="CAGR / drawdown"),
            Item("Trades", count(m["total_trades"]), note=", ".join(won + still_open)),
        ],
        style="large",
    )


def figures_section(result: BacktestRecord, currency: str) -> Section:
    """All figures, in four groups."""
    m = result.metrics
    grown = [
        Item("Final equity", money(m["final_equity"], currency)),
        Item("Total return", signed_percent(m["total_return"]), tone(m["total_return"])),
        Item("CAGR", signed_percent(m["cagr"]), tone(m["cagr"])),
        Item("Exposure", percent(m["exposure"]), hint="Mean fraction of equity invested"),
        Item("Turnover per year", percent(m["turnover"], 0), hint="Value bought and sold / equity"),
        Item("Stability", ratio(m["stability"]), hint="R² of the log of equity against time"),
    ]
    risk = [
        Item("Volatility", percent(m["volatility"])),
        Item("Max drawdown", percent(m["max_drawdown"])),
        Item("Longest drawdown", bars_long(m["max_drawdown_length"])),
        Item("Value at risk, 95%", percent(m["value_at_risk"], 2), hint="Per bar"),
        Item("Expected shortfall, 95%", percent(m["conditional_value_at_risk"], 2), hint="Per bar"),
        Item("Skewness", ratio(m["skewness"])),
        Item("Kurtosis", ratio(m["kurtosis"])),
    ]
    rewarded = [
        Item("Sharpe", ratio(m["sharpe_ratio"]), hint="No risk-free rate"),
        Item("Sortino", ratio(m["sortino"])),
        Item("Calmar", ratio(m["calmar"])),
        Item("Omega", ratio(m["omega"])),
        Item("Tail ratio", ratio(m["tail_ratio"]), hint="95% quantile of returns / 5% quantile"),
        Item("Profit factor", ratio(m["profit_factor"]), hint="Of the closed trades"),
    ]
    compared = [
        Item("Benchmark's return", signed_percent(m["benchmark_return"]), tone(m["benchmark_return"])),
        Item("Alpha per year", signed_percent(m["alpha"]), tone(m["alpha"])),
        Item("Beta", ratio(m["beta"])),
        Item("Information ratio", ratio(m["information_ratio"])),
        Item("Up capture", percent(m["up_capture"], 0)),
        Item("Down capture", percent(m["down_capture"], 0)),
    ]
    groups = [
        [Facts(grown, "Growth")],
        [Facts(risk, "Risk")],
        [Facts(rewarded, "Risk-adjusted return")],
        [Facts(compared, "Compared with the benchmark")],
    ]
    return Section("statistics", "Statistics", [Beside(groups, style="quarters")])
