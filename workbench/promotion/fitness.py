"""Whether a notebook may run by schedule, and with these values: refused, or promoted by force."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.errors import ParametersRefused, PromotionRefused
from workbench.promotion.readiness import reservations
from workbench.promotion.refusals import refused_by_strategies
from workbench.runs.notebook import Notebook

__all__ = ["refused_values", "unfit"]


def unfit(document: Notebook, name: str, *, force: bool) -> list[str]:
    """Why the notebook should not run by schedule; raises it as an error unless `force` is set."""
    reasons = reservations(document)
    if reasons and not force:
        raise PromotionRefused(
            f"{name} is not promoted: {'; '.join(reasons)}. "
            'Promote it all the same with --force "why" (force="why").'
        )
    return reasons


def refused_values(document: Notebook, name: str, values: Mapping[str, Any], *, force: bool) -> list[str]:
    """Which values the notebook's strategies would refuse; raises it as an error unless `force` is set."""
    refusals = refused_by_strategies(document, values)
    if refusals and not force:
        raise ParametersRefused(
            f"{name} cannot run with these parameters: {'; '.join(refusals)}.", known=tuple(values)
        )
    return refusals
