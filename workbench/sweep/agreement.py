"""Checks that a strategy's batch form gives the same signals as the strategy itself, before it is used."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from workbench.errors import StrategyError
from workbench.signals.decisions import Decisions, without_contradictions
from workbench.signals.signals import SignalArrays
from workbench.sweep.bayesian import Bayesian
from workbench.sweep.chunk import Plan, Variants, arrays_of, call_batch, decide, values_of
from workbench.sweep.job import Job

__all__ = ["require_agreement", "sample_variants"]

_SEEDED = 2
"""Random variants compared in addition to the first and the last."""


def sample_variants(job: Job, seed: int) -> Variants:
    """The first, the last and some random variants; for an adaptive search the first it proposes."""
    plan = job.plan
    if isinstance(job.search, Bayesian):
        return arrays_of(plan.strategy, pd.DataFrame(job.search.resolve(plan.strategy).ask(2 + _SEEDED)))
    between = np.random.default_rng(seed).integers(0, plan.size, _SEEDED).tolist()
    parts = [plan.variants(number, number + 1) for number in sorted({0, plan.size - 1, *between})]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def require_agreement(plan: Plan, variants: Variants) -> None:
    """Compare the plan's strategy with its batch form on the first cell's bars, signal by signal.

    Parameters
    ----------
    plan : Plan
    variants : mapping of str to ndarray, shape (n_variants,)
        The variants to compare. Those for which the strategy itself raises are skipped.

    Raises
    ------
    StrategyError
        Names the first variant, bar, symbol and signal that differ, or has what the batch form raised.
    """
    prepared, name = plan.bars_of(0), plan.strategy.name
    try:
        many = call_batch(plan, prepared.market, variants)
    except StrategyError:
        raise
    except Exception as error:
        raise StrategyError(
            f"{name}: its batch form failed ({type(error).__name__}: {error}); fix it, or remove @….batch."
        ) from error
    for position in range(len(many.entries)):
        parameters = values_of(variants, position)
        try:
            one = decide(plan, prepared, parameters)
        except Exception:  # noqa: BLE001, S112 - the sweep reports it in that variant's row
            continue
        if not isinstance(one, Decisions):
            raise StrategyError(
                f"{name} returns Weights, but its batch form returns signals; remove @….batch."
            )
        for role, batched in _resolved(many, position, prepared.market.started).items():
            plain = getattr(one, role)
            if not np.array_equal(batched, plain):
                row, column = np.argwhere(batched != plain)[0]
                shown = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
                raise StrategyError(
                    f"{name}: its batch form gives other signals. For {shown} at "
                    f"{prepared.market.timestamps[row]} ({prepared.market.symbols[column]}) {_ROLES[role]} "
                    f"is {batched[row, column]} instead of {plain[row, column]}; fix it, or remove @….batch."
                )


_ROLES = {
    "enter": "the side to enter (1 long, -1 short)",
    "leave_long": "the exit",
    "leave_short": "the short exit",
}


def _resolved(many: SignalArrays, position: int, started: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """One variant's signals, resolved as in `workbench.signals.decisions`."""
    entries, exits, short_entries, short_exits = (
        None if flags is None else flags[position] & started
        for flags in (many.entries, many.exits, many.short_entries, many.short_exits)
    )
    assert entries is not None
    assert exits is not None
    long, leave_long, short, leave_short = without_contradictions(entries, exits, short_entries, short_exits)
    if many.short_entries is None:
        short = leave_short = np.zeros_like(long)
    return {
        "enter": long.astype(np.int8) - short.astype(np.int8),
        "leave_long": leave_long,
        "leave_short": leave_short,
    }
