"""The top of the tearsheet: how likely the result is luck, from an `Honesty`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workbench.drawing.blocks import Block, Facts, Item, Note
from workbench.drawing.wording import count, percent, ratio

if TYPE_CHECKING:
    from workbench.overfitting import Honesty

__all__ = ["NOT_COUNTED", "luck_blocks", "luck_sentence"]

NOT_COUNTED = (
    "How likely this result is luck is unknown: how many variants were tried before it was not counted."
)
"""The verdict's text when there is no `Honesty`."""


def luck_sentence(honesty: Honesty | None) -> str:
    """The verdict in one sentence."""
    return NOT_COUNTED if honesty is None else honesty.sentence


def luck_blocks(honesty: Honesty | None) -> list[Block]:
    """The verdict, and the figures behind it."""
    blocks: list[Block] = [Note(luck_sentence(honesty), "lead")]
    if honesty is None:
        return blocks
    items = [
        Item("Variants tried", count(honesty.n_trials)),
        Item("Better than luck", percent(honesty.dsr), hint="Probability: the deflated Sharpe ratio"),
        Item("Better than zero", percent(honesty.psr), hint="Probability: the probabilistic Sharpe ratio"),
        Item(
            "Sharpe from luck alone", ratio(honesty.luck_annual), hint="Expected of the best of all variants"
        ),
        Item(
            "Bars needed",
            count(honesty.minimum_bars),
            note=f"of {count(honesty.n_bars)}",
            hint="For 95% confidence that the Sharpe ratio is above zero, if one variant was tried",
        ),
    ]
    if honesty.pbo is not None:
        hint = "How often the best on one half of the bars was below the median on the other"
        items.append(Item("Overfitting", percent(honesty.pbo), hint=hint))
    if honesty.spa is not None:
        hint = "p-value of Hansen's test: small means unlikely to be luck"
        items.append(Item("Superior ability, p", ratio(honesty.spa, 3), hint=hint))
    return [*blocks, Facts(items, style="strip")]
