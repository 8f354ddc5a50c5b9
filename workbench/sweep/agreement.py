"""Whether a strategy's form for many variants says what the strategy itself does, before it is trusted."""

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

__all__ = ["few", "require_agreement"]

_SEEDED = 2
"""So many variants are compared beside the first and the last."""


def few(job: Job, seed: int) -> Variants:
    """The first variant, the last, and some between; of an adaptive search the first that it asks for."""
    plan = job.plan
    if isinstance(job.search, Bayesian):
        return arrays_of(plan.strategy, pd.DataFrame(job.search.resolve(plan.strategy).ask(2 + _SEEDED)))
    between = np.random.default_rng(seed).integers(0, plan.size, _SEEDED).tolist()
    parts = [plan.variants(number, number + 1) for number in sorted({0, plan.size - 1, *between})]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def require_agreement(plan: Plan, variants: Variants) -> None:
    """Compare both forms of the plan's strategy on the first cell's bars, signal by signal.

    Parameters
    ----------
    plan : Plan
    variants : mapping of str to ndarray, shape (n_variants,)
        The few to compare. Those for which the strategy itself raises are left out.

    Raises
    ------
    StrategyError
        Names the first variant, bar, symbol and signal that differ, or says what the form for many raised.
    """
    stage, name = plan.stage(0), plan.strategy.name
    try:
        many = call_batch(plan, stage.market, variants)
    except StrategyError:
        raise
    except Exception as error:
        raise StrategyError(
            f"{name}: its form for many variants failed ({type(error).__name__}: {error}); correct it, or "
            "leave @….batch out."
        ) from error
    for position in range(len(many.entries)):
        parameters = values_of(variants, position)
        try:
            one = decide(plan, stage, parameters)
        except Exception:  # noqa: BLE001, S112 - the sweep tells of it in that variant's row
            continue
        if not isinstance(one, Decisions):
            raise StrategyError(
                f"{name} returns Weights, and its form for many variants signals; leave @….batch out."
            )
        for role, said in _resolved(many, position, stage.market.started).items():
            plain = getattr(one, role)
            if not np.array_equal(said, plain):
                row, column = np.argwhere(said != plain)[0]
                shown = ", ".join(f"{key}={value!r}" for key, value in parameters.items())
                raise StrategyError(
                    f"{name}: its form for many variants is not the same rule. For {shown} at "
                    f"{stage.market.timestamps[row]} ({stage.market.symbols[column]}) {_SAID[role]} is "
                    f"{said[row, column]} instead of {plain[row, column]}; correct it, or leave @….batch out."
                )


_SAID = {
    "enter": "the side to enter (1 long, -1 short)",
    "leave_long": "the exit",
    "leave_short": "the short exit",
}


def _resolved(many: SignalArrays, position: int, started: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """One variant's signals as `workbench.signals.decisions` resolves them."""
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
